"""Long-mode page tables: the first stage of VT-d and the guest tables of AMD-Vi.

Both vendors use the format of the x86-64 processors: 4 or 5 levels of 512 entries of 8
bytes. Sources: Intel VT-d, revision 5.10, 9.7 (first-stage paging entries); Linux 7.2
``drivers/iommu/generic_pt/fmt/x86_64.h``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag

from iommu_abi.schemas.entries import Bits, Fields, Layout, bit, bits, ignored, pointer, reserved
from iommu_abi.schemas.table_walk import ADDRESS_MASK, PAGE_LG2, Next, Page, Paging, Use
from iommu_abi.terms import Access, Reason, Stage

#: Level -> name of its entries.
NAMES = ("PTE", "PDE", "PDPE", "PML4E", "PML5E")
INDEX_LG2 = 9
ENTRY_LEN = 8
PAGE_SIZE_BIT = 1 << 7
ACCESSED = 1 << 5
DIRTY = 1 << 6
EXTENDED_ACCESSED = 1 << 10

_PS = {0: "points to a table", 1: "maps a page"}


class Rights(IntFlag):
    """What is ANDed over the levels. A page is a user's if USER is left."""

    WRITE = 1
    USER = 2
    EXEC = 4


@dataclass(frozen=True, slots=True)
class Layouts:
    """The entries of a vendor: tables, pages by level, and entries that can only be tables."""

    top: Layout
    table: Layout
    pages: Mapping[int, Layout]


def layouts(bit_10: Bits) -> Layouts:
    """Write down the entries of long mode; the vendors differ in the use of bit 10."""
    start = (
        bit(0, "P", "present"),
        bit(1, "RW", "writes allowed"),
        bit(2, "US", "user requests allowed"),
        bit(3, "PWT", "memory type"),
        bit(4, "PCD", "memory type"),
        bit(5, "A", "accessed"),
    )
    end = (ignored(62, 52), bit(63, "XD", "execute disabled"))
    page = (*start, bit(6, "D", "dirty"))
    table = (*start, ignored(6))
    size = bits(7, 7, "PS", "page size", _PS)
    pat = bit(12, "PAT", "memory type")
    software = (bit(8, "G", "global"), ignored(9), bit_10, ignored(11))
    unused = (ignored(9, 8), bit_10, ignored(11))
    next_table = pointer(51, 12, "ADDR", "next table")
    large = (*page, size, *software, pat)
    return Layouts(
        top=Layout("x86 top-level entry", 8, *table, reserved(7), *unused, next_table, *end),
        table=Layout("x86 table entry", 8, *table, size, *unused, next_table, *end),
        pages={
            0: Layout(
                "x86 4 KiB page entry",
                8,
                *page,
                bit(7, "PAT", "memory type"),
                *software,
                pointer(51, 12, "ADDR", "page"),
                *end,
            ),
            1: Layout(
                "x86 2 MiB page entry", 8, *large, reserved(20, 13), pointer(51, 21, "ADDR", "page"), *end
            ),
            2: Layout(
                "x86 1 GiB page entry", 8, *large, reserved(29, 13), pointer(51, 30, "ADDR", "page"), *end
            ),
        },
    )


def layout_of(these: Layouts, level: int, raw: int) -> Layout:
    """Return the layout of an entry: by its level, and where there is a choice by its bit PS."""
    if level == 0:
        return these.pages[0]
    if level in these.pages and raw & PAGE_SIZE_BIT:
        return these.pages[level]
    return these.table if level in these.pages else these.top


def is_page(level: int, fields: Fields) -> bool:
    """Return True for an entry that maps a page."""
    return level == 0 or (level < 3 and bool(fields.PS))


def page_lg2(level: int) -> int:
    """log2 of the bytes that an entry of ``level`` covers."""
    return PAGE_LG2 + INDEX_LG2 * level


class LongMode(Paging):
    """Stage 1 as long-mode tables.

    ``privileged``: the request's mode. ``write_protect``: privileged writes obey RW.
    ``no_execute``: XD is a right, else it is reserved. ``smep``: privileged requests may not
    execute a user's page. ``executes``: whether this requester may execute at all.
    ``one_gib``: pages of 1 GiB exist. ``address_lg2``: address bits from there up to 51 are
    reserved. ``sets_always`` and ``sets_on_write``: the bits that hardware sets in each entry
    that it uses, and in the leaf of a write.
    """

    stage = Stage.S1
    all_rights = Rights.WRITE | Rights.USER | Rights.EXEC
    layouts: Layouts

    def __init__(self, root: int, levels: int, through: Paging | None) -> None:
        self.root = root
        self.levels = levels
        self.through = through
        self.privileged = False
        self.write_protect = True
        self.no_execute = True
        self.smep = False
        self.executes = True
        self.one_gib = True
        self.address_lg2 = 52
        self.sets_always = ACCESSED
        self.sets_on_write = DIRTY

    @property
    def top(self) -> int:
        """Level of the root table."""
        return self.levels - 1

    def start(self, address: int) -> tuple[int, int]:
        """Begin at the root, whatever the address."""
        return self.root, self.top

    def takes(self, address: int) -> bool:
        """Take canonical addresses."""
        return self.canonical(address)

    def canonical(self, address: int) -> bool:
        """All bits from the highest translated one up are equal."""
        highest = page_lg2(self.levels) - 1
        return address >> highest in (0, ADDRESS_MASK >> highest)

    def entry_address(self, table: int, level: int, address: int) -> int:
        """Index a table of 512 entries by nine bits of the address."""
        index = address >> page_lg2(level) & ((1 << INDEX_LG2) - 1)
        return table + ENTRY_LEN * index

    def decode(self, data: bytes, level: int) -> Fields:
        """Choose the layout by level and PS."""
        return layout_of(self.layouts, level, int.from_bytes(data, "little")).parse(data)

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at P, then at reserved bits."""
        if not fields.P:
            return Reason.NOT_PRESENT
        if self._layout(fields, level).has_reserved_bits(fields) or fields.ADDR >> self.address_lg2:
            return Reason.RESERVED
        if level == 2 and is_page(level, fields) and not self.one_gib:
            return Reason.RESERVED
        if fields.XD and not self.no_execute:
            return Reason.RESERVED
        return None

    def _layout(self, fields: Fields, level: int) -> Layout:
        return layout_of(self.layouts, level, PAGE_SIZE_BIT if is_page(level, fields) else 0)

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow ADDR to the next table or into the page."""
        if not is_page(level, fields):
            return Next(fields.ADDR, level - 1)
        size_lg2 = page_lg2(level)
        return Page(fields.ADDR | address & ((1 << size_lg2) - 1), size_lg2)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what RW, US and XD leave."""
        rights = Rights(0)
        if fields.RW:
            rights |= Rights.WRITE
        if fields.US:
            rights |= Rights.USER
        if not fields.XD:
            rights |= Rights.EXEC
        return rights

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge privilege before read, write and execute."""
        if not self.privileged and not rights & Rights.USER:
            return Reason.PRIVILEGE
        return None if use.access in self.grants(rights) else Reason.DENIED

    def grants(self, rights: int) -> Access:
        """Allow what the rights of all levels leave to this requester."""
        if not self.privileged and not rights & Rights.USER:
            return Access.NONE
        granted = Access.READ
        if rights & Rights.WRITE or (self.privileged and not self.write_protect):
            granted |= Access.WRITE
        if rights & Rights.EXEC and self.executes and not self._smep_forbids(rights):
            granted |= Access.EXEC
        return granted

    def _smep_forbids(self, rights: int) -> bool:
        return self.smep and self.privileged and bool(rights & Rights.USER)

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for A, and for D in the leaf of a write."""
        dirties = leaf and access is Access.WRITE
        return self.sets_always | (self.sets_on_write if dirties else 0)
