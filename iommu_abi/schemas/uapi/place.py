"""Where an ABI puts every field of a struct as it is written down: offsets, sizes, holes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from iommu_abi.schemas.uapi.abi import Abi
from iommu_abi.schemas.uapi.fields import Field, Integer, Struct, Type


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
    """A member by its path from the outermost struct: ``config.smmuv3.s1fmt``."""

    path: str
    offset: int
    size: int
    field: Field


def members(struct: Struct, abi: Abi, offset: int = 0, prefix: str = "") -> Iterator[Leaf]:
    """Every member of a struct, and before what is in them the structs and unions inside it."""
    for place in layout(struct, abi).places:
        path, at, inner = prefix + place.field.name, offset + place.offset, place.field.type
        yield Leaf(path, at, place.size, place.field)
        if isinstance(inner, Struct) and not place.field.flexible:
            yield from members(inner, abi, at, f"{path}." if place.field.name else prefix)


def leaves(struct: Struct, abi: Abi, offset: int = 0, prefix: str = "") -> Iterator[Leaf]:
    """Every number and array of a struct, those of unions once per member."""
    for each in members(struct, abi, offset, prefix):
        if each.field.flexible or not isinstance(each.field.type, Struct):
            yield each


# ---------------------------------------------------------------- numbers


def number(type_: Integer, data: bytes, abi: Abi) -> int:
    """What the bytes of a number say."""
    order = type_.order or abi.order
    value = int.from_bytes(data, "little" if order == "<" else "big", signed=type_.signed)
    if type_.kind == "bit":
        return value >> (0 if order == "<" else 7) & 1
    return value
