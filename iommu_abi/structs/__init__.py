"""Any struct of any generation on any ABI: made from words, taken apart, and read by both ledgers.

- ``kind``: which struct; ``slots``: where each number of it lies; ``names``: numbers and their names
- ``apart``: bytes -> fields; ``pack``: words -> bytes; ``unpack``: bytes -> fields, checked
- ``dump``: the bytes beside what they mean

``pasid_table_info`` has rules of its own in both ledgers: :mod:`iommu_abi.blob`.
"""

from __future__ import annotations

from iommu_abi.structs.kind import Blob, Field, Kind, kind

__all__ = ["Blob", "Field", "Kind", "kind"]
