"""The words of a report: verdicts, findings, and what they are about."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Verdict(enum.IntEnum):
    """Ordered: the worst of several is their maximum."""

    COMPATIBLE = 0
    COMPATIBLE_IF_ZERO = 1
    BREAKING = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One change: ``field`` is empty where the whole struct or constant is meant."""

    field: str
    change: str
    reason: str
    old_program: Verdict  # an old program on the new kernel
    new_program: Verdict  # a new program on the old kernel


def breaking(field: str, change: str, reason: str) -> Finding:
    """A change that breaks both directions."""
    return Finding(field, change, reason, Verdict.BREAKING, Verdict.BREAKING)


def note(field: str, change: str, reason: str) -> Finding:
    """A change that breaks nothing."""
    return Finding(field, change, reason, Verdict.COMPATIBLE, Verdict.COMPATIBLE)


class Judged:
    """Something with a verdict in each direction."""

    __slots__ = ()

    def findings_of_all(self) -> Iterable[Finding]:
        """What the verdicts come from."""
        raise NotImplementedError

    @property
    def old_program(self) -> Verdict:
        """An old program on the new kernel."""
        return max((f.old_program for f in self.findings_of_all()), default=Verdict.COMPATIBLE)

    @property
    def new_program(self) -> Verdict:
        """A new program on the old kernel."""
        return max((f.new_program for f in self.findings_of_all()), default=Verdict.COMPATIBLE)

    @property
    def verdict(self) -> Verdict:
        """BREAKING if one direction is; else the old program's, the one that kernels promise."""
        if self.new_program is Verdict.BREAKING:
            return Verdict.BREAKING
        return self.old_program


@dataclass(frozen=True, slots=True)
class Compared(Judged):
    """A struct, union or constant; ``was`` and ``now`` are its size or value, None where it is not."""

    kind: str
    name: str
    contract: str
    was: int | None
    now: int | None
    findings: tuple[Finding, ...]

    def findings_of_all(self) -> Iterable[Finding]:
        """Its own findings."""
        return self.findings


@dataclass(frozen=True, slots=True)
class Report(Judged):
    """Everything that two models share or do not share; subjects in the headers' order."""

    old: str
    new: str
    abi: str
    subjects: tuple[Compared, ...]
    notes: tuple[str, ...]

    def findings_of_all(self) -> Iterator[Finding]:
        """The findings of every subject."""
        for subject in self.subjects:
            yield from subject.findings
