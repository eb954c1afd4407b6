"""Intel VT-d: the plain walk in legacy, extended and scalable mode.

Sources:
- Intel Virtualization Technology for Directed I/O, specification 4.x: 3.4 to 3.8 (the walks),
  chapter 7 (fault reasons and the order of checks).
- Specification 2.x (2014 to 2018), 3.6 to 3.8, for extended mode (ECS), which later revisions
  dropped.
- ``docs/walk.md`` where these are silent.

In this file the vendor's words are used: first and second stage (older: level), root,
context, PASID directory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntFlag

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.plain import (
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
)
from iommu_abi.schemas.vtd_entries import (
    ABORT,
    CAP,
    CONTEXT_ENTRY,
    ECAP,
    EXTENDED,
    EXTENDED_CONTEXT_ENTRY,
    EXTENDED_PASID_ENTRY,
    EXTENDED_TYPES,
    FIRST,
    FIRST_STAGE,
    GSTS,
    LEGACY,
    NESTED,
    PASID_DIRECTORY_ENTRY,
    PASS_THROUGH,
    PGTT,
    ROOT_ENTRY,
    RTADDR,
    SCALABLE,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
    SCALABLE_ROOT_HALF,
    SECOND,
    second_stage_layout,
)
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage, Target, Translation

#: What is assumed of a unit of which only RTADDR is known.
DEFAULT_CAP = CAP.value(MGAW=47, SAGAW=1 << 2, SLLPS=3, FL1GP=1)
DEFAULT_ECAP = ECAP.value(SC=1, DT=1, PT=1, NEST=1, SRS=1, ERS=1, PASID=1, SMTS=1, SLTS=1, FLTS=1, PSS=19)
DEFAULT_GSTS = GSTS.value(TES=1)
LEAST_HAW, DEFAULT_HAW = 12, 52

# ---------------------------------------------------------------- first stage (3.6)


class FirstStage(x86.LongMode):
    """The first stage of a request; ``numbered`` is False where faults have no code (ECS)."""

    layouts = FIRST_STAGE

    def __init__(self, root: int, levels: int, through: Paging | None, numbered: bool) -> None:
        super().__init__(root, levels, through)
        self.numbered = numbered

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of SFL and SGN."""
        if not self.numbered:
            return 0
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


# ---------------------------------------------------------------- second stage (3.7)


class SecondStageRights(IntFlag):
    """What is ANDed over the levels."""

    R = 1
    W = 2
    X = 4


class SecondStage(Paging):
    """The second stage of a request.

    ``input_lg2`` is log2 of the first address that it cannot take, ``haw`` the host address
    width. ``executes``: whether this requester may execute at all; ``slee``: whether that
    needs X. ``slade``: hardware keeps A/D flags.
    """

    stage = Stage.S2
    all_rights = SecondStageRights.R | SecondStageRights.W | SecondStageRights.X

    def __init__(self, root: int, levels: int, cap: Fields, ecap: Fields, haw: int) -> None:
        self.root = root
        self.top = levels - 1
        self.input_lg2 = min(cap.MGAW + 1, 12 + 9 * levels)
        self.page_levels = {0} | {level for level in (1, 2) if cap.SLLPS >> (level - 1) & 1}
        self.snoop = bool(ecap.SC)
        self.transient = bool(ecap.DT)
        self.haw = haw
        self.executes = False
        self.slee = False
        self.slade = False

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

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at R and W, then at reserved bits, HAW and page sizes."""
        if not fields.R and not fields.W:
            return Reason.NOT_PRESENT
        is_page = x86.is_page(level, fields)
        layout = second_stage_layout(level, x86.PAGE_SIZE_BIT if is_page else 0)
        if layout.has_reserved_bits(fields) or fields.ADDR >> self.haw:
            return Reason.RESERVED
        if is_page and not self._page_allowed(fields, level):
            return Reason.RESERVED
        return None

    def _page_allowed(self, fields: Fields, level: int) -> bool:
        if fields.SNP and not self.snoop:
            return False
        if fields.TM and not self.transient:
            return False
        return level in self.page_levels

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow ADDR to the next table or into the page."""
        if not x86.is_page(level, fields):
            return Next(fields.ADDR, level - 1)
        size_lg2 = x86.page_lg2(level)
        return Page(fields.ADDR | address & ((1 << size_lg2) - 1), size_lg2)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what R, W and X leave."""
        rights = SecondStageRights(0)
        if fields.R:
            rights |= SecondStageRights.R
        if fields.W:
            rights |= SecondStageRights.W
        if fields.X:
            rights |= SecondStageRights.X
        return rights

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge read, write and execute."""
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


class UnscaledSecondStage(SecondStage):
    """With the codes of legacy and extended mode."""

    def __init__(self, root: int, levels: int, cap: Fields, ecap: Fields, haw: int, bad_root: int) -> None:
        super().__init__(root, levels, cap, ecap, haw)
        self.bad_root = bad_root

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of LGN and LSL."""
        if reason is Reason.INPUT_RANGE:
            return 0x4
        if reason is Reason.UNREADABLE:
            return self.bad_root if level == self.top else 0x7
        if reason is Reason.RESERVED:
            return 0xC
        return 0x5 if use.access is Access.WRITE else 0x6


class ScalableSecondStage(SecondStage):
    """With the codes of scalable mode; ``first_top`` is the top level of the first stage."""

    first_top = -1

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Give the codes of SSL, SGN and, for entries of the first stage, SFL."""
        for_entry = use.purpose is Purpose.S1_ENTRY
        for_top = for_entry and use.for_level == self.first_top
        if reason is Reason.INPUT_RANGE:
            return (0x73 if for_top else 0x74) if for_entry else 0x84
        if reason is Reason.UNREADABLE:
            return 0x7B if level == self.top else 0x78
        if reason is Reason.DENIED:
            return (0x75 if for_top else 0x76) if for_entry else self._denied(use.access)
        return {Reason.NOT_PRESENT: 0x79, Reason.RESERVED: 0x7A, Reason.UPDATE_DENIED: 0x77}[reason]

    @staticmethod
    def _denied(access: Access) -> int:
        return {Access.READ: 0x86, Access.WRITE: 0x85, Access.EXEC: 0x82}[access]


# ---------------------------------------------------------------- the unit

#: Faults that FPD does not suppress: they come before an entry with FPD, or of reading one.
UNQUALIFIED = frozenset((0x1, 0x8, 0x9, 0xA, 0x30, 0x31, 0x38, 0x39, 0x3A, 0x40, 0x50, 0x58))


class Vtd(Translator):
    """One request at a VT-d unit."""

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.rtaddr = RTADDR.of(self.register("RTADDR"))
        self.gsts = GSTS.of(self.register("GSTS", DEFAULT_GSTS))
        self.cap = CAP.of(self.register("CAP", DEFAULT_CAP))
        self.ecap = ECAP.of(self.register("ECAP", default_ecap(self.rtaddr.TTM)))
        self.haw = self.register("HAW", DEFAULT_HAW)
        if not LEAST_HAW <= self.haw <= DEFAULT_HAW:
            raise ValueError(f"HAW: no host has addresses of {self.haw} bits")
        self.suppressed = False

    def finish(self, fault: Fault) -> Fault:
        """Note that a fault after FPD is not recorded."""
        if self.suppressed and fault.native not in UNQUALIFIED:
            return replace(fault, recorded=False)
        return fault

    def translate(self) -> Translation:
        """Go by the interrupt range, then TES, then TTM."""
        if self.request.pasid is None and self.request.iova in X86_INTERRUPTS:
            return self._interrupt()
        if not self.gsts.TES:
            return self._off()
        return self._mode().translate()

    def _interrupt(self) -> Translation:
        if self.request.at is At.TRANSLATION:
            code = ScalableMode.output_code if self.rtaddr.TTM == SCALABLE else Mode.output_code
            raise Stop(Reason.INTERRUPT_RANGE, code, self.place(Stage.DEVICE))
        access = Access.WRITE if self.request.access is Access.WRITE else Access.READ
        return replace(self.untranslated(access), target=Target.INTERRUPT)

    def _off(self) -> Translation:
        if self.request.at is At.TRANSLATION:
            raise Stop(Reason.BLOCKED, 0, self.place(Stage.DEVICE), recorded=False)
        return self.untranslated()

    def _mode(self) -> Mode:
        ttm = self.rtaddr.TTM
        if ttm == ABORT:
            raise Stop(Reason.ABORTED, 0, self.place(Stage.DEVICE), recorded=False)
        if (ttm == SCALABLE and not self.ecap.SMTS) or (ttm == EXTENDED and not self.ecap.ECS):
            raise Stop(Reason.INVALID, 0x30, self.place(Stage.DEVICE))
        modes: dict[int, type[Mode]] = {LEGACY: LegacyMode, SCALABLE: ScalableMode, EXTENDED: ExtendedMode}
        return modes[ttm](self)

    # What the modes share.

    def above_haw(self, address: int) -> bool:
        """Return True for a pointer with reserved address bits."""
        return bool(address >> self.haw)

    def width_supported(self, aw: int) -> bool:
        """Whether the unit has this second-stage width."""
        return bool(self.cap.SAGAW >> aw & 1)

    def second_stage_limit_lg2(self, aw: int) -> int:
        """log2 of the first address beyond the second stage: min(MGAW, AGAW)."""
        return min(self.cap.MGAW + 1, 30 + 9 * aw)


def default_ecap(ttm: int) -> int:
    """ECAP when it is not given: extended mode exists if RTADDR asks for it."""
    return DEFAULT_ECAP | (ECAP.value(ECS=1) if ttm == EXTENDED else 0)


# ---------------------------------------------------------------- the modes


class Mode(ABC):
    """What RTADDR.TTM chooses."""

    #: Code of an output among the interrupt addresses.
    output_code = 0xE

    def __init__(self, unit: Vtd) -> None:
        self.unit = unit
        self.walk = unit.walk
        self.request = unit.request

    @abstractmethod
    def translate(self) -> Translation:
        """Answer without references; raise Stop for a fault."""

    def fetch(self, stage: Stage, level: int, address: int, length: int, native: int) -> Fetched:
        """Read an entry that lies in HPA."""
        return self.walk.fetch(self.unit.place(stage, level), address, length, native)

    def stop(self, reason: Reason, native: int, entry: Fetched) -> Stop:
        """Make the fault of an entry of a device or PASID table."""
        return Stop(reason, native, entry.place, entry)

    def note_fpd(self, fields: Fields) -> None:
        """From the entry that has FPD on, itself included, faults are not recorded."""
        if fields.FPD:
            self.unit.suppressed = True

    def root_half(self, absent: int, reserved_bits: int, unreadable: int) -> Fields:
        """Read the half of an extended or scalable root entry that serves this requester."""
        bus, upper = self.request.rid >> 8, self.request.rid >> 7 & 1
        entry = self.fetch(Stage.DEVICE, 1, self.unit.rtaddr.RTA + 16 * bus + 8 * upper, 8, unreadable)
        root = SCALABLE_ROOT_HALF.parse(entry.contents)
        if not root.P:
            raise self.stop(Reason.NOT_PRESENT, absent, entry)
        if SCALABLE_ROOT_HALF.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise self.stop(Reason.RESERVED, reserved_bits, entry)
        return root

    def passed(self) -> Translation:
        """Output is input, with reads and writes allowed."""
        return self.checked(self.unit.untranslated(), Stage.DEVICE)

    def through(self, first: Paging | None, second: Paging | None, access: Access) -> Translation:
        """Take the address through one stage or both, and check the output."""
        return self.checked(self.walk.stages(first, second, access), Stage.S2 if second else Stage.S1)

    def checked(self, answer: Translation, last: Stage) -> Translation:
        """Return the answer unless its output lies where writes are interrupts."""
        if answer.hpa in X86_INTERRUPTS:
            raise Stop(Reason.INTERRUPT_RANGE, self.output_code, self.unit.place(last))
        return answer

    def data_access(self) -> Access:
        """Return the access where execution is no right: an execute request is a read."""
        return Access.READ if self.request.access is Access.EXEC else self.request.access


class LegacyMode(Mode):
    """Root entry, context entry, second stage (3.4.2)."""

    def translate(self) -> Translation:
        """Follow root, context and second stage."""
        if self.request.pasid is not None:
            raise Stop(Reason.BLOCKED, 0x31, self.unit.place(Stage.DEVICE))
        entry = self._context_entry()
        context = CONTEXT_ENTRY.parse(entry.contents)
        self._check(entry, context)
        if self.request.at is not At.UNTRANSLATED and context.TT != 1:
            raise self.stop(Reason.BLOCKED, 0xD, entry)
        if self.request.at is At.TRANSLATED:
            return self.passed()
        if context.TT == 2:
            return self._pass_through(context)
        return self.through(None, self._second_stage(context), self.data_access())

    def _context_entry(self) -> Fetched:
        address = self.unit.rtaddr.RTA + 16 * (self.request.rid >> 8)
        entry = self.fetch(Stage.DEVICE, 1, address, 16, 0x8)
        root = ROOT_ENTRY.parse(entry.contents)
        if not root.P:
            raise self.stop(Reason.NOT_PRESENT, 0x1, entry)
        if ROOT_ENTRY.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise self.stop(Reason.RESERVED, 0xA, entry)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 16 * (self.request.rid & 0xFF), 16, 0x9)

    def _check(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x2, entry)
        walks = context.TT in (0, 1)
        if CONTEXT_ENTRY.has_reserved_bits(context) or (walks and self.unit.above_haw(context.SLPTPTR)):
            raise self.stop(Reason.RESERVED, 0xB, entry)
        if not self._type_supported(context.TT) or not self._width_allowed(context):
            raise self.stop(Reason.INVALID, 0x3, entry)

    def _type_supported(self, tt: int) -> bool:
        return {0: True, 1: bool(self.unit.ecap.DT), 2: bool(self.unit.ecap.PT), 3: False}[tt]

    def _width_allowed(self, context: Fields) -> bool:
        if context.TT == 2:
            largest = self.unit.cap.SAGAW.bit_length() - 1
            return largest == context.AW
        return self.unit.width_supported(context.AW)

    def _pass_through(self, context: Fields) -> Translation:
        if self.request.iova >> self.unit.second_stage_limit_lg2(context.AW):
            raise Stop(Reason.INPUT_RANGE, 0x4, self.unit.place(Stage.DEVICE))
        return self.passed()

    def _second_stage(self, context: Fields) -> Paging:
        unit = self.unit
        return UnscaledSecondStage(context.SLPTPTR, context.AW + 2, unit.cap, unit.ecap, unit.haw, 0x3)


class ExtendedMode(Mode):
    """Extended root and context; with a PASID its table, first stage, second stage (2.x, 3.8)."""

    def translate(self) -> Translation:
        """Follow root and context; with a PASID its entry and the first stage."""
        entry = self._context_entry()
        context = EXTENDED_CONTEXT_ENTRY.parse(entry.contents)
        self._check(entry, context)
        if self.request.at is not At.UNTRANSLATED and context.T not in (1, 5):
            raise self.stop(Reason.BLOCKED, 0xD, entry)
        if self.request.at is At.TRANSLATED:
            return self.passed()
        if self.request.pasid is not None:
            return self._with_pasid(entry, context, self.request.pasid)
        if context.T in (0, 1):
            return self.through(None, self._second_stage(context), self.data_access())
        return self.passed()

    def _context_entry(self) -> Fetched:
        root = self.root_half(absent=0x1, reserved_bits=0xA, unreadable=0x8)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.request.rid & 0x7F), 32, 0x9)

    def _check(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x2, entry)
        if EXTENDED_CONTEXT_ENTRY.has_reserved_bits(context) or self._bad_pointer(context):
            raise self.stop(Reason.RESERVED, 0xB, entry)
        if not self._supported(context):
            raise self.stop(Reason.INVALID, 0x3, entry)

    def _bad_pointer(self, context: Fields) -> bool:
        uses_second_stage = context.T in (0, 1) or (context.PASIDE and context.NESTE)
        if uses_second_stage and self.unit.above_haw(context.SLPTPTR):
            return True
        table_in_hpa = context.PASIDE and not context.NESTE
        return bool(table_in_hpa and self.unit.above_haw(context.PASIDPTR))

    def _supported(self, context: Fields) -> bool:
        ecap = self.unit.ecap
        if context.T not in EXTENDED_TYPES:
            return False
        if context.T in (1, 5) and not ecap.DT:
            return False
        if context.T in (2, 4, 5) and not ecap.PT:
            return False
        if not self.unit.width_supported(context.AW):
            return False
        return bool((ecap.NEST or not context.NESTE) and (ecap.PASID or not context.PASIDE))

    def _with_pasid(self, entry: Fetched, context: Fields, pasid: int) -> Translation:
        if not context.PASIDE or context.T == 2:
            raise self.stop(Reason.BLOCKED, 0, entry)
        if self.request.access is Access.EXEC and not context.ERE:
            raise self.stop(Reason.BLOCKED, 0, entry)
        if pasid >> (context.PTS + 5):
            raise self.stop(Reason.PASID_RANGE, 0, entry)
        second = self._second_stage(context) if context.NESTE else None
        if second is not None:
            second.executes = bool(context.ERE)
            second.slee = bool(context.SLEE)
        first = self._first_stage(context, self._pasid_entry(context, pasid, second), second)
        return self.through(first, second, self.request.access)

    def _pasid_entry(self, context: Fields, pasid: int, second: Paging | None) -> Fields:
        place = self.unit.place(Stage.PASID)
        entry = self.walk.fetch(place, context.PASIDPTR + 8 * pasid, 8, 0, second)
        fields = EXTENDED_PASID_ENTRY.parse(entry.contents)
        if not fields.P:
            raise self.stop(Reason.NOT_PRESENT, 0, entry)
        bad_pointer = second is None and self.unit.above_haw(fields.FLPTPTR)
        bad_levels = fields.FLPM and not self.unit.cap.FL5LP
        if EXTENDED_PASID_ENTRY.has_reserved_bits(fields) or bad_pointer or bad_levels:
            raise self.stop(Reason.RESERVED, 0, entry)
        if self.request.priv and not fields.SRE:
            raise self.stop(Reason.BLOCKED, 0, entry)
        return fields

    def _first_stage(self, context: Fields, entry: Fields, second: Paging | None) -> Paging:
        first = FirstStage(entry.FLPTPTR, 4 + entry.FLPM, second, numbered=False)
        return _configured(first, self.unit, context, self.request.priv)

    def _second_stage(self, context: Fields) -> SecondStage:
        unit = self.unit
        return UnscaledSecondStage(context.SLPTPTR, context.AW + 2, unit.cap, unit.ecap, unit.haw, 0x7)


class ScalableMode(Mode):
    """Root, context, PASID directory, PASID entry, then by its PGTT (3.4.3)."""

    output_code = 0x87

    def translate(self) -> Translation:
        """Follow root, context, PASID directory and PASID entry."""
        context_entry = self._context_entry()
        context = SCALABLE_CONTEXT_ENTRY.parse(context_entry.contents)
        self._check_context(context_entry, context)
        self._check_pasid(context_entry, context)
        if self.request.at is At.TRANSLATED:
            return self.passed()
        pasid, privileged = self._identity(context)
        entry = self._pasid_entry(context, pasid)
        fields = SCALABLE_PASID_ENTRY.parse(entry.contents)
        self._check_pasid_entry(entry, fields, privileged)
        if fields.PGTT == PASS_THROUGH:
            return self._pass_through(fields)
        return self._walk(fields, privileged)

    # The context entry.

    def _context_entry(self) -> Fetched:
        root = self.root_half(absent=0x39, reserved_bits=0x3A, unreadable=0x38)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.request.rid & 0x7F), 32, 0x40)

    def _check_context(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x41, entry)
        if SCALABLE_CONTEXT_ENTRY.has_reserved_bits(context) or self.unit.above_haw(context.PASIDDIRPTR):
            raise self.stop(Reason.RESERVED, 0x42, entry)
        uses_rid_pasid = self.request.pasid is None and self.unit.ecap.RPS
        if uses_rid_pasid and context.RID_PASID >> (context.PDTS + 13):
            raise self.stop(Reason.PASID_RANGE, 0x48, entry)
        if self.request.at is not At.UNTRANSLATED and not context.DTE:
            raise self.stop(Reason.BLOCKED, 0x44, entry)

    def _check_pasid(self, entry: Fetched, context: Fields) -> None:
        if self.request.pasid is None:
            return
        if not context.PASIDE:
            raise self.stop(Reason.BLOCKED, 0x45, entry)
        if self.request.pasid >> (context.PDTS + 13):
            raise self.stop(Reason.PASID_RANGE, 0x46, entry)

    def _identity(self, context: Fields) -> tuple[int, bool]:
        """Return the PASID that is looked up, and whether the request is privileged."""
        if self.request.pasid is not None:
            return self.request.pasid, self.request.priv
        return (context.RID_PASID if self.unit.ecap.RPS else 0), bool(context.RID_PRIV)

    # The PASID directory and table.

    def _pasid_entry(self, context: Fields, pasid: int) -> Fetched:
        address = context.PASIDDIRPTR + 8 * (pasid >> 6)
        entry = self.fetch(Stage.PASID, 1, address, 8, 0x50)
        directory = PASID_DIRECTORY_ENTRY.parse(entry.contents)
        self.note_fpd(directory)
        if not directory.P:
            raise self.stop(Reason.NOT_PRESENT, 0x51, entry)
        if PASID_DIRECTORY_ENTRY.has_reserved_bits(directory) or self.unit.above_haw(directory.SMPTBLPTR):
            raise self.stop(Reason.RESERVED, 0x52, entry)
        return self.fetch(Stage.PASID, 0, directory.SMPTBLPTR + 64 * (pasid & 0x3F), 64, 0x58)

    def _check_pasid_entry(self, entry: Fetched, fields: Fields, privileged: bool) -> None:
        self.note_fpd(fields)
        if not fields.P:
            raise self.stop(Reason.NOT_PRESENT, 0x59, entry)
        if SCALABLE_PASID_ENTRY.has_reserved_bits(fields) or self._bad_pointer(fields):
            raise self.stop(Reason.RESERVED, 0x5A, entry)
        if not self._supported(fields):
            raise self.stop(Reason.INVALID, 0x5B, entry)
        if self.request.access is Access.EXEC and not fields.ERE:
            raise self.stop(Reason.BLOCKED, 0x5C, entry)
        if privileged and not fields.SRE:
            raise self.stop(Reason.BLOCKED, 0x5D, entry)

    def _bad_pointer(self, fields: Fields) -> bool:
        if fields.PGTT in (SECOND, NESTED) and self.unit.above_haw(fields.SLPTPTR):
            return True
        return fields.PGTT == FIRST and self.unit.above_haw(fields.FLPTPTR)

    def _supported(self, fields: Fields) -> bool:
        ecap = self.unit.ecap
        if fields.PGTT == PASS_THROUGH:
            return bool(ecap.PT)
        if fields.PGTT not in PGTT:
            return False
        if fields.PGTT == NESTED and not ecap.NEST:
            return False
        if fields.PGTT in (FIRST, NESTED) and not (ecap.FLTS and self._levels_supported(fields)):
            return False
        if fields.PGTT in (SECOND, NESTED):
            return bool(ecap.SLTS) and self.unit.width_supported(fields.AW)
        return True

    def _levels_supported(self, fields: Fields) -> bool:
        return fields.FLPM == 0 or (fields.FLPM == 1 and bool(self.unit.cap.FL5LP))

    # The walk that the PASID entry asks for.

    def _pass_through(self, fields: Fields) -> Translation:
        if self.unit.above_haw(self.request.iova):
            raise Stop(Reason.INPUT_RANGE, 0x83, self.unit.place(Stage.PASID))
        answer = self.passed()
        return replace(answer, access=answer.access | Access.EXEC) if fields.ERE else answer

    def _walk(self, fields: Fields, privileged: bool) -> Translation:
        second = self._second_stage(fields) if fields.PGTT in (SECOND, NESTED) else None
        first = self._first_stage(fields, second, privileged) if fields.PGTT in (FIRST, NESTED) else None
        return self.through(first, second, self.request.access)

    def _second_stage(self, fields: Fields) -> ScalableSecondStage:
        unit = self.unit
        second = ScalableSecondStage(fields.SLPTPTR, fields.AW + 2, unit.cap, unit.ecap, unit.haw)
        second.executes = bool(fields.ERE)
        second.slee = bool(fields.SLEE)
        second.slade = bool(fields.SLADE)
        second.first_top = 3 + fields.FLPM
        return second

    def _first_stage(self, fields: Fields, second: Paging | None, privileged: bool) -> Paging:
        first = FirstStage(fields.FLPTPTR, 4 + fields.FLPM, second, numbered=True)
        return _configured(first, self.unit, fields, privileged)


def _configured(first: FirstStage, unit: Vtd, controls: Fields, privileged: bool) -> FirstStage:
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
    return first


# ---------------------------------------------------------------- entries in words


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.S1:
        return f"first-stage {x86.NAMES[ref.level]}", x86.layout_of(FIRST_STAGE, ref.level, ref.raw)
    if ref.stage is Stage.S2:
        name = x86.NAMES[ref.level] if ref.level < len(x86.NAMES) else "PML6E"
        return f"second-stage {name}", second_stage_layout(ref.level, ref.raw)
    ttm = RTADDR.of(registers["RTADDR"]).TTM
    layouts = {
        LEGACY: {(Stage.DEVICE, 1): ROOT_ENTRY, (Stage.DEVICE, 0): CONTEXT_ENTRY},
        EXTENDED: {
            (Stage.DEVICE, 1): SCALABLE_ROOT_HALF,
            (Stage.DEVICE, 0): EXTENDED_CONTEXT_ENTRY,
            (Stage.PASID, 0): EXTENDED_PASID_ENTRY,
        },
        SCALABLE: {
            (Stage.DEVICE, 1): SCALABLE_ROOT_HALF,
            (Stage.DEVICE, 0): SCALABLE_CONTEXT_ENTRY,
            (Stage.PASID, 1): PASID_DIRECTORY_ENTRY,
            (Stage.PASID, 0): SCALABLE_PASID_ENTRY,
        },
    }
    layout = layouts[ttm][ref.stage, ref.level]
    if layout is not SCALABLE_ROOT_HALF:
        return layout.name, layout
    mode = "extended" if ttm == EXTENDED else "scalable-mode"
    return f"{mode} root entry, {'upper' if ref.hpa & 8 else 'lower'} half", layout


FORMAT = Format(Vtd, describe)
