"""What both ledgers say to a case of a walk, and what is wrong about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from iommu_abi import ledgers
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.fuzz import claims
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Purpose, Translation
from iommu_abi.walk import Unit
from iommu_abi.worlds import coverage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.mutate import Case
from iommu_abi.worlds.ways import Row

_REACHABLE = frozenset(coverage.ROWS)


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
    unit, memory = Unit(kind, case.registers), case.image.memory
    asker = claims.Asker(partial(unit.translate, memory), partial(unit.translate, memory, trace=True))
    return claims.check(kind, request, answer, asker, Dice("claims", request))
