"""A row of rules: one check of a kernel on what a caller gave, and what a row is checked on.

A command's rows stand in the kernel's order. A :class:`Check` looks at bytes; a :class:`State` is a
refusal that depends on what exists at the time, such as an ID that nobody has, which bytes cannot show. A
:class:`Tail` is where a kernel looks at a struct that follows, by that struct's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from iommu_abi.errors import AbiError, Rule
from iommu_abi.schemas import uapi

#: got and expected of a broken check, got None where it is about no number; None if it is not broken.
Breach: TypeAlias = "tuple[int | None, int] | None"
#: A kernel's number, such as (6, 12).
Version: TypeAlias = "tuple[int, int]"
ANY: Version = (0, 0)


@dataclass(frozen=True)
class View:
    """A struct as a kernel sees it.

    ``data`` is what the caller has in memory, ``given`` how many bytes the caller says it is. Fields
    beyond either read as 0, as a kernel fills them.
    """

    struct: uapi.Struct
    generation: uapi.Generation
    abi: uapi.Abi
    data: bytes
    given: int

    @cached_property
    def ksize(self) -> int:
        """Bytes of the struct that this kernel knows."""
        return uapi.layout(self.struct, self.abi).size

    @cached_property
    def _places(self) -> dict[str, uapi.Leaf]:
        return {each.path: each for each in uapi.members(self.struct, self.abi)}

    def __getitem__(self, path: str) -> Any:
        """A number; bytes, or a list of numbers, of an array."""
        place = self._places[path]
        known = self.data[: min(self.given, self.ksize)].ljust(self.ksize, b"\0")
        raw, type_ = known[place.offset : place.offset + place.size], place.field.type
        assert isinstance(type_, uapi.Integer)
        if place.field.count is None:
            return uapi.number(type_, raw, self.abi)
        if type_.size == 1:
            return raw
        step = uapi.element_size(place.field, self.abi)
        return [uapi.number(type_, raw[at : at + step], self.abi) for at in range(0, len(raw), step)]

    def has(self, path: str) -> bool:
        """Has this generation's struct such a field?"""
        return path in self._places

    def offset(self, path: str) -> int:
        """Where a field begins."""
        return self._places[path].offset

    def end(self, path: str) -> int:
        """Where a field ends."""
        place = self._places[path]
        return place.offset + place.size

    def mask(self, path: str) -> int:
        """The flags that a field may have in this generation; none if it has none."""
        tag = self._places[path].field.values
        return self.generation.enums[tag].mask if tag else 0

    def named(self, enumerator: str) -> int:
        """The number of an enumerator, -1 if this generation does not have it."""
        for values in self.generation.enums.values():
            if enumerator in values.names:
                return values.names[enumerator]
        return -1

    def size_of(self, name: str) -> int:
        """Bytes of another struct of this generation."""
        return uapi.layout(self.generation.struct(name), self.abi).size

    @property
    def ulong_max(self) -> int:
        """ULONG_MAX of the kernel."""
        return (1 << 8 * self.abi.pointer) - 1


#: What a row asks of its field; see :mod:`.predicates`.
Predicate = Callable[[View, str], Breach]
#: When a row is looked at.
Condition = Callable[[View], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of bytes. ``enforced`` is False for what is documented and not looked at.

    ``since`` and ``until`` are the first and the last kernel that has the row, (0, 0) for any.
    """

    rule: Rule
    broken: Predicate
    when: Condition | None = None
    enforced: bool = True
    since: Version = ANY
    until: Version = ANY

    def error(self, view: View) -> AbiError | None:
        """What is wrong, None if nothing is, or if this generation has no such field."""
        field = self.rule.field
        if (field and not view.has(field)) or (self.when and not self.when(view)):
            return None
        finding = self.broken(view, field)
        if finding is None:
            return None
        offset = view.offset(field) if field else None
        return AbiError(self.rule, field, offset, *finding, view.struct.name)


@dataclass(frozen=True, slots=True)
class State:
    """A refusal that bytes cannot show: the field, the errno, and when it happens.

    ``given`` is what bytes have to be for it; None for any. ``since`` and ``until`` as in a check.
    """

    field: str
    errno: int
    when: str
    given: Condition | None = None
    since: Version = ANY
    until: Version = ANY

    def possible(self, view: View) -> bool:
        """Can a kernel refuse these bytes so?"""
        return (not self.field or view.has(self.field)) and (self.given is None or self.given(view))


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a struct that follows is looked at; ``since`` and ``until`` as in a check."""

    struct: str
    when: Condition
    since: Version = ANY
    until: Version = ANY


Row: TypeAlias = "Check | State | Tail"


def known_to(row: Row, kernel: Version) -> bool:
    """Has a kernel a row?"""
    return row.since <= kernel and (row.until == ANY or kernel <= row.until)


def wanted(check: Check, struct: uapi.Struct, generation: uapi.Generation, abi: uapi.Abi) -> str:
    """What a row asks for, with the numbers of a generation on an ABI: "no flags but 0x7"."""
    size = uapi.layout(struct, abi).size
    field = check.rule.field
    for data, given in ((b"", 0), (b"", size), (b"\xff" * size, size)):
        view = View(struct, generation, abi, data, given)
        finding = check.broken(view, field) if not field or view.has(field) else None
        if finding is not None:
            return AbiError(check.rule, field, None, None, finding[1]).expected
    return check.rule.want


def concerns(row: Row, struct: uapi.Struct, generation: uapi.Generation, abi: uapi.Abi) -> bool:
    """Has a generation's struct what a row is about: its field, that of its condition, that of a size?"""
    view = View(struct, generation, abi, b"", 0)
    if isinstance(row, Tail):
        return row.struct in generation.structs
    if isinstance(row, State):
        return not row.field or view.has(row.field)
    about = (row.rule.field, getattr(row.when, "field", ""), getattr(row.broken, "field", ""))
    return all(not field or view.has(field) for field in about)


class Rows:
    """Makes the rows of one struct, from one source."""

    def __init__(self, struct: str, source: str) -> None:
        self.struct, self.source = struct, source

    def __call__(
        self,
        field: str,
        errno: int,
        broken: Predicate,
        want: str,
        *,
        name: str = "",
        when: Condition | None = None,
        enforced: bool = True,
        since: Version = ANY,
        until: Version = ANY,
    ) -> Check:
        """Make a row; ``name`` tells apart the rules of one field."""
        parts = (self.struct, field, name)
        rule = Rule(".".join(filter(None, parts)), field, errno, want, self.source)
        return Check(rule, broken, when, enforced, since, until)
