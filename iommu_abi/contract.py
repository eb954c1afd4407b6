"""What ``unpack()`` of a ctypes type asks: whether bytes keep the contract of their struct.

The answer is that of :mod:`iommu_abi.structs`, as on the command line. That reads by the types and so stands
above them; the package's ``__init__`` puts it in here, and :mod:`iommu_abi.uapi` need not know it.
"""

from __future__ import annotations

from collections.abc import Callable

#: (struct, generation, name of the ABI, bytes): AbiError if a rule is broken.
check: Callable[[str, str, str, bytes], None]
