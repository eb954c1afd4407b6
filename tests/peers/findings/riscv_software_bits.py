"""RISC-V IOMMU: bits that Svrsw60t59b leaves to software fault."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.riscv import Riscv
from peers.worlds import Dice

NOTE = """capabilities.Svrsw60t59b says that bits 60:59 of page table entries are software's and ignored. QEMU
11 sets it, and reports a page fault (cause 13) for an entry that has one of them."""


def main() -> int:
    with Riscv() as machine:
        machine.ram.dice = Dice("finding")
        first = build.RiscvFirstStage(machine.ram, "Sv39")
        first.map(0x1234_5000, 0xA000_0000)
        unit = build.RiscvUnit(machine.ram, 2, **machine.registers)
        unit.device(0x18, first)
        leaf = first.entry(0x1234_5000, 0)
        machine.ram.store(leaf, machine.ram.load(leaf) | 1 << 59)
        return compare(machine, unit.registers, Request(0x18, 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
