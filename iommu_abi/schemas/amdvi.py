"""AMD-Vi: the table entries, and the plain walk of host (v1), guest (v2) and nested tables.

Sources:
- AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.2.2 (device
  table), 2.2.3 (host page tables), 2.2.6 (guest tables), 2.5 (events), 3.4 (registers); as
  read by Linux 7.2 ``drivers/iommu/amd`` and ``drivers/iommu/generic_pt/fmt/amdv1.h``.
- Where Linux does not look: VirtualBox's model (``DevIommuAmd.cpp``, ``iommu-amd.h``), and what
  illumos (``amd_iommu_log.c``) and FreeBSD (``amdvi_priv.h``) say of events.
- ``docs/walk.md`` where these are silent.

In this file the vendor's words are used: host tables (v1) are stage 2, guest tables (v2)
stage 1, the GCR3 table is the PASID table, GPA = SPA where there is no host table. The
vendor counts levels from 1; our level is one less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntFlag

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Fields, Layout, bit, bits, ignored, pointer, reserved, word
from iommu_abi.schemas.plain import (
    PAGE_LG2,
    X86_INTERRUPTS,
    Fetched,
    Format,
    Next,
    Page,
    Paging,
    Step,
    Stop,
    Translator,
    Use,
    Walk,
    without,
)
from iommu_abi.terms import Access, At, Fault, Reason, Ref, Stage, Target, Translation

# ---------------------------------------------------------------- registers (3.4)

DEVTAB_BASE = Layout(
    "Device Table Base Address Register",
    8,
    bits(8, 0, "Size", "4 KiB pages of the table - 1"),
    ignored(11, 9),
    pointer(51, 12, "DevTabBase", "device table, SPA"),
    ignored(63, 52),
)
CONTROL = Layout(
    "IOMMU Control Register",
    8,
    bit(0, "IommuEn", "the IOMMU is on"),
    ignored(15, 1),
    bit(16, "GTEn", "guest translation is on"),
    ignored(47, 17),
    bit(48, "GDUpdateDis", "D of guest tables is not set"),
    ignored(53, 49),
    bit(54, "GAUpdateDis", "A of guest tables is not set"),
    ignored(57, 55),
    bit(58, "GCR3TRPMode", "the GCR3 root is a GPA"),
    ignored(63, 59),
)
EXT_FEATURES = Layout(
    "IOMMU Extended Feature Register",
    8,
    bit(0, "PreFSup"),
    bit(1, "PPRSup"),
    bit(2, "XTSup"),
    bit(3, "NXSup", "no-execute"),
    bit(4, "GTSup", "guest translation"),
    ignored(5),
    bit(6, "IASup"),
    bit(7, "GASup"),
    bit(8, "HESup"),
    bit(9, "PCSup"),
    bits(11, 10, "HATS", "host levels", {0: "4 levels", 1: "5 levels", 2: "6 levels", 3: "none"}),
    bits(13, 12, "GATS", "guest levels", {0: "4 levels", 1: "5 levels"}),
    bits(15, 14, "GLXSup", "largest GLX"),
    ignored(31, 16),
    bits(36, 32, "PASmax", "PASID bits - 1"),
    ignored(47, 37),
    bit(48, "GIoSup", "guest translation without PASID"),
    ignored(49),
    bit(50, "EPHSup", "enhanced handling of page requests"),
    ignored(63, 51),
)
#: Says what CONTROL may hold; the walk looks at CONTROL.
EXT_FEATURES2 = Layout(
    "IOMMU Extended Feature 2 Register", 8, ignored(2, 0), bit(3, "GCR3TRPMode"), ignored(63, 4)
)

#: What is assumed of a unit of which only the device table is known.
DEFAULT_CONTROL = CONTROL.value(IommuEn=1, GTEn=1, GCR3TRPMode=1)
DEFAULT_EXT_FEATURES = EXT_FEATURES.value(HATS=2, GTSup=1, NXSup=1, GIoSup=1, EPHSup=1, GLXSup=2, PASmax=19)

# ---------------------------------------------------------------- device table (2.2.2)

_HAD = {0: "no flags", 1: "A is set", 3: "A and D are set"}
_NO_HOST_LEVELS, _BAD_MODE = 0, 7
_MODE = {0: "no translation", **{mode: f"{mode} levels" for mode in range(1, 7)}}

#: Index: DeviceID. What is reserved in words 2 and 3 does not bear on translation.
DEVICE_TABLE_ENTRY = Layout(
    "device table entry",
    32,
    *word(
        0,
        bit(0, "V", "valid"),
        bit(1, "TV", "translation fields are valid"),
        reserved(6, 2),
        bits(8, 7, "HAD", "host A/D flags", _HAD),
        bits(11, 9, "Mode", "host levels", _MODE),
        pointer(51, 12, "HostPTRoot", "top host table, SPA"),
        bit(52, "PPR", "page requests"),
        bit(53, "GPRP", "PASID in responses"),
        bit(54, "GIoV", "requests without PASID use PASID 0"),
        bit(55, "GV", "guest translation"),
        bits(57, 56, "GLX", "GCR3 levels - 1"),
        bits(60, 58, "GCR3TRP_14_12", "GCR3 root"),
        bit(61, "IR", "reads allowed"),
        bit(62, "IW", "writes allowed"),
        reserved(63),
    ),
    *word(
        1,
        bits(15, 0, "DomainID", "domain"),
        bits(31, 16, "GCR3TRP_30_15", "GCR3 root"),
        bit(32, "I", "IOTLB (ATS)"),
        bit(33, "SE", "page faults after the first are not recorded"),
        bit(34, "SA", "page faults are not recorded"),
        bits(36, 35, "IoCtl", "port I/O"),
        bit(37, "Cache"),
        bit(38, "SD"),
        bit(39, "EX"),
        bits(41, 40, "SysMgt"),
        reserved(42),
        bits(63, 43, "GCR3TRP_51_31", "GCR3 root"),
    ),
    *word(
        2,
        bit(0, "IV", "interrupt fields are valid"),
        bits(4, 1, "IntTabLen"),
        bit(5, "IG"),
        pointer(51, 6, "IntTabRoot", "interrupt table, SPA"),
        ignored(53, 52),
        bits(55, 54, "GuestPagingMode", "guest levels", {0: "4 levels", 1: "5 levels"}),
        bit(56, "InitPass"),
        bit(57, "EIntPass"),
        bit(58, "NMIPass"),
        ignored(59),
        bits(61, 60, "IntCtl"),
        bit(62, "Lint0Pass"),
        bit(63, "Lint1Pass"),
    ),
    *word(
        3,
        ignored(53, 0),
        bit(54, "AttrV"),
        bit(55, "Mode0FC"),
        bits(63, 56, "SnoopAttribute"),
    ),
)

#: Feature of EXT_FEATURES -> the fields of a DTE that are reserved without it (VirtualBox,
#: IOMMU_DTE_QWORD_n_FEAT_*; the upper part of GCR3TRP is in no list there).
FEATURE_FIELDS = {
    "GTSup": ("GV", "GLX", "GCR3TRP_14_12", "GCR3TRP_30_15"),
    "GIoSup": ("GIoV",),
    "EPHSup": ("PPR", "GPRP"),
}

#: 2.2.6: an entry of a GCR3 table of any level.
GCR3_ENTRY = Layout(
    "GCR3 entry",
    8,
    bit(0, "V", "valid"),
    reserved(11, 1),
    pointer(51, 12, "ADDR", "next GCR3 table, or top guest table"),
    reserved(63, 52),
)

# ---------------------------------------------------------------- host tables, v1 (2.2.3)

NEXT_DEFAULT, NEXT_SIZED = 0, 7
_NEXT = {
    NEXT_DEFAULT: "page of the level's own size",
    NEXT_SIZED: "page, size in the address",
    **{level: f"table of level {level}" for level in range(1, 7)},
}
_V1_START = (
    bit(0, "PR", "present"),
    ignored(4, 1),
    bit(5, "A", "accessed, with HAD"),
    bit(6, "D", "dirty, with HAD"),
    ignored(8, 7),
    bits(11, 9, "NextLevel", "what ADDR is", _NEXT),
)
_V1_END = (bit(61, "IR", "reads allowed"), bit(62, "IW", "writes allowed"), ignored(63))

V1_TABLE = Layout(
    "v1 PDE", 8, *_V1_START, pointer(51, 12, "ADDR", "next table, SPA"), reserved(60, 52), *_V1_END
)
V1_PAGE = Layout(
    "v1 PTE",
    8,
    *_V1_START,
    pointer(51, 12, "ADDR", "page, SPA; with NextLevel 7 its size too"),
    reserved(58, 52),
    bit(59, "U"),
    bit(60, "FC", "force coherent"),
    *_V1_END,
)


def v1_layout(raw: int) -> Layout:
    """Return the layout of a v1 entry, which NextLevel decides."""
    return V1_PAGE if raw >> 9 & 7 in (NEXT_DEFAULT, NEXT_SIZED) else V1_TABLE


def sized_page_lg2(address: int) -> int | None:
    """log2 of the page that a NextLevel 7 entry maps: its address field is ...0111 for it.

    The first 0 from bit 12 up is at bit k, and the page has 2^(k+1) bytes. None if there is
    no 0.
    """
    for k in range(PAGE_LG2, 52):
        if not address >> k & 1:
            return k + 1
    return None


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
        return _host_rights(fields)

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge read and write."""
        return None if use.access in self.grants(rights) else Reason.DENIED

    def grants(self, rights: int) -> Access:
        """Allow execution with IR: an execute request is a read here."""
        return _granted(rights)

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for what HAD wants."""
        flags = x86.ACCESSED if self.had in (1, 3) else 0
        if self.had == 3 and leaf and access is Access.WRITE:
            flags |= x86.DIRTY
        return flags

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the event of the walk."""
        return _walk_event(reason)


def _host_rights(fields: Fields) -> HostRights:
    """IR and IW of a v1 entry or a DTE."""
    rights = HostRights(0)
    if fields.IR:
        rights |= HostRights.IR
    if fields.IW:
        rights |= HostRights.IW
    return rights


def _granted(rights: int) -> Access:
    granted = Access.NONE
    if rights & HostRights.IR:
        granted |= Access.READ | Access.EXEC
    if rights & HostRights.IW:
        granted |= Access.WRITE
    return granted


# ---------------------------------------------------------------- guest tables, v2 (2.2.6)

#: Long mode; bit 10 has no meaning.
V2 = x86.layouts(ignored(10))


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
        return _walk_event(reason)


# ---------------------------------------------------------------- events (2.5)

ILLEGAL_DEV_TABLE_ENTRY = 1
IO_PAGE_FAULT = 2
DEV_TAB_HARDWARE_ERROR = 3
PAGE_TAB_HARDWARE_ERROR = 4
INVALID_DEVICE_REQUEST = 8


class EventFlags(IntFlag):
    """Bits 59:48 of an IO_PAGE_FAULT event, shifted down."""

    GN = 1 << 0
    NX = 1 << 1
    US = 1 << 2
    I = 1 << 3  # noqa: E741, the vendor's name
    PR = 1 << 4
    RW = 1 << 5
    PE = 1 << 6
    RZ = 1 << 7
    TR = 1 << 8


def _walk_event(reason: Reason) -> int:
    return PAGE_TAB_HARDWARE_ERROR if reason is Reason.UNREADABLE else IO_PAGE_FAULT


_ABSENT = (Reason.NOT_PRESENT, Reason.ABORTED, Reason.RID_RANGE)
#: The page faults of a translation request that are recorded (2.1.3.2, as VirtualBox cites it).
_RECORDED_OF_TRANSLATIONS = (Reason.PRIVILEGE, Reason.RID_RANGE)
_PERMISSION = (Reason.DENIED, Reason.PRIVILEGE, Reason.UPDATE_DENIED)


# ---------------------------------------------------------------- the unit


class Amdvi(Translator):
    """One request at an AMD IOMMU."""

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.device_table = DEVTAB_BASE.of(self.register("DEVTAB_BASE"))
        self.control = CONTROL.of(self.register("CONTROL", DEFAULT_CONTROL))
        self.features = EXT_FEATURES.of(self.register("EXT_FEATURES", DEFAULT_EXT_FEATURES))
        self.page_faults_suppressed = False

    # Events.

    def finish(self, fault: Fault) -> Fault:
        """Note the flags of an IO_PAGE_FAULT, and whether it is recorded; other events always are."""
        if fault.native != IO_PAGE_FAULT:
            return fault
        recorded = not self.page_faults_suppressed
        if self.request.at is At.TRANSLATION:
            recorded = recorded and fault.reason in _RECORDED_OF_TRANSLATIONS
        return replace(fault, detail=int(self._flags(fault)), recorded=recorded)

    def _flags(self, fault: Fault) -> EventFlags:
        request = self.request
        chosen = {
            EventFlags.GN: fault.stage in (Stage.S1, Stage.PASID),
            EventFlags.NX: fault.reason is Reason.DENIED and request.access is Access.EXEC,
            EventFlags.US: fault.reason is Reason.PRIVILEGE,
            EventFlags.PR: self._is_present(fault),
            EventFlags.RW: request.access is Access.WRITE,
            EventFlags.PE: fault.reason in _PERMISSION,
            EventFlags.RZ: self._has_reserved_bits(fault),
            EventFlags.TR: request.at is At.TRANSLATION,
        }
        flags = EventFlags(0)
        for flag, on in chosen.items():
            flags |= flag if on else EventFlags(0)
        return flags

    @staticmethod
    def _is_present(fault: Fault) -> bool:
        """Whether the fault is of an entry that is present: also of one that skips levels wrongly."""
        if fault.reason is Reason.INPUT_RANGE:
            return fault.raw is not None
        return fault.reason not in _ABSENT

    @staticmethod
    def _has_reserved_bits(fault: Fault) -> bool:
        """Tell reserved bits from a level or page size that there is not, which only v1 entries have."""
        if fault.reason is not Reason.RESERVED or fault.raw is None:
            return False
        if fault.stage is not Stage.S2:
            return True
        layout = v1_layout(fault.raw)
        return layout.has_reserved_bits(layout.of(fault.raw))

    @staticmethod
    def _stop(reason: Reason, event: int, entry: Fetched) -> Stop:
        return Stop(reason, event, entry.place, entry)

    # The order of docs/walk.md.

    def translate(self) -> Translation:
        """Go by CONTROL, the device table entry, then the tables."""
        if not self.control.IommuEn:
            return self.untranslated()
        if self.request.pasid is None and self.request.iova in X86_INTERRUPTS:
            return self._interrupt()
        entry = self._device_entry()
        dte = DEVICE_TABLE_ENTRY.parse(entry.contents)
        self._check(entry, dte)
        self._check_ats(entry, dte)
        if not dte.V:
            return self.untranslated()
        if not dte.TV:
            raise self._stop(Reason.ABORTED, IO_PAGE_FAULT, entry)
        if self.request.at is At.TRANSLATED:
            return self.untranslated()
        self._check_access(entry, dte)
        self._check_mode(entry, dte)
        if self.request.pasid is not None and not dte.GV:
            raise self._stop(Reason.BLOCKED, INVALID_DEVICE_REQUEST, entry)
        if dte.GV and (self.request.pasid is not None or dte.GIoV):
            answer = self._guest(entry, dte)
        else:
            answer = self._host_alone(dte)
        # Without a PASID the interrupt range is not translated.
        return (
            answer
            if self.request.pasid is not None
            else without(answer, self.request.iova, X86_INTERRUPTS.start)
        )

    def _interrupt(self) -> Translation:
        """Let messages pass; what is none is an illegal request of type 0 or 1 (illumos)."""
        if self.request.access is not Access.WRITE or self.request.at is At.TRANSLATION:
            raise Stop(Reason.INTERRUPT_RANGE, INVALID_DEVICE_REQUEST, self.place(Stage.DEVICE))
        return replace(self.untranslated(Access.WRITE), target=Target.INTERRUPT)

    def _device_entry(self) -> Fetched:
        offset = 32 * self.request.rid
        if offset >= (self.device_table.Size + 1) << PAGE_LG2:
            raise Stop(Reason.RID_RANGE, IO_PAGE_FAULT, self.place(Stage.DEVICE))
        address = self.device_table.DevTabBase + offset
        return self.walk.fetch(self.place(Stage.DEVICE), address, 32, DEV_TAB_HARDWARE_ERROR)

    def _check(self, entry: Fetched, dte: Fields) -> None:
        """Judge the reserved bits of a valid entry, and of which features the unit has none."""
        if not dte.V:
            return
        self.page_faults_suppressed = bool(dte.SA)
        lacking = (
            name for feature, names in FEATURE_FIELDS.items() if not self.features[feature] for name in names
        )
        if DEVICE_TABLE_ENTRY.has_reserved_bits(dte) or any(dte[name] for name in lacking):
            raise self._stop(Reason.RESERVED, ILLEGAL_DEV_TABLE_ENTRY, entry)

    def _check_ats(self, entry: Fetched, dte: Fields) -> None:
        """Refuse translation requests with I, V or TV 0, translated requests with I or V 0 (illumos)."""
        needs = {
            At.UNTRANSLATED: True,
            At.TRANSLATION: dte.I and dte.V and dte.TV,
            At.TRANSLATED: dte.I and dte.V,
        }
        if not needs[self.request.at]:
            raise self._stop(Reason.BLOCKED, INVALID_DEVICE_REQUEST, entry)

    def _check_access(self, entry: Fetched, dte: Fields) -> None:
        if self.request.access not in _granted(_host_rights(dte)):
            raise self._stop(Reason.DENIED, IO_PAGE_FAULT, entry)

    def _check_mode(self, entry: Fetched, dte: Fields) -> None:
        most = 0 if self.features.HATS == 3 else self.features.HATS + 4
        if dte.Mode == _BAD_MODE or dte.Mode > most:
            raise self._stop(Reason.INVALID, IO_PAGE_FAULT, entry)

    # Host tables.

    def _host_tables(self, dte: Fields) -> HostTables | None:
        if dte.Mode == _NO_HOST_LEVELS:
            return None
        return HostTables(dte.HostPTRoot, dte.Mode, dte.HAD)

    def _host_alone(self, dte: Fields) -> Translation:
        tables = self._host_tables(dte)
        if tables is None:
            answer = self.untranslated(_granted(_host_rights(dte)))
        else:
            answer = self.walk.stages(None, tables, self.request.access)
        return replace(answer, access=answer.access & _granted(_host_rights(dte)) & ~Access.EXEC)

    # Guest tables.

    def _guest(self, entry: Fetched, dte: Fields) -> Translation:
        self._check_guest(entry, dte)
        pasid = self.request.pasid or 0
        if pasid >> 9 * (dte.GLX + 1) or pasid >> (self.features.PASmax + 1):
            raise self._stop(Reason.PASID_RANGE, IO_PAGE_FAULT, entry)
        host = self._host_tables(dte)
        guest = self._guest_tables(dte, self._gcr3(dte, pasid, host), pasid, host)
        execute_is_read = self.request.access is Access.EXEC and not self.features.NXSup
        access = Access.READ if execute_is_read else self.request.access
        answer = self.walk.stages(guest, host, access)
        return replace(answer, access=answer.access & _granted(_host_rights(dte)))

    def _check_guest(self, entry: Fetched, dte: Fields) -> None:
        supported = (
            self.control.GTEn
            and dte.GLX in range(min(2, self.features.GLXSup) + 1)
            and (dte.GuestPagingMode == 0 or (dte.GuestPagingMode == 1 and self.features.GATS != 0))
        )
        if not supported:
            raise self._stop(Reason.INVALID, ILLEGAL_DEV_TABLE_ENTRY, entry)

    def _gcr3(self, dte: Fields, pasid: int, host: Paging | None) -> int:
        """Return the root of the guest tables of a PASID."""
        table = gcr3_root(dte)
        through = host if self.control.GCR3TRPMode else None
        for level in range(dte.GLX, -1, -1):
            address = table + 8 * (pasid >> 9 * level & 0x1FF)
            place = self.place(Stage.PASID, level)
            entry = self.walk.fetch(place, address, 8, PAGE_TAB_HARDWARE_ERROR, through)
            fields = GCR3_ENTRY.parse(entry.contents)
            if not fields.V:
                raise self._stop(Reason.NOT_PRESENT, IO_PAGE_FAULT, entry)
            if GCR3_ENTRY.has_reserved_bits(fields):
                raise self._stop(Reason.RESERVED, IO_PAGE_FAULT, entry)
            table, through = fields.ADDR, host
        return table

    def _guest_tables(self, dte: Fields, root: int, pasid: int, host: Paging | None) -> Paging:
        guest = GuestTables(root, 4 + dte.GuestPagingMode, host, signed=pasid != 0)
        guest.privileged = self.request.priv and self.request.pasid is not None
        guest.no_execute = guest.executes = bool(self.features.NXSup)
        guest.sets_always = 0 if self.control.GAUpdateDis else x86.ACCESSED
        guest.sets_on_write = 0 if self.control.GDUpdateDis else x86.DIRTY
        return guest


def gcr3_root(dte: Fields) -> int:
    """GCR3TRP, which a DTE holds in three pieces."""
    return dte.GCR3TRP_51_31 << 31 | dte.GCR3TRP_30_15 << 15 | dte.GCR3TRP_14_12 << 12


def gcr3_pieces(root: int) -> dict[str, int]:
    """Return the three fields of a DTE that hold GCR3TRP."""
    if root & 0xFFF or root >> 52:
        raise ValueError(f"a GCR3 root is a page below 2^52, not {root:#x}")
    return {
        "GCR3TRP_51_31": root >> 31,
        "GCR3TRP_30_15": root >> 15 & 0xFFFF,
        "GCR3TRP_14_12": root >> 12 & 7,
    }


# ---------------------------------------------------------------- entries in words


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.S1:
        return f"v2 {x86.NAMES[ref.level]}", x86.layout_of(V2, ref.level, ref.raw)
    if ref.stage is Stage.S2:
        layout = v1_layout(ref.raw)
        return f"{layout.name}, level {ref.level + 1}", layout
    if ref.stage is Stage.PASID:
        return f"GCR3 entry, level {ref.level + 1}", GCR3_ENTRY
    return DEVICE_TABLE_ENTRY.name, DEVICE_TABLE_ENTRY


FORMAT = Format(Amdvi, describe)
