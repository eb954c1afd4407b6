"""What an answer claims beside the address that was asked for: rights, and the range that it holds for.

Both are asked back. Every right of ``access`` is granted when the same requester asks for it, and no
other is; both ends of the range of ``size_lg2`` and a point inside have the same answer. The C walk is
asked: that the plain ledger says the same of a request is held elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

from iommu_abi.terms import Access, At, Purpose, Ref, Request, Stage, Target, Translation


class Asker(NamedTuple):
    """Who answers: in short, and with the entries that were read."""

    ask: Callable[[Request], Translation]
    trace: Callable[[Request], Translation]


#: Kinds in which an execute request is a read where the tables do not know that right.
EXECUTE_MAY_BE_A_READ = ("vtd", "amdvi")
#: Bits of a page's entry that say: there are more entries like this one. RISC-V N.
_REPEATED = {("riscv", Stage.S1): 1 << 63, ("riscv", Stage.S2): 1 << 63}


def check(
    kind: str, request: Request, answer: Translation, asker: Asker, dice: Random
) -> tuple[int, tuple[str, ...]]:
    """How many answers were held to what they claim, this one and some around it; and what is untrue."""
    found = list(problems(kind, request, answer, asker, dice))
    count = 1
    for other in around(request, answer, dice):
        neighbour = asker.ask(other)
        if neighbour.fault is None:
            found += (f"{other}: {each}" for each in problems(kind, other, neighbour, asker, dice))
            count += 1
    return count, tuple(found)


def around(request: Request, answer: Translation, dice: Random) -> Iterator[Request]:
    """Requests near by: beyond both ends of the range, some further away, by other ways, by others."""
    size = 1 << answer.size_lg2
    near = [(request.iova & -size) - 1, (request.iova | size - 1) + 1]
    near += (request.iova ^ 1 << dice.randrange(12, 40) for _ in range(8))
    for iova in near:
        yield replace(request, iova=iova % (1 << 64))
    for at in At:
        if at is not request.at:
            yield replace(request, at=at)
    yield replace(request, priv=not request.priv)


def problems(kind: str, request: Request, answer: Translation, asker: Asker, dice: Random) -> tuple[str, ...]:
    """What is untrue of an answer that lets a request pass, in words."""
    return (*_rights(kind, request, answer, asker), *_range(kind, request, answer, asker, dice))


# ---------------------------------------------------------------- rights


def _rights(kind: str, request: Request, answer: Translation, asker: Asker) -> Iterator[str]:
    for access in _comparable(kind, request):
        other = answer if access is request.access else asker.ask(replace(request, access=access))
        if access in answer.access:
            if other.fault is not None:
                yield f"{access.name} is claimed and refused: {other.fault}"
            elif _facts(other) != _facts(answer):
                yield f"{access.name} has another answer: {_facts(other)}, not {_facts(answer)}"
        elif other.fault is None and not _refuses(kind, request, access, other):
            yield f"{access.name} is not claimed and granted: {_facts(other)}"


def _comparable(kind: str, request: Request) -> tuple[Access, ...]:
    """The accesses of which one answer speaks: with VT-d's No Write flag, not of writes (4.2.3)."""
    if kind == "vtd" and request.at is At.TRANSLATION:
        return (Access.WRITE,) if request.access is Access.WRITE else (Access.READ, Access.EXEC)
    return Access.READ, Access.WRITE, Access.EXEC


def _refuses(kind: str, request: Request, access: Access, other: Translation) -> bool:
    """An answer without a fault that all the same does not grant this access."""
    if access in other.access:
        return False
    if request.at is At.TRANSLATION:  # the completion says what is granted
        return True
    return access is Access.EXEC and Access.READ in other.access and _may_be_a_read(kind, request)


def _may_be_a_read(kind: str, request: Request) -> bool:
    # Arm IHI 0070, 13.7: translated requests without a PASID are data
    return kind in EXECUTE_MAY_BE_A_READ or (kind == "smmuv3" and request.at is At.TRANSLATED)


def _facts(answer: Translation) -> tuple[object, ...]:
    return answer.hpa, answer.gpa, answer.target, answer.detail, answer.size_lg2, answer.access


# ---------------------------------------------------------------- range


def _range(kind: str, request: Request, answer: Translation, asker: Asker, dice: Random) -> Iterator[str]:
    size = 1 << answer.size_lg2
    first = request.iova & -size
    for iova in (first, first + size - 1, first + dice.randrange(size)):
        asked = replace(request, iova=iova)
        other, expected = asker.ask(asked), moved(answer, iova - request.iova)
        if other.fault is None and _facts(other) == expected:
            continue
        if not _told_otherwise(kind, asker.trace(request), asker.trace(asked)):
            got = other.fault or _facts(other)
            yield f"{iova:#x} is in the range of 2^{answer.size_lg2}: {got}, not {expected}"


def moved(answer: Translation, by: int) -> tuple[object, ...]:
    """The answer for an address that is higher by so much in the same range.

    A memory-resident interrupt file is as a whole what its page leads to, but where the answer is the
    guest's address (RISC-V, T2GPA).
    """
    whole = answer.target is Target.MRIF and answer.hpa != answer.gpa
    hpa = answer.hpa if whole else answer.hpa + by
    return hpa, answer.gpa + by, answer.target, answer.detail, answer.size_lg2, answer.access


def _told_otherwise(kind: str, answer: Translation, other: Translation) -> bool:
    """A page that takes several entries, of which the other address finds another: either may be used."""
    for stage in (Stage.S1, Stage.S2):
        mine, theirs = _page(answer, stage), _page(other, stage)
        if mine is None or not repeated(kind, mine):
            continue
        if theirs is None:
            return True  # this one cannot even be read
        if theirs.hpa != mine.hpa and theirs.raw != mine.raw and theirs.len == mine.len:
            return True
    return False


def _page(answer: Translation, stage: Stage) -> Ref | None:
    """The entry in which a stage has ended."""
    refs = [ref for ref in answer.refs if ref.stage is stage and ref.purpose is Purpose.DATA]
    return refs[-1] if refs else None


def repeated(kind: str, page: Ref) -> bool:
    """Whether a page's entry says that its neighbours are alike."""
    if kind == "amdvi":
        return page.stage is Stage.S2 and page.raw >> 9 & 7 == 7  # NextLevel 7: the size is in the address
    return bool(page.raw & _REPEATED.get((kind, page.stage), 0))
