"""Fuzzing: the ledgers against each other on worlds (:mod:`iommu_abi.worlds`) and blobs, valid and broken.

``blobs`` makes blobs that break nothing, and breaks them; ``cases`` makes a case from (seed, index) and asks
both ledgers; ``pool``, ``smoke`` and ``report`` run many.
"""

from __future__ import annotations
