"""AMD-Vi: INVALIDATE_IOMMU_ALL leaves device table entries as they were."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.amdvi import INVALIDATE_ALL, Amdvi
from peers.findings import compare
from peers.worlds import Dice

NOTE = """INVALIDATE_IOMMU_ALL drops all that is cached, device table entries too (AMD 48882, 2.4); Linux
sends it alone where EXT_FEATURES.IASup is set, as here. QEMU goes on with what it knew of the entry: that is
valid now, and the device's DMA still is not translated. INVALIDATE_DEVTAB_ENTRY for the device helps."""


class AllOnly(Amdvi):
    """Invalidates as the specification lets software do it."""

    commands = (INVALIDATE_ALL,)


def main() -> int:
    with AllOnly() as machine:
        machine.ram.dice = Dice("finding")
        tables = build.AmdV1(machine.ram, 3)
        tables.map(0x1234_5000, 0x3000_0000)
        unit = build.AmdUnit(machine.ram, 11, **machine.registers)
        unit.device(0x18, tables)
        return compare(machine, unit.registers, Request(0x18, 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
