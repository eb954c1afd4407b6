"""AMD-Vi: the host (v1) and the guest (v2) tables, as one request sees them.

Source: AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.2.3, 2.2.6; as
``amdvi`` says, where from.
"""

from __future__ import annotations

from enum import IntFlag

from iommu_abi.schemas import x86
from iommu_abi.schemas.amdvi_entries import (
    NEXT_DEFAULT,
    NEXT_SIZED,
    V1_PAGE,
    V1_TABLE,
    V2,
    sized_page_lg2,
    v1_layout,
)
from iommu_abi.schemas.amdvi_events import walk_event
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.table_walk import Next, Page, Paging, Use
from iommu_abi.terms import Access, Reason, Stage

# ---------------------------------------------------------------- host tables, v1 (2.2.3)


class HostRights(IntFlag):
    """What is ANDed over the DTE, the tables and the leaf."""

    IR = 1
    IW = 2


class HostTables(Paging):
    """v1 tables; ``had`` is the DTE's field HAD. Its IR and IW are the caller's to apply."""

    stage = Stage.S2

    def __init__(self, root: int, mode: int, had: int) -> None:
        self.root = root
        self.mode = mode
        self.all_rights = HostRights.IR | HostRights.IW
        self.had = had

    def start(self, address: int) -> tuple[int, int]:
        """Begin at HostPTRoot, whatever the address."""
        return self.root, self.mode - 1

    def takes(self, address: int) -> bool:
        """Take addresses below 2^(12 + 9 Mode)."""
        return not address >> x86.page_lg2(self.mode)

    def entry_address(self, table: int, level: int, address: int) -> int:
        """Index a table of 512 entries by nine bits of the address."""
        return table + 8 * (address >> x86.page_lg2(level) & 0x1FF)

    def decode(self, data: bytes, level: int) -> Fields:
        """Choose the layout by NextLevel."""
        return v1_layout(int.from_bytes(data, "little")).parse(data)

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at PR, reserved bits, NextLevel, then at the bits that it skips."""
        if not fields.PR:
            return Reason.NOT_PRESENT
        if self._layout(fields).has_reserved_bits(fields):
            return Reason.RESERVED
        if self._is_page(fields):
            return None if self._page_allowed(fields, level) else Reason.RESERVED
        if fields.NextLevel >= level + 1:
            return Reason.RESERVED
        if self._skipped_bits(fields, level, address):
            return Reason.INPUT_RANGE
        return None

    @staticmethod
    def _is_page(fields: Fields) -> bool:
        return fields.NextLevel in (NEXT_DEFAULT, NEXT_SIZED)

    def _layout(self, fields: Fields) -> Layout:
        return V1_PAGE if self._is_page(fields) else V1_TABLE

    @staticmethod
    def _page_allowed(fields: Fields, level: int) -> bool:
        if level == 5:
            return False
        if fields.NextLevel == NEXT_DEFAULT:
            return True
        size_lg2 = sized_page_lg2(fields.ADDR)
        return size_lg2 is not None and x86.page_lg2(level) < size_lg2 < x86.page_lg2(level + 1)

    @staticmethod
    def _skipped_bits(fields: Fields, level: int, address: int) -> int:
        """Return the index bits of the levels between this one and the next table's."""
        below = address & ((1 << x86.page_lg2(level)) - 1)
        return below >> x86.page_lg2(fields.NextLevel)

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow ADDR to the table of NextLevel or into the page."""
        if not self._is_page(fields):
            return Next(fields.ADDR, fields.NextLevel - 1)
        size_lg2 = x86.page_lg2(level)
        if fields.NextLevel == NEXT_SIZED:
            size_lg2 = sized_page_lg2(fields.ADDR) or size_lg2
        offset = (1 << size_lg2) - 1
        return Page(fields.ADDR & ~offset | address & offset, size_lg2)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what IR and IW leave."""
        return host_rights(fields)

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge read and write."""
        return None if use.access in self.grants(rights) else Reason.DENIED

    def grants(self, rights: int) -> Access:
        """Allow execution with IR: an execute request is a read here."""
        return granted(rights)

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for what HAD wants."""
        flags = x86.ACCESSED if self.had in (1, 3) else 0
        if self.had == 3 and leaf and access is Access.WRITE:
            flags |= x86.DIRTY
        return flags

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the event of the walk."""
        return walk_event(reason)


def host_rights(fields: Fields) -> HostRights:
    """IR and IW of a v1 entry or a DTE."""
    rights = HostRights(0)
    if fields.IR:
        rights |= HostRights.IR
    if fields.IW:
        rights |= HostRights.IW
    return rights


def granted(rights: int) -> Access:
    """Return what IR and IW let a requester do; an execute request is a read."""
    granted = Access.NONE
    if rights & HostRights.IR:
        granted |= Access.READ | Access.EXEC
    if rights & HostRights.IW:
        granted |= Access.WRITE
    return granted


# ---------------------------------------------------------------- guest tables, v2 (2.2.6)


class GuestTables(x86.LongMode):
    """v2 tables; ``signed``: addresses are canonical, else their upper bits are 0."""

    layouts = V2

    def __init__(self, root: int, levels: int, through: Paging | None, signed: bool) -> None:
        super().__init__(root, levels, through)
        self.signed = signed

    def takes(self, address: int) -> bool:
        """Take canonical addresses, or with PASID 0 those without upper bits."""
        if self.signed:
            return self.canonical(address)
        return not address >> x86.page_lg2(self.levels)

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the event of the walk."""
        return walk_event(reason)
