"""VT-d legacy-mode tables made by hand (VT-d 9.1, 9.3, 9.8): what a test of enumerations maps."""

from __future__ import annotations

from iommu_abi.memory import Memory
from iommu_abi.walk import Unit

R, W = 1, 2
SMALL, LARGE = 1 << 12, 1 << 21
TOP = 0x10_0000  # where tables lie: a page of root entries, one of context entries for bus 0, then the rest


class Tables:
    """Second-stage tables of 4 levels, one set for each device of bus 0. Rights: R, W."""

    def __init__(self, base: int = TOP) -> None:
        self.base = base
        self.bytes = bytearray(2 * SMALL)
        self._tables: dict[tuple[int, ...], int] = {}
        self._put(base, base + SMALL | 1)

    def _put(self, at: int, value: int) -> None:
        self.bytes[at - self.base : at - self.base + 8] = value.to_bytes(8, "little")

    def _table(self, *name: int) -> tuple[int, bool]:
        """A table's address, and whether it is new."""
        new = name not in self._tables
        if new:
            self._tables[name] = self.base + len(self.bytes)
            self.bytes += bytes(SMALL)
        return self._tables[name], new

    def passes(self, devfn: int) -> None:
        """Translation type 2: pass-through."""
        self._put(self.base + SMALL + 16 * devfn, 2 << 2 | 1)
        self._put(self.base + SMALL + 16 * devfn + 8, 2)

    def device(self, devfn: int, context_low: int | None = None) -> int:
        """The top table of a device, with its context entry: 48 bits, domain 1."""
        top, _ = self._table(devfn)
        self._put(self.base + SMALL + 16 * devfn, top | 1 if context_low is None else context_low)
        self._put(self.base + SMALL + 16 * devfn + 8, 1 << 8 | 2)
        return top

    def map(
        self, devfn: int, iova: int, hpa: int, rights: int = R | W, size: int = SMALL, n: int = 1
    ) -> None:
        """``n`` pages in a row, of ``size`` bytes."""
        for i in range(n):
            self._map(devfn, iova + i * size, hpa + i * size, rights, size)

    def _map(self, devfn: int, iova: int, hpa: int, rights: int, size: int) -> None:
        table, name = self.device(devfn), (devfn,)
        for shift in (39, 30, 21):
            index = iova >> shift & 511
            if size == 1 << shift:
                self._put(table + 8 * index, hpa | 1 << 7 | rights)
                return
            name = (*name, index)
            below, new = self._table(*name)
            if new:
                self._put(table + 8 * index, below | R | W)
            table = below
        self._put(table + 8 * (iova >> 12 & 511), hpa | rights)

    @property
    def unit(self) -> Unit:
        """Its IOMMU: 2 MiB pages (CAP.SLLPS), pass-through (ECAP.PT), 48 bits (CAP.SAGAW)."""
        return Unit("vtd", {"RTADDR": self.base, "CAP": 0xD2008C222F0606, "ECAP": 0xF00F4A})

    @property
    def memory(self) -> Memory:
        """The tables alone."""
        made = Memory()
        made.map(self.base, bytes(self.bytes))
        return made
