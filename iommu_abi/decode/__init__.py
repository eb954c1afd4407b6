"""What people paste -> what it means.

- ``forms``: which kind of input it is
- ``faults``: lines of Linux's IOMMU drivers, with a module for each vendor
- ``strace``: lines of ioctls and the bytes noted below them; ``commands``: what such a line is about
- ``hexdump``, ``carray``: bytes as text; ``pieces``: bytes with the place where they were
- ``payload``: a struct, and the data that its pointers lead to
"""

from __future__ import annotations

from iommu_abi.decode.faults import Decoded, Meaning, Report, Walked, decode, walk

__all__ = ["Decoded", "Meaning", "Report", "Walked", "decode", "walk"]
