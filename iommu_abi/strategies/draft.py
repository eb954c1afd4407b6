"""Drafts: numbers for every field by a plan, and the bytes they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from hypothesis import strategies as st

from iommu_abi.rules.row import Check
from iommu_abi.schemas import uapi
from iommu_abi.strategies import relations
from iommu_abi.strategies.plan import Plan, about_size
from iommu_abi.strategies.target import Specimen

MOST = 5  # elements of a tail


def _chosen(draw: st.DrawFn, target: Specimen, plan: Plan) -> list[str]:
    """Fields that do not overlap: of a union a member that rows look at, else its first or its last."""
    ruled = {check.rule.field for check in plan.looked_at}
    others = [path for path in target.leaves if path not in ruled]
    if draw(st.booleans()):
        others.reverse()
    taken = bytearray(target.size)
    found = []
    for path in [*(path for path in target.leaves if path in ruled), *others]:
        leaf = target.leaves[path]
        if not any(taken[leaf.offset : leaf.offset + leaf.size]):
            taken[leaf.offset : leaf.offset + leaf.size] = b"\1" * leaf.size
            found.append(path)
    return found


def values(draw: st.DrawFn, target: Specimen, plan: Plan, broken: Check | None = None) -> dict[str, int]:
    """A number for each of the chosen fields; the rows that are looked at hold, but the broken one."""
    made = {path: draw(plan.domains[path].numbers()) for path in _chosen(draw, target, plan)}
    checks = [check for check in plan.looked_at if not about_size(check)]
    for check in checks:
        change = relations.leave if check is broken else relations.hold
        change(draw, check.broken, check.rule.field, made, plan.domains, target.ulong_max)
    for check in checks if broken else ():  # what was broken last may share a field with what held before
        if check is not broken:
            relations.hold(draw, check.broken, check.rule.field, made, plan.domains, target.ulong_max)
    return made


def tail(draw: st.DrawFn, target: Specimen, numbers: dict[str, int]) -> bytes:
    """The bytes of a flexible tail; the field that announces them, if there is one, is set."""
    field = target.struct.tail
    if field is None:
        return b""
    size = uapi.element_size(field, target.abi) * draw(st.integers(0, MOST))
    if field.length:
        numbers[field.length] = size
    return draw(st.binary(min_size=size, max_size=size))


def write(target: Specimen, numbers: Mapping[str, int]) -> bytes:
    """The bytes of a struct, those of holes and of fields without a number 0."""
    data = bytearray(target.size)
    for path, number in numbers.items():
        leaf = target.leaves[path]
        kind = leaf.field.type
        assert isinstance(kind, uapi.Integer)
        order = cast('Literal["little", "big"]', target.order)
        if kind.kind == "bit":
            data[leaf.offset] |= number << (0 if order == "little" else 7)
            continue
        raw = number.to_bytes(leaf.size, "little" if kind.order else order, signed=number < 0)
        data[leaf.offset : leaf.offset + leaf.size] = raw
    return bytes(data)
