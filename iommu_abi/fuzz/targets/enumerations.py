"""Enumerations in C against translations by the plain ledger: what is listed is reached, and so it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import TypeVar

from iommu_abi.errors import AbiError, UsageError
from iommu_abi.fuzz.targets import wire
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, blank
from iommu_abi.fuzz.targets.walks import CaseTarget
from iommu_abi.mappings import ContextRun, Mapping, Table, contexts, mappings, pasids, tables
from iommu_abi.mappings.budget import Budget, OutOfSteps
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Access, At, Request, Stage, Translation
from iommu_abi.terms import Target as Reached
from iommu_abi.walk import Unit
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.mutate import Case
from iommu_abi.worlds.spaces import PAGE

T = TypeVar("T")

#: Mappings and contexts of a case that are looked at.
MOST = 24
#: Pages of tables of which the plain ledger is asked, and as many bad entries.
PAGES = 4
#: Pages that are looked at, a second's work: where any page may be one of interrupts, there is no end.
STEPS = 1 << 20
#: Bits of an address that are looked at everywhere: no host has fewer.
NEVER_IGNORED = (1 << 32) - 1


class Enumerate(CaseTarget):
    """Every mapping of a requester, at its first and last address; and its context."""

    def __init__(self, format_: str) -> None:
        super().__init__(format_)
        self.name = f"mappings-{format_}"
        self.about = f"what a requester reaches, {format_}: listed by C, translated by the plain ledger"

    def run(self, data: bytes) -> Outcome:
        """List, and ask for what is listed."""
        case = wire.unpack(data, self.format)
        try:
            unit = Unit(case.world.kind, case.registers)
            found, whole = _listed(unit, case)
            context = _context(unit, case)
            pages = _tables(unit, case)
        except (AbiError, UsageError):
            return Outcome(("refused as senseless",))
        features = {f"{min(len(found), 8)} mappings", f"context {context.state.name if context else 'none'}"}
        features |= {f"{m.target.name} {m.access} {m.s1_sizes:#x} {m.s2_sizes:#x}" for m in found}
        features |= {f"{min(len(pages), 8)} pages of tables"}
        features |= {f"entry: {t.fault.reason.name} {t.fault.stage.name}" for t in pages if t.fault}
        wrong = [*_wrong(case, found, whole, context), *_wrong_tables(case, pages)]
        problem = None
        if wrong:
            problem = Problem(f"{case.world.kind} mappings: {blank(wrong[0])}", "\n".join(wrong))
        return Outcome(tuple(sorted(features)), problem)


def _who(case: Case) -> tuple[int, int | None]:
    return case.request.rid, case.request.pasid


def _first(listing: Iterator[T]) -> tuple[list[T], bool]:
    """The first of what is listed, and whether it is all."""
    found: list[T] = []
    try:
        found.extend(islice(listing, MOST))
    except OutOfSteps:
        return found, False
    return found, len(found) < MOST


def _listed(unit: Unit, case: Case) -> tuple[list[Mapping], bool]:
    return _first(
        mappings(unit, case.image.memory, *_who(case), priv=case.request.priv, budget=Budget(STEPS))
    )


def _tables(unit: Unit, case: Case) -> list[Table]:
    """The first pages that hold tables of both stages, and entries that no walk can use."""
    who, priv = _who(case), case.request.priv
    return _first(tables(unit, case.image.memory, Stage.S1, *who, priv=priv, budget=Budget(STEPS)))[0]


def _context(unit: Unit, case: Case) -> ContextRun | None:
    """The context of the requester, None if it has none."""
    rid, pasid = _who(case)
    ids = (
        contexts(unit, case.image.memory, rid)
        if pasid is None
        else pasids(unit, case.image.memory, rid, pasid)
    )
    first = next(ids, None)
    return first if first and first.first <= (rid if pasid is None else pasid) else None


def _plain(case: Case, iova: int, access: Access) -> Translation:
    rid, pasid = _who(case)
    request = Request(rid, iova, pasid, access, case.request.priv, At.UNTRANSLATED)
    return plain_walk.translate(case.world.kind, case.registers, case.image.read, request)


def _ask(case: Case, iova: int) -> Translation | None:
    """What passes first of read, write and execute, by the plain ledger."""
    for access in wire.ACCESSES:
        answer = _plain(case, iova, access)
        if answer.fault is None:
            return None if answer.target is Reached.INTERRUPT else answer
    return None


def _wrong(case: Case, found: list[Mapping], whole: bool, context: ContextRun | None) -> Iterator[str]:
    by_tables = next((m for m in found if m.s1_sizes | m.s2_sizes), None)
    if context is None and by_tables and _has_context(case, by_tables.first):
        yield "there are mappings by tables, and no context"
    for before, after in pairwise(found):
        if before.last >= after.first:
            yield f"a mapping at {after.first:#x} is not above the one before, to {before.last:#x}"
    for m in found:
        # whole pages are listed, even where registers let less than one pass
        for iova in dict.fromkeys((m.first, max(m.first, m.last & -PAGE))):
            yield from _wrong_at(case, m, iova)
    if case.request.at is At.UNTRANSLATED and whole:
        iova = case.request.iova
        answer = _ask(case, iova)
        if answer is not None and not any(_lists(m, iova, answer) for m in found):
            yield f"{iova:#x} passes and is not listed"


def _has_context(case: Case, iova: int) -> bool:
    """PASIDs that no PASID table decides about are not listed, whatever passes."""
    answer = _ask(case, iova)
    if case.request.pasid is None or answer is None:
        return True
    return any(ref.stage is Stage.PASID for ref in answer.refs)


def _lists(m: Mapping, iova: int, answer: Translation) -> bool:
    """Whether a mapping holds an address, or the same but for bits at the top, which may be ignored."""
    if m.first <= iova <= m.last:
        return True
    return m.hpa <= answer.hpa <= m.hpa_last and not (m.first + answer.hpa - m.hpa ^ iova) & NEVER_IGNORED


def _wrong_at(case: Case, m: Mapping, iova: int) -> Iterator[str]:
    answer = _ask(case, iova)
    if answer is None:
        yield f"{iova:#x} is listed as {m.access} and does not pass"
    elif (answer.access, answer.target) != (m.access, m.target):
        yield f"{iova:#x} is listed as {m.access} {m.target.name}, is {answer.access} {answer.target.name}"
    elif m.target is Reached.MEMORY and answer.hpa - m.hpa != iova - m.first:
        yield f"{iova:#x} is listed at HPA {m.hpa + iova - m.first:#x}, is at {answer.hpa:#x}"
    elif answer.gpa - m.gpa != iova - m.first:
        yield f"{iova:#x} is listed at GPA {m.gpa + iova - m.first:#x}, is at {answer.gpa:#x}"


def _wrong_tables(case: Case, pages: list[Table]) -> Iterator[str]:
    """A page is one that a walk for its first address reads; a bad entry is where all of them stop."""
    for page in [*[t for t in pages if t.ref][-PAGES:], *[t for t in pages if t.fault][:PAGES]]:
        answers = [_plain(case, page.first, access) for access in wire.ACCESSES]
        if page.ref and not any(page.ref.hpa == ref.hpa for answer in answers for ref in answer.refs):
            yield f"tables: no walk for {page.first:#x} reads the entry at {page.ref.hpa:#x}"
        if page.fault and not any(answer.fault == page.fault for answer in answers):
            yield f"tables: the walk for {page.first:#x} does not stop as the bad entry says"


TARGETS: tuple[FuzzTarget, ...] = tuple(Enumerate(name) for name in FORMATS)
