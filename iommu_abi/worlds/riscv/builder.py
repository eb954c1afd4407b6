"""The IOMMU of a RISC-V world: its registers, and what page tables share.

Vendor words as in schemas/riscv_entries.py.
"""

from __future__ import annotations

from iommu_abi.schemas import build
from iommu_abi.schemas.build_riscv import RiscvTables
from iommu_abi.schemas.riscv_context import DEVICES, EXTENDED_DEVICES
from iommu_abi.schemas.riscv_entries import CAPABILITIES, FCTL
from iommu_abi.terms import Reason, Request, Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.spaces import EXEC, READ, WRITE, Host
from iommu_abi.worlds.world import Wish, World

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
RW, RWX = READ | WRITE, READ | WRITE | EXEC
MODES = {2: "Sv32", 3: "Sv39", 4: "Sv48", 5: "Sv57"}
NARROW, WIDE = 2, (3, 4, 5)
POINTER_LG2 = 56
NAPOT_LG2 = 16


class Unit(build.RiscvUnit):
    """A device directory in scattered pages."""

    def __init__(self, host: Host, levels: int, extended: bool) -> None:
        self.host = host
        self.levels = levels
        self.directory = host.page()
        self._registers = {}
        self.devices = EXTENDED_DEVICES if extended else DEVICES


class Builder:
    """The registers of one world, and what its devices have in common."""

    def __init__(self, dice: Dice, wish: Wish) -> None:
        self.dice, self.wish = dice, wish
        self.gxl, self.gxl_writable, self.sxl = self._narrow()
        self.pas = 34 if self.gxl or self.sxl else dice.pick((36, 40, 46, 52, 56))
        if wish.row and wish.row.stage is S2 and wish.row.level > 2:
            self.pas = POINTER_LG2  # room for large pages
        self.host = Host(dice, self.pas)
        self.extended = dice.chance(0.7) or wish.stage(S2)
        levels = dice.pick((1, 2, 3))
        if wish.row and wish.row.stage is DEVICE and wish.row.level >= levels:
            levels = wish.row.level + 1
        self.unit = Unit(self.host, levels, self.extended)
        self.needed: set[str] = set()
        self.requests: list[Request] = []

    def _narrow(self) -> tuple[int, int, int]:
        """GXL, whether it can be written, and SXL of the devices: 1 for tables of Sv32."""
        dice, row = self.dice, self.wish.row
        if row is None or row.stage not in (S1, S2):
            choices = [(0, 0, 0)] * 6 + [(0, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1)]
        elif row.level > 1:
            choices = [(0, 0, 0), (0, 1, 0)]
        elif row.reason is Reason.INPUT_RANGE:
            choices = [(1, 0, 1), (1, 1, 1)] + ([(0, 1, 1)] if row.stage is S1 else [])
        else:
            choices = [(0, 0, 0)] * 4 + [(0, 1, 1), (1, 0, 1)]
        return dice.pick(choices)

    def registers(self) -> dict[str, int]:
        """All of them, with what the world needs and random bits beside it."""
        dice = self.dice
        features = (
            "Svrsw60t59b",
            "Svpbmt",
            "MSI_MRIF",
            "AMO_HWAD",
            "ATS",
            "T2GPA",
            "PD8",
            "PD17",
            "PD20",
            "QOSID",
        )
        modes = [name + x4 for name in MODES.values() for x4 in ("", "x4")]
        named = {name: int(name in self.needed or dice.chance(0.5)) for name in (*features, *modes)}
        noise = {name: dice.getrandbits(1) for name in ("AMO_MRIF", "END", "HPM", "DBG", "NL")}
        return self.unit.registers | {
            "CAPABILITIES": CAPABILITIES.value(
                version=0x10, MSI_FLAT=int(self.extended), PAS=self.pas, **named, **noise
            ),
            "FCTL": FCTL.value(GXL=self.gxl, WSI=dice.getrandbits(1)),
            "GXL_WRITABLE": self.gxl_writable,
        }

    def need(self, *names: str, when: int = 1) -> int:
        """Let the unit have features if a field is on; the field."""
        if when:
            self.needed.update(names)
        return when

    def world(self, name: str) -> World:
        """The finished world."""
        return World(name, "riscv", self.registers(), self.host, self.requests)

    def devices(self) -> list[int]:
        """One to three devices that the directory can hold."""
        last = (1 << self.unit.devices.width(self.unit.levels)) - 1
        draws = range(self.dice.pick((1, 1, 2, 3)))
        return sorted({self.dice.pick((0, last, self.dice.randrange(last + 1))) for _ in draws})

    # Page tables.

    def levels(self, stage: Stage, narrow: int) -> int:
        """How many levels the tables of a stage get."""
        return NARROW if narrow else self.wish.levels(stage, WIDE)

    def leaf(self, tables: RiscvTables, stage: Stage, below_lg2: int, data: bool = True) -> int:
        """log2 of a page size, at most ``below_lg2``."""
        choices = [each for each in range(tables.levels) if tables.page_lg2(each) <= below_lg2]
        size = tables.page_lg2(self.wish.leaf(stage, choices, data))
        return NAPOT_LG2 if size == 12 and not tables.mode.narrow and self.dice.chance(0.2) else size

    def attributes(self, tables: RiscvTables, hardware: int) -> dict[str, int]:
        """What a page has beside rights: A and D may be clear where hardware sets them."""
        dice = self.dice
        found = {"G": dice.getrandbits(1), "RSW": dice.getrandbits(2)}
        if not tables.mode.narrow:
            found |= {"RSW60t59b": self.need("Svrsw60t59b", when=dice.getrandbits(2))}
            found |= {"PBMT": self.need("Svpbmt", when=dice.pick((0, 0, 1, 2)))}
        return found | ({"A": dice.getrandbits(1), "D": dice.getrandbits(1)} if hardware else {})
