"""Fuzzing: the ledgers against each other on worlds (:mod:`iommu_abi.worlds`) and blobs, valid and broken.

- ``blobs``: blobs that break nothing, and what breaks them
- ``judge``: what both ledgers say to a case of a walk; ``claims``: what answers say of other requests
- ``targets``, ``engines``, ``campaign``: what is asked, where bytes for it come from, and whose turn it is
- ``corpus``: seed files for other fuzzers
"""

from __future__ import annotations
