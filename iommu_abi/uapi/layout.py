"""Declarations and their layouts: what sizeof, alignof and offsetof are on 22 ABIs.

:mod:`iommu_abi.uapi.reader` reads declarations from headers. Layouts are computed by the rules of the
System V ABIs and their few exceptions, and are held against compilers by the tests; on the running machine
also at load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from iommu_abi.errors import UsageError
from iommu_abi.names import abi_name, unknown


@dataclass(frozen=True, slots=True)
class Abi:
    """A machine's rules: byte order ("little", "big"), bytes of a pointer, alignments in bytes."""

    name: str
    byteorder: str
    pointer: int
    u64_align: int = 8
    max_align: int = 8
    short_enums: bool = False

    @property
    def order(self) -> str:
        """Byte order as struct and construct write it."""
        return "<" if self.byteorder == "little" else ">"

    def __hash__(self) -> int:
        return hash(self.name)


#: ABI -> its rules. i386 aligns 8-byte integers to 4, m68k all to 2 at most, hexagon has one-byte enums.
ABIS = {
    abi.name: abi
    for abi in (
        Abi("x86_64", "little", 8),
        Abi("x32", "little", 4),
        Abi("i386", "little", 4, u64_align=4),
        Abi("aarch64", "little", 8),
        Abi("aarch64_be", "big", 8),
        Abi("arm", "little", 4),
        Abi("armeb", "big", 4),
        Abi("riscv64", "little", 8),
        Abi("riscv32", "little", 4),
        Abi("powerpc64", "big", 8),
        Abi("powerpc64le", "little", 8),
        Abi("powerpc", "big", 4),
        Abi("s390x", "big", 8),
        Abi("mips", "big", 4),
        Abi("mipsel", "little", 4),
        Abi("mips64", "big", 8),
        Abi("mips64n32", "big", 4),
        Abi("sparc64", "big", 8),
        Abi("sparc", "big", 4),
        Abi("loongarch64", "little", 8),
        Abi("hexagon", "little", 4, short_enums=True),
        Abi("m68k", "big", 4, u64_align=2, max_align=2),
    )
}


def abi(name: str) -> Abi:
    """An ABI by name, or by another usual one; UsageError names the nearest."""
    name = abi_name(name)
    if name not in ABIS:
        raise UsageError(unknown("ABI", name, ABIS, "iommu-abi layout STRUCT --abi all shows all"))
    return ABIS[name]


@cache
def host() -> Abi:
    """The ABI of this process, by its properties; another machine's name may fit as well."""
    import ctypes

    class Probe(ctypes.Structure):
        _fields_ = [("a", ctypes.c_uint8), ("b", ctypes.c_uint64)]

    pointer = ctypes.sizeof(ctypes.c_void_p)
    align = Probe.b.offset
    for candidate in ABIS.values():
        if (candidate.byteorder, candidate.pointer, candidate.u64_align) == (sys.byteorder, pointer, align):
            return candidate
    raise UsageError("this machine's ABI is none of those known")


@dataclass(frozen=True, slots=True)
class Scalar:
    """An integer type by the name it has in the header."""

    name: str
    size: int
    signed: bool = False
    byteorder: str | None = None  # None: the machine's
    aligned: int = 0  # __aligned_u64: on every ABI


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer to anything."""

    name: str = "pointer"


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration; its constants are ints on every ABI with this header's values."""

    name: str
    constants: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Array:
    """``count`` is None for a flexible array."""

    item: Type
    count: int | None


@dataclass(frozen=True, slots=True)
class Member:
    """``name`` is None for a struct or union whose members are the outer one's."""

    name: str | None
    type: Type
    bits: int | None = None  # of a bit field
    aligned: int = 0  # by an attribute, on every ABI


@dataclass(frozen=True, slots=True)
class Record:
    """A struct or union; ``tag`` is None where the header gives none."""

    kind: str
    tag: str | None
    members: tuple[Member, ...] = field(repr=False)
    aligned: int = 0  # by an attribute, on every ABI

    @property
    def flexible(self) -> Member | None:
        """The flexible array at the end, if there is one."""
        last = self.members[-1] if self.members else None
        if last and isinstance(last.type, Array) and last.type.count is None:
            return last
        return None

    def __hash__(self) -> int:
        """By little of it: layouts are looked up by records."""
        return hash((self.tag, len(self.members)))


#: What a member can be.
Type = Scalar | Pointer | Enum | Array | Record

#: Integer types by their names in headers.
SCALARS = {
    scalar.name: scalar
    for scalar in (
        Scalar("__u8", 1),
        Scalar("__u16", 2),
        Scalar("__u32", 4),
        Scalar("__u64", 8),
        Scalar("__s8", 1, signed=True),
        Scalar("__s16", 2, signed=True),
        Scalar("__s32", 4, signed=True),
        Scalar("__s64", 8, signed=True),
        Scalar("__aligned_u64", 8, aligned=8),
        Scalar("__aligned_le64", 8, byteorder="little", aligned=8),
        Scalar("__le16", 2, byteorder="little"),
        Scalar("__le32", 4, byteorder="little"),
        Scalar("__le64", 8, byteorder="little"),
    )
}


@dataclass(frozen=True, slots=True)
class Declarations:
    """What one header declares, in its order."""

    records: dict[str, Record]
    enums: dict[str, Enum]  # unnamed ones under "", "2", "3", ...

    def constants(self) -> dict[str, int]:
        """Every enumerator of the header."""
        return {name: value for enum in self.enums.values() for name, value in enum.constants}


@dataclass(frozen=True, slots=True)
class Field:
    """A member in its place: offset and size in bytes from the start of the outermost struct.

    ``name`` is a dotted path, without the unions that have no name. ``size`` of a flexible
    array is 0. A bit field has the bytes that hold it, and ``bits`` of them from ``bit_offset`` on,
    counted in the struct from the bit that the machine's byte order puts first.
    """

    name: str
    offset: int
    size: int
    type: Type
    in_union: bool = False
    bit_offset: int | None = None
    bits: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A struct on one ABI. ``fields`` are the leaves; ``holes`` are (offset, bytes) that no field covers."""

    abi: Abi
    record: Record
    size: int
    align: int
    fields: tuple[Field, ...]

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """Bytes that belong to no field, tail padding included."""
        covered = bytearray(self.size)
        for f in self.fields:
            covered[f.offset : f.offset + f.size] = b"\1" * f.size
        found, at = [], covered.find(0)
        while at >= 0:
            end = covered.find(1, at)
            end = len(covered) if end < 0 else end
            found.append((at, end - at))
            at = covered.find(0, end)
        return tuple(found)


def _round_up(n: int, align: int) -> int:
    return -(-n // align) * align


def _enum_size(enum: Enum, abi: Abi) -> int:
    if not abi.short_enums:
        return 4
    low, high = min(v for _, v in enum.constants), max(v for _, v in enum.constants)
    for size in (1, 2):
        if (-(1 << (8 * size - 1)) <= low and high < 1 << (8 * size - 1)) or (
            low >= 0 and high < 1 << 8 * size
        ):
            return size
    return 4


def size_align(t: Type, abi: Abi) -> tuple[int, int]:
    """Sizeof and alignof of a type, bytes; a flexible array has size 0."""
    if isinstance(t, Scalar):
        natural = abi.u64_align if t.size == 8 else t.size
        return t.size, t.aligned or min(natural, abi.max_align)
    if isinstance(t, Pointer):
        return abi.pointer, min(abi.pointer, abi.max_align)
    if isinstance(t, Enum):
        size = _enum_size(t, abi)
        return size, min(size, abi.max_align)
    if isinstance(t, Array):
        size, align = size_align(t.item, abi)
        return size * (t.count or 0), align
    made = layout(t, abi)
    return made.size, made.align


def _bit_field(member: Member, at: int, unit: int) -> int:
    """Where a bit field begins: it does not cross a boundary of its type's ``unit`` bits."""
    bits = member.bits or 0
    return at if at // unit == (at + bits - 1) // unit else _round_up(at, unit)


def _align(member: Member, abi: Abi) -> int:
    """An attribute of the member comes before its type."""
    return member.aligned or size_align(member.type, abi)[1]


def placed(record: Record, abi: Abi) -> Iterator[tuple[Member, int]]:
    """Every member and the bit of the record at which it begins."""
    end = 0
    for member in record.members:
        size, align = size_align(member.type, abi)[0], _align(member, abi)
        if record.kind == "union":
            at = 0
        elif member.bits is not None:
            at = _bit_field(member, end, 8 * size)
        else:
            at = _round_up(end, 8 * align)
        end = at + (8 * size if member.bits is None else member.bits)
        yield member, at


def _leaves(record: Record, abi: Abi, base: int, prefix: str, in_union: bool) -> Iterator[Field]:
    for member, at in placed(record, abi):
        name = prefix + (member.name or "")
        shared = in_union or record.kind == "union"
        if isinstance(member.type, Record):
            inner = f"{name}." if member.name else prefix
            yield from _leaves(member.type, abi, base + at // 8, inner, shared)
        elif member.bits is None:
            yield Field(name, base + at // 8, size_align(member.type, abi)[0], member.type, shared)
        else:
            size = (at + member.bits - 1) // 8 - at // 8 + 1
            yield Field(name, base + at // 8, size, member.type, shared, 8 * base + at, member.bits)


@cache
def layout(record: Record, abi: Abi) -> Layout:
    """Where every field of a struct or union lies on an ABI."""
    align = max((_align(m, abi) for m in record.members), default=1)
    align = max(align, record.aligned)
    ends = (at + (m.bits or 8 * size_align(m.type, abi)[0]) for m, at in placed(record, abi))
    size = _round_up(max(ends, default=0), 8 * align) // 8
    return Layout(abi, record, size, align, tuple(_leaves(record, abi, 0, "", False)))


__all__ = [
    "ABIS",
    "SCALARS",
    "Abi",
    "Array",
    "Declarations",
    "Enum",
    "Field",
    "Layout",
    "Member",
    "Pointer",
    "Record",
    "Scalar",
    "Type",
    "abi",
    "host",
    "layout",
    "placed",
    "size_align",
]
