"""What is wrong with the tables of an IOMMU, or more open than it should be, each with its evidence.

:func:`audit` looks at everything that devices can reach; docs/audit.md says what each finding means and
what no audit can see. Memory: about 150 bytes for each 2 MiB of host memory that a domain reaches, and 1 KiB
for each page of tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.audit import contexts, entries, reach, rights, shared
from iommu_abi.audit.evidence import Evidence, evidence
from iommu_abi.audit.findings import Clue, Finding, Spot, Spots, Who
from iommu_abi.audit.kinds import KINDS, FindingKind, Severity
from iommu_abi.audit.pages import PAGE_LG2, Pages
from iommu_abi.audit.queues import queues
from iommu_abi.audit.survey import Survey, TablePage, is_off, survey
from iommu_abi.mappings import ContextState
from iommu_abi.mappings.budget import RANGES, Budget, Stop
from iommu_abi.memory import Memory
from iommu_abi.walk import Unit


@dataclass(frozen=True, slots=True)
class Summary:
    """What was looked at. ``reached``: bytes of host memory that translated requests reach, each once."""

    devices: int
    contexts: int
    passing: int
    refusing: int
    broken: int
    domains: int
    mappings: int
    reached: int
    table_pages: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The findings, most serious first, and what was looked at; ``stop`` says if that is not all."""

    summary: Summary
    findings: tuple[Finding, ...]
    stop: Stop | None = None


def audit(unit: Unit, memory: Memory, rid: int | None = None, *, budget: Budget | None = None) -> Audit:
    """Look at all tables of an IOMMU. With ``rid``, only findings that concern this device.

    ``budget``: at its end (that of :data:`iommu_abi.mappings.budget.RANGES`, if none is given) the audit
    stops and says so.
    """
    budget = budget or Budget.of_ranges(RANGES, memory)
    if (off := is_off(unit, memory)) is not None:
        nothing = Summary(0, 0, 0, 0, 0, 0, 0, 0, 0)
        return Audit(nothing, (contexts.off(unit),) if off else ())
    seen = survey(unit, memory, budget)
    _add_queues(seen)
    found = [f for f in _findings(seen) if rid is None or f.concerns(rid)]
    return Audit(_summary(seen), tuple(sorted(found, key=lambda f: KINDS.index(f.kind))), seen.stop)


def _add_queues(seen: Survey) -> None:
    for what, first, size in queues(seen.unit):
        queue = TablePage(queue=what)
        for page in range(first >> PAGE_LG2, (first + size - 1 >> PAGE_LG2) + 1):
            seen.tables.setdefault(page, queue)


def _findings(seen: Survey) -> Iterator[Finding]:
    yield from contexts.passing(seen)
    yield from contexts.trusted(seen)
    yield from contexts.broken(seen)
    yield from entries.broken(seen)
    yield from entries.at_zero(seen)
    yield from entries.unfinished(seen)
    yield from reach.tables_reached(seen)
    yield from shared.shared(seen)
    yield from rights.executable(seen)


def _summary(seen: Survey) -> Summary:
    reached = Pages()
    for domain in seen.domains.values():
        for block, bits in domain.pages.blocks.items():
            reached.add_block(block, bits)
    return Summary(
        devices=seen.devices,
        contexts=seen.states.total(),
        passing=seen.states[ContextState.PASSES],
        refusing=seen.states[ContextState.REFUSES],
        broken=seen.states[ContextState.BROKEN],
        domains=len(seen.domains),
        mappings=sum(domain.mappings for domain in seen.domains.values()),
        reached=len(reached) << PAGE_LG2,
        table_pages=len(seen.tables),
    )


__all__ = [
    "KINDS",
    "Audit",
    "Clue",
    "Evidence",
    "Finding",
    "FindingKind",
    "Severity",
    "Spot",
    "Spots",
    "Summary",
    "Who",
    "audit",
    "evidence",
]
