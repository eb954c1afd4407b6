"""From (seed, index) to a case of a walk or of a blob, and what both ledgers say to it.

An index is an attempt at a plan: ``index = attempt * len(PLANS) + plan``. A plan is one of
:mod:`iommu_abi.worlds.plans` or a rule of the blobs. So a case depends on nothing but the seed and its index.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from iommu_abi.fuzz import blobs
from iommu_abi.fuzz.judge import Walked, judge
from iommu_abi.worlds import plans
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.plans import WalkPlan, build_case


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
    *plans.PLANS,
    *(BlobPlan(generation, rule) for generation in blobs.GENERATIONS for rule in (*blobs.RULES, None)),
)


def index_of(plan: int, attempt: int) -> int:
    """The index of an attempt at a plan."""
    return attempt * len(PLANS) + plan


@dataclass(frozen=True, slots=True)
class Checked:
    """How a valid blob and the same after a change ended.

    ``rule`` is what the change breaks alone, None if it was any; ``accepted`` counts both.
    """

    rule: str | None
    accepted: int
    problems: tuple[str, ...] = ()


def walk(seed: int, plan: WalkPlan, attempt: int) -> Walked:
    """Run the case of a walk."""
    case, mutated = build_case(seed, plan, attempt)
    try:
        return judge(case, mutated)
    finally:
        case.image.restore()


def blob_of(seed: int, plan: BlobPlan, attempt: int) -> blobs.Blob:
    """The blob of an attempt."""
    return blobs.make(Dice(seed, plan, attempt), plan.generation, plan.rule)


def check(seed: int, plan: BlobPlan, attempt: int) -> Checked:
    """Run the case of a blob: it before and after the change."""
    blob = blob_of(seed, plan, attempt)
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
    attempt, number = divmod(index, len(PLANS))
    plan = PLANS[number]
    return walk(seed, plan, attempt) if isinstance(plan, WalkPlan) else check(seed, plan, attempt)
