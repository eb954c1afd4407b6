"""Messages about IOMMUs -> what they mean, and the walk of a fault's request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from iommu_abi.decode import lines
from iommu_abi.decode.excerpt import Excerpt
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Meaning, Note, Report
from iommu_abi.decode.scan import excerpt_of, scan
from iommu_abi.vendors import modules

if TYPE_CHECKING:
    from iommu_abi.explain import Explanation
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

#: So many different addresses of one device, reason and access are a flood, which is told as one.
FLOOD = 4

#: Lines of IOMMU drivers that people grep out of a log, without their times.
_DRIVERS = "|".join(each.DRIVER for each in modules("iommu_abi.decode"))
_SPEAKS = regex(rf"\b(?:{_DRIVERS}|virtio_iommu|iommu): |Adding to iommu group \d|kernel: ")


@dataclass(frozen=True, slots=True)
class Block:
    """Faults that are told as one. ``addresses`` are different ones, in order of their numbers."""

    report: Report
    at: tuple[int, ...]
    addresses: tuple[int, ...]
    times: tuple[str, ...]

    @property
    def is_flood(self) -> bool:
        """Are there several addresses in it?"""
        return len(self.addresses) > 1


@dataclass(frozen=True, slots=True)
class Decoded:
    """The faults and notes of a text ; ``unread`` are positions of lines that only look like faults."""

    reports: tuple[Report, ...]
    notes: tuple[Note, ...]
    unread: tuple[int, ...]
    lines: int
    times: dict[int, str]

    @property
    def skipped(self) -> int:
        """How many lines are about something else."""
        said = {at for report in self.reports for at in report.lines}
        said |= {at for note in self.notes for at in note.lines}
        return self.lines - len(said | set(self.unread))

    @property
    def distinct(self) -> tuple[tuple[Report, tuple[int, ...]], ...]:
        """Each fault once, with the lines at which it begins."""
        found: dict[Report, list[int]] = {}
        for report in self.reports:
            found.setdefault(report.same, []).append(report.lines[0])
        return tuple((report, tuple(at)) for report, at in found.items())

    @property
    def distinct_notes(self) -> tuple[tuple[Note, tuple[int, ...]], ...]:
        """Each note once, with the lines at which it begins."""
        found: dict[Note, list[int]] = {}
        for note in self.notes:
            found.setdefault(note.same, []).append(note.lines[0])
        return tuple((note, tuple(at)) for note, at in found.items())

    def blocks(self, *, floods: bool = True) -> tuple[Block, ...]:
        """Each fault once; those of a flood as one, unless each is wanted."""
        groups: dict[Report, list[tuple[Report, tuple[int, ...]]]] = {}
        for report, at in self.distinct:
            groups.setdefault(report.block, []).append((report, at))
        made: list[Block] = []
        for group in groups.values():
            flood = floods and len(group) >= FLOOD
            made += [self._block(group)] if flood else [self._block([each]) for each in group]
        return tuple(sorted(made, key=lambda block: block.at))

    def _block(self, group: list[tuple[Report, tuple[int, ...]]]) -> Block:
        at = tuple(sorted(place for _, places in group for place in places))
        addresses = tuple(sorted({r.address for r, _ in group if r.address is not None}))
        times = tuple(dict.fromkeys(filter(None, (self.times.get(at[0]), self.times.get(at[-1])))))
        first = group[0][0]
        common = tuple(each for each in first.extra if all(each in report.extra for report, _ in group))
        return Block(replace(first, extra=common), at, addresses, times)

    @property
    def lost(self) -> int:
        """How many messages the log itself says are missing."""
        return sum(note.lost for note in self.notes)


def has_messages(text: Excerpt) -> bool:
    """Is there a message about an IOMMU, or what looks like one?"""
    scanned = scan(text)
    return bool(scanned.found or scanned.unread)


def is_fault(text: str) -> bool:
    """Does a line, or a text, look like a message about an IOMMU?"""
    return has_messages(excerpt_of(text))


def is_log(text: str) -> bool:
    """Is a text a kernel's log, with faults or without?"""
    return any(lines.PREFIX.match(line) or _SPEAKS.search(line[:512]) for line in text.split("\n"))


def decode(text: str | Excerpt) -> Decoded:
    """Every message about an IOMMU in a text, or in an excerpt of one."""
    scanned = scan(excerpt_of(text) if isinstance(text, str) else text)
    reports = tuple(each for each in scanned.found if isinstance(each, Report))
    notes = tuple(each for each in scanned.found if isinstance(each, Note))
    return Decoded(reports, notes, scanned.unread, scanned.lines, scanned.times)


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
    from iommu_abi.explain import explain

    explained = explain(unit, memory, request)
    fault = explained.answer.fault
    return Walked(explained, fault is not None and fault.native == report.code)


__all__ = ["Block", "Decoded", "Meaning", "Note", "Report", "Walked", "decode", "is_fault", "is_log", "walk"]
