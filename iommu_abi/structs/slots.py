"""Where each number of a struct lies, by the fast ledger's layout; elements of arrays one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from iommu_abi.structs.kind import StructKind
from iommu_abi.uapi.layout import Array, Field, Layout, Record, Scalar, Type, layout, size_align
from iommu_abi.uapi.types import tail_count


@dataclass(frozen=True, slots=True)
class Slot:
    """A number, or with ``is_bytes`` an array of bytes: ``idr[2]``, ``vendor.vtd.flags``.

    ``path`` is the name without indexes. A bit field is ``bits`` wide and begins ``shift`` bits above the
    lowest of its bytes.
    """

    name: str
    path: str
    offset: int
    size: int
    order: Literal["little", "big"]
    signed: bool = False
    is_bytes: bool = False
    bits: int = 0
    shift: int = 0

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest number that fits."""
        bits = self.bits or 8 * self.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)

    def read(self, data: bytes) -> int | bytes:
        """What the bytes say; those that are not there count as 0."""
        raw = data[self.offset : self.offset + self.size]
        if self.is_bytes:
            return bytes(raw).ljust(self.size, b"\0")
        number = int.from_bytes(raw.ljust(self.size, b"\0"), self.order, signed=self.signed)
        return number >> self.shift & ((1 << self.bits) - 1) if self.bits else number

    def write(self, data: bytearray, value: int | bytes) -> None:
        """Put a value that fits into its place."""
        if isinstance(value, int):
            kept = int.from_bytes(data[self.offset : self.offset + self.size], self.order) if self.bits else 0
            value = (kept | value << self.shift).to_bytes(self.size, self.order, signed=self.signed)
        data[self.offset : self.offset + self.size] = value


def tail_bytes(kind: StructKind, data: bytes) -> int:
    """Bytes of the array at the end that are there, and that its length covers if it has one."""
    made = kind.layout
    if not made.record.flexible:
        return 0
    rest = max(0, len(data) - made.size)
    count = tail_count(made.record)
    if not count:
        return rest
    announced = next(slot for slot in slots(kind) if slot.name == count).read(data)
    return min(rest, announced) if isinstance(announced, int) else rest


def slots(kind: StructKind, tail: int = 0) -> Iterator[Slot]:
    """Every slot in the order of the fields; ``tail`` is the length of the array at the end, in bytes."""
    yield from _of(kind, kind.layout, tail, 0, "", "")


def _of(kind: StructKind, made: Layout, tail: int, base: int, name: str, path: str) -> Iterator[Slot]:
    for f in made.fields:
        at, full, plain = base + f.offset, name + f.name, path + f.name
        if not isinstance(f.type, Array):
            yield _number(kind, f, f.type, full, plain, at)
            continue
        item, _ = size_align(f.type.item, kind.abi)
        count = tail // item if f.type.count is None else f.type.count
        if item == 1 and isinstance(f.type.item, Scalar):
            yield Slot(full, plain, at, count, kind.order, is_bytes=True)
            continue
        for i in range(count):
            element = f"{full}[{i}]"
            if isinstance(f.type.item, Record):
                inner = layout(f.type.item, kind.abi)
                yield from _of(kind, inner, 0, at + i * item, f"{element}.", f"{plain}.")
            else:
                yield _number(kind, f, f.type.item, element, plain, at + i * item, item)


def _number(kind: StructKind, f: Field, t: Type, name: str, path: str, at: int, size: int = 0) -> Slot:
    order = kind.order
    if isinstance(t, Scalar) and t.byteorder:
        order = "little" if t.byteorder == "little" else "big"
    bits = f.bits or 0
    shift = 0
    if f.bits is not None and f.bit_offset is not None:
        below = f.bit_offset - 8 * f.offset
        shift = below if order == "little" else 8 * f.size - below - bits
    signed = isinstance(t, Scalar) and t.signed
    return Slot(name, path, at, size or f.size, order, signed, bits=bits, shift=shift)


def names(found: Sequence[Slot]) -> str:
    """The fields in one line, each array once."""
    shown: dict[str, str] = {}
    for slot in found:
        before, bracket, _ = slot.name.partition("[")
        shown[before] = f"{before}[i]" if bracket else slot.name
    return " ".join(shown.values())
