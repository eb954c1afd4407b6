"""Bytes -> fields, by both ledgers: the layout that compilers agree with and ctypes, and construct."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter, getitem
from typing import Any

from iommu_abi import uapi
from iommu_abi.ledgers import Difference, Disagreement
from iommu_abi.schemas import uapi as plain
from iommu_abi.structs.kind import Field, Kind
from iommu_abi.structs.names import meaning, not_chosen
from iommu_abi.structs.slots import Slot, slots, tail_bytes
from iommu_abi.uapi.layout import host

_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")


def take_apart(kind: Kind, data: bytes) -> tuple[Field, ...]:
    """Every field, elements of arrays one by one; what is not there reads as 0.

    Nothing is checked but that the ledgers agree: else Disagreement. Bytes beyond the struct, and beyond
    the length of its tail, are not looked at.
    """
    tail = tail_bytes(kind, data)
    found = list(slots(kind, tail))
    values = {slot.name: slot.read(data) for slot in found}
    _compare(kind, "plain ledger", values, _lookup(_parsed(kind, data, tail), getitem))
    if kind.abi == host():
        _compare(kind, "ctypes", values, _lookup(_object(kind, data, tail), _attribute))
    return _fields(kind, data, found, values)


def _fields(kind: Kind, data: bytes, found: list[Slot], values: dict[str, int | bytes]) -> tuple[Field, ...]:
    generation = plain.generation(kind.generation)
    known = {leaf.path: leaf.field for leaf in _leaves(kind.schema, kind.plain_abi)}

    def number(name: str) -> int:
        value = values[name]
        return value if isinstance(value, int) else 0

    hidden = tuple(not_chosen(generation, kind.schema, number))
    made = []
    for slot in found:
        field, value = known[slot.path], values[slot.name]
        names = generation.enums[field.values] if field.values else None
        says = meaning(names, value) if names and isinstance(value, int) else field.doc
        other = any(slot.path == path or slot.path.startswith(f"{path}.") for path in hidden)
        missing = slot.offset + slot.size > len(data)
        made.append(
            Field(slot.name, slot.offset, slot.size, value, says, bool(names), field.reserved, other, missing)
        )
    return tuple(made)


def _leaves(struct: plain.Struct, abi: plain.Abi) -> list[plain.Leaf]:
    """Those of the plain ledger, with what an array of structs at the end has inside."""
    found = list(plain.leaves(struct, abi))
    if struct.tail and isinstance(struct.tail.type, plain.Struct):
        found += plain.leaves(struct.tail.type, abi, prefix=f"{struct.tail.name}.")
    return found


# ---------------------------------------------------------------- the other readers


def _parsed(kind: Kind, data: bytes, tail: int) -> Any:
    """The plain ledger's values; it is given as many bytes as the struct has."""
    size = plain.layout(kind.schema, kind.plain_abi).size
    whole = data[: size + tail].ljust(size, b"\0")
    struct = kind.schema
    last = struct.tail
    if not last or not last.length:
        return plain.schema(struct, kind.plain_abi).parse(whole)
    head = plain.Struct(struct.name, struct.fields[:-1])
    parsed = plain.schema(head, kind.plain_abi).parse(whole)
    parsed[last.name] = whole[size : size + parsed[last.length]]
    return parsed


def _object(kind: Kind, data: bytes, tail: int) -> Any:
    """The ctypes object, which this machine's ABI has only."""
    cls = getattr(uapi.generation(kind.generation), kind.struct)
    flexible = kind.layout.record.flexible
    if flexible:
        cls = cls.sized(tail // cls._item_size)
    size = kind.layout.size
    return cls.from_buffer_copy(data[: size + tail].ljust(size, b"\0"))


def _attribute(value: Any, name: str) -> Any:
    return attrgetter(name)(value)


def _lookup(root: Any, member: Callable[[Any, str], Any]) -> Callable[[str], int | bytes]:
    """The value of ``a.b[2].c``."""

    def look(name: str) -> int | bytes:
        value = root
        for step, indexes in _STEP.findall(name):
            value = member(value, step)
            for index in re.findall(r"\d+", indexes):
                value = value[int(index)]
        return value if isinstance(value, int) else bytes(value)

    return look


def _compare(
    kind: Kind, reader: str, values: dict[str, int | bytes], look: Callable[[str], int | bytes]
) -> None:
    differences = tuple(
        Difference(f"{name} by the {reader}", value, look(name))
        for name, value in values.items()
        if look(name) != value
    )
    if differences:
        raise Disagreement(kind.name, differences)
