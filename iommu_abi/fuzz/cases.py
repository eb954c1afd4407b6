"""From (seed, index) to a case, and what both ledgers say to it.

An index is an attempt at a plan: ``index = attempt * len(PLANS) + plan``. A plan is a row of the
coverage table, any mutation of a format, or a rule of the blobs. So a case depends on nothing but
the seed and its index, whatever was run before it or in which process.

The attempts of a walk's plan come in blocks of :data:`BLOCK`, which share a world: the first
:data:`VALID` ask for what must succeed, the others are mutated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial

from iommu_abi import ledgers
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.fuzz import blobs, claims
from iommu_abi.schemas import plain_walk
from iommu_abi.schemas.format import Step
from iommu_abi.terms import Purpose, Translation
from iommu_abi.walk import Unit
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


@dataclass(frozen=True, slots=True)
class BlobPlan:
    """Blobs of a generation that break one rule, or are changed at random."""

    generation: str
    rule: str | None = None

    @property
    def format(self) -> str:
        """The name under which a run can ask for blobs alone."""
        return "blob"

    def __str__(self) -> str:
        return f"blob {self.generation} {self.rule or 'free'}"


PLANS: tuple[WalkPlan | BlobPlan, ...] = (
    *(WalkPlan(row.format, row) for row in coverage.ROWS),
    *(WalkPlan(use.format, use=use) for use in coverage.USES),
    *(WalkPlan(name) for name in FORMATS),
    *(BlobPlan(generation, rule) for generation in blobs.GENERATIONS for rule in (*blobs.RULES, None)),
)


def index_of(plan: int, attempt: int) -> int:
    """The index of an attempt at a plan."""
    return attempt * len(PLANS) + plan


@dataclass(frozen=True, slots=True)
class Walked:
    """How a request ended. ``row`` is None if it passed or was refused as senseless.

    ``claims``: of how many answers all that they claim was asked back.
    """

    mutated: bool
    passed: bool
    refused: bool = False
    row: Row | None = None
    purpose: Purpose = Purpose.DATA
    native: int = 0
    claims: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """How a valid blob and the same after a change ended.

    ``rule`` is what the change breaks alone, None if it was any; ``accepted`` counts both.
    """

    rule: str | None
    accepted: int
    problems: tuple[str, ...] = ()


# ---------------------------------------------------------------- walks


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
def _site(seed: int, number: int, block: int) -> Site:
    plan = PLANS[number]
    assert isinstance(plan, WalkPlan)
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


def build_case(seed: int, index: int) -> tuple[Case, bool]:
    """The case of a walk, and whether it is mutated. :meth:`Image.restore` ends it."""
    attempt, number = divmod(index, len(PLANS))
    plan = PLANS[number]
    assert isinstance(plan, WalkPlan)
    block, turn = divmod(attempt, BLOCK)
    site = _site(seed, number, block)
    dice = Dice(seed, index)
    if turn < VALID:
        return site.valid(dice, turn % len(site.world.requests)), False
    case = site.case(dice)
    mutate(case, site.row)
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


def ask(case: Case) -> tuple[Translation | None, tuple[str, ...]]:
    """The answer of both ledgers, None if both refuse the request or a register; and where they differ."""
    memory = case.image.memory
    try:
        unit = Unit(case.world.kind, case.registers)
        answers = ledgers.ask(unit, memory, case.request, case.image.read, case.registers)
    except (AbiError, UsageError):
        return None, _refused_by_plain(case)
    problems = [str(difference) for difference in answers.differences]
    untraced = unit.translate(memory, case.request)
    if untraced != replace(answers.fast, refs=()):
        problems.append(f"without a trace C says {untraced}")
    return answers.fast, tuple(problems)


def _refused_by_plain(case: Case) -> tuple[str, ...]:
    try:
        plain_walk.translate(case.world.kind, case.registers, case.image.read, case.request)
    except ValueError:
        return ()
    return ("C refuses the request, the plain ledger answers",)


def walk(seed: int, index: int) -> Walked:
    """Run the case of a walk."""
    case, mutated = build_case(seed, index)
    try:
        return judge(case, mutated)
    finally:
        case.image.restore()


def judge(case: Case, mutated: bool) -> Walked:
    """What happened to a request, and what is wrong about it."""
    answer, problems = ask(case)
    if answer is None:
        return Walked(mutated, False, True, problems=problems)
    fault = answer.fault
    if fault is None:
        count, untrue = claimed(case, answer)
        return Walked(mutated, True, claims=count, problems=problems + untrue)
    if not mutated:
        problems += (f"a valid request of the world fails: {fault}",)
    row = Row(case.vendor.format_of(case, answer), fault.stage, fault.level, fault.reason)
    if row not in _REACHABLE:
        problems += (f"the coverage table says that {row} is out of reach: {coverage.cause(row)}",)
    return Walked(mutated, False, False, row, fault.purpose, fault.native, problems=problems)


def claimed(case: Case, answer: Translation) -> tuple[int, tuple[str, ...]]:
    """Hold an answer, and some around it, to what they claim: how many, and what is untrue."""
    kind, request = case.world.kind, case.request
    if kind not in claims.KINDS:
        return 0, ()
    unit, memory = Unit(kind, case.registers), case.image.memory
    asker = claims.Asker(partial(unit.translate, memory), partial(unit.translate, memory, trace=True))
    return claims.check(kind, request, answer, asker, Dice("claims", request))


_REACHABLE = frozenset(coverage.ROWS)


# ---------------------------------------------------------------- blobs


def check(seed: int, index: int) -> Checked:
    """Run the case of a blob: it before and after the change."""
    plan = PLANS[index % len(PLANS)]
    assert isinstance(plan, BlobPlan)
    blob = blobs.make(Dice(seed, index), plan.generation, plan.rule)
    valid = replace(blob, data=blob.before, rule=None)
    first, problems = blobs.both(valid)
    if first is not None or blobs.breaks(valid):
        problems += (f"a valid blob breaks {first}, {blobs.breaks(valid)}",)
    found, more = blobs.both(blob)
    problems += more
    if blob.rule is not None and not (found == blob.rule and blobs.breaks(blob) == {blob.rule}):
        problems += (f"breaks {found} and {blobs.breaks(blob)}, should break {blob.rule} alone",)
    return Checked(blob.rule, (first is None) + (found is None), problems)


def run(seed: int, index: int) -> Walked | Checked:
    """Run any case."""
    if isinstance(PLANS[index % len(PLANS)], WalkPlan):
        return walk(seed, index)
    return check(seed, index)
