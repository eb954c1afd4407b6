"""Makes tables of Intel VT-d: legacy, extended and scalable mode."""

from __future__ import annotations

from iommu_abi.schemas import vtd_entries
from iommu_abi.schemas.build_base import ADDRESS, PAGE, READ, WRITE, Space, Tables
from iommu_abi.schemas.build_x86 import LongMode, PageSizeBit
from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Access

# ---------------------------------------------------------------- page tables


class VtdFirstStage(LongMode):
    """VT-d first stage, 4 or 5 levels."""

    layouts = vtd_entries.FIRST_STAGE


class VtdSecondStage(PageSizeBit):
    """VT-d second stage, 3, 4 or 5 levels. Rights are R and W, not IR and IW."""

    def __init__(self, space: Space, levels: int = 4) -> None:
        super().__init__(space, levels)

    def _table(self, address: int, level: int) -> int:
        layout = vtd_entries.second_stage_layout(level + 1, 0)
        return layout.value(R=1, W=1, X=1, ADDR=address)

    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        values = {"R": int(READ in access), "W": int(WRITE in access), "X": int(Access.EXEC in access)}
        if level:
            values["PS"] = 1
        return vtd_entries.SECOND_STAGE_PAGES[level].value(**values | {"ADDR": to} | fields)


# ---------------------------------------------------------------- units


class _VtdUnit:
    """A VT-d unit: its root table, and its registers as translate() wants them."""

    ttm: int

    def __init__(self, host: Space, **registers: int) -> None:
        self.host = host
        self.root = host.page()
        self._registers = registers

    @property
    def registers(self) -> dict[str, int]:
        """RTADDR, and the registers that were given."""
        return {"RTADDR": vtd_entries.RTADDR.value(RTA=self.root, TTM=self.ttm)} | self._registers

    def _table_for(self, layout: Layout, where: int, pages: int = 1) -> int:
        """Return the table to which the root entry at ``where`` points; make it when there is none."""
        raw = self.host.load(where)
        if raw:
            return raw & ADDRESS
        table = self.host.page(pages)
        self.host.write(where, layout.build(P=1, CTP=table))
        return table

    def _context_address(self, rid: int) -> int:
        """Where a context of 32 bytes lies: each half of a root entry has a table of 128."""
        half = self.root + 16 * (rid >> 8) + 8 * (rid >> 7 & 1)
        return self._table_for(vtd_entries.SCALABLE_ROOT_HALF, half) + 32 * (rid & 0x7F)


def _width(second: Tables | None) -> int:
    """AW of a second stage; where there is none, one that every default unit has."""
    return 2 if second is None else second.levels - 2


class VtdLegacy(_VtdUnit):
    """Legacy mode: the second stage alone."""

    ttm = vtd_entries.LEGACY

    def context(self, rid: int, second: Tables | None = None, **fields: int) -> int:
        """Write a context entry, pass-through if ``second`` is None; its address."""
        table = self._table_for(vtd_entries.ROOT_ENTRY, self.root + 16 * (rid >> 8))
        address = table + 16 * (rid & 0xFF)
        values = {"P": 1, "TT": 2, "AW": _width(second)}
        if second is not None:
            values |= {"TT": 0, "SLPTPTR": second.root}
        self.host.write(address, vtd_entries.CONTEXT_ENTRY.build(**values | fields))
        return address


class ExtendedPasidTable:
    """The PASID table of extended mode (ECS): what bind_pasid_table hands over.

    ``address`` is its place in ``space`` and ``length`` its bytes, which are ``ptr`` and
    ``size`` of struct pasid_table_info. ``entries`` is a power of two, 32 to 2^20.
    """

    def __init__(self, space: Space, entries: int = 32) -> None:
        self.space = space
        self.length = 8 * entries
        self.address = space.page(-(-self.length // PAGE))

    @property
    def pts(self) -> int:
        """The field PTS of the context."""
        return (self.length // 8).bit_length() - 6

    def set(self, pasid: int, first: Tables, **fields: int) -> int:
        """Give a PASID a first stage; the address of its entry."""
        values = {"P": 1, "FLPM": first.levels - 4, "FLPTPTR": first.root}
        address = self.address + 8 * pasid
        self.space.write(address, vtd_entries.EXTENDED_PASID_ENTRY.build(**values | fields))
        return address


class VtdExtended(_VtdUnit):
    """Extended mode (ECS): first stage for requests with PASID, nested if NESTE."""

    ttm = vtd_entries.EXTENDED

    def context(
        self,
        rid: int,
        second: Tables | None = None,
        pasid_table: ExtendedPasidTable | None = None,
        **fields: int,
    ) -> int:
        """Write an extended context entry; its address.

        Requests without PASID pass through if ``second`` is None. Those with PASID are
        nested if the PASID table does not lie in host memory.
        """
        values = {"P": 1, "T": 4, "AW": _width(second)}
        if second is not None:
            values |= {"T": 0, "SLPTPTR": second.root}
        if pasid_table is not None:
            nested = int(pasid_table.space is not self.host)
            values |= {"PASIDE": 1, "NESTE": nested, "PTS": pasid_table.pts, "PASIDPTR": pasid_table.address}
        address = self._context_address(rid)
        self.host.write(address, vtd_entries.EXTENDED_CONTEXT_ENTRY.build(**values | fields))
        return address


class VtdScalable(_VtdUnit):
    """Scalable mode: PASID directory and tables in host memory."""

    ttm = vtd_entries.SCALABLE

    def context(self, rid: int, PDTS: int = 0, **fields: int) -> int:  # noqa: N803, the vendor's name
        """Write a context entry with a directory for 2^(PDTS+13) PASIDs; its address."""
        address = self._context_address(rid)
        directory = self.host.page(-(-(8 << PDTS + 7) // PAGE))
        values = {"P": 1, "PASIDE": 1, "PDTS": PDTS, "PASIDDIRPTR": directory}
        self.host.write(address, vtd_entries.SCALABLE_CONTEXT_ENTRY.build(**values | fields))
        return address

    def pasid(
        self,
        rid: int,
        pasid: int,
        first: Tables | None = None,
        second: Tables | None = None,
        **fields: int,
    ) -> int:
        """Write a PASID entry: first stage, second, nested, or with neither pass-through; its address.

        Requests without PASID use PASID 0 unless ECAP.RPS says otherwise. Walks are snooped where the unit
        can, for else it sets no flags.
        """
        address = self._pasid_table(rid, pasid) + 64 * (pasid & 0x3F)
        values = {"P": 1, "PGTT": _pgtt(first, second), "AW": _width(second), "PWSNP": self._snoops()}
        if first is not None:
            values |= {"FLPM": first.levels - 4, "FLPTPTR": first.root}
        if second is not None:
            values |= {"SLPTPTR": second.root}
        self.host.write(address, vtd_entries.SCALABLE_PASID_ENTRY.build(**values | fields))
        return address

    def _snoops(self) -> int:
        """Whether its page walks can snoop: ECAP.SMPWCS, which is 1 when ECAP is not given."""
        return vtd_entries.ECAP.of(self._registers["ECAP"]).SMPWCS if "ECAP" in self._registers else 1

    def _pasid_table(self, rid: int, pasid: int) -> int:
        context = self._context_address(rid)
        if not self.host.load(context):
            self.context(rid)
        where = (self.host.load(context) & ADDRESS) + 8 * (pasid >> 6)
        if not self.host.load(where):
            table = self.host.page()
            self.host.write(where, vtd_entries.PASID_DIRECTORY_ENTRY.build(P=1, SMPTBLPTR=table))
        return self.host.load(where) & ADDRESS


def _pgtt(first: Tables | None, second: Tables | None) -> int:
    if first is None:
        return vtd_entries.PASS_THROUGH if second is None else vtd_entries.SECOND
    return vtd_entries.FIRST if second is None else vtd_entries.NESTED
