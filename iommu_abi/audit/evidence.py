"""Evidence: the entries behind a finding, in words, as ``translate --explain`` shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from iommu_abi.audit.findings import Clue, Finding
from iommu_abi.explain import Step, explain
from iommu_abi.ledgers import Disagreement
from iommu_abi.memory import Memory
from iommu_abi.terms import Access, Request
from iommu_abi.walk import Unit


@dataclass(frozen=True, slots=True)
class Evidence:
    """An entry, and the request whose walk shows it. Without ``step``, ``note`` is all that there is."""

    note: str
    request: Request | None = None
    step: Step | None = None


def evidence(unit: Unit, memory: Memory, finding: Finding) -> tuple[Evidence, ...]:
    """What stands behind a finding. Both ledgers are asked; Disagreement if they do not agree."""
    return tuple(_follow(unit, memory, clue) for clue in finding.clues)


def _follow(unit: Unit, memory: Memory, clue: Clue) -> Evidence:
    if clue.request is None:
        return Evidence(clue.note)
    for access in dict.fromkeys((clue.request.access, Access.READ, Access.WRITE, Access.EXEC)):
        request = replace(clue.request, access=access)
        explained = explain(unit, memory, request)
        if explained.differences:
            raise Disagreement(f"the evidence at {request}", explained.differences)
        steps = list(_flat((*explained.steps, *explained.wanted)))
        hits = [s for s in steps if clue.entry in (None, s.ref.hpa)]
        if hits or not steps:
            return Evidence(clue.note, request, hits[-1] if hits else None)
    return Evidence(clue.note, clue.request)


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield from step.through
        yield step
