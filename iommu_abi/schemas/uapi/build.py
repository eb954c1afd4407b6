"""From a struct as it is written down to construct.

A schema reads and writes every byte: holes are padding, a union is all its members at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import construct  # type: ignore[import-untyped]

from iommu_abi.schemas.uapi.abi import Abi
from iommu_abi.schemas.uapi.fields import Field, Integer, Struct
from iommu_abi.schemas.uapi.place import integer_size, layout

#: What a nameless union is called inside a schema; it never shows.
NAMELESS = "(nameless)"

_FORMATS = {1: "B", 2: "H", 4: "L", 8: "Q"}


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
    if each.flexible and each.type.size > 1:
        return construct.GreedyRange(_integer(each.type, abi))
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
def compiled(struct: Struct, abi: Abi) -> Any:
    """The same schema, compiled by construct: for structs that come again and again."""
    return schema(struct, abi).compile()


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
