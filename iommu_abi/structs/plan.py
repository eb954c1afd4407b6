"""How all numbers of a struct are read at once; found out once for a struct and a length of its tail.

The layout's reader is a ``struct.Struct`` where no number shares bytes with another; of construct's and
ctypes' objects the same numbers are taken by ``operator``. Three readers, three answers to compare.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter, getitem, itemgetter
from typing import Any, NamedTuple, TypeAlias

from iommu_abi import uapi
from iommu_abi.schemas import uapi as plain
from iommu_abi.structs.kind import StructKind, plain_fields
from iommu_abi.structs.names import meaning
from iommu_abi.structs.slots import Slot, slots
from iommu_abi.uapi.layout import host

Values: TypeAlias = "tuple[int | bytes, ...]"

_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")
_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
#: Lengths come from blobs: so many structs are known at a time.
_MOST_PLANS = 1024


class About(NamedTuple):
    """What is known of a slot: its name, offset and size, its path, what it is for.

    ``says`` tells the meaning of a number, None where the field has no names.
    """

    place: tuple[str, int, int]
    path: str
    doc: str
    says: Callable[[int], str] | None
    reserved: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """``size`` is that of the struct and its tail, in bytes; the readers give a value for each slot.

    ``read`` takes so many bytes, ``of_parsed`` what ``parse``, the plain ledger, makes of them, ``of_object``
    an object of the type ``ctype``, which is None on another machine's ABI.
    """

    size: int
    slots: tuple[Slot, ...]
    about: tuple[About, ...]
    has_unions: bool
    holes: tuple[tuple[int, int], ...]
    read: Callable[[bytes], Values]
    parse: Callable[[bytes], Any]
    of_parsed: Callable[[Any], Values]
    of_object: Callable[[Any], Values]
    ctype: Any


@lru_cache(maxsize=_MOST_PLANS)
def plan(kind: StructKind, tail: int) -> Plan:
    """The plan of a struct with ``tail`` bytes in the array at its end."""
    found = tuple(slots(kind, tail))
    size = kind.layout.size + tail
    known = plain_fields(kind)
    return Plan(
        size,
        found,
        tuple(_about(kind, slot, known[slot.path]) for slot in found),
        any(isinstance(each.type, plain.Struct) for each in kind.schema.fields),
        kind.layout.holes,
        _by_layout(found, size),
        _by_schema(kind),
        _getter(found, itemgetter, getitem),
        _getter(found, attrgetter, getattr),
        _ctype(kind, tail) if kind.abi == host() else None,
    )


def _about(kind: StructKind, slot: Slot, field: plain.Field) -> About:
    says = None
    if field.values:
        says = lru_cache(maxsize=64)(partial(meaning, plain.generation(kind.generation).enums[field.values]))
    return About((slot.name, slot.offset, slot.size), slot.path, field.doc, says, field.reserved)


def _ctype(kind: StructKind, tail: int) -> Any:
    cls = getattr(uapi.generation(kind.generation), kind.struct)
    return cls.sized(tail // cls._item_size) if kind.layout.record.flexible else cls


# ---------------------------------------------------------------- readers


def _by_layout(found: Sequence[Slot], size: int) -> Callable[[bytes], Values]:
    """One ``struct.Struct`` for all, or a read for each where bytes are shared or orders differ."""
    orders = {slot.order for slot in found if not slot.is_bytes}
    parts, end = ["<" if orders == {"little"} else ">"], 0
    for slot in found:
        letter = f"{slot.size}s" if slot.is_bytes else _LETTERS.get(slot.size, "")
        if slot.offset < end or slot.bits or not letter or len(orders) > 1:
            return lambda data: tuple(each.read(data) for each in found)
        parts += [f"{slot.offset - end}x", letter.lower() if slot.signed else letter]
        end = slot.offset + slot.size
    return struct.Struct("".join([*parts, f"{size - end}x"])).unpack


def _by_schema(kind: StructKind) -> Callable[[bytes], Any]:
    """The plain ledger's schema; a tail with a length of its own is what is there of it."""
    of, abi = kind.schema, kind.plain_abi
    last = of.tail
    if not last or not last.length:
        parse: Callable[[bytes], Any] = plain.compiled(of, abi).parse
        return parse
    head = plain.compiled(plain.Struct(of.name, of.fields[:-1]), abi)
    size, tail, length = plain.layout(of, abi).size, last.name, last.length

    def with_tail(whole: bytes) -> Any:
        parsed = head.parse(whole)
        parsed[tail] = whole[size : size + parsed[length]]
        return parsed

    return with_tail


def _getter(
    found: Sequence[Slot], several: Callable[..., Callable[[Any], Any]], one: Callable[[Any, str], Any]
) -> Callable[[Any], Values]:
    """Of an object the value of each slot: ``several`` takes names at once, ``one`` a step of a path."""
    if len(found) > 1 and all(slot.name.isidentifier() and not slot.is_bytes for slot in found):
        return several(*(slot.name for slot in found))
    paths = [_STEP.findall(slot.name) for slot in found]
    steps = [[(name, [int(i) for i in re.findall(r"\d+", at)]) for name, at in path] for path in paths]

    def get(root: Any) -> Values:
        made = []
        for path in steps:
            value = root
            for name, indexes in path:
                value = one(value, name)
                for index in indexes:
                    value = value[index]
            made.append(value if isinstance(value, int) else bytes(value))
        return tuple(made)

    return get
