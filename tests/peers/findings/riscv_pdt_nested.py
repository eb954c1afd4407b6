"""RISC-V IOMMU: the process directory is read at its guest-physical address. QEMU 11 has it right."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.terms import Request
from peers.findings import compare
from peers.riscv import Riscv
from peers.worlds import Dice

NOTE = """with iohgatp in use, pdtp.PPN and the pointers of the process directory are guest-physical
(RISC-V IOMMU 1.0, "Process to locate the Process-context"). QEMU 10 loads the process context from system
memory at that number: cause 265 here, or another guest's bytes where there is memory."""


def main() -> int:
    with Riscv() as machine:
        machine.ram.dice = Dice("finding")
        second = build.RiscvSecondStage(machine.ram, "Sv39")
        guest = build.Guest(machine.ram, second, first=0x30_0000_0000)
        first = build.RiscvFirstStage(guest, "Sv39")
        first.map(0x1234_5000, 0x1000)
        second.map(0x1000, 0xA000_0000)
        processes = build.ProcessDirectory(guest, 8)
        processes.set(0, first)
        unit = build.RiscvUnit(machine.ram, 2, **machine.registers)
        unit.device(0x18, None, second, processes, DPE=1)
        return compare(machine, unit.registers, Request(0x18, 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
