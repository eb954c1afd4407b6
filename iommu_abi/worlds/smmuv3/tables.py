"""Tables of Arm SMMUv3 for worlds: the shapes of page tables, and large tables of which little is used.

Sources: Arm IHI 0070, 5.2 (S2T0SZ, S2SL0), 5.4 (TxSZ); ``docs/walk_smmuv3.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.schemas import build
from iommu_abi.schemas.smmuv3_entries import L1CD, L1STD, LINEAR, TWO_LEVEL_4K
from iommu_abi.schemas.vmsa_entries import Granule
from iommu_abi.terms import Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.spaces import Host, room

#: Granule and start level (the vendor's) -> the width of output addresses that it needs.
START_NEEDS = {(12, -1): 52, (12, 0): 44, (14, 0): 52, (14, 1): 42, (16, 1): 44}


@dataclass(frozen=True, slots=True)
class Shape:
    """Granule, input width and levels of page tables. ``start``: of stage 2, the vendor's start level."""

    granule: Granule
    input_lg2: int
    levels: int
    start: int = 0

    @property
    def tsz(self) -> int:
        """TxSZ."""
        return 64 - self.input_lg2


@dataclass(frozen=True, slots=True)
class Limits:
    """What the ID registers say of page tables: address widths, STT, VAX, DS."""

    ias_lg2: int
    oas_lg2: int
    stt: int
    vax: int
    ds: int

    def shapes(self, stage: Stage) -> list[Shape]:
        """Every shape that the tables of a stage can have, where DS is there with it and without."""
        return [
            shape
            for granule in self._granules()
            for shape in (self._first(granule) if stage is Stage.S1 else self._second(granule))
        ]

    def _granules(self) -> Iterator[Granule]:
        for lg2 in (12, 14):
            yield Granule(lg2)
            if self.ds:
                yield Granule(lg2, wide=True)
        yield Granule(16, wide=self.oas_lg2 == 52)

    def _narrowest(self, lg2: int) -> int:
        if not self.stt:
            return 64 - 39
        return 64 - 47 if lg2 == 16 else 64 - 48

    def _first(self, granule: Granule) -> Iterator[Shape]:
        lg2 = granule.lg2
        widest = 52 if (lg2 == 16 or granule.wide) and self.vax else 48
        for input_lg2 in range(self._narrowest(lg2), widest + 1):
            yield Shape(granule, input_lg2, granule.levels(input_lg2))

    def _second(self, granule: Granule) -> Iterator[Shape]:
        lg2, index_lg2 = granule.lg2, granule.index_lg2
        widest = min(self.ias_lg2, 52 if granule.wide else 48)
        for start in range(-1, 4):
            if not self._can_start(granule, start):
                continue
            # more than one entry, and at most 16 tables side by side
            first = lg2 + (3 - start) * index_lg2 + 1
            last = lg2 + (4 - start) * index_lg2 + 4
            for input_lg2 in range(max(first, self._narrowest(lg2)), min(last, widest) + 1):
                yield Shape(granule, input_lg2, 4 - start, start)

    def _can_start(self, granule: Granule, start: int) -> bool:
        lg2 = granule.lg2
        if self.oas_lg2 < START_NEEDS.get((lg2, start), 0):
            return False
        if start == -1:
            return lg2 == 12 and granule.wide
        if start == 0:
            return lg2 == 12 or (lg2 == 14 and granule.wide)
        return not (lg2 == 12 and start == 3) or bool(self.stt)


class StreamTable(build.SmmuUnit):
    """A stream table of which only the pages in use have memory; two-level if ``split`` is given.

    ``sids``: one to three streams inside of it.
    """

    def __init__(self, dice: Dice, host: Host, log2size: int, split: int | None) -> None:
        self.dice = dice
        self.host = host
        self.log2size = log2size
        self.split = split
        last = (1 << log2size) - 1
        draws = range(dice.pick((1, 1, 2, 3)))
        self.sids = sorted({dice.pick((0, last, dice.randrange(last + 1))) for _ in draws})
        self.stream_table = host.block(64 << log2size if split is None else 8 << max(3, log2size - split))
        self._registers = {}

    def where(self, sid: int) -> int:
        """Address of an STE; spans of the second level are as long as the streams need, or longer."""
        if self.split is None:
            return self.stream_table + 64 * sid
        slot, inside = self.stream_table + 8 * (sid >> self.split), (1 << self.split) - 1
        self.host.back(slot, 8)
        if not self.host.load(slot):
            last = max(each & inside for each in self.sids if each >> self.split == sid >> self.split)
            bits = self.dice.randrange(last.bit_length(), self.split + 1)
            self.host.write(slot, L1STD.build(Span=bits + 1, L2Ptr=room(self.host, 64 << bits)))
        return int(L1STD.of(self.host.load(slot)).L2Ptr) + 64 * (sid & inside)


class CdTable(build.CdTable):
    """A CD table of which only the pages in use have memory."""

    def __init__(self, space: build.Space, cdmax: int, fmt: int) -> None:
        self.space = space
        self.cdmax = cdmax
        self.fmt = fmt
        self.leaf_lg2 = 6 if fmt == TWO_LEVEL_4K else 10
        self.address = room(space, 64 << cdmax if fmt == LINEAR else 8 << max(0, cdmax - self.leaf_lg2))

    def where(self, ssid: int) -> int:
        """Address of a CD; a table of the second level is made when it is missing."""
        if self.fmt == LINEAR:
            return self.address + 64 * ssid
        slot = self.address + 8 * (ssid >> self.leaf_lg2)
        self.space.back(slot, 8)
        if not self.space.load(slot):
            self.space.write(slot, L1CD.build(V=1, L2Ptr=room(self.space, 64 << self.leaf_lg2)))
        return int(L1CD.of(self.space.load(slot)).L2Ptr) + 64 * (ssid & (1 << self.leaf_lg2) - 1)
