"""Plans: which numbers each field may have so that every row holds, or that exactly one is broken.

A row that is looked at only under a condition makes two kinds of plans: those where the condition and
the row hold, and those where the condition does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from iommu_abi.rules import predicates as p
from iommu_abi.rules.row import Check, Condition
from iommu_abi.strategies.domain import Domain, asked
from iommu_abi.strategies.relations import room
from iommu_abi.strategies.target import SIZES, Specimen

#: Elements that a struct counts, at most, and the length of a range that has a bit map, perhaps of its bytes.
MOST_ELEMENTS, MOST_LENGTH = 16, 1 << 31


@dataclass(frozen=True)
class Plan:
    """Domains of the fields by path, and the rows that are looked at."""

    domains: Mapping[str, Domain]
    looked_at: tuple[Check, ...] = field(default=())

    @property
    def possible(self) -> bool:
        """Has every field a number?"""
        return not any(domain.empty for domain in self.domains.values())


def about_size(check: Check) -> bool:
    """Is a row about how many bytes there are?"""
    return isinstance(check.broken, SIZES) or check.broken is p.readable


def _narrow(plan: Plan, path: str, narrowing: Mapping[str, object]) -> Plan:
    changed = plan.domains[path].narrow(**narrowing)  # type: ignore[arg-type]
    return replace(plan, domains={**plan.domains, path: changed})


def _holding(target: Specimen, plan: Plan, check: Check) -> Plan:
    if not about_size(check):
        narrowing, _ = asked(check.broken, target.facts(check.rule.field))
        plan = _narrow(plan, check.rule.field, narrowing)
    if isinstance(check.broken, p.range_from):
        plan = _with_room(target, plan, check.broken)
    plan = _within_reason(plan, check)
    return replace(plan, looked_at=(*plan.looked_at, check))


def _within_reason(plan: Plan, check: Check) -> Plan:
    """What is counted is in memory, what has a bit map has a small one."""
    match check.broken:
        case p.given_for_each(count=count) | p.readable_for_each(count=count):
            return _narrow(plan, count, {"low": 1, "high": MOST_ELEMENTS})
        case p.bits_for(length=length):
            return _narrow(plan, length, {"high": MOST_LENGTH})
    return plan


def _with_room(target: Specimen, plan: Plan, ends: p.range_from) -> Plan:
    """A range that ends in time has a start and a length that leave room for each other."""
    most = room(ends, target.ulong_max)
    plan = _narrow(plan, ends.start, {"high": most - max(1, plan.domains[ends.length].low)})
    return _narrow(plan, ends.length, {"high": most - plan.domains[ends.start].low})


def _breaking(target: Specimen, plan: Plan, check: Check) -> list[Plan]:
    plan = replace(plan, looked_at=(*plan.looked_at, check))
    plan = _within_reason(plan, check)
    if about_size(check):
        return [plan]
    _, ways = asked(check.broken, target.facts(check.rule.field))
    return [_narrow(plan, check.rule.field, way) for way in ways]


def _inside(target: Specimen, plan: Plan, condition: Condition) -> list[Plan]:
    if isinstance(condition, p.unless):
        return [made for each in condition.conditions for made in _outside(target, plan, each)]
    assert isinstance(condition, p.where)
    narrowing, _ = asked(condition.holds, target.facts(condition.field))
    return [_narrow(plan, condition.field, narrowing)]


def _outside(target: Specimen, plan: Plan, condition: Condition) -> list[Plan]:
    if isinstance(condition, p.unless):
        for each in condition.conditions:
            (plan,) = _inside(target, plan, each)
        return [plan]
    assert isinstance(condition, p.where)
    _, ways = asked(condition.holds, target.facts(condition.field))
    return [_narrow(plan, condition.field, way) for way in ways]


def _all_rows(target: Specimen, plan: Plan, checks: Iterable[Check], broken: Check | None) -> list[Plan]:
    """All rows hold, but the broken one."""
    plans = [plan]
    for check in checks:
        if check is broken:
            plans = [made for each in plans for made in _breaking(target, each, check)]
        else:
            plans = [_holding(target, each, check) for each in plans]
    return plans


def _either(target: Specimen, plan: Plan, checks: list[Check], broken: Check | None) -> list[Plan]:
    """The condition of these rows holds and so do they, or it does not hold."""
    condition = checks[0].when
    assert condition is not None
    inside = [
        made
        for start in _inside(target, plan, condition)
        for made in _all_rows(target, start, checks, broken)
        if made.possible
    ]
    if broken in checks:
        return inside
    outside = [made for made in _outside(target, plan, condition) if made.possible]
    if broken and about_size(broken) and any(map(about_size, checks)) and outside:
        return outside  # their sizes would be broken as well
    return inside + outside


@cache
def plans(target: Specimen, broken: Check | None = None) -> tuple[Plan, ...]:
    """Every plan; none if no bytes can break that row alone."""
    always = [check for check in target.checks if check.when is None]
    grouped: dict[Condition, list[Check]] = {}
    for check in target.checks:
        if check.when is not None:
            grouped.setdefault(check.when, []).append(check)
    start = Plan({path: target.any(path) for path in target.leaves})
    found = [made for made in _all_rows(target, start, always, broken) if made.possible]
    for checks in sorted(grouped.values(), key=lambda checks: broken not in checks):
        found = [made for each in found for made in _either(target, each, checks, broken)]
    broken_field = broken.rule.field if broken else None
    return tuple(
        replace(
            plan,
            domains={
                path: domain if path == broken_field else target.sensible(path, domain)
                for path, domain in plan.domains.items()
            },
        )
        for plan in found
    )
