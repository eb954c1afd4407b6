"""VMSAv8-64: the tables of Arm's stage 1 and stage 2, with granules of 4, 16 and 64 KiB.

Sources:
- Arm DDI 0487 (Arm architecture, A-profile): D8.2 (walks), D8.3 (descriptors), D8.4
  (permissions), D8.5 (access flag and dirty state), D8.6.6 (FWB), J1.1.4 (the same as pseudocode).
- Arm IHI 0070, 3.13 and 7.3.12 to 7.3.16, for what an SMMU makes of them.
- ``docs/walk_smmuv3.md`` where these are silent.

The descriptors are in ``vmsa_entries``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import Next, Page, Paging, Use
from iommu_abi.schemas.vmsa_entries import (
    AF,
    S1_READ_ONLY,
    S2_WRITABLE,
    Descriptor,
    Granule,
    descriptor_layout,
)
from iommu_abi.terms import Access, Purpose, Reason, Stage

# ---------------------------------------------------------------- events

F_WALK_EABT = 0x0B
F_TRANSLATION = 0x10
F_ADDR_SIZE = 0x11
F_ACCESS = 0x12
F_PERMISSION = 0x13

_EVENTS = {
    Reason.UNREADABLE: F_WALK_EABT,
    Reason.INPUT_RANGE: F_TRANSLATION,
    Reason.NOT_PRESENT: F_TRANSLATION,
    Reason.OUTPUT_RANGE: F_ADDR_SIZE,
    Reason.ACCESS_FLAG: F_ACCESS,
    Reason.DENIED: F_PERMISSION,
    Reason.PRIVILEGE: F_PERMISSION,
    Reason.UPDATE_DENIED: F_PERMISSION,
}

# ---------------------------------------------------------------- tables of both stages (D8.2)


class Tables(Paging):
    """VMSAv8-64 tables.

    ``input_lg2`` and ``output_lg2`` are the widths of what they take and give. The top table
    may be larger than a granule: that is concatenation. ``affd``, ``ha``, ``hd`` and ``haft``: no
    access-flag faults; hardware sets AF, keeps the dirty state, and sets AF of tables too.
    Without ``marks_dirty`` clean pages are writable as ever, but stay clean.
    """

    number: int

    def __init__(
        self,
        root: int,
        granule: Granule,
        input_lg2: int,
        levels: int,
        output_lg2: int,
        through: Paging | None,
    ) -> None:
        self.granule = granule
        self.input_lg2 = input_lg2
        self.output_lg2 = output_lg2
        self.through = through
        self.top = levels - 1
        self.top_index_lg2 = input_lg2 - granule.page_lg2(self.top)
        # Bits below the table's size are taken for 0; 52-bit addresses leave no bits 5:4.
        self.root = root & -max(8 << self.top_index_lg2, 64 if output_lg2 == 52 else 8)
        self.affd = False
        self.ha = False
        self.hd = False
        self.haft = False
        self.marks_dirty = True

    def flag_controls(self, affd: int, ha: int, hd: int, haft: int) -> None:
        """Take the controls of a CD or STE; HD and HAFT without HA do nothing (5.4, HA; D8.5.1.3)."""
        self.affd, self.ha = bool(affd), bool(ha)
        self.hd, self.haft = bool(ha and hd), bool(ha and haft)

    def start(self, address: int) -> tuple[int, int]:
        """Begin at the root, whatever the address."""
        return self.root, self.top

    def takes(self, address: int) -> bool:
        """Take addresses of ``input_lg2`` bits."""
        return not address >> self.input_lg2

    def entry_address(self, table: int, level: int, address: int) -> int:
        """Index a table; the top one may have fewer or more entries than the others."""
        index_lg2 = self.top_index_lg2 if level == self.top else self.granule.index_lg2
        return table + 8 * (address >> self.granule.page_lg2(level) & ((1 << index_lg2) - 1))

    def decode(self, data: bytes, level: int) -> Fields:
        """Choose the layout by granule, level and bits 1:0."""
        kind = self.granule.kind(level, data[0])
        return descriptor_layout(self.number, self.granule, level, kind).parse(data)

    def _kind(self, fields: Fields, level: int) -> Descriptor:
        return self.granule.kind(level, fields.VALID | fields.TYPE << 1)

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at the kind of the descriptor, then at the size of its address."""
        if self._kind(fields, level) is Descriptor.INVALID:
            return Reason.NOT_PRESENT
        if self.granule.address(fields) >> self.output_lg2:
            return Reason.OUTPUT_RANGE
        return None

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow the address to the next table or into the page or block."""
        if self._kind(fields, level) is Descriptor.TABLE:
            return Next(self.granule.address(fields), level - 1)
        size_lg2 = self.granule.page_lg2(level)
        return Page(self.granule.address(fields) | address & ((1 << size_lg2) - 1), size_lg2)

    def access_flag_problem(self, fields: Fields) -> bool:
        """Return True for a page whose AF is clear and stays so."""
        return not (fields.AF or self.affd or self.ha)

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for AF; tables have one with HAFT."""
        return AF if self.haft or (leaf and self.ha) else 0

    def dirties(self, fields: Fields, access: Access, leaf: bool) -> bool:
        """Whether an access makes a writable-clean page writable-dirty."""
        return bool(self.marks_dirty and self.hd and leaf and access is Access.WRITE and fields.DBM)

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the event."""
        return _EVENTS[reason]


# ---------------------------------------------------------------- stage 1 (D8.4, CD)


class Stage1Rights(IntFlag):
    """What is ANDed over the levels."""

    UNPRIVILEGED = 1
    WRITE = 2
    PRIVILEGED_EXEC = 4
    UNPRIVILEGED_EXEC = 8


@dataclass(frozen=True, slots=True)
class Half:
    """What a CD says of the lower or the upper half of the addresses; a granule of 2^0: reserved."""

    upper: bool
    size: int  # TxSZ
    granule: Granule
    table: int
    tbi: int
    had: int
    e0pd: int


class Stage1(Tables):
    """Stage 1 of a request: the tables of the half that bit 55 of its address names.

    ``el2``: one range, no unprivileged requests. ``hierarchical``: table descriptors take
    rights. ``wxn``, ``pan`` and ``epan`` as in the CD.
    """

    stage = Stage.S1
    number = 1
    all_rights = Stage1Rights(15)

    def __init__(self, half: Half, output_lg2: int, through: Paging | None) -> None:
        input_lg2, granule = 64 - half.size, half.granule
        super().__init__(half.table, granule, input_lg2, granule.levels(input_lg2), output_lg2, through)
        self.upper = half.upper
        self.tbi = bool(half.tbi)
        self.privileged = False
        self.el2 = False
        self.hierarchical = True
        self.wxn = False
        self.pan = False
        self.epan = False

    def takes(self, address: int) -> bool:
        """Take addresses whose upper bits, but for an ignored top byte, are all those of the half."""
        last = 55 if self.tbi else 63
        upper_bits = (address & ((1 << last + 1) - 1)) >> self.input_lg2
        return upper_bits == ((1 << last + 1 - self.input_lg2) - 1 if self.upper else 0)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what APTable, PXNTable and UXNTable leave, or AP, PXN and UXN."""
        if leaf:
            read_only = fields.AP2 and not (self.hd and fields.DBM)
            return self._left(not fields.AP1, bool(read_only), fields.PXN, fields.UXN)
        if not self.hierarchical:
            return self.all_rights
        return self._left(fields.APTable0, fields.APTable1, fields.PXNTable, fields.UXNTable)

    @staticmethod
    def _left(privileged_only: int, read_only: int, pxn: int, uxn: int) -> Stage1Rights:
        rights = Stage1Rights(15)
        if privileged_only:
            rights &= ~Stage1Rights.UNPRIVILEGED
        if read_only:
            rights &= ~Stage1Rights.WRITE
        if pxn:
            rights &= ~Stage1Rights.PRIVILEGED_EXEC
        if uxn:
            rights &= ~Stage1Rights.UNPRIVILEGED_EXEC
        return rights

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge AF, then the rights."""
        if self.access_flag_problem(fields):
            return Reason.ACCESS_FLAG
        if use.access in self.grants(rights):
            return None
        is_supervisors = not rights & Stage1Rights.UNPRIVILEGED and not self.privileged
        return Reason.PRIVILEGE if is_supervisors and use.access is not Access.EXEC else Reason.DENIED

    def grants(self, rights: int) -> Access:
        """Allow data as AP and PAN say, execution as PXN, UXN and WXN do."""
        granted = self._data(rights)
        if self._executes(rights) and not (self.wxn and self._writes(rights)):
            granted |= Access.EXEC
        return granted

    def _writes(self, rights: int) -> bool:
        """Whether AP lets the requester write; PAN is not asked, as it is of data (table D8-65)."""
        by_ap = Stage1Rights.WRITE
        if not self.el2 and not self.privileged:
            by_ap |= Stage1Rights.UNPRIVILEGED
        return rights & by_ap == by_ap

    def _data(self, rights: int) -> Access:
        if self._no_data(rights):
            return Access.NONE
        return Access.READ | Access.WRITE if rights & Stage1Rights.WRITE else Access.READ

    def _no_data(self, rights: int) -> bool:
        """Whether AP[1] keeps the unprivileged away, or PAN the privileged (J1.1.4.28)."""
        if self.el2:
            return False
        if not self.privileged:
            return not rights & Stage1Rights.UNPRIVILEGED
        theirs = Stage1Rights.UNPRIVILEGED
        if self.epan:
            theirs |= Stage1Rights.UNPRIVILEGED_EXEC
        return self.pan and bool(rights & theirs)

    def _executes(self, rights: int) -> bool:
        if self.el2 or not self.privileged:
            return bool(rights & Stage1Rights.UNPRIVILEGED_EXEC)
        # What the unprivileged may write, the privileged may not execute.
        writable = Stage1Rights.UNPRIVILEGED | Stage1Rights.WRITE
        return bool(rights & Stage1Rights.PRIVILEGED_EXEC) and rights & writable != writable

    def clears(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Clear AP[2] of a page that becomes dirty."""
        return S1_READ_ONLY if self.dirties(fields, access, leaf) else 0


# ---------------------------------------------------------------- stage 2 (D8.4, STE)


class Stage2Rights(IntFlag):
    """What a page leaves; stage-2 tables take no rights."""

    READ = 1
    WRITE = 2
    EXEC = 4


#: Whom XN[1:0] of IDR3.XNX allows to execute: the unprivileged, the privileged.
_XN = {0: (True, True), 1: (True, False), 2: (False, False), 3: (False, True)}


class Stage2(Tables):
    """Stage 2 of a request.

    ``xnx``: execution by privilege. ``ptw``: no walks in Device memory, which ``fwb`` tells otherwise.
    """

    stage = Stage.S2
    number = 2
    all_rights = Stage2Rights(7)

    def __init__(
        self, root: int, granule: Granule, input_lg2: int, levels: int, output_lg2: int, xnx: bool
    ) -> None:
        super().__init__(root, granule, input_lg2, levels, output_lg2, None)
        self.privileged = False
        self.xnx = xnx
        self.ptw = False
        self.fwb = False

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what S2AP and XN leave."""
        if not leaf:
            return self.all_rights
        rights = Stage2Rights(0)
        if fields.S2AP & 1:
            rights |= Stage2Rights.READ
        if fields.S2AP & 2 or (self.hd and fields.DBM):
            rights |= Stage2Rights.WRITE
        if _XN[fields.XN][self.privileged] if self.xnx else not fields.XN & 2:
            rights |= Stage2Rights.EXEC
        return rights

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge AF, then the memory type of what a walk reads, then the rights."""
        if self.access_flag_problem(fields):
            return Reason.ACCESS_FLAG
        if self.ptw and self._is_device(fields) and use.purpose is not Purpose.DATA:
            return Reason.DENIED
        return None if use.access in self.grants(rights) else Reason.DENIED

    def _is_device(self, fields: Fields) -> bool:
        return not fields.MemAttr & 4 if self.fwb else fields.MemAttr >> 2 == 0

    def grants(self, rights: int) -> Access:
        """Allow each right by itself."""
        granted = Access.NONE
        if rights & Stage2Rights.READ:
            granted |= Access.READ
        if rights & Stage2Rights.WRITE:
            granted |= Access.WRITE
        if rights & Stage2Rights.EXEC:
            granted |= Access.EXEC
        return granted

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for AF, and for S2AP[1] of a page that becomes dirty."""
        dirty = S2_WRITABLE if self.dirties(fields, access, leaf) else 0
        return super().flags(fields, access, leaf) | dirty
