"""AMD-Vi: a table without rights is taken for a page, and DMA goes where nothing is mapped."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Request
from peers.amdvi import Amdvi
from peers.findings import compare
from peers.worlds import Dice

NOTE = """with IW = 0 in one table entry and IR = 0 in the one below nothing can be reached through both. QEMU
notices that no right is left, ends the walk at the lower table entry, and translates with it as if it were
a page of 1 GiB: the write lands where no entry maps."""


def main() -> int:
    with Amdvi() as machine:
        machine.ram.dice = Dice("finding")
        tables = build.AmdV1(machine.ram, 4)
        tables.map(0x1234_5000, 0x3000_0000)
        unit = build.AmdUnit(machine.ram, 11, **machine.registers)
        unit.device(0x18, tables)
        for level, right in ((3, 62), (2, 61)):
            entry = tables.entry(0x1234_5000, level)
            machine.ram.store(entry, machine.ram.load(entry) & ~(1 << right))
        page = machine.ram.load(entry) & (1 << 52) - (1 << 30)
        request = Request(0x18, 0x1234_5008, access=Access.WRITE)
        return compare(machine, unit.registers, request, NOTE, page | 0x1234_5008)


if __name__ == "__main__":
    sys.exit(main())
