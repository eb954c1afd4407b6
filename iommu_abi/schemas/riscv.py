"""RISC-V IOMMU: the plain walk of device and process directories, both stages, and MSI tables.

Sources:
- RISC-V IOMMU Architecture Specification 1.0: chapter 3 (data structures and the process to
  translate an IOVA), 4.2 (fault queue), 5 (registers).
- The specification's reference model, for addresses beyond the physical address space.
- ``docs/walk_riscv.md`` where these are silent.
- ``riscv_tables`` for the page tables of both stages.

In this file the vendor's words are used: device_id is the requester, process_id the PASID, the
process directory the PASID table, first and second stage (also: VS and G stage) are stage 1
and 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.plain import (
    ALL_ACCESS,
    PAGE_LG2,
    Fetched,
    Format,
    Paging,
    Place,
    Step,
    Stop,
    Translator,
    Use,
    Walk,
    combine,
)
from iommu_abi.schemas.riscv_tables import (
    GUEST_PAGE_FAULTS,
    MODES,
    PAGE_FAULTS,
    PDT_LOAD,
    FirstStage,
    Mode,
    SecondStage,
)
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage, Target, Translation

#: What is assumed of a unit of which only ddtp is known.
DEFAULT_CAPABILITIES = rv.CAPABILITIES.value(
    version=0x10,
    **dict.fromkeys(("Sv32", "Sv39", "Sv48", "Sv57", "Sv32x4", "Sv39x4", "Sv48x4", "Sv57x4"), 1),
    **dict.fromkeys(("MSI_FLAT", "MSI_MRIF", "AMO_HWAD", "ATS", "T2GPA", "PD8", "PD17", "PD20"), 1),
    Svpbmt=1,
    Svrsw60t59b=1,
    PAS=56,
)

# ---------------------------------------------------------------- causes (4.2)

#: No cause of the text's: what this walk does not model.
NOT_MODELLED = 0
INSTRUCTION_ACCESS_FAULT = 1
ALL_DISALLOWED = 256
DDT_LOAD, DDT_NOT_VALID, DDT_MISCONFIGURED = 257, 258, 259
TYPE_DISALLOWED = 260
MSI_LOAD, MSI_NOT_VALID, MSI_MISCONFIGURED = 261, 262, 263
PDT_NOT_VALID, PDT_MISCONFIGURED = 266, 267

#: Recorded whatever DTF says.
UNSUPPRESSED = frozenset((256, 257, 258, 259, 268, 272, 273))
#: Translation requests that end so are answered with no rights, and not recorded.
NO_RIGHTS = frozenset((*PAGE_FAULTS.values(), *GUEST_PAGE_FAULTS.values(), MSI_NOT_VALID, PDT_NOT_VALID))

#: Bits 1:0 of iotval2: what a guest page fault was for.
_IMPLICIT = {Purpose.DATA: 0, Purpose.S1_ENTRY: 1, Purpose.PASID_ENTRY: 1, Purpose.S1_UPDATE: 3}


# ---------------------------------------------------------------- what may be configured (3.1.3)


class Features:
    """Capabilities and fctl, and what they make of a device context."""

    def __init__(self, capabilities: int, fctl: int, gxl_writable: int) -> None:
        self.capabilities = rv.CAPABILITIES.of(capabilities)
        self.gxl = rv.FCTL.of(fctl).GXL
        self.gxl_writable = bool(gxl_writable)
        if rv.FCTL.of(fctl).BE:
            raise ValueError("register FCTL: big-endian tables (BE=1) are not modelled")

    @property
    def context(self) -> Layout:
        """The layout of device contexts."""
        return rv.EXTENDED_DC if self.capabilities.MSI_FLAT else rv.DC

    @property
    def guest_page_bits(self) -> int:
        """Return the bits of a guest's page numbers that there are: those below MGPAW (3.1.3.6)."""
        widths = {"Sv57x4": 59, "Sv48x4": 50, "Sv39x4": 41, "Sv32x4": 34}
        width = next((widths[name] for name in widths if self.capabilities[name]), self.capabilities.PAS)
        return (1 << max(width - PAGE_LG2, 0)) - 1

    def first_mode(self, sxl: int, mode: int) -> Mode | None:
        """Return the format that iosatp.MODE names; None if the unit has none of that number."""
        found = MODES.get((sxl, mode))
        return found if found and self.capabilities[found.name] else None

    def second_mode(self, mode: int) -> Mode | None:
        """Return the same for iohgatp.MODE."""
        found = MODES.get((self.gxl, mode))
        return found if found and self.capabilities[f"{found.name}x4"] else None

    def reserved(self, dc: Fields) -> bool:
        """Whether reserved bits of a device context are set."""
        if self.context.has_reserved_bits(dc):
            return True
        return not self.capabilities.QOSID and bool(dc.RCID or dc.MCID)

    def misconfigured(self, dc: Fields) -> bool:
        """Whether it asks for what the unit lacks, or contradicts itself."""
        return any(
            (
                self._requests_misconfigured(dc),
                dc.DPE and not dc.PDTV,
                (dc.SADE or dc.GADE) and not self.capabilities.AMO_HWAD,
                dc.SBE and not self.capabilities.END,  # fctl.BE is 0, and cannot be written without END
                self._sxl_misconfigured(dc.SXL),
                self._second_misconfigured(dc),
                self._first_misconfigured(dc),
                self._msi_misconfigured(dc),
            )
        )

    def _requests_misconfigured(self, dc: Fields) -> bool:
        return any(
            (
                (dc.EN_ATS or dc.EN_PRI or dc.PRPR) and not self.capabilities.ATS,
                dc.T2GPA and not self.capabilities.T2GPA,
                (dc.EN_PRI or dc.T2GPA) and not dc.EN_ATS,
                dc.PRPR and not dc.EN_PRI,
                dc.T2GPA and dc.iohgatp_MODE == 0,
            )
        )

    def _sxl_misconfigured(self, sxl: int) -> bool:
        if self.gxl:
            return not sxl
        return bool(sxl and not self.gxl_writable)

    def _second_misconfigured(self, dc: Fields) -> bool:
        if dc.iohgatp_MODE == 0:
            return False
        return self.second_mode(dc.iohgatp_MODE) is None or dc.iohgatp_PPN % (1 << 14) != 0

    def _first_misconfigured(self, dc: Fields) -> bool:
        if dc.fsc_MODE == 0:
            return False
        if dc.PDTV:
            name = {rv.PD8: "PD8", rv.PD17: "PD17", rv.PD20: "PD20"}.get(dc.fsc_MODE)
            return name is None or not self.capabilities[name]
        return self.first_mode(dc.SXL, dc.fsc_MODE) is None

    def _msi_misconfigured(self, dc: Fields) -> bool:
        if not self.capabilities.MSI_FLAT:
            return False
        return dc.msiptp_MODE > rv.MSI_FLAT or (dc.msiptp_MODE != rv.MSI_OFF and dc.iohgatp_MODE == 0)


# ---------------------------------------------------------------- the unit


@dataclass(frozen=True, slots=True)
class Directory:
    """How a directory is indexed and what its faults are called.

    ``index_lg2``: index bits by level, 0 the one of the contexts. ``causes``: not readable, not
    valid, misconfigured.
    """

    stage: Stage
    entry: Layout
    context: Layout
    index_lg2: tuple[int, int, int]
    causes: tuple[int, int, int]

    def width(self, levels: int) -> int:
        """Bits of identifiers that ``levels`` of the directory resolve."""
        return sum(self.index_lg2[:levels])

    def index(self, identifier: int, level: int) -> int:
        """Return the index into a table of ``level``."""
        return identifier >> self.width(level) & ((1 << self.index_lg2[level]) - 1)


_DDT = (DDT_LOAD, DDT_NOT_VALID, DDT_MISCONFIGURED)
_PDT = (PDT_LOAD, PDT_NOT_VALID, PDT_MISCONFIGURED)
DEVICES = Directory(Stage.DEVICE, rv.DDTE, rv.DC, (7, 9, 8), _DDT)
EXTENDED_DEVICES = Directory(Stage.DEVICE, rv.DDTE, rv.EXTENDED_DC, (6, 9, 9), _DDT)
PROCESSES = Directory(Stage.PASID, rv.PDTE, rv.PC, (8, 9, 3), _PDT)


class Riscv(Translator):
    """One request at a RISC-V IOMMU."""

    rid_last = 0xFF_FFFF

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.ddtp = rv.DDTP.of(self.register("DDTP"))
        self.features = Features(
            self.register("CAPABILITIES", DEFAULT_CAPABILITIES),
            self.register("FCTL", 0),
            self.register("GXL_WRITABLE", 0),
        )
        self.capabilities = self.features.capabilities
        walk.address_lg2 = self.capabilities.PAS
        self.suppressed = False

    # Faults.

    def finish(self, fault: Fault) -> Fault:
        """Note iotval2, and whether the fault is recorded."""
        detail = 0
        if fault.native in GUEST_PAGE_FAULTS.values():
            detail = fault.input & ~3 | _IMPLICIT[fault.purpose]
        recorded = fault.native != NOT_MODELLED and self._recorded(fault.native)
        return replace(fault, detail=detail, recorded=recorded)

    def _recorded(self, cause: int) -> bool:
        if self.request.at is At.TRANSLATION and cause in NO_RIGHTS:
            return False
        return not self.suppressed or cause in UNSUPPRESSED

    @staticmethod
    def _stop(reason: Reason, cause: int, entry: Fetched) -> Stop:
        return Stop(reason, cause, entry.place, entry)

    # The process to translate an IOVA (chapter 3).

    def translate(self) -> Translation:
        """Go by ddtp, the device context, the process context, then the stages."""
        mode = self.ddtp.iommu_mode
        if mode == rv.OFF:
            raise Stop(Reason.ABORTED, ALL_DISALLOWED, self.place(Stage.DEVICE))
        if mode == rv.BARE:
            return self._bare()
        if mode > rv.THREE_LEVEL:
            raise Stop(Reason.INVALID, ALL_DISALLOWED, self.place(Stage.DEVICE))
        entry, dc = self._device_context(levels=mode - 1)
        self._check(entry, dc)
        self._check_request(entry, dc)
        if self.request.at is At.TRANSLATED and not dc.T2GPA:
            return self.untranslated(ALL_ACCESS)
        return self._through(entry, dc)

    def _bare(self) -> Translation:
        if self.request.at is not At.UNTRANSLATED:
            raise Stop(Reason.BLOCKED, TYPE_DISALLOWED, self.place(Stage.DEVICE))
        return self.untranslated(ALL_ACCESS)

    def _device_context(self, levels: int) -> tuple[Fetched, Fields]:
        directory = EXTENDED_DEVICES if self.capabilities.MSI_FLAT else DEVICES
        if self.request.rid >> directory.width(levels):
            raise Stop(Reason.RID_RANGE, TYPE_DISALLOWED, self.place(Stage.DEVICE))
        return self._find(directory, self.ddtp.PPN, levels, self.request.rid, None)

    def _find(
        self, directory: Directory, table: int, levels: int, identifier: int, through: Paging | None
    ) -> tuple[Fetched, Fields]:
        """Follow a directory to a context that is valid."""
        unreadable, not_valid, misconfigured = directory.causes
        for level in range(levels - 1, 0, -1):
            where = table + 8 * directory.index(identifier, level)
            entry = self.walk.fetch(self.place(directory.stage, level), where, 8, unreadable, through)
            fields = directory.entry.parse(entry.contents)
            if not fields.V:
                raise self._stop(Reason.NOT_PRESENT, not_valid, entry)
            if directory.entry.has_reserved_bits(fields):
                raise self._stop(Reason.RESERVED, misconfigured, entry)
            table = fields.PPN
        length = directory.context.size
        where = table + length * directory.index(identifier, 0)
        entry = self.walk.fetch(self.place(directory.stage), where, length, unreadable, through)
        context = directory.context.parse(entry.contents)
        if not context.V:
            raise self._stop(Reason.NOT_PRESENT, not_valid, entry)
        return entry, context

    # The device context.

    def _check(self, entry: Fetched, dc: Fields) -> None:
        self.suppressed = bool(dc.DTF)
        if self.features.reserved(dc):
            raise self._stop(Reason.RESERVED, DDT_MISCONFIGURED, entry)
        if self.features.misconfigured(dc):
            raise self._stop(Reason.INVALID, DDT_MISCONFIGURED, entry)

    def _check_request(self, entry: Fetched, dc: Fields) -> None:
        if self.request.at is not At.UNTRANSLATED and not dc.EN_ATS:
            raise self._stop(Reason.BLOCKED, TYPE_DISALLOWED, entry)
        process = self.request.pasid
        if process is None:
            return
        if not dc.PDTV:
            raise self._stop(Reason.BLOCKED, TYPE_DISALLOWED, entry)
        if dc.fsc_MODE and process >> PROCESSES.width(dc.fsc_MODE):
            raise self._stop(Reason.PASID_RANGE, TYPE_DISALLOWED, entry)

    # The stages.

    def _through(self, entry: Fetched, dc: Fields) -> Translation:
        self._check_endianness(entry, dc)
        second = self._second(dc)
        first = None if self.request.at is At.TRANSLATED else self._first(dc, second)
        if first is None and second is None:
            return self.untranslated(ALL_ACCESS)
        answer = self.walk.stages(first, None, self.request.access)
        if second is not None:
            answer = self._msi(dc, answer) or self._second_answer(dc, second, answer)
        return self._completion(dc, answer) if self.request.at is At.TRANSLATION else answer

    def _check_endianness(self, entry: Fetched, dc: Fields) -> None:
        """Refuse big-endian tables of processes and of the first stage, where they would be read (3.9)."""
        if not dc.SBE or self.request.at is At.TRANSLATED:
            return
        uses_process = not dc.PDTV or dc.DPE or self.request.pasid is not None
        if dc.fsc_MODE and uses_process:
            raise self._stop(Reason.INVALID, NOT_MODELLED, entry)

    def _second_answer(self, dc: Fields, second: Paging, answer: Translation) -> Translation:
        """Translate a GPA; the range of the answer holds no virtual interrupt file."""
        answer = combine(answer, self.walk.stage(second, answer.gpa, Use(self.request.access)))
        if not self._has_msi_table(dc):
            return answer
        pages_lg2 = self._file_mismatch(dc, answer.gpa).bit_length() - 1
        return replace(answer, size_lg2=min(answer.size_lg2, PAGE_LG2 + pages_lg2))

    @staticmethod
    def _completion(dc: Fields, answer: Translation) -> Translation:
        """Return what a completion says: X only with R, and with T2GPA the GPA (3.6)."""
        if Access.READ not in answer.access:
            answer = replace(answer, access=answer.access & ~Access.EXEC)
        return replace(answer, hpa=answer.gpa) if dc.T2GPA else answer

    def _second(self, dc: Fields) -> SecondStage | None:
        mode = self.features.second_mode(dc.iohgatp_MODE)
        if mode is None:
            return None
        second = SecondStage(dc.iohgatp_PPN, mode, self.capabilities, self.request.access)
        second.narrow_guest = bool(dc.SXL)
        second.hardware_ad = bool(dc.GADE)
        second.judged = self.request.at is not At.TRANSLATION
        return second

    def _first(self, dc: Fields, second: Paging | None) -> FirstStage | None:
        if not dc.PDTV:
            return self._first_tables(dc, dc.fsc_MODE, dc.fsc_PPN, second)
        process = self.request.pasid
        if process is None and dc.DPE:
            process = 0
        if process is None or dc.fsc_MODE == 0:
            return None
        pc = self._process_context(dc, process, second)
        first = self._first_tables(dc, pc.fsc_MODE, pc.fsc_PPN, second)
        if first is not None:
            first.supervisor = self.request.priv and self.request.pasid is not None
            first.sum = bool(pc.SUM)
        return first

    def _process_context(self, dc: Fields, process: int, second: Paging | None) -> Fields:
        """Read and check the context of a process; all of its directory lies in GPA."""
        entry, pc = self._find(PROCESSES, dc.fsc_PPN, dc.fsc_MODE, process, second)
        if rv.PC.has_reserved_bits(pc):
            raise self._stop(Reason.RESERVED, PDT_MISCONFIGURED, entry)
        if pc.fsc_MODE and self.features.first_mode(dc.SXL, pc.fsc_MODE) is None:
            raise self._stop(Reason.INVALID, PDT_MISCONFIGURED, entry)
        if self.request.priv and self.request.pasid is not None and not pc.ENS:
            raise self._stop(Reason.BLOCKED, TYPE_DISALLOWED, entry)
        return pc

    def _first_tables(self, dc: Fields, mode: int, root: int, second: Paging | None) -> FirstStage | None:
        found = self.features.first_mode(dc.SXL, mode)
        if found is None:
            return None
        first = FirstStage(root, found, self.capabilities, self.request.access, second)
        first.hardware_ad = bool(dc.SADE)
        first.judged = self.request.at is not At.TRANSLATION
        return first

    # The MSI page table (3.1.3.6 and 3.3.3).

    def _has_msi_table(self, dc: Fields) -> bool:
        return bool(self.capabilities.MSI_FLAT) and dc.msiptp_MODE == rv.MSI_FLAT

    def _file_mismatch(self, dc: Fields, gpa: int) -> int:
        """Return the bits of the page number of ``gpa`` that no virtual interrupt file has; 0 for a file.

        Bits beyond the width of guest addresses do not count: software must set them to 0 in mask
        and pattern, and the reference model looks at none of them.
        """
        differs = gpa >> PAGE_LG2 ^ dc.msi_addr_pattern
        return differs & ~dc.msi_addr_mask & self.features.guest_page_bits

    def _msi(self, dc: Fields, answer: Translation) -> Translation | None:
        """Answer a GPA that is a virtual interrupt file's; None for all others."""
        if not self._has_msi_table(dc) or self._file_mismatch(dc, answer.gpa):
            return None
        number = extract(answer.gpa >> PAGE_LG2, dc.msi_addr_mask & self.features.guest_page_bits)
        place = Place(Stage.S2, 0, answer.gpa)
        entry = self.walk.fetch(place, dc.msiptp_PPN | 16 * number, 16, MSI_LOAD)
        found = self._mrif(entry) if _is_mrif(entry.contents) else self._basic(entry, answer.gpa)
        if self.request.access is Access.EXEC and self.request.at is not At.TRANSLATION:
            raise self._stop(Reason.DENIED, INSTRUCTION_ACCESS_FAULT, entry)
        access = answer.access & (Access.READ | Access.WRITE)
        return replace(found, gpa=answer.gpa, size_lg2=PAGE_LG2, access=access)

    def _basic(self, entry: Fetched, gpa: int) -> Translation:
        fields = rv.MSI_BASIC.parse(entry.contents)
        self._check_msi(entry, fields)
        if rv.MSI_BASIC.has_reserved_bits(fields):
            raise self._stop(Reason.RESERVED, MSI_MISCONFIGURED, entry)
        return Translation(hpa=fields.PPN | gpa & ((1 << PAGE_LG2) - 1))

    def _mrif(self, entry: Fetched) -> Translation:
        fields = rv.MSI_MRIF.parse(entry.contents)
        self._check_msi(entry, fields)
        if not self.capabilities.MSI_MRIF:
            raise self._stop(Reason.INVALID, MSI_MISCONFIGURED, entry)
        if rv.MSI_MRIF.has_reserved_bits(fields):
            raise self._stop(Reason.RESERVED, MSI_MISCONFIGURED, entry)
        notice = fields.NPPN | fields.NID_10 << 10 | fields.NID
        return Translation(hpa=fields.MRIF, target=Target.MRIF, detail=notice)

    def _check_msi(self, entry: Fetched, fields: Fields) -> None:
        if not fields.V:
            raise self._stop(Reason.NOT_PRESENT, MSI_NOT_VALID, entry)
        if fields.C or fields.M not in (rv.MRIF, rv.BASIC):
            raise self._stop(Reason.RESERVED, MSI_MISCONFIGURED, entry)


def _is_mrif(data: bytes) -> bool:
    return data[0] >> 1 & 3 == rv.MRIF


def extract(value: int, mask: int) -> int:
    """Move the bits of ``value`` under the mask together."""
    extracted = 0
    for position in reversed(range(mask.bit_length())):
        if mask >> position & 1:
            extracted = extracted << 1 | value >> position & 1
    return extracted


# ---------------------------------------------------------------- entries in words


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.DEVICE:
        context = rv.DC if ref.len == rv.DC.size else rv.EXTENDED_DC
        layout = rv.DDTE if ref.level else context
        return layout.name, layout
    if ref.stage is Stage.PASID:
        layout = rv.PDTE if ref.level else rv.PC
        return layout.name, layout
    if ref.len == rv.MSI_BASIC.size:
        layout = rv.MSI_MRIF if _is_mrif(data) else rv.MSI_BASIC
        return layout.name, layout
    layout = rv.PTE32 if ref.len == rv.PTE32.size else rv.PTE
    kind = "leaf" if ref.raw & (rv.R | rv.W | rv.X) else "non-leaf"
    stage = "first" if ref.stage is Stage.S1 else "second"
    return f"{stage}-stage level {ref.level} {kind} {layout.name}", layout


FORMAT = Format(Riscv, describe)
