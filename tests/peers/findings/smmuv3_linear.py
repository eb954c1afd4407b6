"""SMMUv3: after a two-level stream table a linear one is not looked at as such."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.smmuv3 import Smmuv3
from peers.worlds import Dice

NOTE = """STRTAB_BASE_CFG.FMT may be changed while SMMUEN is 0. QEMU notices the change from linear (0) to
two-level (1), but not the one back: a linear table is then read as a two-level one."""


def main() -> int:
    with Smmuv3("1") as machine:
        machine.ram.dice = Dice("finding")
        first = build.SmmuStage1(machine.ram)
        first.map(0x1234_5000, 0xA000_0000)
        request = Request(0x18, 0x1234_5008)
        for split in (8, None):
            cds = build.CdTable(machine.ram)
            cds.set(0, first)
            unit = build.SmmuUnit(machine.ram, 11, split, **machine.registers)
            unit.device(0x18, cds)
            if split:
                machine.probe(unit.registers, request, [])
        return compare(machine, unit.registers, request, NOTE)


if __name__ == "__main__":
    sys.exit(main())
