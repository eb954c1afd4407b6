"""Sets of numbers that a field may have: narrowed to what a row asks, or to what breaks it.

Made from a row's kind and numbers alone. The check of the row, its ``__call__``, is never asked, or the
tests would compare a thing with itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from iommu_abi.rules import predicates as p
from iommu_abi.rules.row import Predicate

Narrowing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Domain:
    """Numbers from ``low`` to ``high``, of which a field may have those that all the rest allows.

    ``some`` and ``holes`` are masks: of each at least one bit is set, and at least one is not.
    """

    low: int
    high: int
    among: frozenset[int] | None = None
    without: frozenset[int] = frozenset()
    step: int = 1
    off_step: int = 1
    ones: int = 0
    zeros: int = 0
    some: tuple[int, ...] = ()
    holes: tuple[int, ...] = ()

    def narrow(
        self,
        *,
        low: int | None = None,
        high: int | None = None,
        among: Iterable[int] | None = None,
        without: Iterable[int] = (),
        step: int = 1,
        off_step: int = 1,
        ones: int = 0,
        zeros: int = 0,
        some: int = 0,
        holes: int = 0,
    ) -> Domain:
        """The numbers that are allowed here and there."""
        both = self.among
        if among is not None:
            both = frozenset(among) if both is None else both & frozenset(among)
        return Domain(
            self.low if low is None else max(low, self.low),
            self.high if high is None else min(high, self.high),
            both,
            self.without | frozenset(without),
            math.lcm(self.step, step),
            math.lcm(self.off_step, off_step),
            self.ones | ones,
            self.zeros | zeros,
            self.some + ((some,) if some else ()),
            self.holes + ((holes,) if holes else ()),
        )

    def __contains__(self, number: int) -> bool:
        return (
            self.low <= number <= self.high
            and (self.among is None or number in self.among)
            and number not in self.without
            and number % self.step == 0
            and (self.off_step == 1 or number % self.off_step != 0)
            and number & self.ones == self.ones
            and not number & self.zeros
            and all(number & mask for mask in self.some)
            and all(number & mask != mask for mask in self.holes)
        )

    @property
    def empty(self) -> bool:
        """Is there no such number? Never True by mistake; False by mistake only for odd mixtures."""
        if self.among is not None:
            return not any(number in self for number in self.among)
        few = range(self.low, self.high + 1)[:64]
        return (
            self.low > self.high
            or bool(self.ones & self.zeros)
            or any(not mask & ~self.zeros for mask in self.some)
            or any(not mask & ~self.ones for mask in self.holes)
            or (self.high - self.low < len(few) and not any(number in self for number in few))
        )

    def numbers(self) -> st.SearchStrategy[int]:
        """Draw one of the numbers, its ends and single bits more often than others."""
        return _numbers(self)


@lru_cache(maxsize=4096)
def _numbers(domain: Domain) -> st.SearchStrategy[int]:
    if domain.among is not None:
        return st.sampled_from(sorted(number for number in domain.among if number in domain))
    return _fitted(domain).filter(lambda number: number in domain)


def _bits(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


@st.composite
def _fitted(draw: st.DrawFn, domain: Domain) -> int:
    """A number of the range, changed until bits and steps are right."""
    edges = [domain.low, domain.high, *(bit for bit in _bits(domain.high) if bit > domain.low)]
    number = draw(st.integers(domain.low, domain.high) | st.sampled_from(edges))
    number = (number | domain.ones) & ~domain.zeros
    for mask in domain.some:
        if not number & mask:
            number |= draw(st.sampled_from(_bits(mask & ~domain.zeros)))
    for mask in domain.holes:
        if number & mask == mask:
            number &= ~draw(st.sampled_from(_bits(mask & ~domain.ones)))
    number -= number % domain.step
    if domain.off_step > 1 and number % domain.off_step == 0:
        number += draw(st.integers(1, domain.off_step - 1))
    return number


# ---------------------------------------------------------------- what rows ask


@dataclass(frozen=True, slots=True)
class Facts:
    """What a row leaves to the generation and the ABI: known flags, ULONG_MAX, all bits of the field."""

    mask: int
    ulong_max: int
    full: int


def asked(predicate: Predicate, facts: Facts) -> tuple[Narrowing, list[Narrowing]]:
    """How a domain is narrowed so that a row holds, and every way so that it is broken.

    Rows that tie several fields are not about one domain: see :mod:`.relations`.
    """
    return _function(predicate, facts) if predicate in _FUNCTIONS else _parameterized(predicate)


_FUNCTIONS = (
    p.zero,
    p.nonzero,
    p.known_flags,
    p.below_ulong_max,
    p.up_to_ulong_max,
    p.below_half_of_ulong_max,
    p.a_page_below_size_max,
    p.an_id,
    p.power_of_two,
)


def _function(predicate: Predicate, facts: Facts) -> tuple[Narrowing, list[Narrowing]]:
    only_zero, not_zero = {"among": [0]}, {"without": [0]}
    top = facts.ulong_max
    answers: dict[Predicate, tuple[Narrowing, list[Narrowing]]] = {
        p.zero: (only_zero, [not_zero]),
        p.nonzero: (not_zero, [only_zero]),
        p.known_flags: ({"zeros": ~facts.mask}, [{"some": facts.full & ~facts.mask}]),
        p.below_ulong_max: ({"high": top - 1}, [{"low": top}]),
        p.up_to_ulong_max: ({"high": top}, [{"low": top + 1}]),
        p.below_half_of_ulong_max: ({"high": top // 2 - 1}, [{"low": top // 2}]),
        p.a_page_below_size_max: ({"high": top - 0x1000}, [{"low": top - 0xFFF}]),
        p.power_of_two: ({"among": _bits(facts.full)}, [{"without": _bits(facts.full)}]),
        p.an_id: ({"low": 1, "high": 0x7FFFFFFF}, [{"among": [0]}, {"low": 0x80000000}]),
    }
    return answers[predicate]


def _parameterized(predicate: Predicate) -> tuple[Narrowing, list[Narrowing]]:
    match predicate:
        case p.is_(number=n):
            return {"among": [n]}, [{"without": [n]}]
        case p.is_not(number=n):
            return {"without": [n]}, [{"among": [n]}]
        case p.one_of(numbers=numbers):
            return {"among": numbers}, [{"without": numbers}]
        case p.at_least(number=n):
            return {"low": n}, [{"high": n - 1}]
        case p.at_most(number=n):
            return {"high": n}, [{"low": n + 1}]
        case p.multiple_of(number=n):
            return {"step": n}, [{"off_step": n}]
        case p.all_of(bits=bits):
            return {"ones": bits}, [{"holes": bits}]
        case p.some_of(bits=bits):
            return {"some": bits}, [{"zeros": bits}]
        case p.not_all_of(bits=bits):
            return {"holes": bits}, [{"ones": bits}]
        case p.none_of(bits=bits):
            return {"zeros": bits}, [{"some": bits}]
        case p.either_of(bits=bits):
            return {"some": bits, "holes": bits}, [{"zeros": bits}, {"ones": bits}]
    return {}, [{}]
