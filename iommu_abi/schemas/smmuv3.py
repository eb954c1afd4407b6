"""Arm SMMUv3: the plain walk of stream table, context descriptors, and stages 1 and 2.

Sources:
- Arm IHI 0070 (System Memory Management Unit architecture version 3): 3.4 (address sizes), 3.9
  (ATS), 3.13 (access flag and dirty state), 5.2 and 5.4 (STE, CD and their legality), 7.3
  (events and their order).
- ``docs/walk_smmuv3.md`` where this is silent.
- ``vmsa`` for the tables of both stages.

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
    Paging,
    Step,
    Stop,
    Translator,
    Walk,
)
from iommu_abi.schemas.smmuv3_entries import (
    ADDRESS_LG2,
    BYPASS,
    CD,
    CR0,
    CR2,
    DSS_BYPASS,
    DSS_CD0,
    EL2,
    FULL_ATS,
    GBPA,
    IDR0,
    IDR1,
    IDR3,
    IDR5,
    L1CD,
    L1STD,
    LINEAR,
    NESTED,
    STAGE_1,
    STAGE_2,
    STE,
    STRTAB_BASE,
    STRTAB_BASE_CFG,
    TG0_LG2,
    TG1_LG2,
    TWO_LEVEL_4K,
    TWO_LEVEL_64K,
)
from iommu_abi.schemas.vmsa import (
    DEFAULT_GRANULE,
    F_ACCESS,
    F_ADDR_SIZE,
    F_PERMISSION,
    F_TRANSLATION,
    F_WALK_EABT,
    Granule,
    Half,
    Stage1,
    Stage2,
    descriptor_layout,
    vendor_level,
)
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage, Translation

#: What is assumed of a unit of which only the stream table is known.
DEFAULT_IDR0 = IDR0.value(S2P=1, S1P=1, TTF=2, ATS=1, ASID16=1, VMID16=1, CD2L=1, TTENDIAN=2, ST_LEVEL=1)
DEFAULT_IDR1 = IDR1.value(SIDSIZE=32, SSIDSIZE=20)
DEFAULT_IDR3 = IDR3.value(HAD=1)
DEFAULT_IDR5 = IDR5.value(OAS=5, GRAN4K=1, GRAN16K=1, GRAN64K=1)
DEFAULT_CR0 = CR0.value(SMMUEN=1, EVTQEN=1)
DEFAULT_CR2 = CR2.value(RECINVSID=1)

# ---------------------------------------------------------------- events (7.3)

C_BAD_STREAMID = 0x02
F_STE_FETCH = 0x03
C_BAD_STE = 0x04
F_BAD_ATS_TREQ = 0x05
F_STREAM_DISABLED = 0x06
F_TRANSL_FORBIDDEN = 0x07
C_BAD_SUBSTREAMID = 0x08
F_CD_FETCH = 0x09
C_BAD_CD = 0x0A
#: Nothing is recorded.
NO_EVENT = 0

#: Events that CD.R and STE.S2R gate.
FAULTS = (F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION)

CLASS_CD, CLASS_TT, CLASS_IN = range(3)
_CLASSES = {
    Purpose.PASID_ENTRY: CLASS_CD,
    Purpose.S1_ENTRY: CLASS_TT,
    Purpose.S1_UPDATE: CLASS_TT,
    Purpose.DATA: CLASS_IN,
}


def event_detail(fault: Fault) -> int:
    """Return S2 in bit 0 and CLASS in bits 2:1, for the events that have them."""
    if fault.native not in (*FAULTS, F_WALK_EABT):
        return 0
    if fault.stage is Stage.S2:
        return 1 | _CLASSES[fault.purpose] << 1
    return (CLASS_TT if fault.native == F_WALK_EABT else CLASS_IN) << 1


# ---------------------------------------------------------------- what may be configured (5.2, 5.4)


def halves(cd: Fields, el2: bool) -> tuple[Half, ...]:
    """Return the halves that are enabled; EL2 has the lower one alone, whatever EPD0 says."""
    found = []
    if el2 or not cd.EPD0:
        granule_lg2 = TG0_LG2.get(cd.TG0, 0)
        found.append(Half(False, cd.T0SZ, granule_lg2, cd.TTB0, cd.TBI0, cd.HAD0, cd.E0PD0))
    if not el2 and not cd.EPD1:
        granule_lg2 = TG1_LG2.get(cd.TG1, 0)
        found.append(Half(True, cd.T1SZ, granule_lg2, cd.TTB1, cd.TBI1, cd.HAD1, cd.E0PD1))
    return tuple(found)


STALL_NEVER, STALL_ALWAYS = 1, 2
LITTLE_ENDIAN, BIG_ENDIAN = 2, 3
_GRANULE_BITS = {12: "GRAN4K", 14: "GRAN16K", 16: "GRAN64K"}
#: Granule and start level (the vendor's) -> the output width that the unit must have.
_START_NEEDS = {(12, 0): 44, (14, 1): 42, (16, 1): 44}


class Features:
    """The ID registers, and what they make of a field of an STE or CD."""

    def __init__(self, idr0: int, idr1: int, idr3: int, idr5: int) -> None:
        self.idr0 = IDR0.of(idr0)
        self.idr1 = IDR1.of(idr1)
        self.idr3 = IDR3.of(idr3)
        self.idr5 = IDR5.of(idr5)
        self.oas_lg2 = ADDRESS_LG2[self.idr5.OAS]

    @property
    def ias_lg2(self) -> int:
        """Width of intermediate addresses (3.4)."""
        return max(40 if self.idr0.TTF & 1 else 0, self.oas_lg2 if self.idr0.TTF & 2 else 0)

    def granule(self, lg2: int) -> Granule:
        """Make a granule with the unit's address width."""
        return Granule(lg2, wide=lg2 == 16 and self.oas_lg2 == 52)

    def has_granule(self, lg2: int) -> bool:
        """Whether the unit has tables of 2^lg2 bytes; there are none of 2^0."""
        return lg2 in _GRANULE_BITS and bool(self.idr5[_GRANULE_BITS[lg2]])

    def output_lg2(self, code: int) -> int:
        """Width of a stage's output, from CD.IPS or STE.S2PS."""
        return min(ADDRESS_LG2[code], self.oas_lg2)

    def table_lg2(self, code: int, granule_lg2: int) -> int:
        """Width of the address of a stage's top table."""
        return min(self.output_lg2(code), 52 if granule_lg2 == 16 else 48)

    def largest_size(self, granule_lg2: int) -> int:
        """Return the largest TxSZ."""
        if not self.idr3.STT:
            return 39
        return 47 if granule_lg2 == 16 else 48

    def cd_max(self, ste: Fields) -> int:
        """log2 of the CDs of a stream."""
        return ste.S1CDMax if self.idr1.SSIDSIZE else 0

    def cd_format(self, ste: Fields) -> int:
        """Return the format of its CD table."""
        return ste.S1Fmt if self.cd_max(ste) and ste.S1Fmt in (TWO_LEVEL_4K, TWO_LEVEL_64K) else LINEAR

    def is_el2(self, ste: Fields, e2h: int) -> bool:
        """Whether stage 1 of a stream is EL2's; EL2-E2H is as EL1."""
        return bool(ste.Config == STAGE_1 and self.idr0.HYP and ste.STRW == EL2 and not e2h)

    def ste_illegal(self, ste: Fields) -> bool:
        """Whether an STE that translates is ILLEGAL (5.2.2)."""
        if ste.Config in (STAGE_1, NESTED) and self._stage1_illegal(ste):
            return True
        if ste.Config in (STAGE_2, NESTED) and self._stage2_illegal(ste):
            return True
        return bool(ste.Config != BYPASS and ste.EATS == 3)

    def _stage1_illegal(self, ste: Fields) -> bool:
        alone = ste.Config == STAGE_1
        return any(
            (
                not self.idr0.S1P,
                self.idr0.STALL_MODEL and ste.S1STALLD,
                self.cd_max(ste) > self.idr1.SSIDSIZE,
                self.cd_format(ste) != LINEAR and not self.idr0.CD2L,
                alone and ste.S1ContextPtr >> self.oas_lg2,
                alone and self.idr0.HYP and ste.STRW & 1,
            )
        )

    def _stage2_illegal(self, ste: Fields) -> bool:
        granule_lg2 = TG0_LG2.get(ste.S2TG, 0)
        return any(
            (
                not self.idr0.S2P,
                not ste.S2AA64,
                not self.has_granule(granule_lg2) or not self._stage2_size_legal(ste, granule_lg2),
                ste.S2TTB >> self.table_lg2(ste.S2PS, granule_lg2),
                self._endianness_illegal(ste.S2ENDI),
                self._flags_illegal(ste.S2HA, ste.S2HD),
                self._stall_illegal(ste.S2S),
                ste.S2VMID > 255 and not self.idr0.VMID16,
                ste.S2S and ste.EATS == FULL_ATS,
            )
        )

    def stage2_start(self, ste: Fields) -> int | None:
        """Return the start level that S2SL0 names, the vendor's number; None if it names none."""
        granule_lg2 = TG0_LG2[ste.S2TG]
        if granule_lg2 == 12:
            return 2 - ste.S2SL0 if ste.S2SL0 < 3 else (3 if self.idr3.STT else None)
        if ste.S2SL0 == 3 and (granule_lg2 == 16 or not self.idr5.DS):
            return None
        return 3 - ste.S2SL0

    def _stage2_size_legal(self, ste: Fields, granule_lg2: int) -> bool:
        smallest = 12 if granule_lg2 == 16 and self.oas_lg2 == 52 else 16
        if not max(smallest, 64 - self.ias_lg2) <= ste.S2T0SZ <= self.largest_size(granule_lg2):
            return False
        start = self.stage2_start(ste)
        if start is None or self.oas_lg2 < _START_NEEDS.get((granule_lg2, start), 0):
            return False
        # More than one entry, and at most 16 tables side by side.
        granule, level = Granule(granule_lg2), vendor_level(start)
        return granule.page_lg2(level) + 1 <= 64 - ste.S2T0SZ <= granule.page_lg2(level + 1) + 4

    def cd_illegal(self, ste: Fields, cd: Fields, el2: bool) -> bool:
        """Whether a CD is ILLEGAL (5.4.2)."""
        return any(
            (
                not cd.AA64,
                self._endianness_illegal(cd.ENDI),
                self._flags_illegal(cd.HA, cd.HD),
                self.idr0.HTTU == 3 and cd.HAFT and not cd.HA,
                self._stall_illegal(cd.S) or (cd.S and ste.S1STALLD),
                self.idr0.TERM_MODEL and not cd.A,
                cd.ASID > 255 and not self.idr0.ASID16 and not el2,
                any(self._half_illegal(half, cd.IPS) for half in halves(cd, el2)),
            )
        )

    def _half_illegal(self, half: Half, ips: int) -> bool:
        smallest = 12 if half.granule_lg2 == 16 and self.idr5.VAX else 16
        return (
            not self.has_granule(half.granule_lg2)
            or not smallest <= half.size <= self.largest_size(half.granule_lg2)
            or bool(half.table >> self.table_lg2(ips, half.granule_lg2))
        )

    def _endianness_illegal(self, big: int) -> bool:
        return (self.idr0.TTENDIAN == LITTLE_ENDIAN and big == 1) or (
            self.idr0.TTENDIAN == BIG_ENDIAN and big == 0
        )

    def _flags_illegal(self, ha: int, hd: int) -> bool:
        return bool((ha and not self.idr0.HTTU) or (hd and self.idr0.HTTU < 2))

    def _stall_illegal(self, stall: int) -> bool:
        model = self.idr0.STALL_MODEL
        return bool((stall and model == STALL_NEVER) or (not stall and model == STALL_ALWAYS))


# ---------------------------------------------------------------- the unit


class Smmuv3(Translator):
    """One request at an SMMU."""

    rid_last = 0xFFFF_FFFF

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.base = STRTAB_BASE.of(self.register("STRTAB_BASE"))
        self.table = STRTAB_BASE_CFG.of(self.register("STRTAB_BASE_CFG"))
        self.features = Features(
            self.register("IDR0", DEFAULT_IDR0),
            self.register("IDR1", DEFAULT_IDR1),
            self.register("IDR3", DEFAULT_IDR3),
            self.register("IDR5", DEFAULT_IDR5),
        )
        self.cr0 = CR0.of(self.register("CR0", DEFAULT_CR0))
        self.cr2 = CR2.of(self.register("CR2", DEFAULT_CR2))
        self.gbpa = GBPA.of(self.register("GBPA", 0))
        #: R of the CD and S2R of the STE, once they have been read.
        self.records = {Stage.S1: False, Stage.S2: False}
        self.access = self.request.access
        self.privileged = self.request.priv

    # Events.

    def finish(self, fault: Fault) -> Fault:
        """Note S2 and CLASS, and whether the event is recorded."""
        return replace(fault, detail=event_detail(fault), recorded=self._recorded(fault))

    def _recorded(self, fault: Fault) -> bool:
        if fault.native == NO_EVENT:
            return False
        if self.request.at is At.TRANSLATION:
            return fault.native == F_BAD_ATS_TREQ
        if fault.native == C_BAD_STREAMID:
            return bool(self.cr2.RECINVSID)
        return self.records[fault.stage] if fault.native in FAULTS else True

    @staticmethod
    def _stop(reason: Reason, event: int, entry: Fetched) -> Stop:
        return Stop(reason, event, entry.place, entry)

    # The order of 7.3.22.

    def translate(self) -> Translation:
        """Go by SMMUEN, the STE, the CD, then the stages."""
        if not self.cr0.SMMUEN:
            return self._off()
        if self.request.at is At.TRANSLATED and not self.cr0.ATSCHK:
            return self._cut()
        entry = self._stream_entry()
        ste = STE.parse(entry.contents)
        self._check(entry, ste)
        if self.request.at is At.TRANSLATED:
            return self._cut()
        self._override(ste)
        return self._through(entry, ste)

    def _off(self) -> Translation:
        blocked = {At.TRANSLATION: F_BAD_ATS_TREQ, At.TRANSLATED: F_TRANSL_FORBIDDEN}
        if self.request.at in blocked:
            raise Stop(Reason.BLOCKED, blocked[self.request.at], self.place(Stage.DEVICE))
        if self.gbpa.ABORT:
            raise Stop(Reason.ABORTED, NO_EVENT, self.place(Stage.DEVICE))
        return self._cut()

    def _cut(self, access: Access = Access.READ | Access.WRITE) -> Translation:
        """Output is input, without the bits that the unit does not have (3.4)."""
        answer = self.untranslated(access)
        return replace(answer, hpa=answer.hpa & ((1 << self.features.oas_lg2) - 1))

    # The stream table.

    def _stream_entry(self) -> Fetched:
        stream = self.request.rid
        if stream >> min(self.table.LOG2SIZE, self.features.idr1.SIDSIZE):
            raise Stop(Reason.RID_RANGE, C_BAD_STREAMID, self.place(Stage.DEVICE))
        if self.features.idr0.ST_LEVEL and self.table.FMT == 1:
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
        if self.features.ste_illegal(ste):
            raise self._stop(Reason.INVALID, C_BAD_STE, entry)
        self.records[Stage.S2] = bool(ste.S2R)
        has_ats = ste.EATS == FULL_ATS and ste.Config != BYPASS
        if self.request.at is At.TRANSLATION and not has_ats:
            raise self._stop(Reason.BLOCKED, F_BAD_ATS_TREQ, entry)
        if self.request.at is At.TRANSLATED and not has_ats:
            raise self._stop(Reason.BLOCKED, F_TRANSL_FORBIDDEN, entry)

    def _override(self, ste: Fields) -> None:
        """Put the STE's privilege and instruction attributes in the place of the request's."""
        if not self.features.idr1.ATTR_PERMS_OVR:
            return
        if ste.PRIVCFG >= 2:
            self.privileged = ste.PRIVCFG == 3
        if ste.INSTCFG >= 2 and self.access is not Access.WRITE:
            self.access = Access.EXEC if ste.INSTCFG == 3 else Access.READ

    # The stages.

    def _through(self, entry: Fetched, ste: Fields) -> Translation:
        index = self._cd_index(entry, ste)
        if index is None and self.request.iova >> self.features.ias_lg2:
            raise Stop(Reason.INPUT_RANGE, F_ADDR_SIZE, self.place(Stage.S1))
        second = self._second(ste) if ste.Config in (STAGE_2, NESTED) else None
        if index is None and second is None:
            return self._cut(ALL_ACCESS)
        first = None if index is None else self._first(ste, self._cd(ste, index, second), second)
        return self.walk.stages(first, second, self.access)

    def _cd_index(self, entry: Fetched, ste: Fields) -> int | None:
        """Return the CD of this request; None if stage 1 is off for it (5.2, S1CDMax and S1DSS)."""
        substream, cd_max = self.request.pasid, self.features.cd_max(ste)
        on = ste.Config in (STAGE_1, NESTED)
        if substream is not None:
            if not on or not cd_max:
                raise self._stop(Reason.BLOCKED, C_BAD_SUBSTREAMID, entry)
            if substream >> cd_max:
                raise self._stop(Reason.PASID_RANGE, C_BAD_SUBSTREAMID, entry)
            if substream == 0 and ste.S1DSS == DSS_CD0:
                raise self._stop(Reason.BLOCKED, F_STREAM_DISABLED, entry)
            return substream
        if not on:
            return None
        if not cd_max or ste.S1DSS == DSS_CD0:
            return 0
        if ste.S1DSS != DSS_BYPASS:
            raise self._stop(Reason.BLOCKED, F_STREAM_DISABLED, entry)
        return None

    def _cd(self, ste: Fields, index: int, second: Paging | None) -> Fields:
        """Read and check a CD (5.3, 5.4); nested, all of its table lies in IPA."""
        table, cd_format = ste.S1ContextPtr, self.features.cd_format(ste)
        if cd_format != LINEAR:
            leaf_lg2 = 6 if cd_format == TWO_LEVEL_4K else 10
            table = self._leaf_table(table + 8 * (index >> leaf_lg2), second)
            index &= (1 << leaf_lg2) - 1
        entry = self.walk.fetch(self.place(Stage.PASID), table + 64 * index, 64, F_CD_FETCH, second)
        cd = CD.parse(entry.contents)
        if not cd.V:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_CD, entry)
        if self.features.cd_illegal(ste, cd, self._is_el2(ste)):
            raise self._stop(Reason.INVALID, C_BAD_CD, entry)
        self.records[Stage.S1] = bool(cd.R)
        return cd

    def _leaf_table(self, address: int, second: Paging | None) -> int:
        """Read an L1CD: where the CDs lie."""
        entry = self.walk.fetch(self.place(Stage.PASID, 1), address, 8, F_CD_FETCH, second)
        fields = L1CD.parse(entry.contents)
        if not fields.V:
            raise self._stop(Reason.NOT_PRESENT, C_BAD_SUBSTREAMID, entry)
        if second is None and fields.L2Ptr >> self.features.oas_lg2:
            raise self._stop(Reason.OUTPUT_RANGE, C_BAD_SUBSTREAMID, entry)
        return fields.L2Ptr

    def _is_el2(self, ste: Fields) -> bool:
        return self.features.is_el2(ste, self.cr2.E2H)

    def _first(self, ste: Fields, cd: Fields, second: Paging | None) -> Stage1:
        """Make the tables of the half that the address lies in."""
        el2, upper = self._is_el2(ste), bool(self.request.iova >> 55 & 1)
        half = next((each for each in halves(cd, el2) if each.upper == upper), None)
        if half is None:
            raise Stop(Reason.INPUT_RANGE, F_TRANSLATION, self.place(Stage.S1))
        granule = self.features.granule(half.granule_lg2)
        first = Stage1(half, granule, self.features.output_lg2(cd.IPS), second)
        first.flag_controls(cd.AFFD, cd.HA, cd.HD)
        first.el2 = el2
        first.privileged = self.privileged or el2
        first.hierarchical = not (half.had and self.features.idr3.HAD)
        first.wxn = bool(cd.WXN)
        first.pan = bool(cd.PAN)
        if self.features.idr3.E0PD and half.e0pd and not first.privileged and first.takes(self.request.iova):
            raise Stop(Reason.PRIVILEGE, F_TRANSLATION, self.place(Stage.S1))
        return first

    def _second(self, ste: Fields) -> Stage2:
        granule = self.features.granule(TG0_LG2[ste.S2TG])
        start = self.features.stage2_start(ste)
        assert start is not None  # else the STE is ILLEGAL
        output_lg2 = self.features.output_lg2(ste.S2PS)
        xnx = bool(self.features.idr3.XNX)
        second = Stage2(ste.S2TTB, granule, 64 - ste.S2T0SZ, vendor_level(start) + 1, output_lg2, xnx)
        second.flag_controls(ste.S2AFFD, ste.S2HA, ste.S2HD)
        second.privileged = self.privileged
        second.ptw = bool(ste.S2PTW)
        return second


def _aligned(address: int, lg2: int) -> int:
    """Return an address without its lowest bits, which the unit ignores."""
    return address & -(1 << lg2) & ADDRESS_MASK


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
    lg2: int | None = None
    for earlier, data in before:
        if earlier.level == 0 and earlier.stage is Stage.DEVICE and ref.stage is Stage.S2:
            lg2 = TG0_LG2.get(STE.parse(data).S2TG)
        if earlier.level == 0 and earlier.stage is Stage.PASID and ref.stage is Stage.S1:
            top = next((each for each, _ in before if each.stage is Stage.S1), ref)
            lg2 = _granule_lg2_of_half(CD.parse(data), top.gpa)
    if lg2 is None:
        return DEFAULT_GRANULE
    oas = IDR5.of(registers.get("IDR5", DEFAULT_IDR5)).OAS
    return Granule(lg2, wide=lg2 == 16 and ADDRESS_LG2[oas] == 52)


def _granule_lg2_of_half(cd: Fields, top: int) -> int | None:
    """log2 of the granule of the half in whose top table the entry at ``top`` lies."""
    lower, upper = TG0_LG2.get(cd.TG0), TG1_LG2.get(cd.TG1)
    if cd.EPD0 or lower is None:
        return upper
    # A top table of stage 1 never crosses a granule.
    return lower if top >> lower == cd.TTB0 >> lower else upper


FORMAT = Format(Smmuv3, describe)
