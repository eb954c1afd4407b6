"""An ABI as all sources give it: declarations, constants, and layouts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as layouts
from iommu_abi.uapi.layout import Abi, Array, Enum, Layout, Record, Scalar, Type

_RESERVED = re.compile(r"_*(reserved|rsvd|resv|padding|pad|unused|mbz)_?\w?\d*_*")

#: Names of the first member of a struct that tells its own size.
SIZES = ("size", "argsz")


@dataclass(frozen=True, slots=True)
class Constant:
    """A macro or an enumerator; ``group`` is its enumeration, empty for macros and unnamed ones."""

    name: str
    value: int
    group: str


@dataclass(frozen=True)
class Model:
    """One state of an ABI.

    ``measured`` are layouts that a compiler made, on ``abi``; without them the layout engine's are taken.
    ``macros`` is None where the source has none to show. ``complete`` is false where a struct may be
    missing because nothing used it.
    """

    label: str
    declarations: layouts.Declarations
    macros: Mapping[str, int] | None = None
    abi: Abi | None = None
    measured: Mapping[str, Layout] = field(default_factory=dict)
    complete: bool = True
    notes: tuple[str, ...] = ()

    def structs(self) -> Mapping[str, Record]:
        """Structs and unions by name."""
        return self.declarations.records

    def layout(self, name: str, abi: Abi) -> Layout:
        """A struct's layout; UsageError if attributes keep it to the ABI it was compiled for."""
        if abi == self.abi:
            return self.measured[name]
        if not self.portable(name):
            raise UsageError(
                f"{self.label}: struct {name} is packed or aligned by an attribute:"
                f" its layout is known on {self.abi.name if self.abi else '?'} only, not on {abi.name}"
            )
        return layouts.layout(self.structs()[name], abi)

    def portable(self, name: str) -> bool:
        """Whether the layout engine knows the struct on every ABI, because it agrees with the compiler."""
        if self.abi is None:
            return True
        computed = layouts.layout(self.structs()[name], self.abi)
        measured = self.measured[name]
        return computed.size == measured.size and computed.fields == measured.fields

    def constants(self) -> dict[str, Constant]:
        """Enumerators and macros; a header may have a macro of the same name for each enumerator."""
        found = {}
        for group, members in self.declarations.enums.items():
            group = "" if group.isdigit() else group
            found.update({name: Constant(name, value, group) for name, value in members.constants})
        for name, value in (self.macros or {}).items():
            found.setdefault(name, Constant(name, value, ""))
        return found

    def elements(self) -> set[str]:
        """Tags of the structs that are array elements in another struct."""
        return {tag for record in self.structs().values() for tag in _elements(record, False)}


def _elements(t: Type, in_array: bool) -> Iterator[str]:
    if isinstance(t, Array):
        yield from _elements(t.item, True)
    elif isinstance(t, Record):
        if in_array and t.tag:
            yield t.tag
        for member in t.members:
            yield from _elements(member.type, False)


def is_reserved(field: layouts.Field) -> bool:
    """Whether its name says that a program has to leave it zero."""
    return bool(_RESERVED.fullmatch(field.name.rpartition(".")[2]))


def tells_its_size(layout: Layout) -> bool:
    """Whether the first member is the size of the whole, which is what lets a struct grow."""
    first = layout.fields[0] if layout.fields else None
    return bool(
        first
        and layout.record.kind == "struct"
        and first.name in SIZES
        and (first.offset, first.size) == (0, 4)
        and isinstance(first.type, Scalar)
    )


def byte_order(t: Type, abi: Abi) -> str:
    """Of an integer, or of an array's; empty where there is none."""
    if isinstance(t, Array):
        return byte_order(t.item, abi)
    if isinstance(t, Scalar) and t.size > 1:
        return t.byteorder or abi.byteorder
    return ""


def shape(t: Type) -> object:
    """What a type is beside its size and byte order: equal for two names of one type."""
    if isinstance(t, Scalar):
        return "signed" if t.signed else "unsigned"
    if isinstance(t, Enum):
        return "unsigned"
    if isinstance(t, Array):
        return shape(t.item), t.count or 0
    if isinstance(t, Record):
        return t.kind, [(m.name, shape(m.type), m.bits) for m in t.members]
    return "pointer"


def words_of(t: Type) -> str:
    """A type as a reason names it."""
    if isinstance(t, Array):
        return f"{words_of(t.item)}[{'' if t.count is None else t.count}]"
    if isinstance(t, Record):
        return f"{t.kind} {t.tag or '{...}'}"
    return f"enum {t.name}".rstrip() if isinstance(t, Enum) else t.name
