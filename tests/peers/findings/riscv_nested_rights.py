"""RISC-V IOMMU: nested, a read is refused because the second stage forbids writes. QEMU 11 has it right."""

from __future__ import annotations

import sys

from iommu_abi.schemas import build
from iommu_abi.schemas.build import READ
from iommu_abi.terms import Request
from peers.findings import compare
from peers.riscv import Riscv
from peers.worlds import Dice

NOTE = """a read through a first-stage page with R and W, whose guest page the second stage maps
read-only, is allowed. QEMU 10 judges the second stage by the first stage's page instead of by the request,
and reports a write guest-page fault (cause 23) for the read."""


def main() -> int:
    with Riscv() as machine:
        machine.ram.dice = Dice("finding")
        second = build.RiscvSecondStage(machine.ram, "Sv39")
        guest = build.Guest(machine.ram, second, first=0x30_0000_0000)
        first = build.RiscvFirstStage(guest, "Sv39")
        first.map(0x1234_5000, 0x1000)
        second.map(0x1000, 0xA000_0000, access=READ)
        unit = build.RiscvUnit(machine.ram, 2, **machine.registers)
        unit.device(0x18, first, second)
        return compare(machine, unit.registers, Request(0x18, 0x1234_5008), NOTE)


if __name__ == "__main__":
    sys.exit(main())
