"""The unit of a VT-d world: its registers, and the page tables of its stages.

Vendor words as in schemas/vtd_entries.py.
"""

from __future__ import annotations

from iommu_abi.schemas import build
from iommu_abi.schemas.vtd_entries import CAP, ECAP, GSTS
from iommu_abi.terms import Access, Reason, Request, Stage
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.pages import INTERRUPTS, Destination, direct, interrupts, low_address, through
from iommu_abi.worlds.spaces import EXEC, READ, WRITE, Guest, Host, place
from iommu_abi.worlds.world import Wish

S1, S2 = Stage.S1, Stage.S2
RWX = READ | WRITE | EXEC


class Builder:
    """The registers and stages of one world."""

    def __init__(self, dice: Dice, wish: Wish) -> None:
        self.dice, self.wish = dice, wish
        self.haw = dice.pick((36, 39, 40, 46, 48, 51, 52, 52))
        if wish.reason(Reason.RESERVED) and wish.stage(S1, S2):
            self.haw = dice.pick((36, 39, 46, 51))
        if wish.stage(Stage.PASID) and wish.reason(Reason.INPUT_RANGE):
            self.haw = dice.pick((36, 39, 46))
        self.host = Host(dice, self.haw)
        self.mgaw = dice.pick((30, 36, 39, 47, 48, 52, 57, 63))
        self.sagaw = dice.randrange(1, 8) << 1  # bits 0 and 4 are reserved
        self.domain_bits = dice.pick((4, 8, 14, 16, 16, 16))
        self.rev = dice.pick((0x205, 0x301, 0x303, 0x400, 0x400, 0x401, 0x500, 0x50A, 0x50A))
        self.sllps = dice.getrandbits(4)
        self.one_gib, self.five = dice.getrandbits(1), dice.getrandbits(1)
        self.requests: list[Request] = []
        #: Addresses whose page may have interrupt addresses in it: no translation request gets it.
        self.untold: set[int] = set()

    # Registers.

    def registers(self, **ecap: int) -> dict[str, int]:
        """All of them, with what the world needs and random bits beside it."""
        dice = self.dice
        noise = {name: dice.getrandbits(2) & 1 for name in ("C", "QI", "IR", "EIM", "PMS", "TDXCS")}
        # until 5.0 larger PASIDs pass
        pss = dice.getrandbits(5) if self.rev < 0x500 else dice.randrange(19, 32)
        return {
            "CAP": CAP.value(
                MGAW=self.mgaw - 1,
                SAGAW=self.sagaw | dice.pick((0, 0, 0, 1, 16, 17)),
                SLLPS=self.sllps,
                FL1GP=self.one_gib,
                FL5LP=self.five,
                ND=(self.domain_bits - 4) // 2,
                CM=dice.getrandbits(1),
                NFR=dice.getrandbits(8),
            ),
            "ECAP": ECAP.value(**noise, PSS=pss, **ecap),
            "GSTS": GSTS.value(TES=1, ign_30_0=dice.getrandbits(31)),
            "HAW": self.haw,
            "REV": self.rev,
        }

    def features(self, *needed: str) -> dict[str, int]:
        """ECAP bits that matter to a walk: those that are needed, the others at random."""
        names = (
            "DT", "PT", "SC", "NEST", "SRS", "ERS", "PASID", "SLTS", "FLTS", "MTS", "DIS", "PRS", "EAFS",
            "SLADS", "SMPWCS", "RPRIVS", "NWFS", "ADMS", "PTRS", "SSIRWS",
        )  # fmt: skip
        return {name: int(name in needed or self.dice.chance(0.5)) for name in names}

    def domain(self) -> int:
        """A domain ID that the unit takes."""
        return self.dice.getrandbits(self.domain_bits)

    # Second stage.

    def second(self) -> build.VtdSecondStage:
        """Second-stage tables with a width that the unit gets."""
        levels = self.wish.levels(S2, range(3, 6))
        self.sagaw |= 1 << (levels - 2)
        return build.VtdSecondStage(self.host, levels)

    def limit(self, second: build.Tables) -> int:
        """log2 of the first address beyond a second stage."""
        return min(self.mgaw, 12 + 9 * second.levels, 64)

    def second_leaf(self, second: build.Tables, data: bool = True) -> int:
        """log2 of a page size, which the unit gets."""
        level = self.wish.leaf(S2, range(min(3, second.levels)), data)
        self.sllps |= 1 << level >> 1
        return 12 + 9 * level

    def guest(self, second: build.Tables) -> Guest:
        """Guest memory: below the second stage's limit, and where first-stage entries can point."""
        sizes = [self.second_leaf(second, data=False) for _ in range(2)]
        return Guest(self.host, second, min(self.limit(second), self.haw), sizes)

    # First stage.

    def first(self, space: build.Space, accessed: bool) -> build.VtdFirstStage:
        """First-stage tables in host or guest memory."""
        levels = self.wish.levels(S1, (4, 5))
        self.five |= levels - 4
        return build.VtdFirstStage(space, levels, accessed)

    def map_first(
        self, first: build.VtdFirstStage, second: build.Tables | None, **fields: int
    ) -> tuple[int, Access]:
        """Map a page; the address in it that a request may use, and what it may do there."""
        dice, space = self.dice, first.space
        for _ in range(100):
            level = self.wish.leaf(S1, range(3))
            size = 12 + 9 * level
            if isinstance(space, Guest) and second is not None:
                if size > space.lg2:
                    continue
                target = through(space, size, self.second_leaf(second), self.rights(second=True))
            else:
                target = direct(dice, self.haw, size)
            self.one_gib |= level >> 1
            access = READ | dice.pick((WRITE, EXEC, WRITE | EXEC, Access.NONE))
            iova = canonical(dice, first.levels, size)
            if not access & target.access & (READ | WRITE):
                continue
            if place(first, iova, target.page, size, access, **fields):
                if size > 20 and (second is not None or has_interrupts(target.page, size)):
                    self.untold.add(iova + target.offset)
                return iova + target.offset, access & target.access
        raise Unlucky

    def passed_address(self) -> int:
        """An address that passes through: any second stage of the unit takes it."""
        return low_address(self.dice, min(self.mgaw, 30))

    def rights(self, second: bool) -> Access:
        """Rights of a leaf: all, or some."""
        return self.dice.pick((RWX, RWX, READ | WRITE, READ | EXEC, READ, WRITE) if second else (RWX, READ))

    def map_second(self, second: build.Tables) -> tuple[int, Access]:
        """The same for a second stage that requests enter."""
        dice = self.dice
        lg2 = self.limit(second)
        for _ in range(100):
            size = self.second_leaf(second)
            if size > lg2:
                continue
            target: Destination = direct(dice, self.haw, size)
            iova = dice.address(lg2, size)
            access = self.rights(second=True)
            if not interrupts(iova + target.offset) and place(second, iova, target.page, size, access):
                if has_interrupts(target.page, size):
                    self.untold.add(iova + target.offset)
                return iova + target.offset, access
        raise Unlucky


def has_interrupts(page: int, size_lg2: int) -> bool:
    """Whether interrupt addresses lie in a page."""
    return not (page ^ INTERRUPTS << 20) >> max(size_lg2, 20)


def canonical(dice: Dice, levels: int, size_lg2: int) -> int:
    """An address that 4 or 5 levels take, in either half."""
    bits = 12 + 9 * levels - 1
    address = dice.address(bits, size_lg2)
    return address if dice.chance(0.5) else address | (1 << 64) - (1 << bits)


def rid(dice: Dice) -> int:
    """A requester: any, with the ends of buses and halves among them."""
    return dice.pick((0, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, dice.getrandbits(16), dice.getrandbits(16)))


def rids(dice: Dice) -> list[int]:
    """One to three requesters."""
    return sorted({rid(dice) for _ in range(dice.pick((1, 1, 2, 3)))})
