"""Translations: both ledgers are asked the same request on the same memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from iommu_abi.fuzz.judge import Walked, judge
from iommu_abi.fuzz.targets import wire
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, blank
from iommu_abi.worlds import coverage
from iommu_abi.worlds.aimed import aim
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.free import free
from iommu_abi.worlds.mutate import Case
from iommu_abi.worlds.plans import BLOCK, PLANS, VALID, WalkPlan, build_case

#: Attempts at each plan that a campaign starts from: one as it was built, others mutated.
SEEDS = (0, VALID, VALID + 1)


class CaseTarget(FuzzTarget):
    """What targets share whose inputs are cases of a walk, as ``wire`` has them."""

    c_target = "case"

    def __init__(self, format_: str) -> None:
        self.format, self.kind = format_, wire.kind_of(format_)
        self.plans = [plan for plan in PLANS if plan.format == format_]

    def seeds(self, dice: Dice) -> Iterator[bytes]:
        """Valid requests of all plans, and others that try for what each plan is about."""
        seed = dice.getrandbits(32)
        for plan in self.plans:
            for attempt in SEEDS:
                yield self._built(seed, plan, attempt)

    def _built(self, seed: int, plan: WalkPlan, attempt: int) -> bytes:
        case, _ = build_case(seed, plan, attempt)
        words: set[int] = set()
        try:
            for ref, data in case.steps:  # of the valid request
                words.update(range(ref.hpa & ~7, ref.hpa + len(data), 8))
            wire.steps(case, words)
            return wire.pack(case, words)
        finally:
            case.image.restore()

    def fresh(self, dice: Dice) -> bytes:
        """A mutated request of any plan."""
        attempt = dice.randrange(64) * BLOCK + dice.randrange(VALID, BLOCK)
        return self._built(dice.getrandbits(10), dice.pick(self.plans), attempt)

    def vary(self, data: bytes, dice: Dice) -> bytes:
        """Mutations of the entries on its path, of registers, request and memory."""
        case = wire.unpack(data, self.format)
        words = wire.words(data, self.kind)
        case = replace(case, steps=wire.steps(case, words), dice=dice)
        if not case.steps:
            return data
        for _ in range(dice.pick((1, 1, 2, 3))):
            if dice.chance(0.5):
                free(case)
            else:
                aim(case, dice.pick(coverage.rows_of(self.format)))
        wire.steps(case, words)
        return wire.pack(case, words)

    def pieces(self, data: bytes) -> list[bytes]:
        """Request and registers, and the words of memory one by one."""
        return wire.pieces(data, self.kind)

    def show(self, data: bytes) -> list[str]:
        """Registers, request and memory."""
        case = wire.unpack(data, self.format)
        registers = " ".join(f"{name}={value:#x}" for name, value in case.registers.items())
        words = sorted(wire.words(data, self.kind))
        memory = [f"  {at:#x}: {case.world.host.load(at):#018x}" for at in words]
        taken = [f"  no memory: {length} bytes at {first:#x}" for first, length in case.image.taken]
        return [
            f"{case.world.kind} {registers}",
            _asked(case),
            "memory, the rest of these pages 0:",
            *memory,
            *taken,
        ]


def _asked(case: Case) -> str:
    q = case.request
    pasid = "" if q.pasid is None else f" PASID {q.pasid:#x}"
    mode = " privileged" if q.priv else ""
    return f"requester {q.rid:#x}{pasid}: {q.access.name} of {q.iova:#x}, {q.at.name.lower()}{mode}"


class Walk(CaseTarget):
    """Every field of the answers of both ledgers."""

    def __init__(self, format_: str) -> None:
        super().__init__(format_)
        self.name = f"walk-{format_}"
        self.about = f"one translation, {format_}: C and plain ledger"

    def run(self, data: bytes) -> Outcome:
        """Ask both."""
        walked = judge(wire.unpack(data, self.format), mutated=True)
        features = [_feature(walked)]
        if walked.row is not None:
            features.append(f"{walked.row} code {walked.native:#x} for {walked.purpose.name}")
        problem = None
        if walked.problems:
            cause = f"{features[0]}: {blank(walked.problems[0])}"
            problem = Problem(cause, "\n".join(walked.problems))
        return Outcome(tuple(features), problem)

    def known(self) -> Mapping[str, str | None]:
        """The rows of the coverage table, and those with a cause."""
        rows = dict.fromkeys(coverage.rows_of(self.format))
        dead = {row: cause for row, cause in coverage.unreached() if row.format == self.format}
        return {str(row): cause for row, cause in {**rows, **dead}.items()}


def _feature(walked: Walked) -> str:
    if walked.row is not None:
        return str(walked.row)
    return "passes" if walked.passed else "refused as senseless"


TARGETS: tuple[FuzzTarget, ...] = tuple(Walk(name) for name in FORMATS)
