"""Arm SMMUv3: the plain walk of stream table, context descriptors, and stages 1 and 2.

Sources:
- Arm IHI 0070 (System Memory Management Unit architecture version 3): 3.4 (address sizes), 3.9
  and 13.6 (ATS), 5.1 to 5.4 (entries), 6.3.24 and 6.3.25 (stream table), 7.3.22 (order of events).
- ``docs/walk_smmuv3.md`` where this is silent.
- ``smmuv3_features``, ``smmuv3_ste``, ``smmuv3_cd``: what a unit has and what may be configured;
  ``smmuv3_events``: what is recorded; ``smmuv3_ats``: completions; ``vmsa``: the tables of both stages.

In this file the vendor's words are used: StreamID is the requester, SubstreamID the PASID, the
CD table the PASID table, IPA is GPA. The vendor counts levels from the top, 3 the last; our
level is 3 - that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.plain import (
    ADDRESS_MASK,
    ALL_ACCESS,
    Fetched,
    Format,
    Step,
    Stop,
    Translator,
    Walk,
)
from iommu_abi.schemas.smmuv3_ats import Completion
from iommu_abi.schemas.smmuv3_cd import Context
from iommu_abi.schemas.smmuv3_entries import (
    BYPASS,
    CD,
    CR0,
    CR2,
    DPT_ATS,
    DSS_BYPASS,
    DSS_CD0,
    FULL_ATS,
    GBPA,
    L1CD,
    L1STD,
    LINEAR,
    NO_ATS,
    SPLIT_ATS,
    STE,
    STRTAB_BASE,
    STRTAB_BASE_CFG,
    TG0_LG2,
    TG1_LG2,
    TWO_LEVEL_4K,
)
from iommu_abi.schemas.smmuv3_events import (
    C_BAD_CD,
    C_BAD_STE,
    C_BAD_STREAMID,
    C_BAD_SUBSTREAMID,
    F_BAD_ATS_TREQ,
    F_CD_FETCH,
    F_STE_FETCH,
    F_STREAM_DISABLED,
    F_TRANSL_FORBIDDEN,
    NO_EVENT,
    Records,
    event_detail,
)
from iommu_abi.schemas.smmuv3_features import (
    DEFAULT_AIDR,
    DEFAULT_IDR0,
    DEFAULT_IDR1,
    DEFAULT_IDR3,
    DEFAULT_IDR5,
    Features,
)
from iommu_abi.schemas.smmuv3_ste import (
    Unmodelled,
    ats_mode,
    cd_format,
    cd_max,
    has_stage1,
    has_stage2,
    ste_illegal,
    unmodelled_stage2,
)
from iommu_abi.schemas.vmsa import F_ADDR_SIZE, F_TRANSLATION, Stage1, Stage2
from iommu_abi.schemas.vmsa_entries import (
    DEFAULT_GRANULE,
    Granule,
    descriptor_layout,
    vendor_level,
)
from iommu_abi.terms import Access, At, Fault, Reason, Ref, Stage, Translation

DEFAULT_CR0 = CR0.value(SMMUEN=1, EVTQEN=1)
DEFAULT_CR2 = CR2.value(RECINVSID=1)
_IDENTITY = {
    "AIDR": DEFAULT_AIDR,
    "IDR0": DEFAULT_IDR0,
    "IDR1": DEFAULT_IDR1,
    "IDR3": DEFAULT_IDR3,
    "IDR5": DEFAULT_IDR5,
}
READ_WRITE = Access.READ | Access.WRITE
INST_DATA, INST_FETCH = 2, 3  # STE.INSTCFG


# ---------------------------------------------------------------- the unit


class Smmuv3(Translator):
    """One request at an SMMU."""

    rid_last = 0xFFFF_FFFF

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.base = STRTAB_BASE.of(self.register("STRTAB_BASE"))
        self.table = STRTAB_BASE_CFG.of(self.register("STRTAB_BASE_CFG"))
        self.unit = Features({name: self.register(name, value) for name, value in _IDENTITY.items()})
        self.cr0 = CR0.of(self.register("CR0", DEFAULT_CR0))
        self.cr2 = CR2.of(self.register("CR2", DEFAULT_CR2))
        self.gbpa = GBPA.of(self.register("GBPA", 0))
        self.records = Records(self.cr0, self.cr2, self.request.at)
        self.unmodelled = Unmodelled(0)
        self.walk.address_lg2 = self.unit.oas_lg2
        self._take_request()

    def _take_request(self) -> None:
        """What the request says of itself; ATS without a PASID is data, unprivileged (3.9, 13.7)."""
        self.access, self.privileged = self.request.access, self.request.priv
        self.substream = self.request.pasid
        if self.request.at is At.TRANSLATED and not self.unit.idr3.PASIDTT:
            self.substream = None
        self.inst_config = 0
        if self.request.at is not At.UNTRANSLATED and self.substream is None:
            self.privileged = False
            if self.access is Access.EXEC:
                self.access = Access.READ

    # Events.

    def finish(self, fault: Fault) -> Fault:
        """Note S2 and CLASS, or what is not modelled, and whether the event is recorded."""
        detail = event_detail(fault) | int(self.unmodelled)
        return replace(fault, detail=detail, recorded=self.records.holds(fault))

    @staticmethod
    def _stop(reason: Reason, event: int, entry: Fetched) -> Stop:
        return Stop(reason, event, entry.place, entry)

    def _refuse(self, what: Unmodelled | None, entry: Fetched) -> None:
        """Stop at an entry that is legal and asks for what is not modelled."""
        if what is not None:
            self.unmodelled = what
            raise self._stop(Reason.INVALID, NO_EVENT, entry)

    # The order of 7.3.22.

    def translate(self) -> Translation:
        """Go by SMMUEN, the STE, the CD, then the stages."""
        if not self.cr0.SMMUEN:
            return self._off()
        if self.request.at is At.TRANSLATED and not self.cr0.ATSCHK:
            return self._unchecked()
        entry = self._stream_entry()
        ste = STE.parse(entry.contents)
        self._check(entry, ste)
        ats = ats_mode(self.unit, ste, self.cr0.ATSCHK)
        self._override(ste)
        if self.request.at is At.TRANSLATED:
            return self._translated(entry, ste, ats)
        if self.request.at is At.TRANSLATION:
            return self._translation(entry, ste, ats)
        return self._through(entry, ste)

    def _off(self) -> Translation:
        blocked = {At.TRANSLATION: F_BAD_ATS_TREQ, At.TRANSLATED: F_TRANSL_FORBIDDEN}
        if self.request.at in blocked:
            raise Stop(Reason.BLOCKED, blocked[self.request.at], self.place(Stage.DEVICE))
        if self.gbpa.ABORT or self.request.iova >> self.unit.oas_lg2:
            raise Stop(Reason.ABORTED, NO_EVENT, self.place(Stage.DEVICE))
        return self.untranslated(ALL_ACCESS)

    def _unchecked(self) -> Translation:
        """Pass a translated request without a look at its STE, unless there is no ATS at all."""
        if not self.unit.idr0.ATS:
            raise Stop(Reason.BLOCKED, F_TRANSL_FORBIDDEN, self.place(Stage.DEVICE))
        return self._passed()

    def _passed(self) -> Translation:
        """Pass a translated request; execution is known of one with a SubstreamID alone."""
        return self._cut(READ_WRITE if self.substream is None else ALL_ACCESS)

    def _cut(self, access: Access) -> Translation:
        """Output is input, without the bits that the unit does not have (3.4, 3.9.1.1)."""
        answer = self.untranslated(access)
        return replace(answer, hpa=answer.hpa & ((1 << self.unit.oas_lg2) - 1))

    # The stream table.

    def _stream_entry(self) -> Fetched:
        stream = self.request.rid
        if stream >> min(self.table.LOG2SIZE, self.unit.idr1.SIDSIZE):
            raise Stop(Reason.RID_RANGE, C_BAD_STREAMID, self.place(Stage.DEVICE))
        if self.unit.idr0.ST_LEVEL and self.table.FMT == 1:
            address = self._second_level(stream)
        else:
            address = _aligned(self.base.ADDR, 6 + self.table.LOG2SIZE) + 64 * stream
        return self.walk.fetch(self.place(Stage.DEVICE), address, 64, F_STE_FETCH)

    def _second_level(self, stream: int) -> int:
        """Return where the STE lies in a two-level table (5.1)."""
        split = self.table.SPLIT if self.table.SPLIT in (6, 8, 10) else 6
        table = _aligned(self.base.ADDR, max(6, self.table.LOG2SIZE - split + 3))
        address = table + 8 * (stream >> split)
        entry = self.walk.fetch(self.place(Stage.DEVICE, 1), address, 8, F_STE_FETCH)
        fields = L1STD.parse(entry.contents)
        if fields.Span == 0 or fields.Span > 11:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_STREAMID, entry)
        if fields.Span > split + 1:
            raise self._stop(Reason.RESERVED, C_BAD_STREAMID, entry)
        index = stream & ((1 << split) - 1)
        if index >> (fields.Span - 1):
            raise self._stop(Reason.RID_RANGE, C_BAD_STREAMID, entry)
        return _aligned(fields.L2Ptr, 5 + fields.Span) + 64 * index

    def _check(self, entry: Fetched, ste: Fields) -> None:
        if not ste.V:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_STE, entry)
        if ste.Config < BYPASS:
            raise self._stop(Reason.ABORTED, NO_EVENT, entry)
        if ste_illegal(self.unit, ste):
            raise self._stop(Reason.INVALID, C_BAD_STE, entry)
        if has_stage2(ste):
            self.records.gate(Stage.S2, ste.S2R, ste.S2S)

    def _override(self, ste: Fields) -> None:
        """Put the STE's privilege and instruction attributes in the place of the request's."""
        if not self.unit.idr1.ATTR_PERMS_OVR:
            return
        if ste.PRIVCFG >= 2:
            self.privileged = ste.PRIVCFG == 3
        self.inst_config = ste.INSTCFG
        if self.access is not Access.WRITE:
            self.access = {INST_DATA: Access.READ, INST_FETCH: Access.EXEC}.get(ste.INSTCFG, self.access)

    # The three kinds of requests.

    def _through(self, entry: Fetched, ste: Fields) -> Translation:
        index = self._cd_index(entry, ste)
        self._check_bypass(ste, index)
        second = self._second(entry, ste)
        if index is None and second is None:
            return self._cut(ALL_ACCESS)
        first = None if index is None else self._first(ste, index, second)
        return self._shown(self.walk.stages(first, second, self.access))

    def _translation(self, entry: Fetched, ste: Fields, ats: int) -> Translation:
        """Serve an ATS translation request (3.9.1.2, 13.6)."""
        if ats == NO_ATS:
            raise self._stop(Reason.BLOCKED, F_BAD_ATS_TREQ, entry)
        index = self._cd_index(entry, ste)
        self._check_bypass(ste, index)
        second = self._second(entry, ste)
        if index is None and second is None:
            return self.untranslated(READ_WRITE)
        first = None if index is None else self._first(ste, index, second)
        read = Access.EXEC if self.inst_config == INST_FETCH else Access.READ
        answer = Completion(self.walk, first, second, read).answer(self.access is Access.WRITE)
        if ats == SPLIT_ATS:
            answer = replace(answer, hpa=answer.gpa)
        return self._shown(answer)

    def _translated(self, entry: Fetched, ste: Fields, ats: int) -> Translation:
        """Check a translated request; with split-stage ATS it is an IPA (3.9.1.3)."""
        if ats == NO_ATS:
            raise self._stop(Reason.BLOCKED, F_TRANSL_FORBIDDEN, entry)
        if self.unit.idr3.PASIDTT:
            index = self._cd_index(entry, ste)
            if self.substream is not None and index is not None:
                self._context(ste, index, self._second(entry, ste))
        self._refuse(Unmodelled.DPT if ats == DPT_ATS else None, entry)
        if ats == FULL_ATS:
            return self._passed()
        self._check_bypass(ste, None)
        return self._shown(self.walk.stages(None, self._second(entry, ste), self.access))

    def _shown(self, answer: Translation) -> Translation:
        """Show the rights as the requester has them, after INSTCFG and without a SubstreamID (13.7.1)."""
        access = answer.access
        if self.inst_config == INST_FETCH:
            access = _as(access, Access.READ, Access.EXEC)
        if self.inst_config == INST_DATA:
            access = _as(access, Access.EXEC, Access.READ)
        if self.request.at is not At.UNTRANSLATED and (self.substream is None or Access.READ not in access):
            access &= ~Access.EXEC
        return replace(answer, access=access)

    # The stages.

    def _check_bypass(self, ste: Fields, index: int | None) -> None:
        """Test an address that stage 1 leaves alone: against OAS if stage 2 is off too by Config (3.4)."""
        width = self.unit.oas_lg2 if ste.Config == BYPASS else self.unit.ias_lg2
        if index is None and self.request.iova >> width:
            raise Stop(Reason.INPUT_RANGE, F_ADDR_SIZE, self.place(Stage.S1))

    def _cd_index(self, entry: Fetched, ste: Fields) -> int | None:
        """Return the CD of this request; None if stage 1 is off for it (5.2, S1CDMax and S1DSS)."""
        substream, width, on = self.substream, cd_max(self.unit, ste), has_stage1(ste)
        if substream is not None:
            if not on or not width:
                raise self._stop(Reason.BLOCKED, C_BAD_SUBSTREAMID, entry)
            if substream >> width:
                raise self._stop(Reason.PASID_RANGE, C_BAD_SUBSTREAMID, entry)
            if substream == 0 and ste.S1DSS == DSS_CD0:
                raise self._stop(Reason.BLOCKED, F_STREAM_DISABLED, entry)
            return substream
        if not on:
            return None
        if not width or ste.S1DSS == DSS_CD0:
            return 0
        if ste.S1DSS != DSS_BYPASS:
            raise self._stop(Reason.BLOCKED, F_STREAM_DISABLED, entry)
        return None

    def _context(self, ste: Fields, index: int, second: Stage2 | None) -> tuple[Fetched, Context]:
        """Read and check a CD (5.3, 5.4); nested, all of its table lies in IPA."""
        address = self._context_address(ste, index, second)
        entry = self.walk.fetch(self.place(Stage.PASID), address, 64, F_CD_FETCH, second)
        cd = CD.parse(entry.contents)
        if not cd.V:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_CD, entry)
        context = Context(self.unit, ste, cd, self.cr2.E2H)
        if context.illegal():
            raise self._stop(Reason.INVALID, C_BAD_CD, entry)
        self.records.gate(Stage.S1, cd.R, cd.S)
        return entry, context

    def _context_address(self, ste: Fields, index: int, second: Stage2 | None) -> int:
        """Return where a CD lies: in a linear table, or by an L1CD.

        A pointer that is not aligned leads to some entry of the aligned table (5.2 S1Fmt).
        """
        width, table_format = cd_max(self.unit, ste), cd_format(self.unit, ste)
        if table_format == LINEAR:
            return _wrapped(ste.S1ContextPtr, 64 * index, 6 + width)
        leaf_lg2 = 6 if table_format == TWO_LEVEL_4K else 10
        where = _wrapped(ste.S1ContextPtr, 8 * (index >> leaf_lg2), max(6, 3 + width - leaf_lg2))
        leaf = self._leaf_table(where, second)
        return _aligned(leaf, 6 + leaf_lg2) + 64 * (index & ((1 << leaf_lg2) - 1))

    def _leaf_table(self, address: int, second: Stage2 | None) -> int:
        """Read an L1CD: where the CDs lie."""
        entry = self.walk.fetch(self.place(Stage.PASID, 1), address, 8, F_CD_FETCH, second)
        fields = L1CD.parse(entry.contents)
        if not fields.V:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_SUBSTREAMID, entry)
        if second is None and fields.L2Ptr >> self.unit.oas_lg2:
            raise self._stop(Reason.OUTPUT_RANGE, C_BAD_SUBSTREAMID, entry)
        return fields.L2Ptr

    def _first(self, ste: Fields, index: int, second: Stage2 | None) -> Stage1:
        """Make the tables of the half that the address lies in."""
        entry, context = self._context(ste, index, second)
        self._refuse(context.unmodelled(), entry)
        cd, upper = context.cd, bool(self.request.iova >> 55 & 1)
        half = next((each for each in context.halves() if each.upper == upper), None)
        if half is None:
            raise Stop(Reason.INPUT_RANGE, F_TRANSLATION, self.place(Stage.S1))
        first = Stage1(half, self.unit.output_lg2(cd.IPS), second)
        first.flag_controls(cd.AFFD, cd.HA, cd.HD, self.unit.haft(cd.HAFT))
        first.big_endian = bool(cd.ENDI)
        first.el2 = context.el2
        first.privileged = self.privileged or context.el2
        # DDI 0487 R_MJGNV: AIE takes bit 59 for memory types, and with it all hierarchical rights.
        first.hierarchical = not ((half.had and self.unit.idr3.HAD) or (cd.AIE and self.unit.idr3.AIE))
        first.wxn = bool(cd.WXN)
        first.pan = bool(cd.PAN)
        first.epan = bool(cd.EPAN and self.unit.idr3.EPAN)
        if self.unit.idr3.E0PD and half.e0pd and not first.privileged and first.takes(self.request.iova):
            raise Stop(Reason.PRIVILEGE, F_TRANSLATION, self.place(Stage.S1))
        return first

    def _second(self, entry: Fetched, ste: Fields) -> Stage2 | None:
        """Make the tables of stage 2; None if it is off."""
        if not has_stage2(ste):
            return None
        self._refuse(unmodelled_stage2(self.unit, ste), entry)
        start = self.unit.second_start(ste)
        assert start is not None  # else the STE is ILLEGAL
        root, granule = self.unit.table_address(ste.S2TTB), self.unit.second_granule(ste)
        output_lg2, xnx = self.unit.output_lg2(ste.S2PS), bool(self.unit.idr3.XNX)
        second = Stage2(root, granule, 64 - ste.S2T0SZ, vendor_level(start) + 1, output_lg2, xnx)
        second.flag_controls(ste.S2AFFD, ste.S2HA, ste.S2HD, self.unit.haft(ste.S2HAFT))
        second.big_endian = bool(ste.S2ENDI)
        second.privileged = self.privileged
        second.ptw = bool(ste.S2PTW)
        second.fwb = bool(ste.S2FWB and self.unit.idr3.FWB)
        return second


def _aligned(address: int, lg2: int) -> int:
    """Return an address without its lowest bits, which the unit ignores."""
    return address & -(1 << lg2) & ADDRESS_MASK


def _wrapped(pointer: int, offset: int, lg2: int) -> int:
    """Return an address in the aligned 2^lg2 bytes around ``pointer``, ``offset`` bytes on."""
    return _aligned(pointer, lg2) | (pointer + offset) & ((1 << lg2) - 1)


def _as(access: Access, shown: Access, judged: Access) -> Access:
    """Show one right as another one is."""
    return access | shown if judged in access else access & ~shown


# ---------------------------------------------------------------- entries in words


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.DEVICE:
        layout = L1STD if ref.level else STE
        return layout.name, layout
    if ref.stage is Stage.PASID:
        layout = L1CD if ref.level else CD
        return layout.name, layout
    granule = _granule_of(registers, before, ref)
    kind = granule.kind(ref.level, ref.raw)
    number = 1 if ref.stage is Stage.S1 else 2
    name = f"stage-{number} level {vendor_level(ref.level)} {kind.value}"
    return name, descriptor_layout(number, granule, ref.level, kind)


def _granule_of(registers: Mapping[str, int], before: Sequence[Step], ref: Ref) -> Granule:
    """Find the granule of a table in the STE or CD that was read before."""
    unit = Features({name: registers.get(name, value) for name, value in _IDENTITY.items()})
    found: Granule | None = None
    for earlier, data in before:
        if earlier.level == 0 and earlier.stage is Stage.DEVICE and ref.stage is Stage.S2:
            found = unit.second_granule(STE.parse(data))
        if earlier.level == 0 and earlier.stage is Stage.PASID and ref.stage is Stage.S1:
            top = next((each for each, _ in before if each.stage is Stage.S1), ref)
            cd = CD.parse(data)
            found = unit.granule(_granule_lg2_of_half(cd, top.gpa), cd.DS)
    return found if found is not None and found.lg2 else DEFAULT_GRANULE


def _granule_lg2_of_half(cd: Fields, top: int) -> int:
    """log2 of the granule of the half in whose top table the entry at ``top`` lies; 0 if none."""
    lower, upper = TG0_LG2.get(cd.TG0), TG1_LG2.get(cd.TG1, 0)
    if cd.EPD0 or lower is None:
        return upper
    # A top table of stage 1 never crosses a granule.
    return lower if top >> lower == cd.TTB0 >> lower else upper


FORMAT = Format(Smmuv3, describe)
