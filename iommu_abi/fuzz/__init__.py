"""Fuzzing: valid inputs, then broken ones, on both ledgers.

``worlds`` (with a module for each vendor) builds tables and requests that succeed, ``blobs`` the
same for blobs; ``mutate``, ``free``, ``aimed`` and the vendors' aims break them; ``coverage`` says
what has to be reached and what cannot be; ``cases`` makes a case from (seed, index) and asks both
ledgers; ``pool``, ``smoke`` and ``report`` run many. ``formats`` has a row for each format.
"""

from __future__ import annotations
