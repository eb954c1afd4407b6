"""What rows ask of their fields, as data, and when they are looked at.

A predicate takes a view and a field's path and finds (got, expected) where the field is not so. Their
names read as in a row: ``row("op", EOPNOTSUPP, one_of(0, 1), ...)``. They are data so that a violation can
be made of a row without its own check (``iommu_abi.strategies``).
"""

# ruff: noqa: D102  (what each __call__ does stands above)

from __future__ import annotations

from dataclasses import dataclass

from iommu_abi.rules.row import Breach, Predicate, View

PAGE_SIZE = 4096  # of the kernel; arm64 and others may have more
LAST_ID = (1 << 31) - 1


def zero(view: View, path: str) -> Breach:
    """0, or bytes that are all 0; got is the first that is not."""
    value = view[path]
    got = value if isinstance(value, int) else next(filter(None, value), 0)
    return (got, 0) if got else None


def nonzero(view: View, path: str) -> Breach:
    """Any number but 0."""
    return None if view[path] else (0, 0)


def known_flags(view: View, path: str) -> Breach:
    """Only bits that the generation has a name for."""
    value, mask = view[path], view.mask(path)
    return (value, mask) if value & ~mask else None


def below_ulong_max(view: View, path: str) -> Breach:
    """Less than ULONG_MAX of the kernel."""
    return (view[path], view.ulong_max) if view[path] >= view.ulong_max else None


def up_to_ulong_max(view: View, path: str) -> Breach:
    """At most ULONG_MAX of the kernel."""
    return (view[path], view.ulong_max) if view[path] > view.ulong_max else None


def below_half_of_ulong_max(view: View, path: str) -> Breach:
    """Less than half of ULONG_MAX: a length that can be rounded up to a power of two."""
    half = view.ulong_max // 2
    return (view[path], half) if view[path] >= half else None


def a_page_below_size_max(view: View, path: str) -> Breach:
    """At most SIZE_MAX less a page: a length that can be rounded up to pages."""
    most = view.ulong_max - PAGE_SIZE
    return (view[path], most) if view[path] > most else None


def an_id(view: View, path: str) -> Breach:
    """A number that an object of iommufd may have; they count from 1."""
    return None if 0 < view[path] <= LAST_ID else (view[path], LAST_ID)


def readable(view: View, path: str) -> Breach:
    """As many bytes in memory as announced, of those that the kernel knows."""
    least = min(view.given, view.ksize)
    return (len(view.data), least) if len(view.data) < least else None


def power_of_two(view: View, path: str) -> Breach:
    """Exactly one bit."""
    value = view[path]
    return None if value and value & value - 1 == 0 else (value, 1)


# What several kinds hold is written once; instances of different kinds are never equal.


@dataclass(frozen=True, slots=True)
class _Number:
    number: int


@dataclass(frozen=True, slots=True, init=False)
class _Numbers:
    numbers: tuple[int, ...]

    def __init__(self, *numbers: int) -> None:
        object.__setattr__(self, "numbers", numbers)


@dataclass(frozen=True, slots=True)
class _Bits:
    bits: int


@dataclass(frozen=True, slots=True)
class _UpTo:
    field: str
    start: bool = False


@dataclass(frozen=True, slots=True)
class _Followed:
    data: str | int


@dataclass(frozen=True, slots=True)
class _Counted:
    count: str
    size: int


class is_(_Number):
    """Exactly that number."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return None if view[path] == self.number else (view[path], self.number)


class is_not(_Number):
    """Any number but this one."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (self.number, 0) if view[path] == self.number else None


class one_of(_Numbers):
    """One of these numbers."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return None if view[path] in self.numbers else (view[path], 0)


def of_power(view: View, path: str) -> Breach:
    """Asked by a program of a POWER machine, whatever the field is."""
    return None if view.abi.name.startswith("powerpc") else (None, 0)


class at_least(_Number):
    """That number or more."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], self.number) if view[path] < self.number else None


class at_most(_Number):
    """That number or less."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], self.number) if view[path] > self.number else None


class multiple_of(_Number):
    """A multiple of that number."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], self.number) if view[path] % self.number else None


class all_of(_Bits):
    """Each of these bits."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], self.bits) if view[path] & self.bits != self.bits else None


class some_of(_Bits):
    """At least one of these bits."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return None if view[path] & self.bits else (view[path], 0)


class not_all_of(_Bits):
    """At least one of these bits is not set."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], 0) if view[path] & self.bits == self.bits else None


class none_of(_Bits):
    """Not one of these bits."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], 0) if view[path] & self.bits else None


class either_of(_Bits):
    """Exactly one of these two bits."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], 0) if view[path] & self.bits in (0, self.bits) else None


class low_byte_of(_Numbers):
    """An array whose first number has one of these in its low 8 bits."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        low = view[path][0] & 0xFF
        return None if low in self.numbers else (low, 0)


@dataclass(frozen=True, slots=True)
class zero_like:
    """0 if and only if the other field is 0."""

    other: str

    def __call__(self, view: View, path: str) -> Breach:
        return (view[path], 0) if (view[path] == 0) != (view[self.other] == 0) else None


@dataclass(frozen=True, slots=True)
class range_from:
    """``length`` bytes from the field ``start`` on that end at ``top``, or at ULONG_MAX, at the latest.

    ``past``: even the byte past the end is at ``top`` at the latest; without a ``top``, ``start`` is then a
    pointer, of which a kernel takes what it has room for. No bytes end 1 before their start, and before 0 is
    ``top``, as in the kernel's ``check_add_overflow(start, length - 1, &last)``.
    """

    start: str
    length: str = "length"
    top: int | None = None
    past: bool = False

    def __call__(self, view: View, path: str) -> Breach:
        top = view.ulong_max if self.top is None else self.top
        if self.past:
            last = (view[self.start] & top if self.top is None else view[self.start]) + view[self.length]
        else:
            last = view[self.start] + (view[self.length] - 1 if view[self.length] else top)
        return (view[path], 0) if last > top else None


@dataclass(frozen=True, slots=True)
class whole_pages:
    """The range from this field on begins and ends where the low bits of ``page_size`` less 1 are 0."""

    length: str
    page_size: str

    def __call__(self, view: View, path: str) -> Breach:
        low = view[self.page_size] - 1
        end = view[path] + view[self.length]
        return (view[path], view[self.page_size]) if (view[path] | end) & low else None


@dataclass(frozen=True, slots=True)
class bits_for:
    """Bytes of a bit map with a bit for each page of a range, whole words of 8 bytes.

    Pages are as large as the lowest bit of the field ``page_size``. A range of no whole page has no bit map;
    where range or pages are 0 nothing is asked.
    """

    length: str
    page_size: str

    def __call__(self, view: View, path: str) -> Breach:
        length, page = view[self.length], view[self.page_size] & -view[self.page_size]
        if not length or not page:
            return None
        least = (length // page + 63) // 64 * 8
        return (view[path], least) if not least or view[path] < least else None


def _up_to(view: View, field: str, start: bool) -> int:
    """Bytes to a field's end, or to its start; 0 in a generation that has no such field."""
    if not view.has(field):
        return 0
    return view.offset(field) if start else view.end(field)


class given_up_to(_UpTo):
    """The announced size reaches the end of a field, or its start."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = _up_to(view, self.field, self.start)
        return (view.given, least) if view.given < least else None


class readable_up_to(_UpTo):
    """The bytes in memory reach the end of a field, or its start."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = _up_to(view, self.field, self.start)
        return (len(view.data), least) if len(view.data) < least else None


def _followed(view: View, data: str | int) -> int:
    """Bytes of the struct and of what follows it: a struct by its name, or a number of bytes."""
    return view.ksize + (view.size_of(data) if isinstance(data, str) else data)


class given_for(_Followed):
    """The announced size covers the struct and what follows it: another struct, or a number of bytes."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = _followed(view, self.data)
        return (view.given, least) if view.given < least else None


class readable_for(_Followed):
    """Memory holds the struct and what follows it: another struct, or a number of bytes."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = _followed(view, self.data)
        return (len(view.data), least) if len(view.data) < least else None


class given_for_each(_Counted):
    """The announced size covers the struct and the elements that it counts, of ``size`` bytes each."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = view.ksize + view[self.count] * self.size
        return (view.given, least) if view.given < least else None


class readable_for_each(_Counted):
    """Memory holds the struct and the elements that it counts, of ``size`` bytes each."""

    __slots__ = ()

    def __call__(self, view: View, path: str) -> Breach:
        least = view.ksize + view[self.count] * self.size
        return (len(view.data), least) if len(view.data) < least else None


#: What is about how many bytes there are, announced and in memory.
GIVEN = (given_up_to, given_for, given_for_each)
IN_MEMORY = (readable_up_to, readable_for, readable_for_each)

# ---------------------------------------------------------------- when a row is looked at


@dataclass(frozen=True, slots=True)
class where:
    """Only where another field, if this generation has it, is so."""

    field: str
    holds: Predicate

    def __call__(self, view: View) -> bool:
        return view.has(self.field) and self.holds(view, self.field) is None


@dataclass(frozen=True, slots=True, init=False)
class unless:
    """Not where all of these are so."""

    conditions: tuple[where, ...]

    def __init__(self, *conditions: where) -> None:
        object.__setattr__(self, "conditions", conditions)

    def __call__(self, view: View) -> bool:
        return not all(each(view) for each in self.conditions)
