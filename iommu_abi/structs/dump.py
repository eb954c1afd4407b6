"""The bytes of a struct beside what they mean: rows of at most eight bytes, each byte once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from iommu_abi.structs.kind import Field
from iommu_abi.structs.names import number_text

BYTES_A_ROW = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Bytes from ``offset`` on and a note. ``field`` is None for holes and bytes beyond the struct.

    No bytes: the note is about bytes of the rows before, which a union shares.
    """

    offset: int
    data: bytes
    note: str
    field: Field | None = None

    def __str__(self) -> str:
        left = f"{self.offset:04x}: {self.data.hex(' ')}" if self.data else ""
        return f"{left:<29}  # {self.note}" if self.note else left


def value_text(value: int | bytes) -> str:
    """A number as :func:`number_text` writes it; of bytes, how many."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else number_text(value)


def note(field: Field) -> str:
    """``flags = 0x3 FIXED_IOVA|WRITEABLE``."""
    made = f"{field.name} = {value_text(field.value)}"
    if field.broken:
        return f"{made} RESERVED, must be 0"
    return f"{made} {field.meaning}" if field.named and field.meaning else made


def rows(fields: Sequence[Field], data: bytes) -> Iterator[Row]:
    """Every byte of ``data``, and the fields that begin in it."""
    at = 0
    for field in fields:
        if field.other or field.missing:
            continue
        if field.offset > at:
            yield from _cut(at, data[at : field.offset], _hole(data[at : field.offset]), None)
            at = field.offset
        end = field.offset + field.size
        text = note(field)
        if end <= at and field.size:
            yield Row(field.offset, b"", f"{text} (the same bytes)", field)
        else:
            yield from _cut(at, data[at:end], text, field)
        at = max(at, end)
    if at < len(data):
        yield from _cut(at, data[at:], _hole(data[at:]), None)


def _hole(data: bytes) -> str:
    return "belongs to no field" + (", NOT 0" if any(data) else "")


def _cut(at: int, data: bytes, text: str, field: Field | None) -> Iterator[Row]:
    for start in range(0, len(data), BYTES_A_ROW):
        yield Row(at + start, data[start : start + BYTES_A_ROW], "" if start else text, field)
