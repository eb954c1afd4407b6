"""What changed between two images: contexts that came, went or changed, and what they reach.

Both sides are streams in the same order, and so is the result: memory stays constant. The two
join and cut their ranges at different places, so that addresses are compared, not lines: both
sides are cut at each other's borders, and what changed alike is joined again.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeVar

from iommu_abi.mappings.budget import Budget
from iommu_abi.mappings.enumeration import ContextRun, ContextState, Mapping, contexts, mappings, pasids, span
from iommu_abi.mappings.runs import joined
from iommu_abi.memory import Memory
from iommu_abi.terms import hex_repr
from iommu_abi.walk import Unit


class Change(enum.Flag):
    """How a range differs. One that is on both sides may differ in several ways."""

    NONE = 0
    ADDED = enum.auto()
    REMOVED = enum.auto()
    MOVED = enum.auto()  # another HPA, or memory on one side only
    RIGHTS = enum.auto()
    PAGES = enum.auto()  # other page sizes
    VIA = enum.auto()  # the same HPA through another GPA

    @property
    def words(self) -> tuple[str, ...]:
        """Its parts, in lower case."""
        return tuple(str(part.name).lower() for part in Change if part.value and part in self)


class Side(NamedTuple):
    """One of the images and its IOMMU."""

    unit: Unit
    memory: Memory


class ContextChange(NamedTuple):
    """A context that is on one side only, in another state, or blocked for another reason.

    Both sides have the same ``first`` and ``last``: rids if ``pasid`` is None, else PASIDs.
    """

    rid: int
    pasid: int | None
    before: ContextRun | None
    after: ContextRun | None

    def __repr__(self) -> str:
        return hex_repr(self)


class RangeChange(NamedTuple):
    """IOVAs that reach something else, or with other rights. Both sides have the same IOVAs."""

    rid: int
    pasid: int | None
    what: Change
    before: Mapping | None
    after: Mapping | None

    def __repr__(self) -> str:
        return hex_repr(self)


class _Span(Protocol):
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    def part(self: S, first: int, last: int) -> S: ...


S = TypeVar("S", bound=_Span)


def side_by_side(before: Iterator[S], after: Iterator[S]) -> Iterator[tuple[S | None, S | None]]:
    """Two ascending streams, cut so that both of a pair have the same borders; None is a gap."""
    a, b = next(before, None), next(after, None)
    while a or b:
        if not b or (a and a.last < b.first):
            yield a, None
            a = next(before, None)
        elif not a or b.last < a.first:
            yield None, b
            b = next(after, None)
        elif a.first < b.first:
            yield a.part(a.first, b.first - 1), None
            a = a.part(b.first, a.last)
        elif b.first < a.first:
            yield None, b.part(b.first, a.first - 1)
            b = b.part(a.first, b.last)
        else:
            last = min(a.last, b.last)
            yield a.part(a.first, last), b.part(b.first, last)
            a = a.part(last + 1, a.last) if a.last > last else next(before, None)
            b = b.part(last + 1, b.last) if b.last > last else next(after, None)


def _change(a: Mapping | None, b: Mapping | None) -> Change:
    if not a or not b:
        return Change.ADDED if b else Change.REMOVED
    if a == b:
        return Change.NONE
    what = Change.NONE
    if (a.hpa, a.target, a.detail) != (b.hpa, b.target, b.detail):
        what |= Change.MOVED
    elif a.gpa != b.gpa:
        what |= Change.VIA
    if a.access != b.access:
        what |= Change.RIGHTS
    if (a.s1_sizes, a.s2_sizes) != (b.s1_sizes, b.s2_sizes):
        what |= Change.PAGES
    return what


def _longer(run: RangeChange, more: RangeChange) -> RangeChange | None:
    """Both as one, if they go on on both sides and differ alike."""
    if run.what != more.what:
        return None
    before = run.before.joined(more.before) if run.before and more.before else None
    after = run.after.joined(more.after) if run.after and more.after else None
    goes_on = (before or not run.before) and (after or not run.after)
    return run._replace(before=before, after=after) if goes_on else None


def _mappings(
    side: Side, rid: int, pasid: int | None, context: ContextRun | None, budget: Budget
) -> Iterator[Mapping]:
    if not context or context.state >= ContextState.REFUSES:
        return iter(())
    # of joined pages it is not known which has what size
    return mappings(*side, rid, pasid, by_size=True, budget=budget)


def _ranges(before: Side, after: Side, pair: _Pair, budget: Budget) -> Iterator[RangeChange]:
    """What changed for a requester."""
    rid, pasid, a, b = pair
    of_a, of_b = _mappings(before, rid, pasid, a, budget), _mappings(after, rid, pasid, b, budget)
    for old, new in side_by_side(of_a, of_b):
        what = _change(old, new)
        if what:
            yield RangeChange(rid, pasid, what, old, new)


def _differ(a: ContextRun | None, b: ContextRun | None) -> bool:
    if not a or not b:
        return True
    return (a.state, a.fault and a.fault.reason) != (b.state, b.fault and b.fault.reason)


class _Pair(NamedTuple):
    """A requester and its context on both sides."""

    rid: int
    pasid: int | None
    before: ContextRun | None
    after: ContextRun | None


def pairs(before: Side, after: Side, rid: int | None, pasid: int | None, budget: Budget) -> Iterator[_Pair]:
    """The contexts of both sides, of all requesters that are on one of them, in order."""
    devices = [contexts(*side, *span(rid), budget=budget) for side in (before, after)]
    for a, b in side_by_side(*devices):
        at = (a or b).first  # type: ignore[union-attr]
        if pasid is None:
            budget.count_context()
            yield _Pair(at, None, a, b)
        processes = [
            pasids(*side, at, *span(pasid), budget=budget) if context else iter(())
            for side, context in ((before, a), (after, b))
        ]
        for p, q in side_by_side(*processes):
            budget.count_context()
            yield _Pair(at, (p or q).first, p, q)  # type: ignore[union-attr]


def differences(
    before: Side,
    after: Side,
    rid: int | None = None,
    pasid: int | None = None,
    budget: Budget | None = None,
) -> Iterator[ContextChange | RangeChange]:
    """All differences, by device, PASID and IOVA; of one device, or of one PASID of each.

    The context comes before its ranges. Where one side has no context, its ranges are all added
    or removed. Where tables lie is no difference. OutOfSteps when ``budget``, which is that of both
    sides, is used up.
    """
    budget = budget or Budget()
    for pair in pairs(before, after, rid, pasid, budget):
        if _differ(pair.before, pair.after):
            yield ContextChange(*pair)
        yield from joined(_ranges(before, after, pair, budget), _longer)
