"""Rows that tie fields together: values that were drawn one by one are made to hold them, or to break one."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from hypothesis import strategies as st

from iommu_abi.rules import predicates as p
from iommu_abi.rules.row import Predicate
from iommu_abi.strategies.domain import Domain

Values = MutableMapping[str, int]
Domains = Mapping[str, Domain]


def related(predicate: Predicate) -> tuple[str, ...]:
    """The other fields that a row looks at."""
    match predicate:
        case p.zero_like(other=other):
            return (other,)
        case p.range_from(start=start):
            return (start, "length")
    return ()


def hold(
    draw: st.DrawFn, predicate: Predicate, field: str, values: Values, domains: Domains, ulong_max: int
) -> None:
    """Change values so that the row holds; each stays in its domain."""
    match predicate:
        case p.zero_like(other=other) if (values[field] == 0) != (values[other] == 0):
            values[field] = values[other] = 0
        case p.range_from(start=start, top=limit):
            top = ulong_max if limit is None else limit
            if values[start] + values["length"] - 1 > top:
                values[start] = min(values[start], domains[start].high)
                room = domains["length"].narrow(high=top + 1 - values[start])
                values["length"] = draw(room.numbers())
        case p.low_byte_of(numbers=numbers):
            values[field] = values[field] & ~0xFF | draw(st.sampled_from(numbers))


def leave(
    draw: st.DrawFn, predicate: Predicate, field: str, values: Values, domains: Domains, ulong_max: int
) -> None:
    """Change values so that the row is broken; each stays in its domain."""
    match predicate:
        case p.zero_like(other=other):
            one, none = draw(st.permutations((field, other)))
            values[one] = draw(domains[one].narrow(without=[0]).numbers())
            values[none] = 0
        case p.range_from(start=start, top=limit):
            top = ulong_max if limit is None else limit
            values[start] = draw(domains[start].narrow(low=3, high=top).numbers())
            values["length"] = draw(domains["length"].narrow(low=top + 2 - values[start]).numbers())
        case p.low_byte_of(numbers=numbers):
            others = [number for number in range(256) if number not in numbers]
            values[field] = values[field] & ~0xFF | draw(st.sampled_from(others))
