"""What `make fuzz-smoke` asks back of an answer: does it notice what is untrue?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from iommu_abi.fuzz import claims
from iommu_abi.terms import Access, At, Fault, Reason, Request, Stage, Target, Translation

Ask = Callable[[Request], Translation]

BASE, SIZE_LG2 = 0x4000_0000, 21
FAULT = Translation(fault=Fault(Reason.DENIED, Stage.S2, 0, 13, 0))
ASKED = Request(rid=1, iova=0x20_3000, access=Access.READ)


def honest(request: Request) -> Translation:
    """Pages of 2 MiB, of which the odd ones are there: to be read and written, and refused to translation."""
    here = request.iova >> SIZE_LG2 & 1 and request.iova < 1 << 40
    if not here or request.access is Access.EXEC or request.at is At.TRANSLATED:
        return FAULT
    to = BASE + request.iova
    return Translation(hpa=to, gpa=request.iova, size_lg2=SIZE_LG2, access=Access.READ | Access.WRITE)


def untrue(ask: Ask, kind: str = "riscv") -> tuple[str, ...]:
    return claims.check(kind, ASKED, ask(ASKED), claims.Asker(ask, ask), Random(7))[1]


def but(when: Callable[[Request], bool], how: Callable[[Translation], Translation]) -> Ask:
    def ask(request: Request) -> Translation:
        return how(honest(request)) if when(request) else honest(request)

    return ask


def test_of_an_honest_iommu_nothing_is_untrue_and_neighbours_are_asked_too() -> None:
    count, found = claims.check("riscv", ASKED, honest(ASKED), claims.Asker(honest, honest), Random(7))

    assert found == ()
    assert count > 3


LIES = {
    "WRITE is claimed and refused": but(lambda q: q.access is Access.WRITE, lambda _: FAULT),
    "EXEC is not claimed and granted": but(lambda q: q.access is Access.EXEC, lambda _: honest(ASKED)),
    "WRITE has another answer": but(
        lambda q: q.access is Access.WRITE, lambda a: replace(a, hpa=a.hpa + 0x1000)
    ),
    "0x200000 is in the range of 2^21": but(lambda q: q.iova == 0x20_0000, lambda _: FAULT),
    "0x3fffff is in the range of 2^21": but(
        lambda q: q.iova == 0x3F_FFFF, lambda a: replace(a, hpa=a.hpa ^ 0x1000)
    ),
    "has another answer": but(
        lambda q: q.access is Access.WRITE, lambda a: replace(a, target=Target.INTERRUPT)
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_untrue_claim_is_told(lie: str) -> None:
    assert any(lie in each for each in untrue(LIES[lie]))


def test_an_answer_whose_range_is_too_large_is_told() -> None:
    """The page is of 2 MiB, and the neighbour is not there."""
    found = untrue(but(lambda q: True, lambda a: replace(a, size_lg2=22) if a.ok else a))

    assert any("0x0 is in the range of 2^22" in each for each in found)


def test_a_completion_that_grants_less_than_it_is_asked_for_claims_nothing_untrue() -> None:
    asked = replace(ASKED, at=At.TRANSLATION)

    def ask(request: Request) -> Translation:
        return honest(replace(request, access=Access.READ)) if request.at is At.TRANSLATION else FAULT

    assert claims.problems("riscv", asked, ask(asked), claims.Asker(ask, ask), Random(7)) == ()


@pytest.mark.parametrize(("kind", "told"), [("amdvi", False), ("riscv", True)])
def test_an_execute_request_is_a_read_where_tables_do_not_know_that_right(kind: str, told: bool) -> None:
    ask = but(lambda q: q.access is Access.EXEC, lambda _: honest(ASKED))

    assert bool(claims.problems(kind, ASKED, ask(ASKED), claims.Asker(ask, ask), Random(7))) is told
