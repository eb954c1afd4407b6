"""The IOMMU of an AMD-Vi world: its registers, device table and page tables.

Vendor words as in schemas/amdvi.py; its levels count from 1, ours from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from iommu_abi.schemas import amdvi_entries, build
from iommu_abi.schemas.amdvi_entries import CONTROL, EXT_FEATURES
from iommu_abi.terms import Access, Reason, Request, Stage
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.pages import direct, interrupts, through
from iommu_abi.worlds.spaces import ADDRESS_LG2, EXEC, PAGE, READ, WRITE, Guest, Host, place
from iommu_abi.worlds.world import Wish

S1, S2 = Stage.S1, Stage.S2
RW = READ | WRITE
#: Levels that a walk of 6 can leave out, in the vendor's counting; 1 holds what is mapped.
SKIPPABLE = (2, 3, 4, 5)
_NEXT_LG2 = 9


class Tables(build.AmdV1):
    """v1 tables. ``holes`` are the index bits of skipped levels, which an address may not have."""

    def __init__(self, space: build.Space, levels: int, skip: tuple[int, ...]) -> None:
        super().__init__(space, levels, skip)
        self.holes = sum(0x1FF << 12 + 9 * (level - 1) for level in skip if level < levels)

    @property
    def lg2(self) -> int:
        """log2 of the first address beyond the tables."""
        return min(64, 12 + 9 * self.levels)

    def leaf_levels(self) -> list[int]:
        """Levels, in our counting, that can have pages."""
        return [level for level in range(min(self.levels, 5)) if level + 1 not in self.skip]

    def _map_page(self, address: int, to: int, page: int, access: Access, fields: dict[str, int]) -> None:
        """Write one entry and copy it: all slots of a page with an encoded size are alike."""
        level = self._leaf_level(page)
        slot = 1 << 12 + 9 * level
        super()._map_page(address, to, slot, access, self._sized(page, slot, to) | fields)
        raw = self.space.load(self.entry(address, level))
        for offset in range(slot, page, slot):
            self.space.store(self.entry(address + offset, level), raw)

    @staticmethod
    def _sized(page: int, slot: int, to: int) -> dict[str, int]:
        if page == slot:
            return {}
        return {"NextLevel": amdvi_entries.NEXT_SIZED, "ADDR": to | (page // 2 - PAGE)}


class DeviceTable(build.AmdUnit):
    """A device table of which only the pages in use have memory."""

    def __init__(self, host: Host, pages: int) -> None:
        self.host = host
        self.pages = pages
        self.device_table = host.block(pages * PAGE)
        self._registers = {}


@dataclass
class Builder:
    """The registers and stages of one world."""

    dice: Dice
    wish: Wish
    most_levels: int = 4
    most_glx: int = 0
    five: int = 0
    pasid_bits: int = 1
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        lg2 = self.dice.pick((40, 44, 48, 51, 52))
        if self.wish.stage(S2) and self.wish.row and self.wish.row.level > 2:
            lg2 = ADDRESS_LG2  # room for pages of 512 GiB and 256 TiB
        self.host = Host(self.dice, lg2)
        pages = self.dice.pick((1, 1, 2, 2, 16, 512))
        self.unit = DeviceTable(self.host, pages)

    def rids(self) -> list[int]:
        """One to three devices inside the table."""
        last = 128 * self.unit.pages - 1
        draws = range(self.dice.pick((1, 1, 2, 3)))
        return sorted({self.dice.pick((0, last, self.dice.randrange(last + 1))) for _ in draws})

    def registers(self) -> dict[str, int]:
        """All of them, with what the world needs and random bits beside it."""
        dice = self.dice
        hats = dice.randrange(max(0, self.most_levels - 4), 3)
        return self.unit.registers | {
            "CONTROL": CONTROL.value(
                IommuEn=1,
                GTEn=1,
                GCR3TRPMode=self.trp_mode,
                GDUpdateDis=int(dice.chance(0.2)),
                GAUpdateDis=int(dice.chance(0.2)),
                ign_15_1=dice.getrandbits(15),
            ),
            "EXT_FEATURES": EXT_FEATURES.value(
                HATS=hats,
                GATS=1 if self.five else dice.getrandbits(1),
                GLXSup=dice.randrange(self.most_glx, 3),
                PASmax=dice.randrange(self.pasid_bits - 1, 32),
                NXSup=self.nx,
                GTSup=1,
                GIoSup=1,
                EPHSup=1,  # DTEs have PPR and GPRP
                XTSup=dice.getrandbits(1),
                PPRSup=dice.getrandbits(1),
            ),
            "EXT_FEATURES2": dice.number(64),
        }

    trp_mode: int = 1
    nx: int = 1

    # Host tables.

    def tables(self) -> Tables:
        """v1 tables of 1 to 6 levels, some of them skipped."""
        wish, dice = self.wish, self.dice
        levels = wish.levels(S2, range(1, 7))
        skip: tuple[int, ...] = ()
        if dice.chance(0.3) and not (wish.stage(S2) and wish.reason(Reason.INPUT_RANGE)):
            keep = {wish.row.level + 1} if wish.row and wish.row.stage is S2 else set()
            skip = tuple(
                each for each in SKIPPABLE if each < levels and each not in keep and dice.chance(0.4)
            )
        self.most_levels = max(self.most_levels, levels)
        return Tables(self.host, levels, skip)

    def leaf(self, tables: Tables, data: bool = True) -> int:
        """log2 of a page size of v1: a level's own, or an encoded one above it."""
        level = self.wish.leaf(S2, tables.leaf_levels(), data)
        encoded = self.dice.pick((0, 0, 0, 1, 2, 3, 8)) if level < 4 else self.dice.pick((0, 0, 1, 2))
        return 12 + _NEXT_LG2 * level + encoded

    def guest(self, tables: Tables) -> Guest:
        """Guest memory, where guest tables can point."""
        sizes = [self.leaf(tables, data=False) for _ in range(2)]
        return Guest(self.host, tables, min(tables.lg2, ADDRESS_LG2), sizes, tables.holes)

    def map_host(self, tables: Tables) -> tuple[int, Access]:
        """Map a page for requests that enter v1; the address in it that is used, and the rights."""
        dice = self.dice
        for _ in range(100):
            size = self.leaf(tables)
            if size > tables.lg2:
                continue
            target = direct(dice, ADDRESS_LG2, size)
            iova = dice.address(tables.lg2, size) & ~tables.holes
            offset = target.offset & ~tables.holes
            access = dice.pick((RW, RW, READ, WRITE))
            if not interrupts(iova + offset) and place(tables, iova, target.page, size, access):
                return iova + offset, access
        raise Unlucky

    # Guest tables.

    def guest_tables(self, space: build.Space, accessed: bool) -> build.AmdV2:
        """v2 tables of 4 or 5 levels."""
        levels = self.wish.levels(S1, (4, 5))
        self.five |= levels - 4
        return build.AmdV2(space, levels, accessed)

    def map_guest(
        self, guest: build.AmdV2, host: Tables | None, pasid: int, user: bool
    ) -> tuple[int, Access]:
        """Map a page in v2."""
        dice, space = self.dice, guest.space
        for _ in range(100):
            size = 12 + 9 * self.wish.leaf(S1, range(3))
            if host is not None and isinstance(space, Guest):
                if size > space.lg2:
                    continue
                rights = dice.pick((RW, RW, READ, WRITE))
                target = through(space, size, self.leaf(host), rights)
            else:
                target = direct(dice, ADDRESS_LG2, size)
            access = READ | dice.pick((WRITE, EXEC, WRITE | EXEC, Access.NONE))
            granted = access & (target.access | (EXEC if READ in target.access else Access.NONE))
            iova = guest_address(dice, guest.levels, size, signed=pasid != 0)
            if granted & RW and place(guest, iova, target.page, size, access | self.no_xd, US=int(user)):
                return iova + target.offset, granted
        raise Unlucky

    @property
    def no_xd(self) -> Access:
        """Without NXSup the XD bit is reserved: every page may be executed."""
        return Access.NONE if self.nx else EXEC


def guest_address(dice: Dice, levels: int, size_lg2: int, signed: bool) -> int:
    """An address that guest tables take: canonical, or with PASID 0 any of 48 or 57 bits."""
    bits = 12 + 9 * levels
    if not signed:
        return dice.address(bits, size_lg2)
    address = dice.address(bits - 1, size_lg2)
    return address if dice.chance(0.5) else address | (1 << 64) - (1 << bits - 1)


def device_fields(dice: Dice) -> dict[str, int]:
    """Fields of a DTE beside the tables."""
    fields = {"HAD": dice.pick((0, 0, 1, 2, 3)), "DomainID": dice.getrandbits(16), "I": dice.getrandbits(1)}
    fields |= {"SE": int(dice.chance(0.15)), "SA": int(dice.chance(0.1)), "IV": dice.getrandbits(1)}
    return fields | {"PPR": dice.getrandbits(1), "GPRP": dice.getrandbits(1), "SysMgt": dice.getrandbits(2)}
