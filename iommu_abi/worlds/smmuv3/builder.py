"""The SMMU of a world: its registers, and what page tables, CDs and STEs share.

Vendor words as in schemas/smmuv3_entries.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.build_smmuv3 import SmmuTables
from iommu_abi.schemas.smmuv3_entries import (
    ADDRESS_LG2,
    AIDR,
    CR0,
    CR2,
    GBPA,
    IDR0,
    IDR1,
    IDR3,
    IDR5,
)
from iommu_abi.schemas.vmsa_entries import Granule
from iommu_abi.terms import Reason, Request, Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.smmuv3.tables import Limits, Shape, StreamTable
from iommu_abi.worlds.spaces import EXEC, READ, WRITE, Host
from iommu_abi.worlds.ways import Row
from iommu_abi.worlds.world import LEAF_REASONS, Wish, World

PASID, S1, S2 = Stage.PASID, Stage.S1, Stage.S2
RWX = READ | WRITE | EXEC
GRANULES = {12: "GRAN4K", 14: "GRAN16K", 16: "GRAN64K"}


class Builder:
    """The registers of one world, and what its streams have in common."""

    def __init__(self, dice: Dice, wish: Wish) -> None:
        self.dice, self.wish = dice, wish
        self.oas = self._oas()
        self.oas_lg2 = ADDRESS_LG2[self.oas]
        #: Tables lie where pointers of every granule reach.
        self.host = Host(dice, min(self.oas_lg2, 44 if wish.reason(Reason.OUTPUT_RANGE) else 48))
        self.ttf = dice.pick((2, 2, 3))
        self.deep = deep = bool(wish.row and wish.stage(S1, S2) and self._is_deep(wish.row))
        #: What the version demands is there whatever the registers say; 52 bits are not in v3.0.
        self.version = dice.pick((0, 1, 1, 2, 3, 4) if self.oas < 6 and not deep else (1, 1, 2, 3, 4))
        ds = int(self.version > 0 and (deep or dice.chance(0.4)))
        self.limits = Limits(
            ias_lg2=max(self.oas_lg2, 40 if self.ttf & 1 else 0),
            oas_lg2=self.oas_lg2,
            stt=dice.getrandbits(1),
            vax=dice.pick((1, 2) if ds else (0, 0, 1, 2)) if self.version else 0,
            ds=ds,
        )
        self.httu = 2 if wish.reason(Reason.UPDATE_DENIED) else dice.randrange(4)
        self.override, self.hyp, self.e2h = (dice.getrandbits(1) for _ in range(3))
        self.ats, self.atschk, self.ns1ats = (dice.getrandbits(1) for _ in range(3))
        self.had, self.epan = (
            int(self.version > 0 or dice.chance(0.5)),
            int(self.version > 3 or dice.chance(0.5)),
        )
        self.tt_endian = dice.pick((0, 2, 2, 3))
        self.stall_model, self.term_model = dice.randrange(3), dice.getrandbits(1)
        self.granules: set[int] = set()
        self.cdmax = 0
        split = dice.pick((None, None, 6, 8, 10))
        if wish.stage(Stage.DEVICE) and wish.row and wish.row.level == 1:
            split = dice.pick((6, 8, 10))
        self.unit = StreamTable(dice, self.host, dice.pick((0, 3, 6, 8, 11, 16, 20)), split)
        self.requests: list[Request] = []

    def _oas(self) -> int:
        """How wide addresses are: wide enough for the levels, for OUTPUT_RANGE narrower than pointers."""
        row = self.wish.row
        if row and row.stage in (S1, S2) and self._is_deep(row):
            return 6
        if self.wish.reason(Reason.OUTPUT_RANGE):
            return 4
        if row and row.level > 1 and row.stage in (S1, S2):
            return self.dice.pick((4, 5, 6, 6))
        return self.dice.pick((0, 1, 2, 3, 4, 5, 5, 6, 6))

    @staticmethod
    def _is_deep(row: Row) -> bool:
        """Levels, or blocks at a level, that DS alone has."""
        return row.level == 4 or (row.level == 3 and row.reason in LEAF_REASONS)

    def registers(self) -> dict[str, int]:
        """All of them, with what the world needs and random bits beside it."""
        dice = self.dice
        noise = {name: dice.getrandbits(1) for name in ("COHACC", "BTM", "MSI", "PRI", "ATOS", "ATSRECERR")}
        granules = {name: int(lg2 in self.granules or dice.chance(0.5)) for lg2, name in GRANULES.items()}
        sid_bits = max(self.unit.sids).bit_length()
        return self.unit.registers | {
            "IDR0": IDR0.value(
                S1P=1,
                S2P=1,
                TTF=self.ttf,
                HTTU=self.httu,
                HYP=self.hyp,
                ASID16=1,
                VMID16=1,
                CD2L=1,
                TTENDIAN=self.tt_endian,
                STALL_MODEL=self.stall_model,
                TERM_MODEL=self.term_model,
                ST_LEVEL=1 if self.unit.split else dice.getrandbits(1),
                ATS=self.ats,
                NS1ATS=self.ns1ats,
                **noise,
            ),
            "IDR1": IDR1.value(
                SIDSIZE=dice.randrange(sid_bits, 33),
                SSIDSIZE=dice.randrange(self.cdmax, 21),
                ATTR_PERMS_OVR=self.override,
            ),
            "IDR3": IDR3.value(
                HAD=self.had,
                XNX=dice.getrandbits(1),
                FWB=dice.getrandbits(1),
                STT=self.limits.stt,
                E0PD=1,
                PTWNNC=dice.getrandbits(1),
                PASIDTT=dice.getrandbits(1),
                EPAN=self.epan,
            ),
            "AIDR": AIDR.value(MINOR=self.version),
            "IDR5": IDR5.value(OAS=self.oas, VAX=self.limits.vax, DS=self.limits.ds, **granules),
            "CR0": CR0.value(
                SMMUEN=1, EVTQEN=int(dice.chance(0.9)), ATSCHK=self.atschk, VMW=dice.getrandbits(3)
            ),
            "CR2": CR2.value(E2H=self.e2h, RECINVSID=dice.getrandbits(1), REC_CFG_ATS=dice.getrandbits(1)),
            "GBPA": GBPA.value(ABORT=dice.getrandbits(1), MemAttr=dice.getrandbits(4)),
        }

    def world(self, name: str) -> World:
        """The finished world."""
        return World(name, "smmuv3", self.registers(), self.host, self.requests)

    # Page tables.

    def shape(self, stage: Stage, at_least_lg2: int = 0, ds: bool | None = None) -> Shape:
        """Granule, width and levels of the tables of a stage, by what the row needs. ``ds``: the CD's."""
        wish, row = self.wish, self.wish.row
        found = [each for each in self.limits.shapes(stage) if each.input_lg2 >= at_least_lg2]
        if ds is not None:
            found = [each for each in found if each.granule.lg2 == 16 or each.granule.wide == ds]
        levels = wish.levels(stage, sorted({each.levels for each in found}))
        found = [each for each in found if each.levels == levels]
        if row and row.stage is stage and row.level and row.reason in LEAF_REASONS:
            found = [each for each in found if each.granule.has_block(row.level)] or found
        if row and row.stage is stage is S2 and row.reason is Reason.INPUT_RANGE:
            found = [each for each in found if each.input_lg2 < self.oas_lg2] or found
        granule = self.dice.pick(sorted({each.granule.lg2 for each in found}))
        self.granules.add(granule)
        return self.dice.pick([each for each in found if each.granule.lg2 == granule])

    def leaf(self, tables: SmmuTables, data: bool = True) -> int:
        """log2 of a page size."""
        levels = [each for each in range(tables.levels) if not each or tables.granule.has_block(each)]
        stage = S1 if tables.number == 1 else S2
        return tables.granule.page_lg2(self.wish.leaf(stage, levels, data))

    def output_lg2(self, granule: Granule, code: int) -> int:
        """log2 of the first address that pages cannot have, with this code for the width."""
        return min(ADDRESS_LG2[code], self.oas_lg2, 52 if granule.wide else 48)

    def width(self) -> int:
        """A code for an output width that takes in all tables of the host."""
        return self.dice.pick([code for code in range(8) if ADDRESS_LG2[code] >= self.host.lg2])

    # Fields that a CD and the stage-2 half of an STE share.

    def controls(self, stage: Stage) -> dict[str, int]:
        """AF and the dirty state, stalls, endianness."""
        dice, wish = self.dice, self.wish
        flags = {"AFFD": dice.getrandbits(1), "HA": int(self.httu > 0 and dice.chance(0.5))}
        if wish.stage(stage) and wish.reason(Reason.ACCESS_FLAG):
            flags = {"AFFD": 0, "HA": 0}
        if wish.reason(Reason.UPDATE_DENIED) and stage is S1:
            flags["HA"] = 1
        return flags | {
            "HD": int(self.httu > 1 and dice.chance(0.5)),
            "S": (dice.getrandbits(1), 0, 1)[self.stall_model],
            "R": dice.getrandbits(1),
            "HAFT": int(self.httu == 3 and flags["HA"] and dice.chance(0.5)),
            "ENDI": {2: 0, 3: 1}.get(self.tt_endian, dice.getrandbits(1)),
        }

    def attributes(self, controls: Mapping[str, int]) -> dict[str, int]:
        """What a leaf has beside rights: AF may be clear where nothing wants it, or hardware sets it."""
        free = controls["AFFD"] or controls["HA"]
        found = {"AF": self.dice.getrandbits(1) if free else 1, "Contiguous": int(self.dice.chance(0.2))}
        return found | {"DBM": self.dice.getrandbits(1)}


def updates_dirty(controls: Mapping[str, int], leaf: Mapping[str, int]) -> bool:
    """Whether a write makes a page writable that is only writable-clean."""
    return bool(controls["HA"] and controls["HD"] and leaf["DBM"])
