"""AMD-Vi: an IO_PAGE_FAULT event says neither where nor who."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Request
from peers.amdvi import Amdvi
from peers.findings import record
from peers.worlds import Dice

NOTE = """IO_PAGE_FAULT has the address in its second word, and in its first the requester's bus in
15:8, PR in 52, RW in 53, PE in 54 (AMD 48882, 2.5). QEMU leaves address and bus 0, and sets NX and I."""


def main() -> int:
    with Amdvi() as machine:
        machine.ram.dice = Dice("finding")
        tables = build.AmdV1(machine.ram, 3)
        tables.map(0x1234_5000, 0x3000_0000, access=Access.READ)
        unit = build.AmdUnit(machine.ram, 11, **machine.registers)
        unit.device(0x500, tables)
        return record(machine, unit.registers, Request(0x500, 0x1234_5008, access=Access.WRITE), NOTE)


if __name__ == "__main__":
    sys.exit(main())
