"""The entries of a trace in words: what each is called, and what its fields say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.format import Step, format_of
from iommu_abi.schemas.table_walk import Read
from iommu_abi.terms import Ref


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a decoded entry. Bits count from the start of the entry, inclusive."""

    name: str
    value: int
    remark: str
    high: int
    low: int

    def __str__(self) -> str:
        number = f"{self.value:#x}" if self.value > 9 else str(self.value)
        return f"{self.name}={number}" + (f" ({self.remark})" if self.remark else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded entry: its type in the vendor's words, and its fields from bit 0 up."""

    name: str
    fields: tuple[Field, ...]

    def __getitem__(self, name: str) -> Field:
        return next(each for each in self.fields if each.name == name)


def decode_entry(
    kind: str, registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> Entry:
    """One entry of a trace in words.

    ``data`` are the ``ref.len`` bytes of the entry; ``before`` are the references before it
    with their bytes, which may come from either ledger.
    """
    name, layout = format_of(kind).describe(registers, before, ref, data)
    parsed = layout.parse(data)
    return Entry(name, tuple(_explained(each.name, layout, parsed) for each in layout.fields))


def _explained(name: str, layout: Layout, parsed: Fields) -> Field:
    each = next(one for one in layout.fields if one.name == name)
    value = parsed[name]
    if each.values:
        remark = each.values.get(value, "reserved")
    else:
        remark = each.doc if value else ""
    return Field(name, value, remark, each.high, each.low)


def explain(
    kind: str, registers: Mapping[str, int], refs: Sequence[Ref], read: Read
) -> tuple[tuple[Ref, Entry], ...]:
    """Put a whole trace into words: each reference with its entry, in order.

    The entries are read again; one that is gone by now is shown by its first eight bytes. Those of
    eight bytes the references have whole, as values, be they big-endian in memory or not.
    """
    steps: list[Step] = []
    explained = []
    for ref in refs:
        known = ref.raw.to_bytes(8, "little").ljust(ref.len, b"\0")[: ref.len]
        data = known if ref.len <= 8 else read(ref.hpa, ref.len) or known
        explained.append((ref, decode_entry(kind, registers, steps, ref, data)))
        steps.append((ref, data))
    return tuple(explained)
