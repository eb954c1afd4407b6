"""Findings about page-table entries: malformed ones, and pointers and roots that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iommu_abi.audit import kinds
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots, Who
from iommu_abi.audit.survey import Survey
from iommu_abi.terms import Fault, Purpose, Reason, Ref, Stage

SHOWN = 4  # entries of a finding that are explained; all are listed


def broken(survey: Survey) -> Iterator[Finding]:
    """Entries that no walk can use, by domain and kind."""
    for domain in survey.domains.values():
        spots: dict[kinds.FindingKind, Spots] = {}
        clues: dict[kinds.FindingKind, list[Clue]] = {}
        texts: dict[kinds.FindingKind, str] = {}
        for iova, fault in domain.broken.values():
            refs = survey.unit.translate(survey.memory, domain.who[0].request(iova), trace=True).refs
            kind, clue = _judge(domain.who[0], iova, fault, refs)
            spots.setdefault(kind, Spots()).add(Spot(iova, entry=fault.entry_hpa))
            clues.setdefault(kind, []).append(clue)
            texts.setdefault(kind, fault.reason.text)
        for kind, found in spots.items():
            yield Finding(kind, tuple(domain.who), texts[kind], found, tuple(clues[kind][:SHOWN]))


def _judge(who: Who, iova: int, fault: Fault, refs: Sequence[Ref]) -> tuple[kinds.FindingKind, Clue]:
    if fault.reason in (Reason.RESERVED, Reason.INVALID):
        return kinds.RESERVED, Clue("the entry", who.request(iova), fault.entry_hpa)
    if fault.reason is Reason.OUTPUT_RANGE and fault.raw is not None:
        return kinds.BAD_POINTER, Clue("the entry", who.request(iova), fault.entry_hpa)
    stage = Stage.S1 if fault.purpose is Purpose.S1_ENTRY else fault.stage
    pointer, is_root = leads_to(refs, stage, fault.purpose)
    at = f"HPA {fault.entry_hpa:#x}"
    if fault.purpose is Purpose.S1_ENTRY:
        at = f"GPA {fault.input:#x}, which stage 2 does not let it read"
    note = f"leads to {at}"
    return (kinds.BAD_ROOT if is_root else kinds.BAD_POINTER), Clue(
        note, who.request(iova), pointer.hpa if pointer else None
    )


def leads_to(refs: Sequence[Ref], stage: Stage, purpose: Purpose = Purpose.DATA) -> tuple[Ref | None, bool]:
    """The last entry that points to a table of ``stage``, and whether it is a context: the table a root."""
    same = [r for r in refs if r.stage is stage and (stage is not Stage.S2 or r.purpose is purpose)]
    if same:
        return same[-1], False
    above = [r for r in refs if r.stage in (Stage.DEVICE, Stage.PASID)]
    return (above[-1] if above else None), True


def at_zero(survey: Survey) -> Iterator[Finding]:
    """Tables at address 0: a root that nobody has set."""
    page = survey.tables.get(0)
    if page is None or page.who is None or page.ref is None:
        return
    request = page.who.request(page.iova)
    refs = survey.unit.translate(survey.memory, request, trace=True).refs
    before = refs[: next((i for i, r in enumerate(refs) if r.hpa == page.ref.hpa), 0)]
    pointer, _ = leads_to(before, page.ref.stage, page.ref.purpose)
    clue = Clue("leads to HPA 0", request, pointer.hpa) if pointer else Clue("a register leads to HPA 0")
    spots = Spots(Spot(entry=page.ref.hpa))
    yield Finding(kinds.BAD_ROOT, (page.who,), "a table is at address 0", spots, (clue,))


def unfinished(survey: Survey) -> Iterator[Finding]:
    """Where the audit did not look."""
    if survey.stopped:
        yield Finding(kinds.UNFINISHED, (survey.stopped,), str(survey.stop))
    for domain in survey.domains.values():
        if not domain.complete:
            what = "it reaches more than 2 TiB in pieces; sharing and tables are only known of the first"
            yield Finding(kinds.UNFINISHED, tuple(domain.who), what)
