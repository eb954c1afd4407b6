"""Findings about contexts: what passes untranslated, and what is no legal context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots, Who
from iommu_abi.audit.survey import Survey
from iommu_abi.terms import Fault, Reason, Ref, Stage
from iommu_abi.vendors import vendor_of
from iommu_abi.walk import Unit


def off(unit: Unit) -> Finding:
    """The IOMMU lets everything pass."""
    name = vendor_of(unit.kind).switch
    note = f"{name} = {unit.registers.get(name, 0):#x}"
    return Finding(kinds.OFF, (), note, clues=(Clue(note), Clue("no table is read", Who(0, 0).request())))


class Same(NamedTuple):
    """Requesters about whom one entry decides."""

    who: tuple[Who, ...]
    entry: Ref | None


def passing(survey: Survey) -> Iterator[Finding]:
    """Contexts that let requests pass. Neighbours whose entries have the same bits are one finding."""
    run: list[Same] = []
    for each in _by_entry(survey.passing):
        if run and not _continues(run[-1], each):
            yield _passing(run)
            run = []
        run.append(each)
    if run:
        yield _passing(run)


def _by_entry(found: list[tuple[Who, Ref | None]]) -> list[Same]:
    """A request without PASID and one with a PASID may be decided by the same entry."""
    made: dict[object, Same] = {}
    for who, entry in found:
        key = entry.hpa if entry else who
        made[key] = Same((*made[key].who, who), entry) if key in made else Same((who,), entry)
    return list(made.values())


def _continues(a: Same, b: Same) -> bool:
    if a.entry is None or b.entry is None or a.entry.raw != b.entry.raw or len(a.who) + len(b.who) > 2:
        return False
    (left,), (right,) = a.who, b.who
    return left.pasid is None and right.pasid is None and left.rid_last + 1 == right.rid


def _passing(run: list[Same]) -> Finding:
    first, entry = run[0]
    who = first if len(run) == 1 else (first[0]._replace(rid_last=run[-1].who[0].rid_last),)
    spots = Spots(*(Spot(entry=each.entry.hpa if each.entry else None) for each in run))
    clue = Clue("the context", first[0].request(), entry.hpa if entry else None)
    return Finding(kinds.PASSES, who, "", spots, (clue,))


def trusted(survey: Survey) -> Iterator[Finding]:
    """Devices whose translated requests go out unchecked."""
    for who, entry in survey.trusted:
        clue = Clue("the context", who.request(), entry.hpa)
        yield Finding(kinds.TRANSLATED, (who,), "", Spots(Spot(entry=entry.hpa)), (clue,))


def broken(survey: Survey) -> Iterator[Finding]:
    """Contexts that are illegal, or behind a table that cannot be read."""
    same: dict[object, list[tuple[Who, Fault]]] = {}
    for who, fault in survey.broken:
        key = who if fault.entry_hpa is None else (fault.reason, fault.stage, fault.level, fault.entry_hpa)
        same.setdefault(key, []).append((who, fault))
    for those in same.values():
        who, fault = those[0]
        kind = kinds.BAD_ROOT if _leads_nowhere(fault) else kinds.RESERVED
        spots, clues = Spots(Spot(entry=fault.entry_hpa)), (_clue(survey, who, fault),)
        yield Finding(kind, tuple(who for who, _ in those), fault.reason.text, spots, clues)


def _leads_nowhere(fault: Fault) -> bool:
    return fault.stage is Stage.S2 or fault.reason in (Reason.UNREADABLE, Reason.OUTPUT_RANGE)


def _clue(survey: Survey, who: Who, fault: Fault) -> Clue:
    """The entry itself, or where it cannot be read the one that leads there."""
    if fault.raw is not None and fault.stage is not Stage.S2:
        return Clue("the entry", who.request(), fault.entry_hpa)
    refs = survey.unit.translate(survey.memory, who.request(), trace=True).refs
    before = [ref for ref in refs if ref.stage in (Stage.DEVICE, Stage.PASID)]
    at = f"HPA {fault.entry_hpa:#x}" if fault.entry_hpa is not None else f"GPA {fault.input:#x}"
    if not before:
        return Clue(f"a register leads to {at}")
    return Clue(f"leads to {at}", who.request(), before[-1].hpa)
