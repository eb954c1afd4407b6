"""What people paste -> what it means.

- ``forms``: which kind of input it is
- ``excerpt``: what of a long text is worth reading
- ``text``, ``lines``: what terminals, journald and mail add is taken away; ``scan``: which lines are messages
- ``faults``: messages of IOMMU drivers, with a module for each kind of message
- ``strace``: lines of ioctls and the bytes noted below them; ``commands``: what such a line is about
- ``hexdump``, ``carray``: bytes as text; ``pieces``: bytes with the place where they were
- ``payload``: a struct, and the data that its pointers lead to
"""

from __future__ import annotations

from iommu_abi.decode.faults import Block, Decoded, Meaning, Note, Report, Walked, decode, is_log, walk

__all__ = ["Block", "Decoded", "Meaning", "Note", "Report", "Walked", "decode", "is_log", "walk"]
