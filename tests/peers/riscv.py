"""RISC-V in QEMU (virt, riscv-iommu-pci): first stage, second stage, both, and a process directory.

Of the records only the first is looked at: QEMU makes one for each attempt of an access. iotval2 is
left out: QEMU puts an address of its own choice there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from iommu_abi.schemas import build
from iommu_abi.schemas.build import HUGE, LARGE, PAGE
from iommu_abi.terms import Access, Fault, Request
from peers.machine import RIDS, Machine
from peers.qtest import Qemu
from peers.worlds import Dice, World, devices, fill, target, use

IOMMU = 0x08  # its place on the bus
BASE = 0x4000_0000
CAPABILITIES, DDTP, CQB, FQB, FQH, FQT, CQT, CQCSR, FQCSR = (
    BASE + offset for offset in (0x0, 0x10, 0x18, 0x28, 0x30, 0x34, 0x24, 0x48, 0x4C)
)
CONFIG = 0x3000_0000
BARE = 1
ENTRIES = 8  # of each queue; commands have 16 bytes, records 32
COMMANDS = (0x3, 0x1, 1 << 7 | 0x1, 0x2)  # IODIR.INVAL_DDT, IOTINVAL.VMA and GVMA, IOFENCE


class Riscv(Machine):
    """Its translation cache is off; that of contexts is emptied before every probe."""

    kind = "riscv"
    binary = "qemu-system-riscv64"
    firmware = struct.pack("<II", 0x10500073, 0xFFDFF06F)  # wfi; again
    ram_base = 0x8000_0000
    bars = 0x4010_0000
    windows = 1 << 40
    rids = RIDS[:3]  # of QEMU 10; see findings/riscv_bus_number.py

    def __init__(self, qemu: Qemu | None = None) -> None:
        super().__init__("virt", f"riscv-iommu-pci,addr={IOMMU >> 3:#x},ioatc-limit=0", qemu=qemu)

    def config(self, rid: int, register: int, value: int) -> None:
        self.ask(f"writel {CONFIG | rid << 12 | register:#x} {value:#x}")

    def start(self) -> None:
        self.config(IOMMU, 0x10, BASE)
        self.config(IOMMU, 0x14, 0)
        self.config(IOMMU, 4, 6)
        (self.capabilities,) = self.ask(f"readq {CAPABILITIES:#x}")
        self.commands, self.faults = self.ram.base + 0x2000, self.ram.base + 0x3000
        for i in range(ENTRIES):
            self.ram.store(self.commands + 16 * i, COMMANDS[i % len(COMMANDS)])
        self._tail = 0
        lg2 = ENTRIES.bit_length() - 1
        self.ask(
            f"writeq {CQB:#x} {self.commands >> 12 << 10 | lg2 - 1:#x}",
            f"writeq {FQB:#x} {self.faults >> 12 << 10 | lg2 - 1:#x}",
            f"writel {CQCSR:#x} 1",
            f"writel {FQCSR:#x} 1",
            *self.off(),
        )

    @property
    def registers(self) -> dict[str, int]:
        return {"CAPABILITIES": self.capabilities, "FCTL": 0}

    def on(self, registers: Mapping[str, int]) -> list[str]:
        return self._mode(registers["DDTP"])

    def off(self) -> list[str]:
        return self._mode(BARE)

    def _mode(self, ddtp: int) -> list[str]:
        """Set the mode, and have the device contexts read again, which the mode alone does not do."""
        self._tail ^= len(COMMANDS)
        return [f"writeq {DDTP:#x} {ddtp:#x}", f"writel {CQT:#x} {self._tail}"]

    def record(self) -> dict[str, int] | None:
        head, tail = self.ask(f"readl {FQH:#x}", f"readl {FQT:#x}")
        if head == tail:
            return None
        self.ask(f"writel {FQH:#x} {tail}")
        first = self.ram.load(self.faults + 32 * head)
        return {
            "cause": first & 0xFFF,
            "pv": first >> 32 & 1,
            "ttyp": first >> 34 & 0x3F,
            "did": first >> 40,
            "iotval": self.ram.load(self.faults + 32 * head + 16),
        }

    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        return {
            "cause": fault.native,
            "pv": 0,
            "ttyp": 3 if request.access is Access.WRITE else 2,
            "did": request.rid,
            "iotval": request.iova,
        }


# ---------------------------------------------------------------- tables

SIZES = (PAGE, PAGE, LARGE, HUGE)
MODES = {"Sv39": 39, "Sv48": 48, "Sv57": 57}


def first(dice: Dice, machine: Riscv) -> World:
    """A first stage, of the device or of process 0."""
    return _world(dice, machine, first=True, second=False)


def second(dice: Dice, machine: Riscv) -> World:
    """A second stage."""
    return _world(dice, machine, first=False, second=True)


def nested(dice: Dice, machine: Riscv) -> World:
    """A first stage, whose tables and pages lie behind a second."""
    return _world(dice, machine, first=True, second=True)


def _world(dice: Dice, machine: Riscv, first: bool, second: bool) -> World:
    unit = build.RiscvUnit(machine.ram, dice.pick((2, 2, 3)), **machine.registers)
    requests = []
    for rid in devices(dice, machine.rids):
        noise = {"DTF": int(dice.chance(0.1)), "PSCID": dice.getrandbits(20), "GSCID": dice.getrandbits(16)}
        if dice.chance(0.05):
            unit.device(rid, **noise)
            requests += use(dice, rid, [target(dice, machine.ram)])
            continue
        space, stage2, targets = behind(dice, machine) if second else direct(dice, machine)
        if not first:
            unit.device(rid, second=stage2, **noise)
            requests += use(dice, rid, targets)
            continue
        stage1 = build.RiscvFirstStage(space, dice.pick(list(MODES)), dice.chance(0.95))
        lg2 = MODES[stage1.mode.name] - 1
        upper = dice.pick((0, 0, (1 << 64) - (1 << lg2)))
        fields = {"U": int(dice.chance(0.95)), "RSW": dice.getrandbits(2), "G": dice.getrandbits(1)}
        requests += use(dice, rid, fill(dice, stage1, targets, lg2, SIZES, upper=upper, **fields))
        if dice.chance(0.3):
            processes = build.ProcessDirectory(space, 8)
            processes.set(0, stage1, PSCID=dice.getrandbits(20))
            unit.device(rid, second=stage2, processes=processes, DPE=1, **noise)
        else:
            unit.device(rid, stage1, stage2, **noise)
    return World(unit.registers, requests)


def direct(dice: Dice, machine: Riscv) -> tuple[build.Space, None, list[int]]:
    """Host memory for tables, and what to map in them."""
    return machine.ram, None, [target(dice, machine.ram) for _ in range(dice.randrange(2, 6))]


def behind(dice: Dice, machine: Riscv) -> tuple[build.Space, build.RiscvSecondStage, list[int]]:
    """Guest memory for tables, the second stage that makes it, and what to map in them."""
    stage2 = build.RiscvSecondStage(machine.ram, dice.pick(list(MODES)), dice.chance(0.95))
    lg2 = min(MODES[stage2.mode.name], 54)  # of 56, to which entries can point
    _, _, targets = direct(dice, machine)
    guest = build.Guest(machine.ram, stage2, first=1 << lg2)
    return guest, stage2, fill(dice, stage2, targets, lg2, SIZES)
