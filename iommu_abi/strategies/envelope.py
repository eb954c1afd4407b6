"""How many bytes: those that the caller announces, those in memory, and the rules about both.

The rules of every command that begins with its size (Linux 7.2, drivers/iommu/iommufd/main.c), of data
behind pointers and of structs of a known length are no rows: they are here, by the name that
``rules.answer()`` gives them.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from hypothesis import strategies as st

from iommu_abi.rules import Taken
from iommu_abi.rules import predicates as p
from iommu_abi.rules.row import Check
from iommu_abi.strategies import draft
from iommu_abi.strategies.plan import Plan, plans
from iommu_abi.strategies.relations import related
from iommu_abi.strategies.target import Specimen

TAIL = "copy_struct.tail"
SURPLUS = 64  # bytes at most that a newer caller gives


def generic(target: Specimen) -> dict[str, int]:
    """Rule -> errno, of the rules about sizes that are no rows."""
    if target.subject is None:
        return {}
    name, taken = target.struct.name, target.subject.taken
    if taken is Taken.SIZE_FIRST:
        return {
            f"{name}.read": errno.EFAULT,
            f"{name}.{target.first}": errno.EINVAL,
            TAIL: errno.E2BIG,
            f"{name}.rest": errno.EFAULT,
        }
    if taken is Taken.EXACT and name == "iommu_hwpt_page_response":
        return {f"{name}.count": errno.ESPIPE}
    if taken is Taken.EXACT:
        return {f"{name}.length": errno.EINVAL}
    return {f"{name}.read": errno.EFAULT} if taken is Taken.FIXED else {}


def least(target: Specimen) -> int:
    """Bytes that every caller of a command has to announce."""
    command = target.subject.command if target.subject else None
    return target.end(command.least) if command else 0


def announced(target: Specimen, numbers: Mapping[str, int], given: int) -> bytes:
    """The bytes of a struct that says of itself that it has ``given``."""
    return draft.write(target, {**numbers, target.first: given} if target.first else numbers)


# ---------------------------------------------------------------- sizes that are right


def _that_count(target: Specimen, plan: Plan) -> set[str]:
    """The fields on which it depends whether rows are looked at, and hold."""
    fields = {check.when.field for check in target.checks if isinstance(check.when, p.where)}
    for check in plan.looked_at:
        fields |= {check.rule.field, *related(check.broken)}
    return fields


def _shorter(target: Specimen, plan: Plan, numbers: Mapping[str, int]) -> list[int]:
    """Sizes that an older caller may announce: the kernel takes the fields beyond for 0, as they must be."""
    floor = max([least(target), 4, _floor(target, plan, numbers)])
    fields = _that_count(target, plan)
    for path, number in numbers.items():
        if number and path in fields and path != target.first:
            floor = max(floor, target.leaves[path].offset + target.leaves[path].size)
    ends = {leaf.offset + leaf.size for leaf in target.leaves.values()}
    return sorted(end for end in ends if floor <= end < target.size)


def _size_asked(target: Specimen, check: Check, numbers: Mapping[str, int]) -> int:
    match check.broken:
        case p.given_up_to(field=field, start=start) | p.readable_up_to(field=field, start=start):
            return target.end(field, start=start)
        case p.given_for(data=data) | p.readable_for(data=data):
            return target.size + (target.behind(data).size if isinstance(data, str) else data)
        case p.given_for_each(count=count, size=size) | p.readable_for_each(count=count, size=size):
            return target.size + numbers[count] * size
    return 0


def _floor(target: Specimen, plan: Plan, numbers: Mapping[str, int]) -> int:
    """Bytes that the rows ask for which are looked at."""
    return max((_size_asked(target, check, numbers) for check in plan.looked_at), default=0)


def _behind(draw: st.DrawFn, target: Specimen, plan: Plan) -> bytes:
    """A valid struct that follows, if these rows ask for one."""
    for check in plan.looked_at:
        if isinstance(check.broken, p.given_for) and isinstance(check.broken.data, str):
            inner = target.behind(check.broken.data)
            found = plans(inner)
            chosen = found[draw(st.integers(0, len(found) - 1))]
            return draft.write(inner, draft.values(draw, inner, chosen))
    return b""


def fitting(
    draw: st.DrawFn, target: Specimen, plan: Plan, numbers: dict[str, int], *, whole: bool = False
) -> bytes:
    """A blob whose size is right: that of the struct, or if not ``whole`` of an older or a newer one."""
    if whole or target.first is None or target.subject is None:
        tail = draft.tail(draw, target, numbers)
        return announced(target, numbers, target.size + len(tail)) + tail
    older = _shorter(target, plan, numbers)
    whole_size = max(target.size, _floor(target, plan, numbers))
    given = draw(st.sampled_from([whole_size, whole_size, *older]) | _newer(whole_size))
    kept = announced(target, numbers, given)[:given]
    kept += _behind(draw, target, plan) if given >= whole_size else b""
    surplus = given - len(kept)
    if surplus and target.subject.taken is Taken.ARGSZ:
        return kept + draw(st.binary(min_size=surplus, max_size=surplus))
    return kept + bytes(surplus)


def _newer(size: int) -> st.SearchStrategy[int]:
    return st.integers(size + 1, size + SURPLUS)


# ---------------------------------------------------------------- sizes that are wrong


def wrong_generic(draw: st.DrawFn, target: Specimen, rule: str, numbers: dict[str, int]) -> bytes:
    """A blob that breaks one of :func:`generic`."""
    kind, size = rule.rsplit(".", 1)[-1], target.size
    if rule == TAIL:
        surplus = bytearray(draw(st.integers(1, SURPLUS)))
        surplus[draw(st.integers(0, len(surplus) - 1))] = draw(st.integers(1, 255))
        return announced(target, numbers, size + len(surplus)) + bytes(surplus)
    if kind == "count":
        return draw(st.binary(max_size=4 * size).filter(lambda data: len(data) % size))
    if kind == "length":
        return draw(st.binary(max_size=4 * size).filter(lambda data: len(data) != size))
    if kind == "rest":
        given = draw(st.integers(max(least(target), 5), size + SURPLUS))
        return announced(target, numbers, given)[: draw(st.integers(4, min(given - 1, size)))]
    if kind == target.first:
        return announced(target, numbers, draw(st.integers(0, least(target) - 1)))
    short = 3 if target.first else size - 1
    return announced(target, numbers, size)[: draw(st.integers(0, short))]


def wrong(draw: st.DrawFn, target: Specimen, plan: Plan, check: Check, numbers: dict[str, int]) -> bytes:
    """A blob that breaks a row about sizes, and none of the rows about sizes before it."""
    size = target.size
    before = plan.looked_at[: plan.looked_at.index(check)]
    announced_is_wrong = isinstance(check.broken, p.GIVEN)
    same = [each for each in before if isinstance(each.broken, p.GIVEN) is announced_is_wrong]
    floor = max([0, *(_size_asked(target, each, numbers) for each in same)])
    number = draw(st.integers(floor, (_size_asked(target, check, numbers) or size) - 1))
    if announced_is_wrong:
        return announced(target, numbers, number).ljust(number, b"\0")
    given = max(size, _floor(target, plan, numbers))
    return announced(target, numbers, given).ljust(given, b"\0")[:number]
