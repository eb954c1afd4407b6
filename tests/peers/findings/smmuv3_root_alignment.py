"""SMMUv3: nested, what stage 2 makes of TTB is aligned once more, to the table's size."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.smmuv3 import Smmuv3
from peers.worlds import Dice

NOTE = """a first table of stage 1 with 64 KiB granules and T0SZ=25 has 8 KiB, and TTB0 is an IPA aligned to
that. Stage 2 with 4 KiB pages translates each of its two pages on its own (Arm IHI 0070, 7.3.22). QEMU
translates TTB0 once and aligns the *result* down to 8 KiB: it reads another page where the result is odd."""
TABLE = 0xA000_1000  # an odd page


def main() -> int:
    with Smmuv3("nested") as machine:
        machine.ram.dice = Dice("finding")
        second = build.SmmuStage2(machine.ram, tsz=24)
        guest = build.Guest(machine.ram, second, first=1 << 38)
        first = build.SmmuStage1(guest, 1 << 16, 25)
        first.map(0x1234_0000, 0x10_0000)
        second.map(0x10_0000, 0xB000_0000)
        machine.ram.write(TABLE, guest.read(first.root, 4096) or b"")
        second.map(first.root, TABLE)
        cds = build.CdTable(guest)
        cds.set(0, first)
        unit = build.SmmuUnit(machine.ram, 11, None, **machine.registers)
        unit.device(0x18, cds, second)
        return compare(machine, unit.registers, Request(0x18, 0x1234_0008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
