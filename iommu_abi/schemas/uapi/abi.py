"""What differs between machines: byte order, alignment, and the size of pointers and enumerations.

Every ABI aligns an integer to its own size, except: i386 aligns 8 bytes to 4, m68k nothing to more
than 2, and hexagon has enumerations of one byte. ``__aligned_u64`` is aligned to 8 everywhere, which
is what it is for.
"""

from __future__ import annotations

from dataclasses import dataclass

from iommu_abi.errors import UsageError
from iommu_abi.names import abi_name, unknown


@dataclass(frozen=True, slots=True)
class Abi:
    """One machine's rules; ``order`` is "<" or ">", the rest is in bytes."""

    name: str
    order: str
    pointer: int
    u64_align: int = 8
    max_align: int = 8
    enum: int = 4

    def align(self, size: int) -> int:
        """Where an integer of a size may begin."""
        return min(self.u64_align if size == 8 else size, self.max_align)

    def __hash__(self) -> int:
        return hash(self.name)


#: Every ABI by its name.
ABIS = {
    abi.name: abi
    for abi in (
        Abi("x86_64", "<", 8),
        Abi("x32", "<", 4),
        Abi("i386", "<", 4, u64_align=4),
        Abi("aarch64", "<", 8),
        Abi("aarch64_be", ">", 8),
        Abi("arm", "<", 4),
        Abi("armeb", ">", 4),
        Abi("riscv64", "<", 8),
        Abi("riscv32", "<", 4),
        Abi("powerpc64", ">", 8),
        Abi("powerpc64le", "<", 8),
        Abi("powerpc", ">", 4),
        Abi("s390x", ">", 8),
        Abi("mips", ">", 4),
        Abi("mipsel", "<", 4),
        Abi("mips64", ">", 8),
        Abi("mips64n32", ">", 4),
        Abi("sparc64", ">", 8),
        Abi("sparc", ">", 4),
        Abi("loongarch64", "<", 8),
        Abi("hexagon", "<", 4, enum=1),
        Abi("m68k", ">", 4, max_align=2),
    )
}


def abi(name: str) -> Abi:
    """An ABI by its name, or by another usual one; UsageError names the nearest."""
    name = abi_name(name)
    if name not in ABIS:
        raise UsageError(unknown("ABI", name, ABIS, "iommu-abi layout STRUCT --abi all shows all"))
    return ABIS[name]
