"""Memory of a world: host pages that lie scattered, and guest memory in pages of stage 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Purpose
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.world import Wish

PAGE = build.PAGE
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC
ACCESSES = (READ, WRITE, EXEC)
ADDRESS_LG2 = 52


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
