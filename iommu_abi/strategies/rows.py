"""Blobs of a target: valid ones, and ones that break one of its rules."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from iommu_abi.rules.row import Check
from iommu_abi.strategies import draft, envelope
from iommu_abi.strategies.plan import Plan, about_size, plans
from iommu_abi.strategies.target import Specimen


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that break exactly one rule.

    ``errno`` is what the kernel answers, positive; 0 where the rule is documented and not looked at. A
    rule about sizes is broken alone as far as such rules go: the later ones ask for still more bytes.
    """

    data: bytes
    rule: str
    errno: int


def _one(draw: st.DrawFn, found: tuple[Plan, ...]) -> Plan:
    """One of the plans; Hypothesis would write out all of them to name one."""
    return found[draw(st.integers(0, len(found) - 1))]


@st.composite
def valid(draw: st.DrawFn, target: Specimen, *, whole: bool = False) -> bytes:
    """Bytes that break no rule; ``whole``: neither an older nor a newer caller's."""
    plan = _one(draw, plans(target))
    numbers = draft.values(draw, target, plan)
    return envelope.fitting(draw, target, plan, numbers, whole=whole)


def rules(target: Specimen) -> dict[str, int]:
    """Rule -> errno, of every rule that some bytes break alone, in the kernel's order."""
    rows = {
        check.rule.name: check.rule.errno if check.enforced else 0
        for check in target.checks
        if plans(target, check)
    }
    return {**envelope.generic(target), **rows}


def breaking(target: Specimen, rule: str) -> st.SearchStrategy[Broken]:
    """Bytes that break a rule of :func:`rules`."""
    check = next((check for check in target.checks if check.rule.name == rule), None)
    number = rules(target)[rule]
    made = _row(target, check) if check else _generic(target, rule)
    return made.map(lambda data: Broken(data, rule, number))


@st.composite
def _generic(draw: st.DrawFn, target: Specimen, rule: str) -> bytes:
    plan = _one(draw, plans(target))
    return envelope.wrong_generic(draw, target, rule, draft.values(draw, target, plan))


@st.composite
def _row(draw: st.DrawFn, target: Specimen, check: Check) -> bytes:
    plan = _one(draw, plans(target, check))
    numbers = draft.values(draw, target, plan, check)
    if about_size(check):
        return envelope.wrong(draw, target, plan, check, numbers)
    return envelope.fitting(draw, target, plan, numbers)
