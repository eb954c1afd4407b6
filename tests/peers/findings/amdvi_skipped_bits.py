"""AMD-Vi: the address bits of skipped levels are ignored."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.amdvi import Amdvi
from peers.findings import compare
from peers.worlds import Dice

NOTE = """an entry of level 3 that points to a table of level 1 skips level 2: bits 29:21 of the address must
be 0 (AMD 48882, 2.2.3). QEMU ignores them, and a page appears 512 times."""


def main() -> int:
    with Amdvi() as machine:
        machine.ram.dice = Dice("finding")
        tables = build.AmdV1(machine.ram, 3, skip=[2])
        tables.map(0x4000_5000, 0x3000_0000)
        unit = build.AmdUnit(machine.ram, 11, **machine.registers)
        unit.device(0x18, tables)
        return compare(machine, unit.registers, Request(0x18, 0x4020_5008), NOTE, 0x3000_0008)


if __name__ == "__main__":
    sys.exit(main())
