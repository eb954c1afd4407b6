"""Any struct of any generation on any ABI: made from words, taken apart, and read by both ledgers.

- ``kind``: which struct; ``slots``: where each number of it lies; ``names``: numbers and their names
- ``plan``: how all numbers of a struct are read at once, found out once
- ``apart``: bytes -> fields; ``pack``: words -> bytes; ``unpack``: bytes -> fields, checked
- ``opaque``: inside the seed's struct; ``dump``: the bytes beside what they mean
"""

from __future__ import annotations

from iommu_abi.structs.kind import Blob, Field, StructKind, kind

__all__ = ["Blob", "Field", "StructKind", "kind"]
