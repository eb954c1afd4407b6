"""Intel VT-d: the first and the second stage, as one request sees them.

Sources: revision 5.10, 3.6 to 3.10 (the walks, rights, flags, snooping), 7.1.3 (codes), 9.7, 9.8
(entries) and its revision history; revision 2.x, 3.6 to 3.8, for extended mode.
"""

from __future__ import annotations

from enum import IntFlag

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import Found, Next, Page, Paging, Use
from iommu_abi.schemas.vtd_entries import FIRST_STAGE, second_stage_layout
from iommu_abi.schemas.vtd_unit import VtdUnit
from iommu_abi.terms import Access, Purpose, Reason, Stage

# ---------------------------------------------------------------- first stage (3.6)


class FirstStage(x86.LongMode):
    """The first stage; without numbers for its faults, and always snooped: that of extended mode."""

    layouts = FIRST_STAGE

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give no code: none of revision 2.x is known."""
        return 0


class ScalableFirstStage(FirstStage):
    """The first stage with the codes of SFS and SGN.

    ``snooped``: walks snoop the processors' caches, so that hardware may set flags.
    """

    snooped = True

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of SFS and SGN."""
        if reason is Reason.UNREADABLE:
            return 0x73 if level == self.top else 0x70
        if reason is Reason.DENIED:
            return 0x85 if use.access is Access.WRITE else 0x82
        return {
            Reason.INPUT_RANGE: 0x80,
            Reason.NOT_PRESENT: 0x71,
            Reason.RESERVED: 0x72,
            Reason.PRIVILEGE: 0x81,
        }[reason]

    def forbids_updates(self, level: int, use: Use) -> int | None:
        """Set flags in entries that are snooped only (3.10; SFS.9)."""
        return None if self.snooped else 0x90


def configured(first: FirstStage, unit: VtdUnit, controls: Fields, privileged: bool) -> None:
    """Give a first stage the controls of its context or PASID entry, which have the same names."""
    first.privileged = privileged
    first.executes = bool(controls.ERE)
    first.write_protect = bool(controls.WPE)
    first.no_execute = bool(controls.NXE)
    first.smep = bool(controls.SMEP)
    first.one_gib = bool(unit.cap.FL1GP)
    first.address_lg2 = unit.haw
    if controls.EAFE:
        first.sets_always |= x86.EXTENDED_ACCESSED


# ---------------------------------------------------------------- second stage (3.7)


class SecondStageRights(IntFlag):
    """What is ANDed over the levels."""

    R = 1
    W = 2
    X = 4


READ_WRITE = SecondStageRights.R | SecondStageRights.W


class SecondStage(Paging):
    """The second stage of a request.

    ``input_lg2`` is log2 of the first address that it cannot take. ``executes``: whether this
    requester may execute at all; ``slee``: whether that needs X. ``slade``: hardware keeps A/D flags.
    """

    stage = Stage.S2
    all_rights = READ_WRITE | SecondStageRights.X

    def __init__(self, unit: VtdUnit, root: int, aw: int) -> None:
        self.root = root
        self.top = aw + 1
        self.input_lg2 = unit.second_stage_limit_lg2(aw)
        self.page_levels = {0} | {level for level in (1, 2) if unit.cap.SLLPS >> (level - 1) & 1}
        self.haw = unit.haw
        self.snoop = bool(unit.ecap.SC)
        self.transient = bool(unit.ecap.DT) and not unit.since(3, 2)
        self.io_rights = False
        self.executes = False
        self.slee = False
        self.slade = False
        #: Rights of the leaf that was judged last: what is missing decides the code.
        self.judged = 0

    def start(self, address: int) -> tuple[int, int]:
        """Begin at the root, whatever the address."""
        return self.root, self.top

    def takes(self, address: int) -> bool:
        """Take addresses below min(MGAW, AGAW)."""
        return not address >> self.input_lg2

    def entry_address(self, table: int, level: int, address: int) -> int:
        """Index a table of 512 entries by nine bits of the address."""
        return table + 8 * (address >> x86.page_lg2(level) & 0x1FF)

    def decode(self, data: bytes, level: int) -> Fields:
        """Choose the layout by level and PS."""
        return second_stage_layout(level, int.from_bytes(data, "little")).parse(data)

    def _reads(self, fields: Fields) -> int:
        return fields.IR if self.io_rights else fields.R

    def _writes(self, fields: Fields) -> int:
        return fields.IW if self.io_rights else fields.W

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at the rights, then at reserved bits, HAW and page sizes."""
        if not self._reads(fields) and not self._writes(fields):
            return Reason.NOT_PRESENT
        is_page = x86.is_page(level, fields)
        layout = second_stage_layout(level, x86.PAGE_SIZE_BIT if is_page else 0)
        if layout.has_reserved_bits(fields) or fields.ADDR >> self.haw:
            return Reason.RESERVED
        if fields.IW and not self.io_rights and not (is_page and self.transient):
            return Reason.RESERVED
        if is_page and (level not in self.page_levels or (fields.SNP and not self.snoop)):
            return Reason.RESERVED
        return None

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow ADDR to the next table or into the page."""
        if not x86.is_page(level, fields):
            return Next(fields.ADDR, level - 1)
        size_lg2 = x86.page_lg2(level)
        return Page(fields.ADDR | address & ((1 << size_lg2) - 1), size_lg2)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what the entry grants."""
        rights = SecondStageRights(0)
        if self._reads(fields):
            rights |= SecondStageRights.R
        if self._writes(fields):
            rights |= SecondStageRights.W
        if fields.X:
            rights |= SecondStageRights.X
        return rights

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge read, write and execute; with A/D flags, entries of the first stage need both (3.8.1)."""
        self.judged = rights
        if use.purpose is Purpose.S1_ENTRY and self.slade and not rights & SecondStageRights.W:
            return Reason.DENIED
        return None if use.access in self.grants(rights) else Reason.DENIED

    def grants(self, rights: int) -> Access:
        """Allow execution with R, and with X where SLEE asks for it."""
        granted = Access.NONE
        if rights & SecondStageRights.R:
            granted |= Access.READ
        if rights & SecondStageRights.W:
            granted |= Access.WRITE
        if self.executes and rights & SecondStageRights.R and (rights & SecondStageRights.X or not self.slee):
            granted |= Access.EXEC
        return granted

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for A, and for D in the leaf of a write, where SLADE is set."""
        if not self.slade:
            return 0
        return 1 << 8 | (1 << 9 if leaf and access is Access.WRITE else 0)

    def lets_update(self, page: Found) -> bool:
        """Let flags of the first stage be set where reads and writes are allowed (3.8.1).

        With flags of this stage the entry could not even have been read else.
        """
        return self.slade or (Access.WRITE in page.grants and Access.READ in page.grants)


class UnscaledSecondStage(SecondStage):
    """With the codes of legacy and extended mode; ``bad_root`` is that of an unreadable top table."""

    bad_root = 0x3

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of LGN and LSS."""
        if reason is Reason.INPUT_RANGE:
            return 0x4
        if reason is Reason.UNREADABLE:
            return self.bad_root if level == self.top else 0x7
        if reason is Reason.RESERVED:
            return 0xC
        return 0x5 if use.access is Access.WRITE else 0x6


class ScalableSecondStage(SecondStage):
    """With the codes of scalable mode.

    ``first_top`` is the top level of the first stage, -1 where there is none. ``snooped`` as in the
    first stage. ``one_code``: there is one code for a page that nobody may use (SSS.2 since 5.0).
    ``checks_entries``: addresses beyond the limit are a fault of the entry that has them (SFS.5 since 4.1).
    """

    first_top = -1
    snooped = True
    one_code = False
    checks_entries = False

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of SSS, SGN and, where the first stage is at work, SFS."""
        if reason is Reason.INPUT_RANGE:
            return self._beyond(use)
        if reason is Reason.UNREADABLE:
            return 0x7B if level == self.top else 0x78
        if reason is Reason.DENIED:
            return self._denied(use)
        return {Reason.NOT_PRESENT: 0x79, Reason.RESERVED: 0x7A, Reason.UPDATE_DENIED: 0x77}[reason]

    def _beyond(self, use: Use) -> int:
        if use.purpose is Purpose.S1_ENTRY:
            return 0x73 if use.for_level == self.first_top else 0x74
        return 0x74 if self.first_top >= 0 and self.checks_entries else 0x84

    def _denied(self, use: Use) -> int:
        if self.one_code and not self.judged & READ_WRITE:
            return 0x79
        if use.purpose is Purpose.S1_ENTRY:
            return self._entry_denied(use.for_level)
        return {Access.READ: 0x86, Access.WRITE: 0x85, Access.EXEC: 0x82}[use.access]

    def _entry_denied(self, for_level: int) -> int:
        if self.judged & SecondStageRights.R:
            return 0x77  # W is missing
        return 0x75 if for_level == self.first_top else 0x76

    def forbids_updates(self, level: int, use: Use) -> int | None:
        """Set flags in entries that are snooped only (3.10; SSS.5)."""
        return None if self.snooped else 0x7C
