"""An ABI as all sources give it: declarations, constants, and layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout as layouts
from iommu_abi.uapi.layout import Abi, Array, Enum, Field, Layout, Record, Scalar, Type

#: The name as a whole, with a number or a letter; or its last word, for names that mean nothing else.
_RESERVED = re.compile(
    r"_*(reserved|resvd|rsvd|resv|padding|pad|unused|spare|mbz|must_be_zero|filler)_*\w?\d*_*"
    r"|_*res\d+|\w+_(rsvd|resvd|spare|mbz)\d*|\w*__+res(erved)?\d*"
)

#: Types of libc say nothing about a byte order: sockaddr_in has big-endian numbers in them.
_SILENT = re.compile(r"uint\d+_t|in_(port|addr)_t")

#: The least number that is a negative one: include/linux/err.h has MAX_ERRNO.
_LEAST = -4095

#: Names of the first member of a struct that tells its own size.
SIZES = ("size", "argsz")


@dataclass(frozen=True, slots=True)
class Constant:
    """A macro or an enumerator.

    ``group`` is its enumeration, empty for macros and unnamed ones; ``text`` is what a macro stands for.
    """

    name: str
    value: int
    group: str
    text: str = ""


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
    #: What a header includes with <>: not its own, but where its own things may have moved to.
    others: layouts.Declarations = field(default_factory=lambda: layouts.Declarations({}, {}))
    other_macros: Mapping[str, int] = field(default_factory=dict)
    #: Macros that are defined but no integers to the compiler; the text of those that are.
    unevaluated: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    #: What a header of the same name defines in the asm/ of another machine, and which machine.
    of_machines: Mapping[str, str] = field(default_factory=dict)
    #: Records with bit fields that have no name, of which the declarations know nothing.
    unnamed: frozenset[str] = frozenset()
    #: Where the source says one thing on one machine and another on the next; empty if nowhere.
    depends: str = ""
    #: Compiles it for another ABI; None where nobody can.
    compile_for: Callable[[Abi], Model] | None = field(default=None, compare=False)

    def structs(self) -> Mapping[str, Record]:
        """Structs and unions by name."""
        return self.declarations.records

    def layout(self, name: str, abi: Abi) -> Layout:
        """A struct's layout; UsageError if attributes keep it to the ABI it was compiled for."""
        if abi == self.abi:
            return self.measured[name]
        if not self.portable(name):
            raise UsageError(
                f"{self.label}: struct {name} is packed or has bit fields without a name:"
                f" its layout is known on {self.abi.name if self.abi else '?'} only, not on {abi.name}"
            )
        return layouts.layout(self.record(name), abi)

    def record(self, name: str) -> Record:
        """A struct or union, its own or one of what it includes."""
        return self.structs().get(name) or self.others.records[name]

    def portable(self, name: str) -> bool:
        """Whether the layout engine knows the struct on every ABI, because it agrees with the compiler."""
        if self.abi is None:
            return True
        if not self.unnamed.isdisjoint({name, *_tags(self.record(name))}):
            return False
        computed = layouts.layout(self.record(name), self.abi)
        measured = self.measured[name]
        return computed.size == measured.size and computed.fields == measured.fields

    def constants(self) -> dict[str, Constant]:
        """Enumerators and macros; a header may have a macro of the same name for each enumerator."""
        return _constants(self.declarations, self.macros or {}, self.texts)

    def other_constants(self) -> dict[str, Constant]:
        """The same of what a header includes."""
        return _constants(self.others, self.other_macros, {})

    def elements(self) -> set[str]:
        """Tags of the structs that are array elements in another struct."""
        return {tag for record in self.structs().values() for tag in _elements(record, False)}


def _constants(
    declared: layouts.Declarations, macros: Mapping[str, int], texts: Mapping[str, str]
) -> dict[str, Constant]:
    found = {}
    for group, members in declared.enums.items():
        group = "" if group.isdigit() else group
        found.update({name: Constant(name, _plain(value), group) for name, value in members.constants})
    for name, value in macros.items():
        found.setdefault(name, Constant(name, _plain(value), "", texts.get(name, "")))
    return found


def _plain(value: int) -> int:
    """``1 << 31`` is an int to the compiler, and a bit to everybody else; -1 and errnos stay."""
    if value >= _LEAST:
        return value
    return value + (1 << 32 if value >= -1 << 31 else 1 << 64)


def _tags(t: Type) -> Iterator[str]:
    """Of all records in a type."""
    if isinstance(t, Array):
        yield from _tags(t.item)
    elif isinstance(t, Record):
        yield from [t.tag] if t.tag else []
        for member in t.members:
            yield from _tags(member.type)


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


def size_field(layout: Layout) -> Field | None:
    """The member that tells the size of the whole: the first one, or the second after four bytes."""
    if layout.record.kind != "struct":
        return None
    for f, offset in zip(layout.fields, (0, 4)):
        if f.name in SIZES and (f.offset, f.size) == (offset, 4) and isinstance(f.type, Scalar):
            return f
    return None


def tells_its_size(layout: Layout) -> bool:
    """Whether the first member is the size of the whole."""
    found = size_field(layout)
    return found is not None and found.offset == 0


def byte_order(t: Type, abi: Abi) -> str:
    """Of an integer, or of an array's; empty where there is none."""
    if isinstance(t, Array):
        return byte_order(t.item, abi)
    if isinstance(t, Scalar) and t.size > 1 and not _SILENT.fullmatch(t.name):
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
