"""Fault lines -> what they mean. Those of Linux's IOMMU drivers, as dmesg and syslog show them.

A vendor is a module with ``recognise(lines, at)`` and ``HINT``, which finds lines that look like a
fault; a line that only looks like one is reported as such, never left out in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from iommu_abi.decode import amdvi, riscv, smmuv3, vtd
from iommu_abi.decode.report import Meaning, Report
from iommu_abi.explain import Explanation, explain
from iommu_abi.memory import Memory
from iommu_abi.walk import Unit

VENDORS = (vtd, smmuv3, amdvi, riscv)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The faults of a text in order; ``unread`` are positions of lines that only look like faults."""

    reports: tuple[Report, ...]
    unread: tuple[int, ...]
    lines: int

    @property
    def skipped(self) -> int:
        """How many lines are about something else."""
        return self.lines - sum(len(r.lines) for r in self.reports) - len(self.unread)

    @property
    def distinct(self) -> tuple[tuple[Report, tuple[int, ...]], ...]:
        """Each fault once, with the lines at which it begins."""
        found: dict[Report, list[int]] = {}
        for report in self.reports:
            found.setdefault(report.same, []).append(report.lines[0])
        return tuple((report, tuple(at)) for report, at in found.items())


def _recognise(lines: list[str], at: int) -> Report | None:
    """The fault that begins at a line; a number in it that is none makes it a line of no known form."""
    try:
        return next(filter(None, (vendor.recognise(lines, at) for vendor in VENDORS)), None)
    except ValueError:
        return None


def is_fault(line: str) -> bool:
    """Does a line look like a fault?"""
    return any(vendor.HINT.search(line) for vendor in VENDORS)


def decode(text: str) -> Decoded:
    """Every fault in a text."""
    lines = text.splitlines()
    reports: list[Report] = []
    unread: list[int] = []
    used: set[int] = set()
    for at, line in enumerate(lines):
        if at in used:
            continue
        report = _recognise(lines, at)
        if report and used.isdisjoint(report.lines):
            reports.append(report)
            used.update(report.lines)
        elif is_fault(line):
            unread.append(at)
    return Decoded(tuple(reports), tuple(unread), len(lines))


@dataclass(frozen=True, slots=True)
class Walked:
    """A fault's request, walked again. ``same``: it is blocked, with the vendor's code of the line."""

    explained: Explanation
    same: bool


def walk(unit: Unit, memory: Memory, report: Report) -> Walked | None:
    """The walk to the entry that caused a fault; None if the line says no request."""
    request = report.request
    if request is None or report.kind != unit.kind:
        return None
    explained = explain(unit, memory, request)
    fault = explained.answer.fault
    return Walked(explained, fault is not None and fault.native == report.code)


__all__ = ["Decoded", "Meaning", "Report", "Walked", "decode", "is_fault", "walk"]
