"""VMSAv8-64: the tables of Arm's stage 1 and stage 2, with granules of 4, 16 and 64 KiB.

Sources:
- Arm DDI 0487 (Arm architecture, A-profile): D8.2 (walks), D8.3 (descriptors), D8.4
  (permissions), D8.5 (access flag and dirty state), as read by QEMU 10.2 ``target/arm/ptw.c`` and
  Linux 7.2 ``drivers/iommu/io-pgtable-arm.c``.
- Arm IHI 0070, 3.13 and 7.3.12 to 7.3.16, for what an SMMU makes of them.
- ``docs/walk_smmuv3.md`` where these are silent.

The vendor counts levels from the top, 3 the last; :func:`vendor_level` converts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntFlag
from functools import cache

from iommu_abi.schemas.entries import Bits, Fields, Layout, bit, bits, ignored, pointer
from iommu_abi.schemas.plain import Next, Page, Paging, Use
from iommu_abi.terms import Access, Purpose, Reason, Stage

# ---------------------------------------------------------------- descriptors (D8.3)

AF = 1 << 10
S1_READ_ONLY = 1 << 7
S2_WRITABLE = 1 << 7
VALID_TABLE = 3


def vendor_level(level: int) -> int:
    """Return the vendor's number of a level; the same function converts back."""
    return 3 - level


class Kind(Enum):
    """What a descriptor is."""

    INVALID = "invalid descriptor"
    TABLE = "table descriptor"
    BLOCK = "block descriptor"
    PAGE = "page descriptor"


@dataclass(frozen=True, slots=True)
class Granule:
    """Tables of 2^lg2 bytes. ``wide``: addresses have 52 bits, of which 51:48 lie in 15:12."""

    lg2: int
    wide: bool = False

    @property
    def index_lg2(self) -> int:
        """Bits of input that a full table resolves."""
        return self.lg2 - 3

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return self.lg2 + self.index_lg2 * level

    def levels(self, input_lg2: int) -> int:
        """Return the levels that an input of 2^input_lg2 bytes needs."""
        return -(-(input_lg2 - self.lg2) // self.index_lg2)

    def has_block(self, level: int) -> bool:
        """Whether entries of ``level`` may map blocks."""
        if self.lg2 == 12:
            return level in (1, 2)
        return level == 1 or (level == 2 and self.wide)

    def kind(self, level: int, raw: int) -> Kind:
        """Tell what a descriptor is: by bits 1:0, and what its level allows."""
        if not raw & 1:
            return Kind.INVALID
        if raw & 2:
            return Kind.TABLE if level else Kind.PAGE
        return Kind.BLOCK if self.has_block(level) else Kind.INVALID


#: Of a table that tells nothing of its granule.
DEFAULT_GRANULE = Granule(12)

_START = (bit(0, "VALID"), bit(1, "TYPE", "table or page"))
_S1_ATTRIBUTES = (
    *_START,
    bits(4, 2, "AttrIndx", "memory type"),
    bit(5, "NS"),
    bit(6, "AP1", "unprivileged access"),
    bit(7, "AP2", "read-only"),
    bits(9, 8, "SH"),
    bit(10, "AF", "accessed"),
    bit(11, "nG", "not global"),
)
_S1_END = (
    ignored(49, 48),
    bit(50, "GP"),
    bit(51, "DBM", "writable if clean"),
    bit(52, "Contiguous"),
    bit(53, "PXN", "no privileged execution"),
    bit(54, "UXN", "no unprivileged execution (EL2: none)"),
    ignored(63, 55),
)
_S2_ATTRIBUTES = (
    *_START,
    bits(5, 2, "MemAttr", "memory type; 0 to 3: Device"),
    bits(7, 6, "S2AP", "rights", {0: "none", 1: "read", 2: "write", 3: "read and write"}),
    bits(9, 8, "SH"),
    bit(10, "AF", "accessed"),
    bit(11, "FnXS"),
)
_S2_END = (
    ignored(50, 48),
    bit(51, "DBM", "writable if clean"),
    bit(52, "Contiguous"),
    bits(54, 53, "XN", "execution", {0: "all", 1: "unprivileged", 2: "none", 3: "privileged"}),
    ignored(63, 55),
)
_S1_TABLE_END = (
    ignored(58, 48),
    bit(59, "PXNTable", "no privileged execution below"),
    bit(60, "UXNTable", "no unprivileged execution below (EL2: none)"),
    bit(61, "APTable0", "no unprivileged access below"),
    bit(62, "APTable1", "read-only below"),
    bit(63, "NSTable"),
)

#: Neither a table nor a page or block.
INVALID = Layout("invalid descriptor", 8, bit(0, "VALID"), bit(1, "TYPE"), ignored(63, 2))


def _address(granule: Granule, first: int) -> tuple[Bits, ...]:
    """Bits 47:12 of a descriptor: an address from bit ``first`` up."""
    high = (bits(15, 12, "ADDR_51_48", "bits 51:48 of ADDR"),) if granule.wide else ()
    start = 16 if granule.wide else 12
    unused = (ignored(first - 1, start),) if first > start else ()
    return (*high, *unused, pointer(47, first, "ADDR"))


@cache
def descriptor_layout(stage: int, granule: Granule, level: int, kind: Kind) -> Layout:
    """Return the layout of a descriptor of ``stage`` 1 or 2."""
    if kind is Kind.INVALID:
        return INVALID
    name = f"stage-{stage} {kind.value}, {1 << granule.lg2 - 10} KiB granule"
    start, end = _around_address(stage, kind)
    first = granule.lg2 if kind is Kind.TABLE else granule.page_lg2(level)
    return Layout(name, 8, *start, *_address(granule, first), *end)


def _around_address(stage: int, kind: Kind) -> tuple[tuple[Bits, ...], tuple[Bits, ...]]:
    """Bits 11:0 and 63:48 of a descriptor."""
    if kind is Kind.TABLE:
        return (*_START, ignored(11, 2)), _S1_TABLE_END if stage == 1 else (ignored(63, 48),)
    return (_S1_ATTRIBUTES, _S1_END) if stage == 1 else (_S2_ATTRIBUTES, _S2_END)


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
    may be larger than a granule: that is concatenation. ``affd``, ``ha`` and ``hd``: no
    access-flag faults, hardware sets AF, and keeps the dirty state.
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

    def flag_controls(self, affd: int, ha: int, hd: int) -> None:
        """Take the three controls of a CD or STE; HD without HA is as neither (5.4, HA)."""
        self.affd, self.ha, self.hd = bool(affd), bool(ha), bool(ha and hd)

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

    def _kind(self, fields: Fields, level: int) -> Kind:
        return self.granule.kind(level, fields.VALID | fields.TYPE << 1)

    def _address(self, fields: Fields) -> int:
        return fields.ADDR | (fields.ADDR_51_48 << 48 if self.granule.wide else 0)

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at the kind of the descriptor, then at the size of its address."""
        if self._kind(fields, level) is Kind.INVALID:
            return Reason.NOT_PRESENT
        if self._address(fields) >> self.output_lg2:
            return Reason.OUTPUT_RANGE
        return None

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow the address to the next table or into the page or block."""
        if self._kind(fields, level) is Kind.TABLE:
            return Next(self._address(fields), level - 1)
        size_lg2 = self.granule.page_lg2(level)
        return Page(self._address(fields) | address & ((1 << size_lg2) - 1), size_lg2)

    def access_flag_problem(self, fields: Fields) -> bool:
        """Return True for a page whose AF is clear and stays so."""
        return not (fields.AF or self.affd or self.ha)

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for AF."""
        return AF if leaf and self.ha else 0

    def dirties(self, fields: Fields, access: Access, leaf: bool) -> bool:
        """Whether an access makes a writable-clean page writable-dirty."""
        return bool(self.hd and leaf and access is Access.WRITE and fields.DBM)

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
    """What a CD says of the lower or the upper half of the addresses. Granule 0: reserved."""

    upper: bool
    size: int  # TxSZ
    granule_lg2: int
    table: int
    tbi: int
    had: int
    e0pd: int


class Stage1(Tables):
    """Stage 1 of a request: the tables of the half that bit 55 of its address names.

    ``el2``: one range, no unprivileged requests. ``hierarchical``: table descriptors take
    rights. ``wxn`` and ``pan`` as in the CD.
    """

    stage = Stage.S1
    number = 1
    all_rights = Stage1Rights(15)

    def __init__(self, half: Half, granule: Granule, output_lg2: int, through: Paging | None) -> None:
        input_lg2 = 64 - half.size
        super().__init__(half.table, granule, input_lg2, granule.levels(input_lg2), output_lg2, through)
        self.upper = half.upper
        self.tbi = bool(half.tbi)
        self.privileged = False
        self.el2 = False
        self.hierarchical = True
        self.wxn = False
        self.pan = False

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
        if self._executes(rights) and not (self.wxn and Access.WRITE in granted):
            granted |= Access.EXEC
        return granted

    def _data(self, rights: int) -> Access:
        if self._no_data(bool(rights & Stage1Rights.UNPRIVILEGED)):
            return Access.NONE
        return Access.READ | Access.WRITE if rights & Stage1Rights.WRITE else Access.READ

    def _no_data(self, unprivileged: bool) -> bool:
        """Whether AP[1] keeps the unprivileged away, or PAN the privileged."""
        if self.el2:
            return False
        return unprivileged and self.pan if self.privileged else not unprivileged

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
    """Stage 2 of a request. ``xnx``: execution by privilege. ``ptw``: no walks in Device memory."""

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
        is_device = fields.MemAttr >> 2 == 0
        if self.ptw and is_device and use.purpose is not Purpose.DATA:
            return Reason.DENIED
        return None if use.access in self.grants(rights) else Reason.DENIED

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
