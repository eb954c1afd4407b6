"""Findings about contexts: what passes untranslated, and what is no legal context."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots, Who
from iommu_abi.audit.survey import Survey
from iommu_abi.terms import Fault, Reason, Ref, Stage
from iommu_abi.walk import Unit

#: The register that switches translation on.
SWITCH = {"vtd": "GSTS", "smmuv3": "CR0", "amdvi": "CONTROL", "riscv": "DDTP"}


def off(unit: Unit) -> Finding:
    """The IOMMU lets everything pass."""
    name = SWITCH[unit.kind]
    note = f"{name} = {unit.registers.get(name, 0):#x}"
    return Finding(kinds.OFF, (), note, clues=(Clue(note), Clue("no table is read", Who(0, 0).request())))


def passing(survey: Survey) -> Iterator[Finding]:
    """Contexts that let requests pass. Neighbours whose entries have the same bits are one finding."""
    run: list[tuple[Who, Ref | None]] = []
    for who, ref in survey.passing:
        if run and not _continues(run[-1], (who, ref)):
            yield _passing(run)
            run = []
        run.append((who, ref))
    if run:
        yield _passing(run)


def _continues(a: tuple[Who, Ref | None], b: tuple[Who, Ref | None]) -> bool:
    (left, entry), (right, other) = a, b
    if entry is None or other is None or entry.raw != other.raw or left.pasid is not None:
        return False
    return right.pasid is None and left.rid_last + 1 == right.rid


def _passing(run: list[tuple[Who, Ref | None]]) -> Finding:
    first, ref = run[0]
    who = first._replace(rid_last=run[-1][0].rid_last)
    spots = Spots(*(Spot(entry=entry.hpa if entry else None) for _, entry in run))
    clue = Clue("the context", first.request(), ref.hpa if ref else None)
    return Finding(kinds.PASSES, (who,), "", spots, (clue,))


def broken(survey: Survey) -> Iterator[Finding]:
    """Contexts that are illegal, or behind a table that cannot be read."""
    for who, fault in survey.broken:
        kind = kinds.BAD_ROOT if _leads_nowhere(fault) else kinds.RESERVED
        spots = Spots(Spot(entry=fault.entry_hpa))
        yield Finding(kind, (who,), fault.reason.text, spots, (_clue(survey, who, fault),))


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
