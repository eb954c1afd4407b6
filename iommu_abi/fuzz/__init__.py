"""Fuzzing: valid inputs, then broken ones, on both ledgers.

``worlds`` (with a module for each kind of IOMMU) builds tables and requests that succeed, ``blobs``
the same for blobs; ``mutate``, ``free``, ``aimed`` and each kind's aims break them; ``ways`` and each
kind's ways say what has to be reached and what cannot be, ``coverage`` for all; ``cases`` makes a case
from (seed, index) and asks both ledgers; ``pool``, ``smoke`` and ``report`` run many.

To add a kind of IOMMU, begin with ``formats``.
"""

from __future__ import annotations
