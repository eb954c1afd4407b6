"""Makes tables of Arm SMMUv3: VMSAv8-64 page tables, CD tables, stream tables.

A nested set-up, complete::

    host = Memory()
    second = SmmuStage2(host)
    guest = Guest(host, second)
    first = SmmuStage1(guest)
    first.map(0x7000_0000, guest.page())
    cds = CdTable(guest, cdmax=4)                # its CDs at guest-physical addresses
    cds.set(5, first)
    unit = SmmuUnit(host)
    unit.device(0x10, cds, second)
    answer = plain_walk.translate("smmuv3", unit.registers, host.read, Request(0x10, 0x7000_0123, pasid=5))
"""

from __future__ import annotations

from abc import abstractmethod

from iommu_abi.schemas.build_base import ADDRESS, PAGE, READ, WRITE, Space, Tables
from iommu_abi.schemas.smmuv3_entries import (
    BYPASS,
    CD,
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
)
from iommu_abi.schemas.vmsa_entries import Descriptor, Granule, descriptor_layout, vendor_level
from iommu_abi.terms import Access

_TG0 = {lg2: code for code, lg2 in TG0_LG2.items()}
_TG1 = {lg2: code for code, lg2 in TG1_LG2.items()}
_NORMAL = 0xF  # MemAttr: write-back memory

# ---------------------------------------------------------------- page tables


class SmmuTables(Tables):
    """VMSAv8-64 tables for addresses of ``input_lg2`` bits.

    ``granule``: bytes of a table and of the smallest page. ``wide``: descriptors have addresses of 52
    bits (64 KiB: OAS of 52 bits; else DS). The root has as many entries as the input needs, be it
    fewer or more than a granule holds. ``big_endian``: ENDI or S2ENDI.
    """

    number: int

    def __init__(
        self, space: Space, granule: int, input_lg2: int, levels: int, wide: bool, big_endian: bool
    ) -> None:
        self.granule = Granule(granule.bit_length() - 1, wide)
        self.input_lg2 = input_lg2
        self.big_endian = big_endian
        super().__init__(space, levels)

    @property
    def ds(self) -> int:
        """DS or S2DS: 52-bit addresses with 4 and 16 KiB."""
        return int(self.granule.wide and self.granule.lg2 != 16)

    def _load(self, where: int) -> int:
        return self._as_stored(super()._load(where))

    def _store(self, where: int, raw: int) -> None:
        super()._store(where, self._as_stored(raw))

    def _as_stored(self, raw: int) -> int:
        return int.from_bytes(raw.to_bytes(8, "little"), "big") if self.big_endian else raw

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return self.granule.page_lg2(level)

    def _index_lg2(self, level: int) -> int:
        return self.input_lg2 - self.page_lg2(level) if level == self.levels - 1 else self.granule.index_lg2

    def _new_root(self) -> int:
        length = max(PAGE, 8 << self._index_lg2(self.levels - 1))
        return self.space.page(length // PAGE, align=length)

    def _new_table(self) -> int:
        length = 1 << self.granule.lg2
        return self.space.page(length // PAGE, align=length)

    def _next(self, raw: int, level: int) -> tuple[int, int]:
        if self.granule.kind(level, raw) is not Descriptor.TABLE:
            raise ValueError("a larger page is mapped here")
        fields = descriptor_layout(self.number, self.granule, level, Descriptor.TABLE).of(raw)
        return self.granule.address(fields), level - 1

    def _descriptor(self, level: int, kind: Descriptor, address: int, **fields: int) -> int:
        values = {"VALID": 1, "TYPE": int(kind is not Descriptor.BLOCK)}
        values |= self.granule.address_fields(address)
        return descriptor_layout(self.number, self.granule, level, kind).value(**values | fields)

    def _table(self, address: int, level: int) -> int:
        return self._descriptor(level + 1, Descriptor.TABLE, address)

    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        kind = Descriptor.BLOCK if level else Descriptor.PAGE
        return self._descriptor(level, kind, to, **{"AF": 1} | self._rights(access) | fields)

    @abstractmethod
    def _rights(self, access: Access) -> dict[str, int]:
        """Return the fields of a leaf that say what may be done."""


class SmmuStage1(SmmuTables):
    """Stage 1 of one half of the addresses, which have 64 - ``tsz`` bits.

    Pages are the unprivileged's unless AP1=0 is given; without EXEC they have UXN and PXN.
    """

    number = 1

    def __init__(
        self,
        space: Space,
        granule: int = PAGE,
        tsz: int = 16,
        wide: bool = False,
        big_endian: bool = False,
    ) -> None:
        self.tsz = tsz
        levels = Granule(granule.bit_length() - 1).levels(64 - tsz)
        super().__init__(space, granule, 64 - tsz, levels, wide, big_endian)

    def _rights(self, access: Access) -> dict[str, int]:
        never = int(Access.EXEC not in access)
        return {"AP1": 1, "AP2": int(WRITE not in access), "UXN": never, "PXN": never}


class SmmuStage2(SmmuTables):
    """Stage 2 for addresses of 64 - ``tsz`` bits.

    ``start``: the vendor's number of the start level; without it the first that is needed and legal
    (16 KiB tables start at 0 with DS alone). A later start makes the root larger than a granule.
    """

    number = 2

    def __init__(
        self,
        space: Space,
        granule: int = PAGE,
        tsz: int = 16,
        start: int | None = None,
        wide: bool = False,
        big_endian: bool = False,
    ) -> None:
        self.tsz = tsz
        levels = Granule(granule.bit_length() - 1).levels(64 - tsz)
        if start is not None:
            levels = vendor_level(start) + 1
        elif granule == 1 << 14 and not wide:
            levels = min(levels, 3)
        super().__init__(space, granule, 64 - tsz, levels, wide, big_endian)

    @property
    def sl0(self) -> int:
        """The fields S2SL0_2 and S2SL0 of the STE, as one number."""
        start = vendor_level(self.levels - 1)
        if self.granule.lg2 == 12:
            return {2: 0, 1: 1, 0: 2, 3: 3, -1: 4}[start]
        return 3 - start

    def _rights(self, access: Access) -> dict[str, int]:
        never = int(Access.EXEC not in access)
        s2ap = int(READ in access) | int(WRITE in access) << 1
        return {"S2AP": s2ap, "XN": never << 1, "MemAttr": _NORMAL}


# ---------------------------------------------------------------- context descriptors


class CdTable:
    """The 2^``cdmax`` CDs of a stream, linear or (``fmt`` 1, 2) in two levels.

    ``address`` is its place in ``space``: nested if that is not host memory.
    """

    def __init__(self, space: Space, cdmax: int = 0, fmt: int = LINEAR) -> None:
        self.space = space
        self.cdmax = cdmax
        self.fmt = fmt
        self.leaf_lg2 = 6 if fmt == TWO_LEVEL_4K else 10
        length = 64 << cdmax if fmt == LINEAR else 8 << max(0, cdmax - self.leaf_lg2)
        self.address = _pages(space, length)

    def set(
        self,
        ssid: int,
        first: SmmuStage1 | None = None,
        upper: SmmuStage1 | None = None,
        **fields: int,
    ) -> int:
        """Write a CD with tables for the lower half, the upper, or both; its address."""
        values = {"V": 1, "AA64": 1, "A": 1, "R": 1, "IPS": 5, "EPD0": 1, "EPD1": 1}
        for tables in (first, upper):
            if tables is not None and tables.ds:
                values |= {"DS": 1, "IPS": 6}
            if tables is not None and tables.big_endian:
                values |= {"ENDI": 1}
        if first is not None:
            tg0 = _TG0[first.granule.lg2]
            values |= {"EPD0": 0, "T0SZ": first.tsz, "TG0": tg0, "TTB0": first.root}
        if upper is not None:
            tg1 = _TG1[upper.granule.lg2]
            values |= {"EPD1": 0, "T1SZ": upper.tsz, "TG1": tg1, "TTB1": upper.root}
        address = self.where(ssid)
        self.space.write(address, CD.build(**values | fields))
        return address

    def where(self, ssid: int) -> int:
        """Address of a CD; a table of the second level is made when it is missing."""
        if self.fmt == LINEAR:
            return self.address + 64 * ssid
        slot = self.address + 8 * (ssid >> self.leaf_lg2)
        if not self.space.load(slot):
            leaf = _pages(self.space, 64 << self.leaf_lg2)
            self.space.write(slot, L1CD.build(V=1, L2Ptr=leaf))
        return (self.space.load(slot) & ADDRESS) + 64 * (ssid & ((1 << self.leaf_lg2) - 1))


# ---------------------------------------------------------------- the unit


class SmmuUnit:
    """An SMMU with 2^``log2size`` streams.

    Its stream table is linear, or has two levels if ``split`` says how many StreamID bits are the
    second's.
    """

    def __init__(self, host: Space, log2size: int = 8, split: int | None = None, **registers: int) -> None:
        self.host = host
        self.log2size = log2size
        self.split = split
        length = 64 << log2size if split is None else 8 << max(0, log2size - split)
        self.stream_table = _pages(host, length)
        self._registers = registers

    @property
    def registers(self) -> dict[str, int]:
        """STRTAB_BASE and STRTAB_BASE_CFG, and the registers that were given."""
        two_level = int(self.split is not None)
        config = STRTAB_BASE_CFG.value(LOG2SIZE=self.log2size, SPLIT=self.split or 0, FMT=two_level)
        base = STRTAB_BASE.value(ADDR=self.stream_table)
        return {"STRTAB_BASE": base, "STRTAB_BASE_CFG": config} | self._registers

    def device(
        self, sid: int, cds: CdTable | None = None, second: SmmuStage2 | None = None, **fields: int
    ) -> int:
        """Write an STE: stage 1, stage 2, nested, or with neither bypass; its address."""
        values = {"V": 1, "Config": _config(cds, second), "S2R": 1}
        if cds is not None:
            values |= {"S1ContextPtr": cds.address, "S1CDMax": cds.cdmax, "S1Fmt": cds.fmt}
        if second is not None:
            values |= {"S2T0SZ": second.tsz, "S2TG": _TG0[second.granule.lg2]}
            values |= {"S2SL0": second.sl0 & 3, "S2SL0_2": second.sl0 >> 2}
            values |= {"S2TTB": second.root, "S2PS": 6 if second.ds else 5, "S2AA64": 1}
            values |= {"S2DS": second.ds, "S2ENDI": int(second.big_endian)}
        address = self.where(sid)
        self.host.write(address, STE.build(**values | fields))
        return address

    def where(self, sid: int) -> int:
        """Address of an STE; a table of the second level is made when it is missing."""
        if self.split is None:
            return self.stream_table + 64 * sid
        slot = self.stream_table + 8 * (sid >> self.split)
        if not self.host.load(slot):
            leaf = _pages(self.host, 64 << self.split)
            self.host.write(slot, L1STD.build(Span=self.split + 1, L2Ptr=leaf))
        leaf = L1STD.of(self.host.load(slot)).L2Ptr
        return leaf + 64 * (sid & ((1 << self.split) - 1))


def _pages(space: Space, length: int) -> int:
    """Return new pages for ``length`` bytes, aligned to it."""
    length = max(PAGE, length)
    return space.page(length // PAGE, align=length)


def _config(cds: CdTable | None, second: SmmuStage2 | None) -> int:
    if cds is None:
        return BYPASS if second is None else STAGE_2
    return STAGE_1 if second is None else NESTED
