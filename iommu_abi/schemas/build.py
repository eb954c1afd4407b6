"""Makes tables: page tables, PASID tables and device tables in a sparse memory image.

For tests, demos and fuzzers. A nested VT-d set-up, complete::

    host = Memory()
    second = VtdSecondStage(host)
    guest = Guest(host, second)                  # its pages appear in the second stage
    first = VtdFirstStage(guest)                 # tables at guest-physical addresses
    first.map(0x7000_0000, guest.page())
    unit = VtdScalable(host)
    unit.pasid(rid=0x10, pasid=5, first=first, second=second)
    answer = plain_walk.translate("vtd", unit.registers, host.read, Request(0x10, 0x7000_0123, pasid=5))

Whatever an entry holds beside what a method sets can be given by the vendor's field names,
``unit.pasid(..., SRE=1)``, and changed later by :meth:`Space.edit`. Nothing here checks
that the tables are legal: wrong ones are made as easily as right ones.

Addresses and lengths are in bytes.
"""

from __future__ import annotations

from iommu_abi.schemas.build_amdvi import AmdUnit, AmdV1, AmdV2, Gcr3Table
from iommu_abi.schemas.build_base import (
    HUGE,
    LARGE,
    PAGE,
    READ,
    RW,
    RWX,
    WRITE,
    Guest,
    Memory,
    Space,
    Tables,
)
from iommu_abi.schemas.build_riscv import (
    MsiTable,
    ProcessDirectory,
    RiscvFirstStage,
    RiscvSecondStage,
    RiscvUnit,
)
from iommu_abi.schemas.build_smmuv3 import CdTable, SmmuStage1, SmmuStage2, SmmuUnit
from iommu_abi.schemas.build_vtd import (
    ExtendedPasidTable,
    VtdExtended,
    VtdFirstStage,
    VtdLegacy,
    VtdScalable,
    VtdSecondStage,
)

__all__ = [
    "HUGE",
    "LARGE",
    "PAGE",
    "READ",
    "RW",
    "RWX",
    "WRITE",
    "AmdUnit",
    "AmdV1",
    "AmdV2",
    "CdTable",
    "ExtendedPasidTable",
    "Gcr3Table",
    "Guest",
    "Memory",
    "MsiTable",
    "ProcessDirectory",
    "RiscvFirstStage",
    "RiscvSecondStage",
    "RiscvUnit",
    "SmmuStage1",
    "SmmuStage2",
    "SmmuUnit",
    "Space",
    "Tables",
    "VtdExtended",
    "VtdFirstStage",
    "VtdLegacy",
    "VtdScalable",
    "VtdSecondStage",
]
