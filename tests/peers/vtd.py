"""Intel VT-d in QEMU (q35, intel-iommu): legacy mode, scalable mode with either stage."""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas import build
from iommu_abi.schemas.build import HUGE, LARGE, PAGE
from iommu_abi.terms import Access, Fault, Request
from peers.pc import Pc
from peers.qtest import Qemu, newest
from peers.worlds import Dice, World, devices, fill, target, use

BASE = 0xFED9_0000
CAP, ECAP, GCMD, RTADDR, FSTS, FRCD = (BASE + offset for offset in (0x8, 0x10, 0x18, 0x20, 0x34, 0x220))
TE, SRTP = 1 << 31, 1 << 30
#: QEMU's words for features -> those before QEMU 11.
OLD_NAMES = {"scalable-mode": "x-scalable-mode", "fsts": "x-flts"}


class Vtd(Pc):
    """VT-d, whose only fault record is read after every probe."""

    kind = "vtd"

    def __init__(self, *features: str, qemu: Qemu | None = None) -> None:
        qemu = qemu or newest(self.binary)
        names = features if qemu.version >= (11,) else map(OLD_NAMES.__getitem__, features)
        super().__init__(",".join(["intel-iommu", *(f"{name}=on" for name in names)]), qemu)

    def start(self) -> None:
        self.cap, self.ecap = self.ask(f"readq {CAP:#x}", f"readq {ECAP:#x}")

    @property
    def registers(self) -> dict[str, int]:
        """What the tables depend on. QEMU's host address width is the guest's (MGAW)."""
        return {"CAP": self.cap, "ECAP": self.ecap, "HAW": (self.cap >> 16 & 63) + 1}

    def on(self, registers: Mapping[str, int]) -> list[str]:
        # setting the root pointer drops all that is cached
        root = registers["RTADDR"]
        return [f"writeq {RTADDR:#x} {root:#x}", f"writel {GCMD:#x} {SRTP:#x}", f"writel {GCMD:#x} {TE:#x}"]

    def off(self) -> list[str]:
        return [f"writel {GCMD:#x} 0"]

    def record(self) -> dict[str, int] | None:
        low, high = self.ask(f"readq {FRCD:#x}", f"readq {FRCD + 8:#x}")
        if not high >> 63:
            return None
        self.ask(f"writeq {FRCD + 8:#x} {1 << 63:#x}", f"writel {FSTS:#x} 1")
        return {
            "code": high >> 32 & 0xFF,
            "sid": high & 0xFFFF,
            "page": low >> 12,
            "read": high >> 62 & 1,
            "pasid": high >> 40 & 0xFFFFF if high >> 31 & 1 else -1,
        }

    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        return {
            "code": fault.native,
            "sid": request.rid,
            "page": request.iova >> 12,
            "read": int(request.access is not Access.WRITE),
            "pasid": -1,
        }


# ---------------------------------------------------------------- tables


def second_stage(dice: Dice, machine: Vtd) -> tuple[build.VtdSecondStage, int]:
    """Tables of a width that QEMU has, and log2 of the addresses that they take."""
    sagaw, mgaw = machine.cap >> 8 & 31, (machine.cap >> 16 & 63) + 1
    levels = dice.pick([levels for levels in (3, 4, 5) if sagaw >> levels - 2 & 1])
    return build.VtdSecondStage(machine.ram, levels), min(mgaw, 12 + 9 * levels)


def map_second(dice: Dice, machine: Vtd, rid: int, second: build.Tables, lg2: int) -> list[Request]:
    """Some pages of all sizes."""
    targets = [target(dice, machine.ram) for _ in range(dice.randrange(2, 6))]
    noise = {"ign_60_52": dice.getrandbits(9), **dice.flags("IPAT", "IR")}
    return use(dice, rid, fill(dice, second, targets, lg2, (PAGE, PAGE, LARGE, HUGE), **noise))


def legacy(dice: Dice, machine: Vtd) -> World:
    """Second stages, and pass-through."""
    unit, requests = build.VtdLegacy(machine.ram), []
    for rid in devices(dice, machine.rids):
        noise = {"FPD": int(dice.chance(0.2)), "DID": dice.getrandbits(16), "ign_q1_6_3": dice.getrandbits(4)}
        if dice.chance(0.15):
            unit.context(rid, None, AW=(machine.cap >> 8 & 31).bit_length() - 1, **noise)
            requests += use(dice, rid, [target(dice, machine.ram)])
            continue
        second, lg2 = second_stage(dice, machine)
        unit.context(rid, second, **noise)
        requests += map_second(dice, machine, rid, second, lg2)
    return World(unit.registers | machine.registers, requests)


def second(dice: Dice, machine: Vtd) -> World:
    """Scalable mode with a second stage, and pass-through."""
    return _scalable(dice, machine, first=False)


def first(dice: Dice, machine: Vtd) -> World:
    """Scalable mode with a first stage, and pass-through."""
    return _scalable(dice, machine, first=True)


def _known(machine: Vtd, fields: Mapping[str, int]) -> dict[str, int]:
    """The fields that this unit has, by ECAP: what a feature is for is reserved without it (9.4, 9.6)."""
    return {name: n for name, n in fields.items() if name not in OF_ECAP or machine.ecap >> OF_ECAP[name] & 1}


#: Field -> the bit of ECAP (10.4.3) that it needs.
OF_ECAP = {
    "DTE": 2, "PGSNP": 7, "PAT": 25, "CD": 25, "PRE": 29, "SRE": 31, "PASIDE": 40, "SLADE": 45,
    "WPE": 47, "SMEP": 47, "NXE": 47, "PWSNP": 48, "RID_PASID": 49,
}  # fmt: skip


def _scalable(dice: Dice, machine: Vtd, first: bool) -> World:
    unit, requests = build.VtdScalable(machine.ram), []
    for rid in devices(dice, machine.rids):
        # one in eight has fields of features that QEMU lacks
        known = (lambda machine, fields: dict(fields)) if dice.chance(0.125) else _known
        own = dice.getrandbits(13) if dice.chance(0.2) else 0
        device = {"PASIDE": 0} | known(machine, {"RID_PASID": own, **dice.flags("DTE", "PASIDE")})
        device |= known(machine, {"PRE": device.get("DTE", 0) and dice.getrandbits(1)})
        own = device.get("RID_PASID", 0)
        unit.context(rid, dice.pick((0, 1)), FPD=int(dice.chance(0.1)), **device)
        domain = dice.getrandbits(4 + 2 * (machine.cap & 7))
        noise = {"DID": domain, "FPD": int(dice.chance(0.1)), "PWSNP": 0}
        noise |= known(
            machine,
            {
                "PAT": dice.getrandbits(32),
                **dice.flags("WPE", "SMEP", "ERE", "SLEE", "CD", "PWSNP", "PGSNP"),
                "NXE": int(dice.chance(0.9)),
            },
        )
        for pasid in {own, 0}:
            if dice.chance(0.15):
                unit.pasid(rid, pasid, **noise)
                requests += use(dice, rid, [target(dice, machine.ram)])
            elif first:
                tables = build.VtdFirstStage(machine.ram, 4, dice.chance(0.3))
                unit.pasid(rid, pasid, tables, AW=dice.pick((1, 2, 2, 2, 3)), **noise)
                requests += map_first(dice, machine, rid, tables)
            else:
                tables, lg2 = second_stage(dice, machine)
                unit.pasid(rid, pasid, None, tables, **known(machine, dice.flags("SLADE")), **noise)
                requests += map_second(dice, machine, rid, tables, lg2)
    return World(unit.registers | machine.registers, requests)


def map_first(dice: Dice, machine: Vtd, rid: int, tables: build.VtdFirstStage) -> list[Request]:
    """Some pages of all sizes in both halves of the addresses."""
    found = []
    for _ in range(dice.randrange(2, 6)):
        noise = {"US": int(dice.chance(0.9)), **dice.flags("PWT", "PCD", "G")}
        upper = dice.pick((0, 0, (1 << 64) - (1 << 47)))
        targets = [target(dice, machine.ram)]
        found += fill(dice, tables, targets, 47, (PAGE, PAGE, LARGE, HUGE), upper=upper, **noise)
    return use(dice, rid, found)
