"""BTF: the types of a kernel, as it carries them itself (Documentation/bpf/btf.rst).

A header, types one behind the other, numbered from 1, and a section of strings. Those of a module count on
from its kernel's (``joined()``). Every number in it may be hostile: types lie within their section, and what
refers to itself has an end.
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

INT, PTR, ARRAY, STRUCT, UNION, ENUM, TYPEDEF, FLOAT, ENUM64 = 1, 2, 3, 4, 5, 6, 8, 16, 19
#: Bytes that follow a type of each kind: once, and for each of its members.
_MORE = ((0, 0), (4, 0), (0, 0), (12, 0), (0, 12), (0, 12), (0, 8), (0, 0), (0, 0), (0, 0), (0, 0),
         (0, 0), (0, 0), (0, 8), (4, 0), (0, 12), (0, 0), (4, 0), (0, 0), (0, 12))  # fmt: skip
#: INT, ENUM, FLOAT, ENUM64: a number of its own size.
_NUMBERS = (INT, ENUM, FLOAT, ENUM64)
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


@dataclass(frozen=True, slots=True)
class Described:
    """A type as it stands: its kind and name, its size in bytes or the type it refers to."""

    kind: int
    name: str
    size: int
    signed: bool


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
        self._enums = array("I")
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
            elif kind in (ENUM, ENUM64):
                self._enums.append(len(places))
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

    @property
    def data(self) -> bytes:
        """All of it, as it was given."""
        return self._data

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

    def enums(self) -> Iterator[int]:
        """Every enumeration."""
        yield from self._enums

    def describe(self, number: int) -> Described:
        """A type as it stands, under the name that refers to it."""
        kind, info, size, at = self._type(number)
        (name,) = struct.unpack_from("<I", self._data, at)
        signed = bool(self._data[at + 15] & 1) if kind == INT else kind in (ENUM, ENUM64) and bool(info >> 31)
        return Described(kind, self.name(name).decode("ascii", "replace") if name else "", size, signed)

    def enumerators(self, number: int) -> Iterator[tuple[str, int]]:
        """Names and values of an enumeration."""
        kind, info, _, at = self._type(number)
        signed, step = bool(info >> 31), 12 if kind == ENUM64 else 8
        for place in range(at + 12, at + 12 + step * (info & 0xFFFFFF), step):
            (name,) = struct.unpack_from("<I", self._data, place)
            value = int.from_bytes(self._data[place + 4 : place + step], "little", signed=signed)
            yield self.name(name).decode("ascii", "replace"), value

    def array(self, number: int) -> tuple[int, int]:
        """The type of an array's elements, and how many there are."""
        _, _, _, at = self._type(number)
        element, _, count = _TYPE.unpack_from(self._data, at + 12)
        return element, count

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

    def members(self, number: int) -> Iterator[tuple[str, Member]]:
        """A struct's or union's, in their order; without a name for what has none."""
        return ((name.decode("ascii", "replace"), member) for name, member in self._members(number))

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


def is_of_module(data: bytes) -> bool:
    """Does it go on from a kernel's? Its strings do not begin with an empty one then."""
    if len(data) < _HEADER.size:
        return False
    _, _, _, header, _, _, strings, size = _HEADER.unpack_from(data)
    start = header + strings
    return not size or (start < len(data) and data[start] != 0)


def joined(kernel: bytes, module: bytes) -> bytes:
    """A module's types behind its kernel's, as one BTF: numbers of types and places of strings count on."""
    parts = []
    for data in (kernel, module):
        if len(data) < _HEADER.size:
            raise ImageError("BTF that ends within its header")
        _, _, _, header, types, types_size, strings, strings_size = _HEADER.unpack_from(data)
        start, names = header + types, header + strings
        parts.append((data[start : start + types_size], data[names : names + strings_size]))
    types, strings = (b"".join(each) for each in zip(*parts))
    return _HEADER.pack(MAGIC, 1, 0, _HEADER.size, 0, len(types), len(types), len(strings)) + types + strings
