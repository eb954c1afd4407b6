"""BTF: the types of a kernel, as it carries them itself (Documentation/bpf/btf.rst).

A header, types one behind the other, numbered from 1, and a section of strings. Every number in it may be
hostile: types lie within their section, and what refers to itself has an end.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.errors import ImageError

MAGIC = 0xEB9F
#: Of a kernel, whose types have megabytes. A module's are small and refer to the kernel's.
LEAST_OF_A_KERNEL = 1 << 20
MOST = 1 << 25
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")

PTR, ARRAY, STRUCT, UNION, TYPEDEF = 2, 3, 4, 5, 8
#: Bytes that follow a type of each kind: once, and for each of its members.
_MORE = ((0, 0), (4, 0), (0, 0), (12, 0), (0, 12), (0, 12), (0, 8), (0, 0), (0, 0), (0, 0), (0, 0),
         (0, 0), (0, 0), (0, 8), (4, 0), (0, 12), (0, 0), (4, 0), (0, 0), (0, 12))  # fmt: skip
#: INT, ENUM, FLOAT, ENUM64: a number of its own size.
_NUMBERS = (1, 6, 16, 19)
#: TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG: another type by its number.
_OTHER_NAMES = (8, 9, 10, 11, 18)
_DEEPEST = 32
#: Of a struct, with what is in it without a name.
_MOST_MEMBERS = 1 << 14


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member is: bits from the start of the struct, bits of a bit field or 0, and its type."""

    offset: int
    bits: int
    type: int

    @property
    def place(self) -> int:
        """Bytes from the start of the struct."""
        return self.offset // 8


class Btf:
    """Types by number and structs by name. ImageError for what is no BTF."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise ImageError("the kernel's BTF ends within its header")
        magic, version, _, header, types, types_size, strings, strings_size = _HEADER.unpack_from(data)
        end = header + max(types + types_size, strings + strings_size)
        if magic != MAGIC or version != 1 or header < _HEADER.size or end > len(data):
            raise ImageError("the kernel's BTF is damaged: its header names what is not in it")
        if data[header + strings : header + strings + 1] != b"\0":
            raise ImageError("the kernel's BTF is damaged: its strings do not begin with an empty one")
        self._data = data
        self._strings = header + strings
        self._end = self._strings + strings_size
        self._at = array("I", [0])
        self._struct_names, self._struct_numbers = array("I"), array("I")
        self._known: dict[tuple[int, str], Member | None] = {}
        self._index(header + types, header + types + types_size)

    def _index(self, at: int, end: int) -> None:
        data, more, unpack = self._data, _MORE, _TYPE.unpack_from
        places, names, numbers = self._at, self._struct_names, self._struct_numbers
        while at + 12 <= end:
            name, info, _ = unpack(data, at)
            kind = info >> 24 & 31
            if kind >= len(more):
                raise ImageError(f"the kernel's BTF has a kind of type that is not known here: {kind}")
            if kind in (STRUCT, UNION):
                names.append(name)
                numbers.append(len(places))
            places.append(at)
            once, each = more[kind]
            at += 12 + once + each * (info & 0xFFFFFF)
        if at != end:
            raise ImageError("the kernel's BTF is damaged: its types do not end where it says")

    def _type(self, number: int) -> tuple[int, int, int, int]:
        """(kind, how many members or the flag above them, size or type, place)."""
        if not 0 < number < len(self._at):
            raise ImageError(f"the kernel's BTF is damaged: a reference to type {number}, which is not there")
        at = self._at[number]
        _, info, size = _TYPE.unpack_from(self._data, at)
        return info >> 24 & 31, info, size, at

    def resolve(self, number: int) -> int:
        """The type itself, without its other names."""
        for _ in range(_DEEPEST):
            kind, _, other, _ = self._type(number)
            if kind not in _OTHER_NAMES:
                return number
            number = other
        raise ImageError("the kernel's BTF is damaged: a type that is a name of itself")

    def name(self, offset: int) -> bytes:
        """A string of the strings' section."""
        start = self._strings + offset
        return self._data[start : self._data.find(b"\0", start, self._end)] if start < self._end else b""

    def structs(self, name: str) -> list[int]:
        """The structs and unions of a name: a kernel may have several."""
        text = b"\0" + name.encode() + b"\0"
        found = self._data.find(text, self._strings, self._end)
        offset = found + 1 - self._strings
        names = enumerate(self._struct_names) if found >= 0 else ()
        return [self._struct_numbers[i] for i, at in names if at == offset]

    def kind(self, number: int) -> int:
        """PTR, STRUCT, ..."""
        return self._type(self.resolve(number))[0]

    def is_number(self, number: int) -> bool:
        """Is it an integer, an enumeration or a pointer?"""
        return self.kind(number) in (*_NUMBERS, PTR)

    def target(self, number: int) -> int:
        """What a pointer leads to, or what an array is of; 0 if nothing is said of it."""
        number = self.resolve(number)
        kind, _, target, at = self._type(number)
        if kind == ARRAY:
            target = int.from_bytes(self._data[at + 12 : at + 16], "little")
        elif kind != PTR:
            return 0
        return target and self.resolve(target)

    def size(self, number: int) -> int:
        """Bytes of a type; of an array those of all elements."""
        count = 1
        for _ in range(_DEEPEST):
            kind, _, size, at = self._type(self.resolve(number))
            if kind == PTR:
                return 8 * count
            if kind != ARRAY:
                return size * count
            element, _, length = _TYPE.unpack_from(self._data, at + 12)
            number, count = element, count * length
        raise ImageError("the kernel's BTF is damaged: an array of itself")

    def _members(self, number: int) -> Iterator[tuple[bytes, Member]]:
        kind, info, _, at = self._type(number)
        if kind in (STRUCT, UNION):
            for i in range(info & 0xFFFFFF):
                name, kind_of, offset = _MEMBER.unpack_from(self._data, at + 12 + 12 * i)
                bits, offset = (offset >> 24, offset & 0xFFFFFF) if info >> 31 else (0, offset)
                yield self.name(name), Member(offset, bits, kind_of)

    def member(self, number: int, name: str) -> Member | None:
        """A member by its name, which may be in a struct or union without a name."""
        if (number, name) not in self._known:
            self._known[number, name] = self._look_up(number, name.encode())
        return self._known[number, name]

    def _look_up(self, number: int, wanted: bytes) -> Member | None:
        rest, count = [(number, 0, 0)], 0
        while rest:
            within, base, depth = rest.pop()
            for found, member in self._members(within):
                count += 1
                if count > _MOST_MEMBERS:
                    return None
                if found == wanted:
                    return Member(base + member.offset, member.bits, self.resolve(member.type))
                if not found and depth < _DEEPEST:
                    rest.append((self.resolve(member.type), base + member.offset, depth + 1))
        return None
