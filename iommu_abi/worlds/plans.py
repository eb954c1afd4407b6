"""Plans: what a world is built and broken for, and from (seed, plan, attempt) to a case.

The attempts of a plan come in blocks of :data:`BLOCK`, which share a world: the first :data:`VALID` ask for
what must succeed, the others are mutated. A case depends on nothing else, whatever was made before it or in
which process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from iommu_abi.schemas import plain_walk
from iommu_abi.schemas.format import Step
from iommu_abi.terms import Purpose
from iommu_abi.worlds import coverage
from iommu_abi.worlds.aimed import aim
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.free import free
from iommu_abi.worlds.image import Image
from iommu_abi.worlds.mutate import Case, serves
from iommu_abi.worlds.ways import Row, Use
from iommu_abi.worlds.world import Wish, World

BLOCK, VALID = 16, 5


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """Requests of a format that try for a row, for a use of stage 2, or for nothing."""

    format: str
    row: Row | None = None
    use: Use | None = None

    def __str__(self) -> str:
        return str(self.row or self.use or f"{self.format} free")


PLANS: tuple[WalkPlan, ...] = (
    *(WalkPlan(row.format, row) for row in coverage.ROWS),
    *(WalkPlan(use.format, use=use) for use in coverage.USES),
    *(WalkPlan(name) for name in FORMATS),
)


class Site:
    """A world, its image, the paths of its requests, and what it was built for."""

    def __init__(self, world: World, row: Row | None, purpose: Purpose | None) -> None:
        self.world, self.row, self.purpose = world, row, purpose
        self.vendor = FORMATS[world.format].vendor
        self.image = Image(world.host.runs())
        self._steps: dict[int, tuple[Step, ...]] = {}

    def steps(self, i: int) -> tuple[Step, ...]:
        """The entries that a valid request meets, and their bytes."""
        if i not in self._steps:
            world, read = self.world, self.image.read
            refs = plain_walk.translate(world.kind, world.registers, read, world.requests[i]).refs
            self._steps[i] = tuple((ref, read(ref.hpa, ref.len) or b"") for ref in refs)
        return self._steps[i]

    def serves(self, i: int) -> bool:
        """Whether the path of a request has what the row needs."""
        return self.row is not None and serves(self.row, self.purpose, [ref for ref, _ in self.steps(i)])

    def valid(self, dice: Dice, i: int) -> Case:
        """A request as it was built."""
        world = self.world
        return Case(
            self.vendor, world, self.image, dice, world.requests[i], (), dict(world.registers), self.purpose
        )

    def case(self, dice: Dice) -> Case:
        """A valid request that is to be mutated, if possible one that serves the row."""
        order = list(range(len(self.world.requests)))
        dice.shuffle(order)
        chosen = next((i for i in order if self.serves(i)), order[0])
        return replace(self.valid(dice, chosen), steps=self.steps(chosen))


@lru_cache(maxsize=4)
def site(seed: int, plan: WalkPlan, block: int) -> Site:
    """The world that the attempts of a block share."""
    for luck in range(100):
        dice = Dice(seed, plan, block, luck)
        row = dice.pick(coverage.rows_of_use(plan.use)) if plan.use else plan.row
        purpose = plan.use.purpose if plan.use else None
        try:
            world = FORMATS[plan.format].worlds[plan.format](dice, Wish(dice, row, purpose))
        except Unlucky:
            continue
        if world.requests:
            return Site(world, row, purpose)
    raise RuntimeError(f"no world for {plan}, block {block}, seed {seed}")


def build_case(seed: int, plan: WalkPlan, attempt: int) -> tuple[Case, bool]:
    """The case of an attempt, and whether it is mutated. :meth:`Image.restore` ends it."""
    block, turn = divmod(attempt, BLOCK)
    shared = site(seed, plan, block)
    dice = Dice(seed, plan, "attempt", attempt)
    if turn < VALID:
        return shared.valid(dice, turn % len(shared.world.requests)), False
    case = shared.case(dice)
    mutate(case, shared.row)
    return case, True


def mutate(case: Case, row: Row | None) -> None:
    """One mutation, or two; the second may aim at another row, so that the order of checks counts."""
    if row is None:
        free(case)
    else:
        aim(case, row)
    if case.dice.chance(0.4 if row is None else 0.15):
        if case.dice.chance(0.5):
            free(case)
        else:
            aim(case, case.dice.pick(coverage.rows_of(case.world.format)))
