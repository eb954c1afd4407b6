"""From a struct as it is written down to construct: where an ABI puts every field.

A schema reads and writes every byte: holes are padding, a union is all its members at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import construct  # type: ignore[import-untyped]

from iommu_abi.schemas.uapi.abi import Abi
from iommu_abi.schemas.uapi.fields import Field, Integer, Struct, Type

#: What a nameless union is called inside a schema; it never shows.
NAMELESS = "(nameless)"

_FORMATS = {1: "B", 2: "H", 4: "L", 8: "Q"}


def integer_size(type_: Integer, abi: Abi) -> int:
    """Bytes of a number; those of the byte that a bit field is in."""
    return {"pointer": abi.pointer, "enum": abi.enum, "bit": 1}.get(type_.kind, type_.size)


def _integer_align(type_: Integer, abi: Abi) -> int:
    size = type_.size if type_.kind == "bit" else integer_size(type_, abi)
    return size if type_.aligned else abi.align(size)


def _round_up(offset: int, align: int) -> int:
    return (offset + align - 1) // align * align


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field lies, in bytes; ``size`` is 0 for an array without a length."""

    field: Field
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A struct on an ABI, in bytes: members only, those inside them have layouts of their own."""

    places: tuple[Place, ...]
    size: int
    align: int

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """(offset, bytes) that belong to no field."""
        found, end = [], 0
        for place in self.places:
            if place.offset > end:
                found.append((end, place.offset - end))
            end = max(end, place.offset + place.size)
        if self.size > end:
            found.append((end, self.size - end))
        return tuple(found)


def _size_align(type_: Type, abi: Abi) -> tuple[int, int]:
    if isinstance(type_, Struct):
        made = layout(type_, abi)
        return made.size, made.align
    return integer_size(type_, abi), _integer_align(type_, abi)


def element_size(field: Field, abi: Abi) -> int:
    """Bytes of a field, or of one element if it is an array."""
    return _size_align(field.type, abi)[0]


@cache
def layout(struct: Struct, abi: Abi) -> Layout:
    """Place the members of a struct or union as a C compiler does."""
    places, end, largest = [], 0, 1
    for each in struct.fields:
        size, align = _size_align(each.type, abi)
        size *= 0 if each.flexible else each.count or 1
        bit = isinstance(each.type, Integer) and each.type.kind == "bit"
        offset = 0 if struct.union else _round_up(end, 1 if bit else align)
        places.append(Place(each, offset, size))
        end = max(end, offset + size)
        largest = max(largest, align)
    return Layout(tuple(places), _round_up(end, largest), largest)


# ---------------------------------------------------------------- leaves


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number or array by its path from the outermost struct: ``config.smmuv3.s1fmt``."""

    path: str
    offset: int
    size: int
    field: Field


def leaves(struct: Struct, abi: Abi, offset: int = 0, prefix: str = "") -> Iterator[Leaf]:
    """Every number and array of a struct, those of unions once per member."""
    for place in layout(struct, abi).places:
        at = offset + place.offset
        if isinstance(place.field.type, Struct) and not place.field.flexible:
            inner = f"{prefix}{place.field.name}." if place.field.name else prefix
            yield from leaves(place.field.type, abi, at, inner)
        else:
            yield Leaf(prefix + place.field.name, at, place.size, place.field)


# ---------------------------------------------------------------- construct


class _Union(construct.Adapter):  # type: ignore[misc]
    """All members at once. To write, give any of them; given members must agree."""

    def __init__(self, members: Mapping[str, Any], size: int) -> None:
        super().__init__(construct.Bytes(size))
        self.members, self.size = members, size

    def _decode(self, obj: bytes, context: Any, path: str) -> Any:
        return construct.Container({name: each.parse(obj) for name, each in self.members.items()})

    def _encode(self, obj: Mapping[str, Any], context: Any, path: str) -> bytes:
        made = 0
        given = {name: each for name, each in self.members.items() if name in obj}
        for name, each in given.items():
            made |= int.from_bytes(each.build(obj[name]).ljust(self.size, b"\0"), "little")
        data = made.to_bytes(self.size, "little")
        for name, each in given.items():
            if each.build(each.parse(data)) != each.build(obj[name]):
                raise construct.MappingError(f"{name} differs from other members of its union", path=path)
        return data


class _Nameless(construct.Adapter):  # type: ignore[misc]
    """A struct with a nameless union: its members are the struct's own."""

    def __init__(self, subcon: Any, members: tuple[str, ...]) -> None:
        super().__init__(subcon)
        self.members = members

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        made = construct.Container()
        for key, value in obj.items():
            made.update(value if key == NAMELESS else {key: value})
        return made

    def _encode(self, obj: Mapping[str, Any], context: Any, path: str) -> Any:
        return {**obj, NAMELESS: {name: obj[name] for name in self.members if name in obj}}


def _bit(abi: Abi) -> Any:
    shift = 0 if abi.order == "<" else 7
    return construct.ExprAdapter(construct.Int8ub, (construct.obj_ >> shift) & 1, construct.obj_ << shift)


def _integer(type_: Integer, abi: Abi) -> Any:
    if type_.kind == "bit":
        return _bit(abi)
    letter = _FORMATS[integer_size(type_, abi)]
    return construct.FormatField(type_.order or abi.order, letter.lower() if type_.signed else letter)


def _type(each: Field, abi: Abi) -> Any:
    if isinstance(each.type, Struct):
        one = schema(each.type, abi)
        return construct.GreedyRange(one) if each.flexible else one
    if each.flexible:
        return construct.Bytes(construct.this[each.length]) if each.length else construct.GreedyBytes
    if each.count is not None and each.type.size == 1:
        return construct.Bytes(each.count)
    one = _integer(each.type, abi)
    return one if each.count is None else construct.Array(each.count, one)


def _named(each: Field, abi: Abi) -> Any:
    """A field in construct; what is reserved may be left out when writing."""
    type_ = _type(each, abi)
    if each.reserved:
        type_ = construct.Default(type_, 0 if each.count is None else bytes(each.count))
    return (each.name or NAMELESS) / type_ * each.doc


@cache
def schema(struct: Struct, abi: Abi) -> Any:
    """The construct schema of a struct on an ABI."""
    made = layout(struct, abi)
    if struct.union:
        return _Union({p.field.name: _type(p.field, abi) for p in made.places}, made.size)
    parts: list[Any] = []
    end, nameless = 0, tuple[str, ...]()
    for place in made.places:
        if place.offset > end:
            parts.append(construct.Padding(place.offset - end))
        parts.append(_named(place.field, abi))
        end = place.offset + place.size
        if not place.field.name and isinstance(place.field.type, Struct):
            nameless = tuple(each.name for each in place.field.type.fields)
    if made.size > end:
        parts.append(construct.Padding(made.size - end))
    whole = construct.Struct(*parts)
    return _Nameless(whole, nameless) if nameless else whole
