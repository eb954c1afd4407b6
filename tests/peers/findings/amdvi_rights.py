"""AMD-Vi: IR and IW of the device table entry and of tables are not ANDed."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Request
from peers.amdvi import Amdvi
from peers.findings import compare
from peers.worlds import Dice

NOTES = {
    "DTE": "DTE.IW = 0 keeps the device from writing, whatever the tables allow. QEMU lets it write.",
    "table": "IW = 0 in a table entry keeps all below from being written. QEMU goes by the page's IW alone.",
}


def main() -> int:
    with Amdvi() as machine:
        return max([_run(machine, where, note) for where, note in NOTES.items()])


def _run(machine: Amdvi, where: str, note: str) -> int:
    machine.ram.clear()
    machine.ram.dice = Dice("finding")
    tables = build.AmdV1(machine.ram, 3)
    tables.map(0x1234_5000, 0x3000_0000)
    unit = build.AmdUnit(machine.ram, 11, **machine.registers)
    entry = unit.device(0x18, tables)
    if where == "table":
        entry = tables.entry(0x1234_5000, 1)
    machine.ram.store(entry, machine.ram.load(entry) & ~(1 << 62))
    request = Request(0x18, 0x1234_5008, access=Access.WRITE)
    return compare(machine, unit.registers, request, note, 0x3000_0008)


if __name__ == "__main__":
    sys.exit(main())
