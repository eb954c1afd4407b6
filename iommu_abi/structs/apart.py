"""Bytes -> fields, by both ledgers: the layout that compilers agree with and ctypes, and construct."""

from __future__ import annotations

from typing import Any

from iommu_abi.ledgers import Difference, Disagreement
from iommu_abi.schemas import uapi as plain
from iommu_abi.structs.kind import Field, StructKind
from iommu_abi.structs.names import not_chosen
from iommu_abi.structs.plan import Plan, Values, plan
from iommu_abi.structs.slots import tail_bytes

#: Makes a NamedTuple without a call of its constructor: there is one for each field.
_new = tuple.__new__


def take_apart(kind: StructKind, data: bytes) -> tuple[Field, ...]:
    """Every field, elements of arrays one by one; what is not there reads as 0.

    Nothing is checked but that the ledgers agree: else Disagreement. Bytes beyond the struct, and beyond
    the length of its tail, are not looked at.
    """
    made = plan(kind, tail_bytes(kind, data))
    whole = data if len(data) == made.size else data[: made.size].ljust(made.size, b"\0")
    values = made.read(whole)
    _compare(kind, made, "plain ledger", values, made.of_parsed(_parsed(made, whole)))
    if made.ctype is not None:
        _compare(kind, made, "ctypes", values, made.of_object(_object(made, whole)))
    return _fields(kind, len(data), made, values)


def _fields(kind: StructKind, given: int, made: Plan, values: Values) -> tuple[Field, ...]:
    hidden = _hidden(kind, made, values) if made.has_unions else ()
    short = given < made.size
    found = []
    for (place, path, doc, says, reserved), value in zip(made.about, values):
        text = says(value) if says and isinstance(value, int) else doc
        other = bool(hidden) and any(path == each or path.startswith(f"{each}.") for each in hidden)
        missing = short and place[1] + place[2] > given
        found.append(_new(Field, (*place, value, text, says is not None, reserved, other, missing)))
    return tuple(found)


def _hidden(kind: StructKind, made: Plan, values: Values) -> tuple[str, ...]:
    """The members of unions that their discriminators do not choose."""
    by_name = {slot.name: value for slot, value in zip(made.slots, values)}

    def number(name: str) -> int:
        value = by_name[name]
        return value if isinstance(value, int) else 0

    return tuple(not_chosen(plain.generation(kind.generation), kind.schema, number))


def _parsed(made: Plan, whole: bytes) -> Any:
    """The plain ledger's values of as many bytes as the struct and its tail have."""
    return made.parse(whole)


def _object(made: Plan, whole: bytes) -> Any:
    """The ctypes object of the same bytes."""
    return made.ctype.from_buffer_copy(whole)


def _compare(kind: StructKind, made: Plan, reader: str, values: Values, others: Values) -> None:
    if values != others:
        differences = (
            Difference(f"{slot.name} by the {reader}", value, other)
            for slot, value, other in zip(made.slots, values, others)
            if value != other
        )
        raise Disagreement(kind.name, tuple(differences))
