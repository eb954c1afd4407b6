"""Arm SMMUv3 in QEMU (virt, iommu=smmuv3): stage 1, stage 2 and nested."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Fault, Request, Stage
from peers.machine import Machine
from peers.qtest import Qemu
from peers.worlds import Dice, World, devices, fill, target, use

BASE = 0x0905_0000
CR0, GBPA, STRTAB_BASE, STRTAB_BASE_CFG, CMDQ_BASE, CMDQ_PROD, EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS = (
    BASE + offset for offset in (0x20, 0x44, 0x80, 0x88, 0x90, 0x98, 0xA0, 0x100A8, 0x100AC)
)
SMMUEN, EVTQEN, CMDQEN = 1 << 0, 1 << 2, 1 << 3
CONFIG = 0x3F00_0000
QUEUE_LG2 = 3
OAS_LG2 = 44
EVENT = 32  # bytes
COMMANDS = ((0x04, 31), (0x30, 0))  # CFGI_ALL, TLBI_NSNH_ALL
RECORDED_BY_WALK = range(0x10, 0x14)


class Smmuv3(Machine):
    """Its caches are emptied before every probe."""

    kind = "smmuv3"
    binary = "qemu-system-aarch64"
    firmware = struct.pack("<II", 0xD503207F, 0x17FFFFFF)  # wfi; again
    ram_base = 0x4000_0000
    bars = 0x1000_0000
    windows = 1 << 32

    def __init__(self, stage: str, qemu: Qemu | None = None) -> None:
        """``stage``: as QEMU names it; honoured for this version of the machine."""
        options = ("-cpu", "cortex-a57", *_stage(stage))
        super().__init__("virt-9.1,iommu=smmuv3,highmem=off", options=options, qemu=qemu)

    def config(self, rid: int, register: int, value: int) -> None:
        self.ask(f"writel {CONFIG | rid << 12 | register:#x} {value:#x}")

    def start(self) -> None:
        names = {"IDR0": 0x0, "IDR1": 0x4, "IDR3": 0xC, "IDR5": 0x14, "AIDR": 0x1C}
        values = self.ask(*(f"readl {BASE + offset:#x}" for offset in names.values()))
        self.registers = dict(zip(names, values)) | {"CR0": SMMUEN | EVTQEN, "CR2": 2, "GBPA": 0}
        commands, self.events = self.ram.base + 0x2000, self.ram.base + 0x3000
        for i in range(1 << QUEUE_LG2):
            for word, value in enumerate(COMMANDS[i % len(COMMANDS)]):
                self.ram.store(commands + 16 * i + 8 * word, value)
        self.ask(
            f"writel {BASE + 0x2C:#x} 2",  # CR2.RECINVSID
            f"writel {GBPA:#x} {1 << 31:#x}",
            f"writeq {CMDQ_BASE:#x} {commands | QUEUE_LG2:#x}",
            f"writeq {EVENTQ_BASE:#x} {self.events | QUEUE_LG2:#x}",
            f"writel {CR0:#x} {CMDQEN | EVTQEN:#x}",
        )
        self._commands = self._was_two_level = 0

    def prepare(self, registers: Mapping[str, int]) -> None:
        """Start anew for a linear stream table after one of two levels (findings/smmuv3_linear.py)."""
        two_level = registers["STRTAB_BASE_CFG"] >> 16 & 1
        if self._was_two_level and not two_level:
            self.restart()
        self._was_two_level = two_level

    def on(self, registers: Mapping[str, int]) -> list[str]:
        self._commands = self._commands + len(COMMANDS) & (2 << QUEUE_LG2) - 1
        return [
            f"writeq {STRTAB_BASE:#x} {registers['STRTAB_BASE']:#x}",
            f"writel {STRTAB_BASE_CFG:#x} {registers['STRTAB_BASE_CFG']:#x}",
            f"writel {CMDQ_PROD:#x} {self._commands}",
            f"writel {CR0:#x} {SMMUEN | CMDQEN | EVTQEN:#x}",
        ]

    def off(self) -> list[str]:
        return [f"writel {CR0:#x} {CMDQEN | EVTQEN:#x}"]

    def record(self) -> dict[str, int] | None:
        tail, head = self.ask(f"readl {EVENTQ_PROD:#x}", f"readl {EVENTQ_CONS:#x}")
        if tail == head:
            return None
        self.ask(f"writel {EVENTQ_CONS:#x} {tail}")
        at = self.events + EVENT * (head & (1 << QUEUE_LG2) - 1)
        words = [self.ram.load(at + 8 * i) for i in range(EVENT // 8)]
        found = {"type": words[0] & 0xFF, "sid": words[0] >> 32}
        if found["type"] not in RECORDED_BY_WALK:
            return found
        s2 = words[1] >> 39 & 1
        found |= {"addr": words[2], "read": words[1] >> 35 & 1, "s2": s2, "class": words[1] >> 40 & 3}
        return found | ({"ipa": words[3] >> 12} if s2 else {})

    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        found = {"type": fault.native, "sid": request.rid}
        if fault.native not in RECORDED_BY_WALK:
            return found
        s2 = int(fault.stage is Stage.S2)
        read = int(request.access is not Access.WRITE)
        found |= {"addr": request.iova, "read": read, "s2": s2, "class": fault.detail >> 1 & 3}
        return found | ({"ipa": fault.input >> 12} if s2 else {})


def _stage(stage: str) -> tuple[str, str]:
    return "-global", f"arm-smmuv3.stage={stage}"


# ---------------------------------------------------------------- tables

#: Bytes of a granule -> of its pages and blocks.
SIZES = {
    1 << 12: (1 << 12, 1 << 12, 1 << 21, 1 << 30),
    1 << 14: (1 << 14, 1 << 25),
    1 << 16: (1 << 16, 1 << 29),
}


def stage_1(dice: Dice, machine: Smmuv3) -> World:
    """Stage 1, and bypass."""
    return _world(dice, machine, first=True, second=False)


def stage_2(dice: Dice, machine: Smmuv3) -> World:
    """Stage 2, and bypass."""
    return _world(dice, machine, first=False, second=True)


def nested(dice: Dice, machine: Smmuv3) -> World:
    """Both stages, or one of them."""
    first, second = dice.pick(((True, True),) * 4 + ((True, False), (False, True)))
    return _world(dice, machine, first, second)


def _world(dice: Dice, machine: Smmuv3, first: bool, second: bool) -> World:
    split = dice.pick((None, None, 6, 8, 10))
    unit = build.SmmuUnit(machine.ram, 11, split, **machine.registers)
    requests = []
    for sid in devices(dice, machine.rids):
        noise = {"S2R": int(dice.chance(0.9)), "S2VMID": dice.getrandbits(8)}
        if dice.chance(0.05):
            unit.device(sid, **noise)
            inside = target(dice, machine.ram)
            requests += use(dice, sid, [inside, inside | 1 << dice.randrange(OAS_LG2, 64)])
            continue
        space, stage2, targets = _behind(dice, machine) if second else _direct(dice, machine)
        if stage2 is not None:
            noise["S2PS"] = dice.pick((3, 4, 5, 5))
        cds, found = _stage_1(dice, space, targets) if first else (None, targets)
        unit.device(sid, cds, stage2, **noise)
        requests += use(dice, sid, found)
    return World(unit.registers, requests)


def _stage_1(dice: Dice, space: build.Space, targets: list[int]) -> tuple[build.CdTable, list[int]]:
    """A CD with tables for one half of the addresses, or both; what reaches the targets."""
    found, halves = [], {}
    for half in dice.pick((("first",), ("first",), ("upper",), ("first", "upper"))):
        granule = dice.pick(sorted(SIZES))
        tables = build.SmmuStage1(space, granule, dice.pick((16, 16, 20, 25, 28)))
        lg2 = 64 - tables.tsz
        base = (1 << 64) - (1 << lg2) if half == "upper" else 0
        noise = {"AP1": int(dice.chance(0.9)), "SH": dice.getrandbits(2), "nG": dice.getrandbits(1)}
        found += fill(dice, tables, targets, lg2, SIZES[granule], upper=base, **noise)
        halves[half] = tables
    cds = build.CdTable(space)
    fields = {"IPS": dice.pick((3, 4, 5)), "R": int(dice.chance(0.9)), "ASID": dice.getrandbits(8)}
    cds.set(0, **halves, **fields, AFFD=int(dice.chance(0.1)), TBI0=int(dice.chance(0.2)))
    return cds, found


def _direct(dice: Dice, machine: Smmuv3) -> tuple[build.Space, None, list[int]]:
    """Host memory for tables, and what to map in them."""
    return machine.ram, None, [target(dice, machine.ram) for _ in range(dice.randrange(2, 6))]


def _behind(dice: Dice, machine: Smmuv3) -> tuple[build.Space, build.SmmuStage2, list[int]]:
    """Guest memory for tables, the stage 2 that makes it, and what to map in them."""
    granule = dice.pick(sorted(SIZES))
    bits = dice.randrange(36, 45)
    stage2 = build.SmmuStage2(machine.ram, granule, 64 - bits, _start(dice, granule, bits))
    _, _, targets = _direct(dice, machine)
    guest = build.Guest(machine.ram, stage2, first=1 << bits - 1)
    return guest, stage2, fill(dice, stage2, targets, bits - 1, SIZES[granule])


def _start(dice: Dice, granule: int, bits: int) -> int:
    """A start level that is legal for IPAs of so many bits; tables are concatenated where it is late."""
    lg2 = granule.bit_length() - 1
    stride = lg2 - 3
    legal = [n for n in range(4) if lg2 + (3 - n) * stride < bits <= lg2 + (4 - n) * stride + 4]
    single = [n for n in legal if bits <= lg2 + (4 - n) * stride] or legal
    if lg2 == 14:
        legal, single = [n for n in legal if n], [n for n in single if n] or [n for n in legal if n]
    return dice.pick(single if dice.chance(0.8) else legal)
