"""Ioctl numbers, made and taken apart as each family of architectures writes them.

Source: asm/ioctl.h of the families. A number has, from bit 0 up, 8 bits of number, 8 of type, the size
of the argument and the direction; families differ in the last two. iommufd and VFIO use ``_IO()`` only,
so that a command keeps its number when its struct grows.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from iommu_abi.errors import UsageError
from iommu_abi.names import abi_name, meant, unknown
from iommu_abi.schemas import uapi

#: The type of every command of iommufd and VFIO, ``';'``.
TYPE = 0x3B


class Direction(enum.IntFlag):
    """Where the argument goes, as the caller sees it."""

    NONE = 0
    WRITE = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class Family:
    """How a family packs size and direction. ``overlap``: the size's top bit is also that of "none"."""

    name: str
    size_bits: int
    none: int
    write: int
    read: int
    overlap: bool = False

    @property
    def _shift(self) -> int:
        return 16 + self.size_bits

    @property
    def _most(self) -> int:
        """The largest size of an argument."""
        return (1 << self.size_bits + self.overlap) - 1

    def encode(self, direction: Direction, type_: int, nr: int, size: int = 0) -> int:
        """The number of a command; UsageError for a part that does not fit."""
        for what, value, last in (("type", type_, 0xFF), ("number", nr, 0xFF), ("size", size, self._most)):
            if not 0 <= value <= last:
                raise UsageError(f"ioctl {what}: got {value}, expected 0 to {last:#x}")
        if self.overlap and size and not direction:
            raise UsageError(f"ioctl size: got {size}, expected 0 where nothing is transferred ({self.name})")
        bits = self.none if not direction else 0
        bits |= self.write if direction & Direction.WRITE else 0
        bits |= self.read if direction & Direction.READ else 0
        return bits << self._shift | size << 16 | type_ << 8 | nr

    def decode(self, number: int) -> Request:
        """The parts of a number; UsageError if a direction has bits that mean nothing."""
        if not 0 <= number < 1 << 32:
            raise UsageError(f"ioctl: got {number:#x}, expected a number of 32 bits")
        bits = number >> self._shift
        direction = Direction.NONE
        direction |= Direction.WRITE if bits & self.write else Direction.NONE
        direction |= Direction.READ if bits & self.read else Direction.NONE
        known = self.write | self.read | (0 if direction and not self.overlap else self.none)
        if bits & ~known or (not direction and bits != self.none):
            raise UsageError(f"ioctl {number:#x}: no direction is written as {bits} ({self.name})")
        size = number >> 16 & self._most
        if self.overlap and not direction:
            size &= self._most >> 1
        return Request(direction, number >> 8 & 0xFF, number & 0xFF, size)


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of an ioctl number; ``size`` is that of the argument in bytes."""

    direction: Direction
    type: int
    nr: int
    size: int = 0


#: Most architectures.
GENERIC = Family("generic", 14, none=0, write=1, read=2)
#: Directions the other way round.
PARISC = Family("parisc", 14, none=0, write=2, read=1)
#: Three bits of direction, of which "none" is one.
WIDE = Family("alpha, mips, powerpc", 13, none=1, write=4, read=2)
#: The same, and a size that may reach into the direction.
SPARC = Family("sparc", 13, none=1, write=4, read=2, overlap=True)

#: ABI -> family, for those that are not generic.
FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("mips", "mipsel", "mips64", "mips64n32", "alpha"), WIDE),
    **dict.fromkeys(("powerpc", "powerpc64", "powerpc64le"), WIDE),
    **dict.fromkeys(("sparc", "sparc64"), SPARC),
    "parisc": PARISC,
}


def family(abi: str = "x86_64") -> Family:
    """The family of an ABI; alpha and parisc are known too, although no layouts are."""
    abi = abi_name(abi)
    if abi not in FAMILIES and abi not in uapi.ABIS:
        raise UsageError(unknown("ABI", abi, {**uapi.ABIS, **FAMILIES}))
    return FAMILIES.get(abi, GENERIC)


def io(type_: int, nr: int, abi: str = "x86_64") -> int:
    """``_IO(type, nr)``: nothing is said about an argument."""
    return family(abi).encode(Direction.NONE, type_, nr)


def ior(type_: int, nr: int, size: int, abi: str = "x86_64") -> int:
    """``_IOR(type, nr, argument of size bytes)``: the kernel writes it, the caller reads."""
    return family(abi).encode(Direction.READ, type_, nr, size)


def iow(type_: int, nr: int, size: int, abi: str = "x86_64") -> int:
    """``_IOW(type, nr, argument of size bytes)``: the caller writes it."""
    return family(abi).encode(Direction.WRITE, type_, nr, size)


def iowr(type_: int, nr: int, size: int, abi: str = "x86_64") -> int:
    """``_IOWR(type, nr, argument of size bytes)``: both."""
    return family(abi).encode(Direction.READ | Direction.WRITE, type_, nr, size)


# ---------------------------------------------------------------- by name


def number(command: str, generation: str, abi: str = "x86_64") -> int:
    """The number of a command of a generation; UsageError names the known ones."""
    ioctls = uapi.generation(generation).ioctls
    if command not in ioctls:
        raise UsageError(f"no ioctl {command!r} in {generation}{meant(command, ioctls)}")
    return io(TYPE, ioctls[command].nr, abi)


def commands(number_: int, abi: str = "x86_64") -> list[tuple[str, str]]:
    """(command, generation) for all that have a number: proposals used the same ones for different things."""
    request = family(abi).decode(number_)
    if request != Request(Direction.NONE, TYPE, request.nr):
        return []
    return [
        (ioctl.name, gen.name)
        for gen in uapi.GENERATIONS.values()
        for ioctl in gen.ioctls.values()
        if ioctl.nr == request.nr
    ]


__all__ = [
    "FAMILIES",
    "GENERIC",
    "PARISC",
    "SPARC",
    "TYPE",
    "WIDE",
    "Direction",
    "Family",
    "Request",
    "commands",
    "family",
    "io",
    "ior",
    "iow",
    "iowr",
    "number",
]
