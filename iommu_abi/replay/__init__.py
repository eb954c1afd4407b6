"""Replaying a capture: does each translation of the walk end where the live system's DMA did?

A line of the oracle is matched, or it is explained by a named departure of QEMU from the vendor's
specification, or it is mismatched. A departure is a row of the vendor's record; it never covers a line
that QEMU's word is not needed for (:data:`INDEPENDENT`), nor one where something landed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi.ledgers import Difference, ask
from iommu_abi.memory import Memory
from iommu_abi.replay.capture import Capture, Line
from iommu_abi.terms import Target, Translation
from iommu_abi.unit_meta import Meta, make_unit
from iommu_abi.vendors import Departure, vendor_of

#: Ways of establishing a line that do not depend on QEMU's IOMMU.
INDEPENDENT = ("pagemap", "kernel-map", "tag")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a line. ``expected`` and ``got`` are words; ``departure`` explains a difference."""

    line: Line
    matched: bool
    expected: str
    got: str
    departure: Departure | None = None
    differences: tuple[Difference, ...] = ()


def _expected(kind: str, line: Line) -> str:
    if line.pa is not None:
        return f"{line.pa:#x}"
    if line.fault is None:
        return "blocked, nothing logged"
    code = line.fault.get(vendor_of(kind).code_key)
    return f"blocked, {code:#x} logged" if isinstance(code, int) else f"blocked, {dict(line.fault)} logged"


def describe(answer: Translation) -> str:
    """An answer in a few words."""
    if answer.fault is not None:
        where = f"{answer.fault.stage.name.lower()} level {answer.fault.level}"
        return f"blocked, {answer.fault.native:#x} ({answer.fault.reason.name.lower()}, {where})"
    if answer.target is not Target.MEMORY:
        return f"{answer.target.name.lower()}, {answer.hpa:#x}"
    return f"{answer.hpa:#x}"


def _blocked_as_logged(kind: str, line: Line, answer: Translation) -> tuple[bool, Departure | None]:
    """Matched, or the departure that explains the difference."""
    record, fault = line.fault or {}, answer.fault
    logged = record.get(vendor_of(kind).code_key)
    if fault is None or not isinstance(logged, int):
        return False, None
    if fault.native == logged:
        return True, None
    if any(word in how for how in line.how for word in INDEPENDENT):
        return False, None
    return False, next(
        (each for each in vendor_of(kind).departures if each.covers(logged, fault, line.request.access)),
        None,
    )


def _reaches(answer: Translation, pa: int) -> bool:
    return answer.ok and answer.hpa == pa


def _nothing_there(meta: Meta, answer: Translation) -> bool:
    """Blocked, or passed to where there is nothing to read or write."""
    return not answer.ok or not meta.in_ram(answer.hpa)


def judge(meta: Meta, line: Line, answer: Translation) -> Verdict:
    """Hold one answer against one line."""
    departure = None
    if line.pa is not None:
        matched = _reaches(answer, line.pa)
    elif line.fault is None:
        matched = _nothing_there(meta, answer)
    else:
        matched, departure = _blocked_as_logged(meta.kind, line, answer)
    return Verdict(line, matched, _expected(meta.kind, line), describe(answer), departure)


def replay(capture: Capture, memory: Memory) -> Iterator[Verdict]:
    """Translate every line with both ledgers; the fast one is judged, the plain one must agree."""
    unit = make_unit(capture.meta.kind, capture.meta.registers, capture.where)
    for line in capture.lines:
        answers = ask(unit, memory, line.request)
        verdict = judge(capture.meta, line, answers.fast)
        if answers.differences:
            verdict = Verdict(
                line, verdict.matched, verdict.expected, verdict.got, verdict.departure, answers.differences
            )
        yield verdict
