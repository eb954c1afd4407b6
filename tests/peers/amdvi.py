"""AMD-Vi in QEMU (q35, amd-iommu): host tables (v1). QEMU has no guest tables.

Of the events only the first is looked at: QEMU makes one for each attempt of an access. The domain
is left out, which a fault of ours does not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iommu_abi.schemas import build
from iommu_abi.schemas.build import HUGE, LARGE, PAGE
from iommu_abi.terms import Fault, Request
from peers.machine import RIDS
from peers.pc import Pc
from peers.qtest import Qemu
from peers.worlds import Dice, World, devices, fill, target, use

BASE = 0xFED8_0000
DEVTAB_BASE, CMDBUF_BASE, EVTLOG_BASE, CONTROL, EXT_FEATURES, CMD_TAIL, EVT_HEAD, EVT_TAIL = (
    BASE + offset for offset in (0x0, 0x8, 0x10, 0x18, 0x30, 0x2008, 0x2010, 0x2018)
)
EVENT_LOG = 1 << 2  # EventLogEn
ON = 1 << 12 | EVENT_LOG | 1  # CmdBufEn, IommuEn
RING = 4096  # bytes of the command buffer and of the event log
RING_LG2 = (RING // 16).bit_length() - 1 << 56
INVALIDATE_ALL = 8 << 60


class Amdvi(Pc):
    """All that is cached is dropped before every probe."""

    kind = "amdvi"
    #: INVALIDATE_DEVTAB_ENTRY for each device, too: see findings/amdvi_invalidate_all.py. A power of two.
    commands = (*(2 << 60 | rid for rid in RIDS), *[INVALIDATE_ALL] * 4)

    def __init__(self, qemu: Qemu | None = None) -> None:
        super().__init__("amd-iommu,dma-remap=on", qemu)

    def start(self) -> None:
        (self.features,) = self.ask(f"readq {EXT_FEATURES:#x}")
        ring, self.events = self.ram.base + 0x2000, self.ram.base + 0x3000
        for at in range(0, RING, 16):
            self.ram.store(ring + at, self.commands[at // 16 % len(self.commands)])
        self._tail = 0
        self.ask(
            f"writeq {CMDBUF_BASE:#x} {ring | RING_LG2:#x}",
            f"writeq {EVTLOG_BASE:#x} {self.events | RING_LG2:#x}",
        )

    @property
    def registers(self) -> dict[str, int]:
        """What the tables depend on."""
        return {"CONTROL": ON, "EXT_FEATURES": self.features, "EXT_FEATURES2": 0}

    def on(self, registers: Mapping[str, int]) -> list[str]:
        self._tail = (self._tail + 16 * len(self.commands)) % RING
        # commands can make events of their own: those are not to be logged
        return [
            f"writeq {DEVTAB_BASE:#x} {registers['DEVTAB_BASE']:#x}",
            f"writeq {CONTROL:#x} {ON & ~EVENT_LOG:#x}",
            f"writeq {CMD_TAIL:#x} {self._tail:#x}",
            f"writeq {CONTROL:#x} {ON:#x}",
        ]

    def off(self) -> list[str]:
        return [f"writeq {CONTROL:#x} 0"]

    def record(self) -> dict[str, int] | None:
        head, tail = self.ask(f"readq {EVT_HEAD:#x}", f"readq {EVT_TAIL:#x}")
        if head == tail:
            return None
        self.ask(f"writeq {EVT_HEAD:#x} {tail:#x}")
        first = self.ram.load(self.events + head)
        return {
            "code": first >> 60,
            "device": first & 0xFFFF,
            "flags": first >> 48 & 0xFFF,
            "address": self.ram.load(self.events + head + 8),
        }

    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        return {
            "code": fault.native,
            "device": request.rid,
            "flags": fault.detail,
            "address": request.iova,
        }


# ---------------------------------------------------------------- tables

#: Those of levels 1 to 5, and some between, which NextLevel 7 makes.
SIZES = (
    *(PAGE, LARGE, HUGE) * 2,
    *(1 << lg2 for lg2 in (13, 14, 16, 20, 22, 25, 29, 31, 35, 38, 39, 41, 47, 48)),
)


def host(dice: Dice, machine: Amdvi) -> World:
    """Host tables of 1 to 6 levels, some of which are skipped, and pass-through."""
    unit, requests = build.AmdUnit(machine.ram, 11, **machine.registers), []
    for rid in devices(dice, machine.rids):
        noise = device_fields(dice)
        if dice.chance(0.15):
            unit.device(rid, **noise, V=int(dice.chance(0.7)))  # no host levels, or no translation at all
            requests += use(dice, rid, [target(dice, machine.ram)])
            continue
        levels = dice.pick((1, 2, 3, 3, 4, 4, 5, 6))
        skip = [level for level in range(2, levels) if dice.chance(0.15)]
        tables = build.AmdV1(machine.ram, levels, skip)
        unit.device(rid, tables, **noise)
        requests += use(dice, rid, map_pages(dice, machine, tables, skip))
    return World(unit.registers, requests)


def device_fields(dice: Dice) -> dict[str, int]:
    """What a device table entry says beside its tables."""
    odds = {"SE": 0.1, "SA": 0.05, "GV": 0.1, "IR": 0.95, "IW": 0.95}
    odds |= {"PPR": 0.02, "GPRP": 0.02, "GIoV": 0.02}  # reserved: the machine has not the features
    return {
        "DomainID": dice.getrandbits(16),
        "HAD": dice.pick((0, 0, 1, 3)),
        **dice.flags("I", "SD", "EX", "AttrV"),
        **{name: int(dice.chance(probability)) for name, probability in odds.items()},
    }


def map_pages(dice: Dice, machine: Amdvi, tables: build.AmdV1, skip: Sequence[int]) -> list[int]:
    """Some pages; most addresses have zeros where levels are skipped, as they should."""
    lg2 = min(12 + 9 * tables.levels, 64)
    sizes = [size for size in SIZES if (size.bit_length() - 4) // 9 not in skip]
    skipped = sum(0x1FF << 3 + 9 * level for level in skip) if dice.chance(0.9) else 0
    targets = [target(dice, machine.ram) for _ in range(dice.randrange(2, 6))]
    return fill(dice, tables, targets, lg2, sizes, mask=~skipped, **dice.flags("U", "FC"))
