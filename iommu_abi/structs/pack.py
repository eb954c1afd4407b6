"""Words -> bytes, by both ledgers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from iommu_abi import hextext
from iommu_abi.errors import UsageError
from iommu_abi.ledgers import Difference, Disagreement
from iommu_abi.names import meant
from iommu_abi.schemas import uapi as plain
from iommu_abi.schemas.uapi.blobs import build
from iommu_abi.structs.kind import StructKind, plain_fields
from iommu_abi.structs.names import to_value
from iommu_abi.structs.plan import plan
from iommu_abi.structs.slots import Slot, names
from iommu_abi.structs.unpack import check
from iommu_abi.uapi.layout import Array, size_align
from iommu_abi.uapi.types import tail_count

#: A first member of one of these names says how many bytes the caller gives.
SIZES = ("size", "argsz")
#: No array at the end that is made from words is longer.
MOST_ELEMENTS = 1 << 16

_INDEX = re.compile(r"(.*)\[(\d{1,9})\]")


def pack(kind: StructKind, words: Mapping[str, str], tail: bytes = b"") -> bytes:
    """The bytes of a struct from ``field -> text``; ``tail`` is the array of bytes at its end.

    Texts are numbers, enumerators, flags with ``|`` between them, and hex for arrays of bytes. What is
    not given is 0, but for the size at the start and the length of the tail. AbiError if the result
    breaks a rule of its envelope, UsageError for a word that does not fit.
    """
    made = kind.layout
    flexible = made.record.flexible
    if tail and _item_size(kind) != 1:
        raise UsageError(f"{kind.struct} ends with no array of bytes")
    tail = tail or bytes(_elements(kind, words))
    found = {slot.name: slot for slot in plan(kind, len(tail)).slots}
    values = _values(kind, words, found)
    first = next(iter(found.values()))
    if first.name in SIZES:
        values.setdefault(first.name, made.size + len(tail))
    count = tail_count(made.record) if flexible else None
    if count:
        values.setdefault(count, len(tail))
    data = bytearray(made.size) + tail
    for name, value in values.items():
        found[name].write(data, value)
    check(kind, bytes(data))
    _compare(kind, bytes(data), values, tail)
    return bytes(data)


def _names(kind: StructKind, path: str) -> plain.Values | None:
    """The names of a field's numbers."""
    field = plain_fields(kind)[path]
    return plain.generation(kind.generation).enums[field.values] if field.values else None


# ---------------------------------------------------------------- the fast ledger


def _item_size(kind: StructKind) -> int:
    """Bytes of an element of the array at the end; 0 if there is no such array."""
    flexible = kind.layout.record.flexible
    if flexible is None or not isinstance(flexible.type, Array):
        return 0
    return size_align(flexible.type.item, kind.abi)[0]


def _elements(kind: StructKind, words: Mapping[str, str]) -> int:
    """Bytes of an array at the end that is none of bytes, up to the last element that is named."""
    flexible, item = kind.layout.record.flexible, _item_size(kind)
    if flexible is None or item == 1:
        return 0
    named = [re.match(rf"{flexible.name}\[(\d{{1,9}})\](\.|$)", name) for name in words]
    last = max((int(each[1]) for each in named if each), default=-1)
    if last >= MOST_ELEMENTS:
        raise UsageError(
            f"{kind.struct}.{flexible.name}: got element {last}, expected 0 to {MOST_ELEMENTS - 1}"
        )
    return (last + 1) * item


def _values(kind: StructKind, words: Mapping[str, str], found: Mapping[str, Slot]) -> dict[str, int | bytes]:
    values: dict[str, int | bytes] = {}
    flexible = kind.layout.record.flexible
    for name, text in words.items():
        where = f"{kind.struct}.{name}"
        element = _INDEX.fullmatch(name)
        if flexible and name == flexible.name and found.get(name, None) is not None:
            raise UsageError(f"{where} is given with --opaque")
        if name in found:
            values[name] = _value(kind, found[name], text)
        elif element and element[1] in found and found[element[1]].is_bytes:
            _set_byte(found[element[1]], int(element[2]), text, values, where)
        else:
            known = names(list(found.values())).split()
            raise UsageError(f"{kind.struct} has no field {name!r}{meant(name, known)}")
    return values


def _value(kind: StructKind, slot: Slot, text: str) -> int | bytes:
    where = f"{kind.struct}.{slot.name}"
    if slot.is_bytes:
        given = _bytes(text, where)
        if len(given) != slot.size:
            raise UsageError(f"{where}: got {len(given)} bytes, expected {slot.size}")
        return given
    value = to_value(_names(kind, slot.path), text, where)
    _check_range(slot, value, where)
    return value


def _check_range(slot: Slot, value: int, where: str) -> None:
    low, high = slot.limits
    if not low <= value <= high:
        raise UsageError(f"{where}: got {value}, expected {low} to {high:#x}")


def _bytes(text: str, where: str) -> bytes:
    try:
        return hextext.parse_hex(text)
    except hextext.HexError as error:
        raise UsageError(f"{where}: {str(error).removeprefix('line 1: ')}") from None


def _set_byte(slot: Slot, index: int, text: str, values: dict[str, int | bytes], where: str) -> None:
    if index >= slot.size:
        raise UsageError(f"{where}: expected an element of 0 to {slot.size - 1}")
    value = to_value(None, text, where)
    if not 0 <= value <= 255:
        raise UsageError(f"{where}: got {value}, expected 0 to 0xff")
    before = values.get(slot.name, bytes(slot.size))
    assert isinstance(before, bytes)
    values[slot.name] = before[:index] + bytes([value]) + before[index + 1 :]


# ---------------------------------------------------------------- the plain ledger


def _compare(kind: StructKind, data: bytes, values: Mapping[str, int | bytes], tail: bytes) -> None:
    """The same bytes by the schema; UsageError for members of a union that differ."""
    struct = kind.schema
    built = build(struct, _tree(struct, values, "", tail), kind.plain_abi)
    if built != data:
        raise Disagreement(f"the bytes of {kind.name}", (Difference("bytes", data.hex(), built.hex()),))


def _tree(struct: plain.Struct, given: Mapping[str, Any], prefix: str, tail: bytes) -> dict[str, Any]:
    """Values as the schema takes them: 0 where none is given, of a union the members that are given."""
    made: dict[str, Any] = {}
    for field in struct.fields:
        path = prefix + field.name
        inner = field.type
        if field.flexible:
            one_byte = isinstance(inner, plain.Integer) and inner.size == 1
            made[field.name] = tail if one_byte else _list(inner, given, path)
        elif isinstance(inner, plain.Struct) and not field.name:
            made |= _union(inner, given, prefix) or _tree(_first(inner), {}, prefix, b"")
        elif isinstance(inner, plain.Struct):
            under = _union if inner.union else _struct
            made[field.name] = under(inner, given, f"{path}.")
        elif field.count is not None and inner.size == 1:
            made[field.name] = given.get(path, bytes(field.count))
        elif field.count is not None:
            made[field.name] = [given.get(f"{path}[{i}]", 0) for i in range(field.count)]
        else:
            made[field.name] = given.get(path, 0)
    return made


def _struct(struct: plain.Struct, given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return _tree(struct, given, prefix, b"")


def _first(union: plain.Struct) -> plain.Struct:
    return plain.Struct(union.name, union.fields[:1])


def _union(union: plain.Struct, given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The members of which something is given."""
    wanted = tuple(
        each
        for each in union.fields
        if any(re.match(rf"{re.escape(prefix + each.name)}(\W|$)", n) for n in given)
    )
    return _tree(plain.Struct(union.name, wanted), given, prefix, b"")


def _list(item: plain.Struct | plain.Integer, given: Mapping[str, Any], path: str) -> list[Any]:
    found = [re.match(rf"{re.escape(path)}\[(\d+)\]", name) for name in given]
    last = max((int(each[1]) for each in found if each), default=-1)
    if isinstance(item, plain.Integer):
        return [given.get(f"{path}[{i}]", 0) for i in range(last + 1)]
    return [_tree(item, given, f"{path}[{i}].", b"") for i in range(last + 1)]
