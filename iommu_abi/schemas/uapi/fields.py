"""How a struct is written down: fields in the order of the text, with what they are for.

A struct says nothing about bytes that its text does not say: offsets, holes and sizes follow from an
ABI's rules in :mod:`.build`. ``values`` is the tag of the enumeration that a field takes, looked up in
the struct's generation, because enumerations grow while structs stay.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


class Use(enum.Enum):
    """Who reads a field: the kernel, the caller, both, or nobody yet."""

    IN = "in"
    OUT = "out"
    BOTH = "in/out"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class Integer:
    """A number. ``aligned`` to its own size on every ABI; ``order`` "<" where it is not the machine's.

    Three have a size or place that is the ABI's affair: a ``pointer``, a C enumeration, and ``bit``, a
    bit field of one bit, which is the lowest on little endian and the highest on big endian.
    """

    size: int
    signed: bool = False
    aligned: bool = False
    order: str = ""
    kind: str = ""

    def __call__(
        self, name: str, doc: str = "", *, count: int | None = None, values: str = "", use: Use = Use.IN
    ) -> Field:
        """Declare a field of this type."""
        return Field(name, self, doc, count, values, use)


u8, u16, u32, u64 = Integer(1), Integer(2), Integer(4), Integer(8)
s32 = Integer(4, signed=True)
aligned_u64 = Integer(8, aligned=True)
le16, le32, le64 = Integer(2, order="<"), Integer(4, order="<"), Integer(8, order="<")
aligned_le64 = Integer(8, aligned=True, order="<")
pointer = Integer(0, kind="pointer")
c_enum = Integer(0, kind="enum")
one_bit = Integer(4, kind="bit")


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct, or with ``union`` a union; ``name`` is "" where the text gives no tag."""

    name: str
    fields: tuple[Field, ...]
    doc: str = ""
    union: bool = False

    def field(self, name: str) -> Field:
        """The field of a name, also of one inside a nameless union; KeyError if there is none."""
        for each in self.fields:
            if each.name == name:
                return each
            if not each.name and isinstance(each.type, Struct):
                try:
                    return each.type.field(name)
                except KeyError:
                    continue
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Is there a field of this name?"""
        try:
            self.field(name)
        except KeyError:
            return False
        return True

    @property
    def tail(self) -> Field | None:
        """The array without a length at the end, if there is one."""
        last = self.fields[-1]
        return last if last.flexible else None

    def __hash__(self) -> int:
        """By little of it: layouts and schemas are looked up by structs."""
        return hash((self.name, len(self.fields)))


Type: TypeAlias = "Integer | Struct"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``count`` is the length of an array, None for no array.

    ``flexible`` is an array that ends with the blob, or after as many bytes as the field ``length``
    says. A nameless field is a nameless union: its members belong to the struct around it.
    """

    name: str
    type: Type
    doc: str = ""
    count: int | None = None
    values: str = ""
    use: Use = Use.IN
    flexible: bool = False
    length: str = ""

    @property
    def reserved(self) -> bool:
        """True if it has to be 0 until somebody gives it a meaning."""
        return self.use is Use.RESERVED

    @property
    def text(self) -> str:
        """What it is for, whose values it takes, and who writes it if not the caller alone."""
        said = "; ".join(filter(None, (self.doc, self.values and f"values: {self.values}")))
        return f"{said} ({self.use.value})".lstrip() if self.use in (Use.OUT, Use.BOTH) else said


@dataclass(frozen=True, slots=True)
class Values:
    """Named numbers of a field; ``tag`` is the C tag, or what macros have in common.

    ``bounds`` are names that are no value of the field: counts, masks, ends.
    """

    tag: str
    names: Mapping[str, int]
    flags: bool = False
    bounds: Mapping[str, int] = field(default_factory=dict)

    @property
    def mask(self) -> int:
        """All flags together."""
        made = 0
        for bit in self.names.values():
            made |= bit
        return made

    def and_also(self, **names: int) -> Values:
        """The same enumeration with more names, as a later generation has it."""
        return Values(self.tag, {**self.names, **names}, self.flags, self.bounds)


def enumeration(tag: str, *names: str, first: int = 0, bounds: Mapping[str, int] | None = None) -> Values:
    """Numbers that count up from ``first``."""
    return Values(tag, {name: first + i for i, name in enumerate(names)}, bounds=bounds or {})


def flags(tag: str, *names: str, bounds: Mapping[str, int] | None = None) -> Values:
    """Bits from 0 up."""
    return Values(tag, {name: 1 << i for i, name in enumerate(names)}, flags=True, bounds=bounds or {})


# ---------------------------------------------------------------- struct and its members


def struct(name: str, *fields: Field, doc: str = "") -> Struct:
    """Declare a struct."""
    return Struct(name, fields, doc)


def member(name: str, type_: Struct, doc: str = "") -> Field:
    """Declare a struct inside a struct or union."""
    return Field(name, type_, doc)


def union(name: str, *members: Field, doc: str = "") -> Field:
    """Declare members that begin at the same place; with the name "" they belong to the struct around."""
    return Field(name, Struct("", members, doc, union=True), doc)


def reserved(name: str, count: int | None = None, type_: Integer = u8) -> Field:
    """Declare bytes, or another integer, for later use: 0 until then."""
    return Field(name, type_, "for later use, 0", count, use=Use.RESERVED)


def tail(name: str, doc: str = "", length: str = "") -> Field:
    """Declare the bytes that end a struct, as many as the field ``length`` says, else all that follow."""
    return Field(name, u8, doc, flexible=True, length=length)
