"""Makes tables in the format of x86, of which two vendors have variants."""

from __future__ import annotations

from iommu_abi.schemas import x86
from iommu_abi.schemas.build_base import ADDRESS, WRITE, Space, Tables
from iommu_abi.terms import Access


class PageSizeBit(Tables):
    """Tables whose entries are pages where bit 7 says so."""

    def _next(self, raw: int, level: int) -> tuple[int, int]:
        if level < 3 and raw & x86.PAGE_SIZE_BIT:
            raise ValueError("a larger page is mapped here")
        return raw & ADDRESS, level - 1


class LongMode(PageSizeBit):
    """x86 tables. ``accessed``: A in all entries, and D in leaves, are set from the start.

    Pages are the user's unless US=0 is given; without EXEC they have XD.
    """

    layouts: x86.Layouts

    def __init__(self, space: Space, levels: int = 4, accessed: bool = False) -> None:
        self.accessed = int(accessed)
        super().__init__(space, levels)

    def _table(self, address: int, level: int) -> int:
        layout = self.layouts.table if level + 1 in self.layouts.pages else self.layouts.top
        return layout.value(P=1, RW=1, US=1, A=self.accessed, ADDR=address)

    def _leaf(self, level: int, to: int, access: Access, fields: dict[str, int]) -> int:
        values = {"P": 1, "US": 1, "A": self.accessed, "D": self.accessed, "ADDR": to}
        values["RW"] = int(WRITE in access)
        values["XD"] = int(Access.EXEC not in access)
        if level:
            values["PS"] = 1
        return self.layouts.pages[level].value(**values | fields)
