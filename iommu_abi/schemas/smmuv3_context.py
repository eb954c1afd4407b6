"""Arm SMMUv3: what a stream has: its STE, and for a SubstreamID the CD.

Source: Arm IHI 0070: 3.3 (stream and CD tables), 3.4.3 (addresses beyond the unit's), 5.1 to 5.4
(entries), 6.3.24 and 6.3.25 (stream table), 7.3.22 (order of events).
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.context import Context, Unit
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.smmuv3_cd import Regime
from iommu_abi.schemas.smmuv3_entries import (
    BYPASS,
    CD,
    CR0,
    CR2,
    DSS_BYPASS,
    DSS_CD0,
    GBPA,
    L1CD,
    L1STD,
    LINEAR,
    STE,
    STRTAB_BASE,
    STRTAB_BASE_CFG,
    TWO_LEVEL_4K,
)
from iommu_abi.schemas.smmuv3_events import (
    C_BAD_CD,
    C_BAD_STE,
    C_BAD_STREAMID,
    C_BAD_SUBSTREAMID,
    F_CD_FETCH,
    F_STE_FETCH,
    F_STREAM_DISABLED,
    NO_EVENT,
)
from iommu_abi.schemas.smmuv3_features import DEFAULT_CR0, DEFAULT_CR2, IDENTITY, Features
from iommu_abi.schemas.smmuv3_ste import (
    cd_format,
    cd_max,
    has_stage1,
    has_stage2,
    ste_illegal,
    unmodelled_stage2,
)
from iommu_abi.schemas.smmuv3_transaction import Smmuv3Transaction
from iommu_abi.schemas.table_walk import ADDRESS_MASK, Fetched, Walk
from iommu_abi.schemas.vmsa import Stage2
from iommu_abi.schemas.vmsa_entries import vendor_level
from iommu_abi.terms import Reason, Request, Stage


class Smmuv3(Unit):
    """An SMMU."""

    rid_last = 0xFFFF_FFFF

    def __init__(self, registers: Mapping[str, int]) -> None:
        super().__init__(registers)
        self.base = STRTAB_BASE.of(self.register("STRTAB_BASE"))
        self.table = STRTAB_BASE_CFG.of(self.register("STRTAB_BASE_CFG"))
        self.features = Features({name: self.register(name, value) for name, value in IDENTITY.items()})
        self.cr0 = CR0.of(self.register("CR0", DEFAULT_CR0))
        self.cr2 = CR2.of(self.register("CR2", DEFAULT_CR2))
        self.gbpa = GBPA.of(self.register("GBPA", 0))
        self.address_lg2 = self.features.oas_lg2

    @property
    def reads_tables(self) -> bool:
        """SMMUEN."""
        return bool(self.cr0.SMMUEN)

    def context(self, walk: Walk, rid: int, pasid: int | None) -> StreamContext:
        """Make the context of a stream."""
        return StreamContext(self, walk, rid, pasid)


class StreamContext(Context):
    """A stream, with a SubstreamID or without.

    ``entry`` and ``ste`` are its STE. ``index`` says which CD serves it, None if stage 1 is off for it;
    ``cd_entry`` and ``regime`` are that CD, as the STE has it read.
    """

    unit: Smmuv3
    entry: Fetched
    ste: Fields
    index: int | None
    cd_entry: Fetched
    regime: Regime

    def transaction(self, walk: Walk, request: Request) -> Smmuv3Transaction:
        """Let the stream ask for something."""
        return Smmuv3Transaction(self, walk, request)

    def read_parts(self) -> None:
        """Read the STE, then the CD."""
        self.device = self.part(self._read_stream)
        self.choice = self.part(self._choose)
        self.roots = self.part(self._read_cd)

    # The stream table (5.1, 5.2).

    def _read_stream(self) -> None:
        """Read the STE, and see whether it is legal."""
        self.entry = self._stream_entry()
        self.ste = STE.parse(self.entry.contents)
        if not self.ste.V:
            raise self.entry.stop(Reason.NOT_PRESENT, C_BAD_STE)
        if self.ste.Config < BYPASS:
            raise self.entry.stop(Reason.ABORTED, NO_EVENT)
        if ste_illegal(self.unit.features, self.ste):
            raise self.entry.stop(Reason.INVALID, C_BAD_STE)

    def _stream_entry(self) -> Fetched:
        stream = self.rid
        if stream >> min(self.unit.table.LOG2SIZE, self.unit.features.idr1.SIDSIZE):
            raise self.place(Stage.DEVICE).stop(Reason.RID_RANGE, C_BAD_STREAMID)
        if self.unit.features.idr0.ST_LEVEL and self.unit.table.FMT == 1:
            address = self._second_level(stream)
        else:
            address = _aligned(self.unit.base.ADDR, 6 + self.unit.table.LOG2SIZE) + 64 * stream
        return self.walk.fetch(self.place(Stage.DEVICE), address, 64, F_STE_FETCH)

    def _second_level(self, stream: int) -> int:
        """Return where the STE lies in a two-level table (5.1)."""
        split = self.unit.table.SPLIT if self.unit.table.SPLIT in (6, 8, 10) else 6
        table = _aligned(self.unit.base.ADDR, max(6, self.unit.table.LOG2SIZE - split + 3))
        address = table + 8 * (stream >> split)
        entry = self.walk.fetch(self.place(Stage.DEVICE, 1), address, 8, F_STE_FETCH)
        fields = L1STD.parse(entry.contents)
        if fields.Span == 0 or fields.Span > 11:
            raise entry.stop(Reason.NOT_PRESENT, C_BAD_STREAMID)
        if fields.Span > split + 1:
            raise entry.stop(Reason.RESERVED, C_BAD_STREAMID)
        index = stream & ((1 << split) - 1)
        if index >> (fields.Span - 1):
            raise entry.stop(Reason.RID_RANGE, C_BAD_STREAMID)
        return _aligned(fields.L2Ptr, 5 + fields.Span) + 64 * index

    # The CD table (5.3, 5.4).

    def _choose(self) -> None:
        """Choose the CD."""
        self.index = self._cd_index()

    def _cd_index(self) -> int | None:
        """Return the CD that serves this SubstreamID, or none of one (5.2, S1CDMax and S1DSS)."""
        ste, substream = self.ste, self.pasid
        width, on = cd_max(self.unit.features, ste), has_stage1(ste)
        if substream is not None:
            if not on or not width:
                raise self.entry.stop(Reason.BLOCKED, C_BAD_SUBSTREAMID)
            if substream >> width:
                raise self.entry.stop(Reason.PASID_RANGE, C_BAD_SUBSTREAMID)
            if substream == 0 and ste.S1DSS == DSS_CD0:
                raise self.entry.stop(Reason.BLOCKED, F_STREAM_DISABLED)
            return substream
        if not on:
            return None
        if not width or ste.S1DSS == DSS_CD0:
            return 0
        if ste.S1DSS != DSS_BYPASS:
            raise self.entry.stop(Reason.BLOCKED, F_STREAM_DISABLED)
        return None

    def _read_cd(self) -> None:
        """Read and check the CD; nested, all of its table lies in IPA."""
        if self.index is None or (has_stage2(self.ste) and unmodelled_stage2(self.unit.features, self.ste)):
            return
        second = self.second_stage()
        address = self._context_address(self.index, second)
        self.cd_entry = self.walk.fetch(self.place(Stage.PASID), address, 64, F_CD_FETCH, second)
        cd = CD.parse(self.cd_entry.contents)
        if not cd.V:
            raise self.cd_entry.stop(Reason.NOT_PRESENT, C_BAD_CD)
        self.regime = Regime(self.unit.features, self.ste, cd, self.unit.cr2.E2H)
        if self.regime.illegal():
            raise self.cd_entry.stop(Reason.INVALID, C_BAD_CD)

    def _context_address(self, index: int, second: Stage2 | None) -> int:
        """Return where a CD lies: in a linear table, or by an L1CD.

        A pointer that is not aligned leads to some entry of the aligned table (5.2 S1Fmt).
        """
        ste, features = self.ste, self.unit.features
        width, table_format = cd_max(features, ste), cd_format(features, ste)
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
            raise entry.stop(Reason.NOT_PRESENT, C_BAD_SUBSTREAMID)
        if second is None and fields.L2Ptr >> self.unit.features.oas_lg2:
            raise entry.stop(Reason.OUTPUT_RANGE, C_BAD_SUBSTREAMID)
        return fields.L2Ptr

    # Stage 2.

    def second_stage(self) -> Stage2 | None:
        """Make the tables of stage 2, as a walk for an entry sees them; None if it is off."""
        ste, features = self.ste, self.unit.features
        if not has_stage2(ste):
            return None
        start = features.second_start(ste)
        assert start is not None  # else the STE is ILLEGAL
        root, granule = features.table_address(ste.S2TTB), features.second_granule(ste)
        output_lg2, xnx = features.output_lg2(ste.S2PS), bool(features.idr3.XNX)
        second = Stage2(root, granule, 64 - ste.S2T0SZ, vendor_level(start) + 1, output_lg2, xnx)
        second.flag_controls(ste.S2AFFD, ste.S2HA, ste.S2HD, features.haft(ste.S2HAFT))
        second.big_endian = bool(ste.S2ENDI)
        second.ptw = bool(ste.S2PTW)
        second.fwb = bool(ste.S2FWB and features.idr3.FWB)
        return second


def _aligned(address: int, lg2: int) -> int:
    """Return an address without its lowest bits, which the unit ignores."""
    return address & -(1 << lg2) & ADDRESS_MASK


def _wrapped(pointer: int, offset: int, lg2: int) -> int:
    """Return an address in the aligned 2^lg2 bytes around ``pointer``, ``offset`` bytes on."""
    return _aligned(pointer, lg2) | (pointer + offset) & ((1 << lg2) - 1)
