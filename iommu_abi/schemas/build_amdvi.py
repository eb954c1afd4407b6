"""Makes tables of AMD-Vi: host (v1) and guest (v2) page tables, GCR3 tables, device tables."""

from __future__ import annotations

from collections.abc import Sequence

from iommu_abi.schemas import amdvi_entries as amdvi
from iommu_abi.schemas import x86
from iommu_abi.schemas.build_base import ADDRESS, PAGE, READ, WRITE, Space, Tables
from iommu_abi.schemas.build_x86 import LongMode
from iommu_abi.terms import Access

# ---------------------------------------------------------------- page tables


class AmdV2(LongMode):
    """AMD guest tables, 4 or 5 levels."""

    layouts = amdvi.V2


class AmdV1(Tables):
    """AMD host tables of 1 to 6 levels (DTE.Mode).

    Pages may have any power of two of bytes: what is not a level's own size is written with
    NextLevel 7, in all the slots that it covers. ``skip``: levels in the vendor's counting,
    1 the lowest, that have no tables.
    """

    def __init__(self, space: Space, levels: int = 4, skip: Sequence[int] = ()) -> None:
        self.skip = frozenset(skip)
        super().__init__(space, levels)

    def _below(self, level: int) -> int:
        level -= 1
        while level + 1 in self.skip:
            level -= 1
        return level

    def _next(self, raw: int, level: int) -> tuple[int, int]:
        next_level = raw >> 9 & 7
        if next_level in (amdvi.NEXT_DEFAULT, amdvi.NEXT_SIZED):
            raise ValueError("a larger page is mapped here")
        return raw & ADDRESS, next_level - 1

    def _leaf_level(self, page: int) -> int:
        for level in range(self.levels):
            if x86.page_lg2(level) <= page.bit_length() - 1 < x86.page_lg2(level + 1):
                return level
        raise ValueError(f"no level has pages of {page:#x} bytes")

    def _map_page(self, address: int, to: int, page: int, access: Access, fields: dict[str, int]) -> None:
        level = self._leaf_level(page)
        slot = 1 << x86.page_lg2(level)
        if page != slot:
            # Ones up to the bit below half the size, then a zero, say the size.
            fields = {"NextLevel": amdvi.NEXT_SIZED, "ADDR": to | (page // 2 - PAGE)} | fields
        for offset in range(0, page, slot):
            self._store(self.entry(address + offset, level), self._leaf(level, to, access, fields))

    def _table(self, address: int, level: int) -> int:
        return amdvi.V1_TABLE.value(PR=1, IR=1, IW=1, NextLevel=level + 1, ADDR=address)

    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        values = {"PR": 1, "IR": int(READ in access), "IW": int(WRITE in access), "ADDR": to}
        return amdvi.V1_PAGE.value(**values | fields)


# ---------------------------------------------------------------- the unit


class Gcr3Table:
    """An AMD PASID table of ``glx`` + 1 levels; ``address`` is its place in ``space``."""

    def __init__(self, space: Space, glx: int = 0) -> None:
        self.space = space
        self.glx = glx
        self.address = space.page()

    def set(self, pasid: int, guest: Tables) -> int:
        """Give a PASID guest tables; the address of its entry."""
        table = self.address
        for level in range(self.glx, 0, -1):
            where = self._slot(table, level, pasid)
            if not self.space.load(where):
                self.space.write(where, amdvi.GCR3_ENTRY.build(V=1, ADDR=self.space.page()))
            table = self.space.load(where) & ADDRESS
        where = self._slot(table, 0, pasid)
        self.space.write(where, amdvi.GCR3_ENTRY.build(V=1, ADDR=guest.root))
        return where

    @staticmethod
    def _slot(table: int, level: int, pasid: int) -> int:
        return table + 8 * (pasid >> 9 * level & 0x1FF)


class AmdUnit:
    """An AMD IOMMU with a device table of ``pages`` pages, of 128 devices each."""

    def __init__(self, host: Space, pages: int = 2, **registers: int) -> None:
        self.host = host
        self.pages = pages
        self.device_table = host.page(pages)
        self._registers = registers

    @property
    def registers(self) -> dict[str, int]:
        """DEVTAB_BASE, and the registers that were given."""
        base = amdvi.DEVTAB_BASE.value(DevTabBase=self.device_table, Size=self.pages - 1)
        return {"DEVTAB_BASE": base} | self._registers

    def device(
        self, rid: int, host_tables: Tables | None = None, gcr3: Gcr3Table | None = None, **fields: int
    ) -> int:
        """Write a device table entry; its address. Guest tables have 4 levels unless told otherwise."""
        values = {"V": 1, "TV": 1, "IR": 1, "IW": 1}
        if host_tables is not None:
            values |= {"Mode": host_tables.levels, "HostPTRoot": host_tables.root}
        if gcr3 is not None:
            values |= {"GV": 1, "GLX": gcr3.glx, **amdvi.gcr3_pieces(gcr3.address)}
        address = self.device_table + 32 * rid
        self.host.write(address, amdvi.DEVICE_TABLE_ENTRY.build(**values | fields))
        return address
