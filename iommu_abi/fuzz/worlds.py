"""Random valid worlds: what the builders of all formats share.

A :class:`World` is a memory image, the registers of one IOMMU, and requests that succeed. A
:class:`Wish` bends the random choices of a builder so that a combination of ``ways.Row`` is
within reach of a mutation: the stage is on, the table has the level, the leaf lies there.

Only what a walk reads is backed by memory; pages of data are addresses. Builders check nothing:
a request of a world that fails is a finding, either in the builder or in both ledgers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from iommu_abi.fuzz.ways import Row
from iommu_abi.schemas import build
from iommu_abi.terms import Access, Purpose, Reason, Request, Stage

T = TypeVar("T")

PAGE = build.PAGE
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC
ACCESSES = (READ, WRITE, EXEC)
ADDRESS_LG2 = 52
INTERRUPTS = 0xFEE

#: Reasons that are judged at a leaf.
LEAF_REASONS = (Reason.DENIED, Reason.PRIVILEGE, Reason.ACCESS_FLAG, Reason.UPDATE_DENIED)


class Unlucky(Exception):
    """No room was found in a narrow address space; the builder is asked again with other dice."""


class Dice(random.Random):
    """Random numbers that depend on a name only."""

    def __init__(self, *name: object) -> None:
        super().__init__("/".join(map(str, name)))

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of them."""
        return items[int(self.random() * len(items))]

    def number(self, bits: int) -> int:
        """A number of at most ``bits`` bits, of any magnitude: small ones as often as large ones."""
        return self.getrandbits(self.randrange(bits + 1) or 1) if bits else 0

    def offset(self) -> int:
        """A byte of a page of 4 KiB, with its first and last among them."""
        return self.pick((0, 0xFFF, self.getrandbits(12), self.getrandbits(12)))

    def address(self, lg2: int, align_lg2: int) -> int:
        """An aligned address below 2^``lg2``: near 0, near the top, or anywhere."""
        pages = lg2 - align_lg2
        if pages <= 0:
            return 0
        where = self.random()
        if where < 0.1:
            return self.getrandbits(1) << align_lg2
        if where < 0.2:
            return ((1 << pages) - 1) << align_lg2
        return (self.getrandbits(pages) if where < 0.7 else self.number(pages)) << align_lg2


@dataclass
class World:
    """Tables of one IOMMU, and requests that succeed."""

    format: str
    kind: str
    registers: dict[str, int]
    host: build.Memory
    requests: list[Request] = field(default_factory=list)


class Wish:
    """What a world is built for: a row, or None for any."""

    def __init__(self, dice: Dice, row: Row | None, purpose: Purpose | None = None) -> None:
        self.dice = dice
        self.row = row
        #: Stage 2 is walked for data and for tables: which of its leaves the row means.
        self.purpose = dice.pick(tuple(Purpose)) if purpose is None else purpose
        if row and row.reason is Reason.UPDATE_DENIED:
            self.purpose = Purpose.S1_UPDATE

    def stage(self, *stages: Stage) -> bool:
        """Whether the row is about one of ``stages``."""
        return self.row is not None and self.row.stage in stages

    def reason(self, *reasons: Reason) -> bool:
        """Whether the row is about one of ``reasons``."""
        return self.row is not None and self.row.reason in reasons

    def levels(self, stage: Stage, choices: Sequence[int]) -> int:
        """How many levels a stage gets."""
        if self.row is not None and self.row.stage is stage:
            level = self.row.level
            exact = self.row.reason is Reason.INPUT_RANGE and level + 1 in choices
            if exact and not (level >= 2 and 6 in choices and self.dice.chance(0.3)):
                return level + 1
            choices = [each for each in choices if each > level] or choices
        return self.dice.pick(choices)

    def leaf(self, stage: Stage, choices: Sequence[int], data: bool = True) -> int:
        """At which level a page of a stage is mapped; ``data`` or, in stage 2, a page of tables."""
        if self.row is not None and self.row.stage is stage:
            level = self.row.level
            if self.row.reason in LEAF_REASONS and (stage is Stage.S1 or data == self.for_data):
                choices = [each for each in choices if each == level] or choices
            choices = [each for each in choices if each <= level] or choices
        return self.dice.pick(choices)

    @property
    def for_data(self) -> bool:
        """Whether the row means the final walk of stage 2, not one for an entry."""
        return self.purpose is Purpose.DATA


# ---------------------------------------------------------------- memory


class Host(build.Memory):
    """Host memory whose pages lie scattered below 2^``lg2``."""

    def __init__(self, dice: Dice, lg2: int) -> None:
        super().__init__(0)
        self.dice = dice
        self.lg2 = lg2
        self._taken: list[tuple[int, int]] = []
        self._end = 0

    def block(self, size: int) -> int:
        """The address of ``size`` bytes that nothing else uses, aligned to the next power of two."""
        lg2 = max(12, (size - 1).bit_length())
        for _ in range(200):
            first = self.dice.address(self.lg2, lg2)
            if first + size <= 1 << self.lg2 and all(
                end <= first or first + size <= start for start, end in self._taken
            ):
                self._taken.append((first, first + size))
                return first
        raise Unlucky

    def page(self, count: int = 1, align: int = PAGE) -> int:
        """Give pages, mostly one after the other."""
        size = count * PAGE
        if self._next + size > self._end or align > PAGE or self.dice.chance(0.1):
            room = max(size, align, PAGE << self.dice.randrange(5))
            self._next = self.block(room)
            self._end = self._next + room
        address = self._next
        self._next += size
        self.back(address, size)
        return address


def place(tables: build.Tables, address: int, to: int, size_lg2: int, access: Access, **fields: int) -> bool:
    """Map a page of 2^``size_lg2`` bytes unless something is mapped there."""
    level = max(each for each in range(tables.levels) if tables.page_lg2(each) <= size_lg2)
    try:
        for offset in range(0, 1 << size_lg2, 1 << tables.page_lg2(level)):
            if tables.space.load(tables.entry(address + offset, level), tables.entry_len):
                return False
    except ValueError:  # a larger page lies in the way
        return False
    tables.map(address, to, page=1 << size_lg2, access=access, **fields)
    return True


@dataclass(frozen=True, slots=True)
class Arena:
    """A stage-2 page and the host memory behind it."""

    gpa: int
    hpa: int
    size: int


class Guest(build.Space):
    """Guest memory below 2^``lg2`` in stage-2 pages whose sizes ``sizes`` draws.

    ``holes``: bits that no address may have (AMD levels that are skipped). ``access`` and
    ``fields`` go into the stage-2 leaves.
    """

    def __init__(
        self, host: Host, second: build.Tables, lg2: int, sizes: Sequence[int], holes: int = 0
    ) -> None:
        super().__init__(0)
        self.host, self.second, self.lg2, self.sizes, self.holes = host, second, lg2, sizes, holes
        self.access = READ | WRITE | EXEC
        self.arenas: list[Arena] = []
        self._room: tuple[int, int] = (0, 0)
        self._reserved: list[tuple[int, int]] = []

    def page(self, count: int = 1, align: int = PAGE) -> int:
        """Give pages, from a stage-2 page that is large enough or from several side by side."""
        size = count * PAGE
        first, end = self._room
        first += -first % align
        if first + size > end:
            first, end = self._new_room(size, align)
            # anywhere in it, so that offsets in large pages count
            first += align * self.host.dice.randrange(max(1, min(64, (end - first - size) // align + 1)))
        self._room = (first + size, end)
        self.back(first, size)
        return first

    def _new_room(self, size: int, align: int) -> tuple[int, int]:
        """Map room for ``size`` bytes: its first address, and the one beyond it."""
        arena_lg2 = self.host.dice.pick(self.sizes)
        room_lg2 = max(arena_lg2, (max(size, align) - 1).bit_length())
        if room_lg2 == arena_lg2:
            first = self.arena(arena_lg2).gpa
        else:
            first = self._unreserved(room_lg2)
            for offset in range(0, 1 << room_lg2, 1 << arena_lg2):
                self.arena(arena_lg2, first + offset)
        return first, first + (1 << room_lg2)

    def reserve(self, length: int) -> int:
        """Aligned addresses for a table; only what is used of it is mapped."""
        lg2 = (length - 1).bit_length()
        for _ in range(64):
            first = self._unreserved(lg2)
            if all(first + length <= each.gpa or each.gpa + each.size <= first for each in self.arenas):
                self._reserved.append((first, first + length))
                return first
        raise Unlucky

    def _unreserved(self, lg2: int) -> int:
        """An aligned address of 2^``lg2`` bytes that are not reserved."""
        for _ in range(64):
            first = self.address(lg2)
            if all(first + (1 << lg2) <= start or end <= first for start, end in self._reserved):
                return first
        raise Unlucky

    def elsewhere(self, wish: Wish) -> None:
        """Take what comes next from another place, so that it has entries of stage 2 of its own."""
        if self.host.dice.chance(0.3) or wish.purpose is Purpose.S1_ENTRY:
            self._room = (0, 0)

    def address(self, align_lg2: int) -> int:
        """Somewhere in guest memory."""
        return self.host.dice.address(self.lg2, align_lg2) & ~self.holes

    def arena(self, size_lg2: int, gpa: int | None = None) -> Arena:
        """A new stage-2 page, at ``gpa`` or anywhere."""
        for _ in range(64):
            at = self._unreserved(size_lg2) if gpa is None else gpa
            hpa = self.host.block(1 << size_lg2)
            if place(self.second, at, hpa, size_lg2, self.access):
                self.arenas.append(Arena(at, hpa, 1 << size_lg2))
                return self.arenas[-1]
        raise Unlucky

    def hpa(self, gpa: int) -> int | None:
        """Where a guest address lies in host memory."""
        for arena in self.arenas:
            if arena.gpa <= gpa < arena.gpa + arena.size:
                return arena.hpa + gpa - arena.gpa
        return None

    def back(self, address: int, length: int) -> None:
        """Put host memory behind guest addresses; what stage 2 does not map is mapped in small pages."""
        small = self.second.smallest_page
        for page in range(address - address % PAGE, address + length, PAGE):
            if self.hpa(page) is None:
                self.arena(small.bit_length() - 1, page - page % small)
            self.host.back(self.hpa(page) or 0, PAGE)

    def read(self, address: int, length: int) -> bytes | None:
        """Read through stage 2; ``length`` does not cross a page."""
        hpa = self.hpa(address)
        return None if hpa is None else self.host.read(hpa, length)

    def write(self, address: int, data: bytes) -> None:
        """Write through stage 2, mapping it where it is not mapped."""
        self.back(address, len(data))
        self.host.write(self.hpa(address) or 0, data)


def room(space: build.Space, length: int) -> int:
    """Room for a table: memory if it is one page, else aligned addresses, of which few get any."""
    if length <= PAGE:
        return space.page()
    if isinstance(space, Guest):
        return space.reserve(length)
    assert isinstance(space, Host)
    return space.block(length)


def one_of(dice: Dice, access: Access) -> Access:
    """One of the accesses that rights allow; ``access`` has at least one."""
    return dice.pick([each for each in ACCESSES if each in access])


def interrupts(address: int) -> bool:
    """Whether x86 takes writes to ``address`` for interrupt messages."""
    return address >> 20 == INTERRUPTS


def low_address(dice: Dice, lg2: int) -> int:
    """An address below 2^``lg2`` that is no interrupt address."""
    while True:
        address = dice.address(lg2, 12) | dice.offset()
        if not interrupts(address):
            return address


@dataclass(frozen=True, slots=True)
class Target:
    """A page that a mapping leads to: its size in the mapping, its address, the offset that is used.

    The address is a GPA where stage 2 is on, then ``access`` is what stage 2 allows there.
    """

    page: int
    offset: int
    access: Access = READ | WRITE | EXEC


def direct(dice: Dice, lg2: int, size_lg2: int) -> Target:
    """A page of host memory, and an offset that is no interrupt address."""
    while True:
        page = dice.address(lg2, size_lg2)
        offset = dice.address(size_lg2, 12) | dice.offset()
        if not interrupts(page + offset):
            return Target(page, offset)


def through(guest: Guest, size_lg2: int, second_lg2: int, access: Access, **fields: int) -> Target:
    """A page of guest memory, of which stage 2 maps what is used by a page of 2^``second_lg2`` bytes."""
    dice = guest.host.dice
    for _ in range(200):
        gpa = guest.address(12)
        page = gpa & -1 << size_lg2
        if page & guest.holes or page + (1 << size_lg2) > 1 << guest.lg2:
            continue
        out = direct(dice, guest.host.lg2, second_lg2).page
        inside = gpa & ((1 << second_lg2) - 1)
        if interrupts(out + inside) or not place(
            guest.second, gpa - inside, out, second_lg2, access, **fields
        ):
            continue
        return Target(page, gpa - page | dice.offset(), access)
    raise Unlucky
