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
        case p.range_from(start=start, length=length):
            return (start, length)
        case p.whole_pages(length=length, page_size=page_size):
            return (length, page_size)
        case p.bits_for(length=length, page_size=page_size):
            return (length, page_size)
        case p.given_for_each(count=count) | p.readable_for_each(count=count):
            return (count,)
    return ()


def _with_bits(field: str, length: str, page_size: str, values: Values) -> None:
    """A bit map that is large enough, for a range with a page at least."""
    page = values[page_size] & -values[page_size]
    if 0 < values[length] < page:
        values[length], values[page_size], page = values[length] | 0x1000, 0x1000, 0x1000
    if page:
        values[field] = max(values[field], -(-(values[length] // page) // 64) * 8)


def room(ends: p.range_from, ulong_max: int) -> int:
    """A start and a length that fit are together at most this."""
    return (ulong_max if ends.top is None else ends.top) + (0 if ends.past else 1)


def hold(
    draw: st.DrawFn, predicate: Predicate, field: str, values: Values, domains: Domains, ulong_max: int
) -> None:
    """Change values so that the row holds; each stays in its domain."""
    match predicate:
        case p.zero_like(other=other) if (values[field] == 0) != (values[other] == 0):
            if 0 in domains[field] and 0 in domains[other]:
                values[field] = values[other] = 0
            else:
                path = field if values[field] == 0 else other
                values[path] = draw(domains[path].narrow(without=[0]).numbers())
        case p.range_from(start=start, length=length, past=past):
            most = room(predicate, ulong_max)
            if values[length] == 0 and not past:
                values[start] = domains[start].low
            last = max(domains[start].low, most - values[length])
            if values[start] > last:
                values[start] = _at_most(domains[start], last)
        case p.whole_pages(length=length, page_size=page_size):
            if 1 in domains[page_size]:
                values[page_size] = 1
            else:
                values[field] = values[length] = 0
        case p.bits_for(length=length, page_size=page_size):
            _with_bits(field, length, page_size, values)
        case p.low_byte_of(numbers=numbers):
            values[field] = values[field] & ~0xFF | draw(st.sampled_from(numbers))


def _at_most(domain: Domain, last: int) -> int:
    """The last number of a domain up to there, as far as its steps go."""
    number = last - last % domain.step
    if domain.off_step > 1 and number % domain.off_step == 0:
        number -= 1
    return number if number in domain else last


def leave(
    draw: st.DrawFn, predicate: Predicate, field: str, values: Values, domains: Domains, ulong_max: int
) -> None:
    """Change values so that the row is broken; each stays in its domain."""
    match predicate:
        case p.zero_like(other=other):
            ways = [
                (one, none)
                for one, none in ((field, other), (other, field))
                if 0 in domains[none] and not domains[one].narrow(without=[0]).empty
            ]
            one, none = draw(st.sampled_from(ways))
            values[one] = draw(domains[one].narrow(without=[0]).numbers())
            values[none] = 0
        case p.range_from(start=start, length=length):
            most = room(predicate, ulong_max)
            step = domains[length].step  # a length of whole steps has to be able to reach the end
            low = max(3, most + 1 - domains[length].high + (step if step > 1 else 0))
            values[start] = draw(domains[start].narrow(low=low, high=most - 1).numbers())
            values[length] = draw(domains[length].narrow(low=most + 1 - values[start]).numbers())
        case p.whole_pages(length=length, page_size=page_size):
            values[page_size] = 1 << draw(st.integers(1, 20))
            values[field] = draw(domains[field].narrow(ones=1, high=1 << 30).numbers())
            values[length] = draw(domains[length].narrow(low=1, high=1 << 30).numbers())
        case p.bits_for(length=length, page_size=page_size):
            values[page_size] = 0x1000
            values[field] = draw(domains[field].narrow(high=0x1000).numbers())
            values[length] = draw(domains[length].narrow(low=(8 * values[field] + 1) << 12).numbers())
        case p.low_byte_of(numbers=numbers):
            others = [number for number in range(256) if number not in numbers]
            values[field] = values[field] & ~0xFF | draw(st.sampled_from(others))
