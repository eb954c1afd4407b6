"""RISC-V IOMMU: the device_id of a device behind a bridge is that of bus 0. QEMU 11 has it right."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.machine import RIDS
from peers.riscv import Riscv
from peers.worlds import Dice

NOTE = """a device behind a root port has the bus number that software gives the port, here 5. QEMU 10
keeps the number from before enumeration, 0: the device_id is 0x000 instead of 0x500, and the device uses the
context of another, or none (cause 258)."""


def main() -> int:
    with Riscv() as machine:
        machine.ram.dice = Dice("finding")
        first = build.RiscvFirstStage(machine.ram, "Sv39")
        first.map(0x1234_5000, 0xA000_0000)
        unit = build.RiscvUnit(machine.ram, 2, **machine.registers)
        unit.device(RIDS[-1], first)
        return compare(machine, unit.registers, Request(RIDS[-1], 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
