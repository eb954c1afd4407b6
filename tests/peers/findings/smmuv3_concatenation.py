"""SMMUv3: of concatenated stage-2 tables only the first is used."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.smmuv3 import Smmuv3
from peers.worlds import Dice

NOTE = """with 4 KiB granules, S2SL0=1 and S2T0SZ=24 (40 bits of IPA), the start level has two concatenated
tables, and IPA bit 39 selects one of them (Arm ARM, concatenated translation tables). QEMU takes the entry
from the first table whatever the bit says."""


def main() -> int:
    with Smmuv3("2") as machine:
        machine.ram.dice = Dice("finding")
        second = build.SmmuStage2(machine.ram, 1 << 12, 64 - 40, start=1)
        second.map(1 << 39 | 0x1234_5000, 0xA000_0000)
        unit = build.SmmuUnit(machine.ram, 11, None, **machine.registers)
        unit.device(0x18, None, second)
        return compare(machine, unit.registers, Request(0x18, 1 << 39 | 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
