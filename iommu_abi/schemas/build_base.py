"""Makes tables: memory to put them in, and what the page tables of all vendors share.

:mod:`iommu_abi.schemas.build` offers these together with the vendors' tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Access

PAGE = 1 << 12
LARGE = 1 << 21
HUGE = 1 << 30

READ = Access.READ
WRITE = Access.WRITE
RW = Access.READ | Access.WRITE
RWX = RW | Access.EXEC

#: Bits 51:12, where most pointers lie.
ADDRESS = (1 << 52) - PAGE


# ---------------------------------------------------------------- memory


class Space(ABC):
    """An address space in which tables can be placed."""

    def __init__(self, first: int) -> None:
        self._next = first

    def page(self, count: int = 1, align: int = PAGE) -> int:
        """``count`` new pages of zeros, one after the other; their address."""
        address = -(-self._next // align) * align
        self._next = address + count * PAGE
        self.back(address, count * PAGE)
        return address

    @abstractmethod
    def back(self, address: int, length: int) -> None:
        """See to it that there is memory at ``address``."""

    @abstractmethod
    def read(self, address: int, length: int) -> bytes | None:
        """Return the bytes at ``address``, all of them, or None."""

    @abstractmethod
    def write(self, address: int, data: bytes) -> None:
        """Put bytes at ``address``."""

    def load(self, address: int, length: int = 8) -> int:
        """Return the number at ``address``."""
        data = self.read(address, length)
        if data is None:
            raise ValueError(f"no memory at {address:#x}")
        return int.from_bytes(data, "little")

    def store(self, address: int, value: int, length: int = 8) -> None:
        """Put a number at ``address``."""
        self.write(address, value.to_bytes(length, "little"))

    def edit(self, layout: Layout, address: int, **fields: int) -> None:
        """Change fields of the entry at ``address``."""
        data = self.read(address, layout.size)
        if data is None:
            raise ValueError(f"no memory at {address:#x}")
        parsed = layout.parse(data)
        self.write(address, layout.build(**{each.name: parsed[each.name] for each in layout.fields} | fields))


class Memory(Space):
    """Host-physical memory: the pages that were asked for or written to."""

    def __init__(self, first: int = 0x10_0000) -> None:
        super().__init__(first)
        self._pages: dict[int, bytearray] = {}

    def back(self, address: int, length: int) -> None:
        """Make pages where there are none."""
        for page in range(address // PAGE, -(-(address + length) // PAGE)):
            self._pages.setdefault(page, bytearray(PAGE))

    def read(self, address: int, length: int) -> bytes | None:
        """Join the pieces of the pages."""
        parts = []
        for page, start, end in _split(address, length):
            if page not in self._pages:
                return None
            parts.append(self._pages[page][start:end])
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Make pages where there are none, and fill them."""
        self.back(address, len(data))
        done = 0
        for page, start, end in _split(address, len(data)):
            self._pages[page][start:end] = data[done : done + end - start]
            done += end - start

    def runs(self) -> Iterator[tuple[int, bytearray]]:
        """Address and bytes of each run of neighbouring pages, ascending; the bytes are copies."""
        run = bytearray()
        first = 0
        for page in sorted(self._pages):
            if run and page * PAGE != first + len(run):
                yield first, run
                run = bytearray()
            first = first if run else page * PAGE
            run += self._pages[page]
        if run:
            yield first, run


def _split(address: int, length: int) -> Iterator[tuple[int, int, int]]:
    """Split a range of bytes into pages, each with its first byte and the end of its bytes."""
    while length > 0:
        start = address % PAGE
        taken = min(PAGE - start, length)
        yield address // PAGE, start, start + taken
        address += taken
        length -= taken


class Guest(Space):
    """Guest-physical memory: pages of host memory that stage 2 maps, readable and writable."""

    def __init__(self, host: Space, second: Tables, first: int = 0x4000_0000) -> None:
        super().__init__(first)
        self.host = host
        self.second = second
        self._hpa: dict[int, int] = {}

    def back(
        self, address: int, length: int, page: int | None = None, access: Access = RWX, **fields: int
    ) -> None:
        """Put host memory behind guest addresses, in stage-2 pages of ``page`` bytes, else the smallest.

        ``fields`` go into the stage-2 leaves. What is backed already stays as it is.
        """
        page = page or self.second.smallest_page
        for gpa in range(address - address % page, address + length, page):
            if gpa // PAGE not in self._hpa:
                self._back_page(gpa, page, access, fields)

    def _back_page(self, gpa: int, size: int, access: Access, fields: dict[str, int]) -> None:
        hpa = self.host.page(size // PAGE, align=size)
        self.second.map(gpa, hpa, page=size, access=access, **fields)
        for offset in range(0, size, PAGE):
            self._hpa[(gpa + offset) // PAGE] = hpa + offset

    def hpa(self, gpa: int) -> int:
        """Where a guest address lies in host memory."""
        return self._hpa[gpa // PAGE] + gpa % PAGE

    def read(self, address: int, length: int) -> bytes | None:
        """Join the pieces of the pages."""
        parts = []
        for page, start, end in _split(address, length):
            if page not in self._hpa:
                return None
            parts.append(self.host.read(self._hpa[page] + start, end - start) or b"")
        return b"".join(parts)

    def write(self, address: int, data: bytes) -> None:
        """Make pages where there are none, and fill them."""
        self.back(address, len(data))
        done = 0
        for page, start, end in _split(address, len(data)):
            self.host.write(self._hpa[page] + start, data[done : done + end - start])
            done += end - start


# ---------------------------------------------------------------- page tables


class Tables(ABC):
    """Page tables of one stage. ``root`` is their address in ``space``.

    What is written here suits tables of 512 entries of 8 bytes; others replace the geometry.
    """

    entry_len = 8

    def __init__(self, space: Space, levels: int) -> None:
        self.space = space
        self.levels = levels
        self.root = self._new_root()

    # Geometry.

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return 12 + 9 * level

    def _index_lg2(self, level: int) -> int:
        """log2 of the entries of a table of ``level``."""
        return 9

    def _new_root(self) -> int:
        return self._new_table()

    def _new_table(self) -> int:
        return self.space.page()

    @property
    def smallest_page(self) -> int:
        """Bytes of the pages that level 0 maps."""
        return 1 << self.page_lg2(0)

    # Mappings.

    def map(
        self,
        address: int,
        to: int,
        length: int | None = None,
        *,
        page: int | None = None,
        access: Access = RWX,
        **fields: int,
    ) -> None:
        """Map ``length`` bytes (one page if None) in pages of ``page`` bytes (the smallest if None).

        ``fields`` go into the leaves and win over what ``access`` sets there.
        """
        page = page or self.smallest_page
        for offset in range(0, page if length is None else length, page):
            self._map_page(address + offset, to + offset, page, access, fields)

    def _map_page(self, address: int, to: int, page: int, access: Access, fields: dict[str, int]) -> None:
        level = self._leaf_level(page)
        self._store(self.entry(address, level), self._leaf(level, to, access, fields))

    def _load(self, where: int) -> int:
        return self.space.load(where, self.entry_len)

    def _store(self, where: int, raw: int) -> None:
        self.space.store(where, raw, self.entry_len)

    def _leaf_level(self, page: int) -> int:
        """Return the level whose entries map ``page`` bytes."""
        for level in range(self.levels):
            if 1 << self.page_lg2(level) == page:
                return level
        raise ValueError(f"no level has pages of {page:#x} bytes")

    def entry(self, address: int, level: int) -> int:
        """Address in ``space`` of the entry of ``level`` for an input; missing tables are made."""
        table, here = self.root, self.levels - 1
        while here > level:
            where = self._slot(table, here, address)
            raw = self._load(where)
            if not raw:
                raw = self._table(self._new_table(), self._below(here))
                self._store(where, raw)
            table, here = self._next(raw, here)
        if here != level:
            raise ValueError(f"{address:#x} has no table of level {level}")
        return self._slot(table, here, address)

    def _slot(self, table: int, level: int, address: int) -> int:
        index = address >> self.page_lg2(level) & ((1 << self._index_lg2(level)) - 1)
        return table + self.entry_len * index

    def _below(self, level: int) -> int:
        """Return the level of the tables to which entries of ``level`` point."""
        return level - 1

    @abstractmethod
    def _next(self, raw: int, level: int) -> tuple[int, int]:
        """Return the table to which an entry points, and its level; ValueError for a page."""

    @abstractmethod
    def _table(self, address: int, level: int) -> int:
        """Return an entry that points to a table of ``level``."""

    @abstractmethod
    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        """Return an entry that maps a page."""
