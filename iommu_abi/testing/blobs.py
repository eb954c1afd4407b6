"""How a blob differs from what was expected: a line per field, with offsets, names, holes, reserved bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from iommu_abi.errors import UsageError
from iommu_abi.names import meant
from iommu_abi.schemas import uapi
from iommu_abi.testing.lines import table


@dataclass(frozen=True, slots=True)
class _Field:
    """A leaf, and what its numbers are called."""

    leaf: uapi.Leaf
    values: uapi.Values | None
    order: Literal["little", "big"]

    def read(self, data: bytes) -> int | bytes:
        """The number, or the bytes of an array."""
        raw = data[self.leaf.offset : self.leaf.offset + self.leaf.size]
        kind = self.leaf.field.type
        if self.leaf.field.count is not None or not isinstance(kind, uapi.Integer):
            return raw
        if kind.kind == "bit":
            return raw[0] >> (0 if self.order == "little" else 7) & 1
        return int.from_bytes(raw, "little" if kind.order else self.order, signed=kind.signed)

    def show(self, value: int | bytes) -> str:
        """A value, with the names of flags or of the number."""
        if isinstance(value, bytes):
            return value.hex(" ")
        number = hex(value) if value > 9 else str(value)
        return f"{number} {self._names(value)}".rstrip()

    def _names(self, value: int) -> str:
        if self.values is None:
            return ""
        if not self.values.flags:
            return next((name for name, number in self.values.names.items() if number == value), "(no name)")
        known = [name for name, bit in self.values.names.items() if value & bit == bit]
        unknown = value & ~self.values.mask
        return " ".join([*known, *([f"{unknown:#x} (no flag)"] if unknown else [])])


def _fields(struct: uapi.Struct, generation: uapi.Generation, abi: uapi.Abi) -> dict[str, _Field]:
    order: Literal["little", "big"] = "little" if abi.order == "<" else "big"
    return {
        leaf.path: _Field(leaf, generation.enums[leaf.field.values] if leaf.field.values else None, order)
        for leaf in uapi.leaves(struct, abi)
        if not leaf.field.flexible
    }


def _holes(fields: Mapping[str, _Field], size: int) -> Iterator[int]:
    """Offsets of bytes that no field has."""
    covered = bytearray(size)
    for field in fields.values():
        covered[field.leaf.offset : field.leaf.offset + field.leaf.size] = b"\1" * field.leaf.size
    return (offset for offset, used in enumerate(covered) if not used)


def _wanted(fields: Mapping[str, _Field], name: str, values: Mapping[str, Any]) -> dict[str, int | bytes]:
    """What is expected of the named fields, arrays as bytes."""
    found: dict[str, int | bytes] = {}
    for path, value in values.items():
        known = path if path in fields else f"__{path}"  # "reserved" is the other name of "__reserved"
        if known not in fields:
            raise UsageError(f"{name} has no field {path!r}{meant(path, fields)}")
        found[known] = value if isinstance(value, int) else bytes(value)
    return found


def differences(
    struct: uapi.Struct,
    generation: uapi.Generation,
    abi: uapi.Abi,
    actual: bytes,
    expected: Any,
    more: Mapping[str, Any],
) -> list[str]:
    """A heading and a line per difference; empty if there is none."""
    fields = _fields(struct, generation, abi)
    size = uapi.layout(struct, abi).size
    named = expected if isinstance(expected, Mapping) else {}
    want = _wanted(fields, struct.name, {**named, **more})
    whole = bytes(expected) if expected is not None and not isinstance(expected, Mapping) else None
    rows = []
    length = len(whole) if whole is not None else size
    if len(actual) != length and (whole is not None or struct.tail is None or len(actual) < size):
        rows.append(("", "(length)", f"{len(actual)} bytes", f"{length} bytes"))
    for path, field in fields.items():
        end = field.leaf.offset + field.leaf.size
        if end > len(actual):
            continue  # the length says it
        got, other = field.read(actual), want.get(path)
        if whole is not None and end <= len(whole):
            other = field.read(whole)
        elif other is None and field.leaf.field.reserved:
            other = 0 if isinstance(got, int) else bytes(len(got))
        if other is not None and got != other:
            note = " (reserved)" if field.leaf.field.reserved else ""
            rows.append((str(field.leaf.offset), path, field.show(got), field.show(other) + note))
    rows += _bytes_beside(fields, size, actual, whole)
    return table(f"{len(rows)} difference{'s' * (len(rows) != 1)}", ("got", "expected"), rows)


def _bytes_beside(
    fields: Mapping[str, _Field], size: int, actual: bytes, whole: bytes | None
) -> Iterator[tuple[str, str, str, str]]:
    """Bytes in holes, and in a tail where all bytes are expected."""
    for offset in _holes(fields, size):
        expected = whole[offset] if whole is not None and offset < len(whole) else 0
        if offset < len(actual) and actual[offset] != expected:
            yield str(offset), "(hole)", f"{actual[offset]:#04x}", f"{expected:#04x}"
    if whole is not None and actual[size:] != whole[size:]:
        yield str(size), "(tail)", actual[size:].hex(" ") or "nothing", whole[size:].hex(" ") or "nothing"
