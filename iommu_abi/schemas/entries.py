"""How a table entry is written down: named bits of a little-endian integer, in construct.

An entry is listed as the manuals list it, ``bits(high, low, name, ...)``, from bit 0 up.
Every bit belongs to exactly one field, also those that are reserved or ignored; a layout
with a hole or an overlap cannot be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import construct  # type: ignore[import-untyped]

_RESERVED = "rsvd"
_IGNORED = "ign"


class Fields(Protocol):
    """A parsed entry: each field is an attribute and a key, each value an integer."""

    def __getattr__(self, name: str) -> int: ...

    def __getitem__(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Bits:
    """One field: bits ``high`` to ``low``, inclusive.

    ``unit_lg2`` is log2 of what a 1 in the lowest bit counts: 0 for numbers; for a pointer
    its lowest address bit, so that values of pointers are addresses in bytes.
    """

    high: int
    low: int
    name: str
    doc: str = ""
    values: Mapping[int, str] = field(default_factory=dict)
    unit_lg2: int = 0

    @property
    def width(self) -> int:
        """Bits of the field."""
        return self.high - self.low + 1

    @property
    def reserved(self) -> bool:
        """True if the vendor wants 0 here and hardware looks."""
        return self.name.startswith(_RESERVED)

    @property
    def ignored(self) -> bool:
        """True if hardware does not look."""
        return self.name.startswith(_IGNORED)

    def schema(self) -> Any:
        """Write the field in construct."""
        number = construct.BitsInteger(self.width)
        if self.unit_lg2:
            unit = self.unit_lg2
            number = construct.ExprAdapter(number, construct.obj_ << unit, construct.obj_ >> unit)
        return self.name / number * self.doc


def bits(high: int, low: int, name: str, doc: str = "", values: Mapping[int, str] | None = None) -> Bits:
    """Make a number; ``values`` explains what the numbers mean."""
    return Bits(high, low, name, doc, values or {})


def bit(position: int, name: str, doc: str = "") -> Bits:
    """Make a flag."""
    return Bits(position, position, name, doc)


def pointer(high: int, low: int, name: str, doc: str = "") -> Bits:
    """Make an address, of which the bits below ``low`` are 0."""
    return Bits(high, low, name, doc, unit_lg2=low)


def reserved(high: int, low: int | None = None, doc: str = "reserved, must be 0") -> Bits:
    """Bits that must be 0, named after their place."""
    return _nameless(_RESERVED, high, high if low is None else low, doc)


def ignored(high: int, low: int | None = None, doc: str = "ignored") -> Bits:
    """Bits at which hardware does not look, named after their place."""
    return _nameless(_IGNORED, high, high if low is None else low, doc)


def _nameless(prefix: str, high: int, low: int, doc: str) -> Bits:
    place = str(high) if high == low else f"{high}_{low}"
    return Bits(high, low, f"{prefix}_{place}", doc)


def word(number: int, *fields: Bits) -> Iterator[Bits]:
    """Fields of 64-bit word ``number``, given by their bits within it."""
    for each in fields:
        name = each.name
        if each.reserved or each.ignored:
            name = name.replace("_", f"_q{number}_", 1)
        yield replace(each, high=each.high + 64 * number, low=each.low + 64 * number, name=name)


class Layout:
    """An entry (or register) of ``size`` bytes and the meaning of each of its bits."""

    def __init__(self, name: str, size: int, *fields: Bits) -> None:
        self.name = name
        self.size = size
        self.fields = fields
        self._check()

    def _check(self) -> None:
        expected = 0
        for each in self.fields:
            if each.low != expected or each.high < each.low:
                raise ValueError(f"{self.name}: {each.name} should begin at bit {expected}")
            expected = each.high + 1
        if expected != 8 * self.size:
            raise ValueError(f"{self.name}: {expected} bits in {self.size} bytes")
        if len({each.name for each in self.fields}) != len(self.fields):
            raise ValueError(f"{self.name}: two fields of one name")

    def __repr__(self) -> str:
        return f"Layout({self.name!r}, {self.size})"

    @cached_property
    def schema(self) -> Any:
        """The construct that this layout is."""
        return construct.ByteSwapped(construct.Bitwise(self._struct()))

    @cached_property
    def _compiled(self) -> Any:
        # A nested walk parses some thirty entries; the interpreter of construct is four times slower.
        return construct.ByteSwapped(construct.Bitwise(self._struct().compile()))

    def _struct(self) -> Any:
        # Bits of construct run from the highest to the lowest.
        return construct.Struct(*(each.schema() for each in reversed(self.fields)))

    def parse(self, data: bytes) -> Fields:
        """Take an entry apart; ``data`` has exactly ``size`` bytes."""
        if len(data) != self.size:
            raise ValueError(f"{self.name} has {self.size} bytes, not {len(data)}")
        parsed: Fields = self._compiled.parse(data)
        return parsed

    def of(self, value: int) -> Fields:
        """Take a register's value apart."""
        return self.parse(value.to_bytes(self.size, "little"))

    def build(self, **values: int) -> bytes:
        """Make the bytes of an entry; a field that is not given is 0."""
        unknown = values.keys() - {each.name for each in self.fields}
        if unknown:
            raise ValueError(f"{self.name} has no field {', '.join(sorted(unknown))}")
        for each in self.fields:
            self._check_value(each, values.get(each.name, 0))
        built: bytes = self.schema.build({each.name: values.get(each.name, 0) for each in self.fields})
        return built

    def value(self, **values: int) -> int:
        """Make the same as an integer: the value of a register."""
        return int.from_bytes(self.build(**values), "little")

    def _check_value(self, each: Bits, value: int) -> None:
        if not 0 <= value >> each.unit_lg2 < 1 << each.width:
            raise ValueError(f"{self.name}: {each.name}={value:#x} does not fit {each.width} bits")
        if value & ((1 << each.unit_lg2) - 1):
            raise ValueError(f"{self.name}: {each.name}={value:#x} is not aligned")

    @cached_property
    def _reserved_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.fields if each.reserved)

    def has_reserved_bits(self, fields: Fields) -> bool:
        """Return True if a bit is set that the layout reserves."""
        return any(fields[name] for name in self._reserved_names)
