"""Explaining a translation: every entry that was read, in words, in the order of the walk.

The trace is the fast ledger's, the words are the plain ledger's, and the plain ledger's own answer
is held against the fast one's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iommu_abi.ledgers import Difference, ask
from iommu_abi.memory import Memory
from iommu_abi.schemas import in_words
from iommu_abi.terms import Purpose, Ref, Request, Stage, Translation
from iommu_abi.walk import Unit


@dataclass(frozen=True, slots=True)
class Step:
    """One entry. ``through`` is the stage-2 walk by which its address was translated.

    ``sets`` names the fields that hardware would change ("A", "D"). ``stopped`` is True for the entry
    at which the walk stopped.
    """

    ref: Ref
    entry: in_words.Entry
    sets: tuple[str, ...] = ()
    stopped: bool = False
    through: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer and how it came about.

    ``wanted`` is a stage-2 walk for an entry that could not be read in the end. ``differences``
    are those of the two ledgers; ``undecoded`` says why there are no ``steps``.
    """

    request: Request
    answer: Translation
    steps: tuple[Step, ...]
    wanted: tuple[Step, ...]
    differences: tuple[Difference, ...]
    undecoded: str = ""
    left_out: bool = False  # the dump does not hold the bytes that are reached

    def stage(self, stage: Stage) -> tuple[Step, ...]:
        """The steps of one stage; stage-2 walks for entries are inside the steps of those entries."""
        return tuple(step for step in self.steps if step.ref.stage is stage)


def _changed(before: in_words.Entry, after: in_words.Entry) -> tuple[str, ...]:
    return tuple(a.name for a, b in zip(after.fields, before.fields) if a.value != b.value)


def _explained(unit: Unit, memory: Memory, answer: Translation) -> list[Step]:
    """Every reference in words, still in a row."""
    as_read = in_words.explain(unit.kind, unit.registers, answer.refs, memory.read)
    fault = answer.fault
    steps = []
    for i, (ref, entry) in enumerate(as_read):
        sets: tuple[str, ...] = ()
        if ref.updated != ref.raw:
            sets = _changed(entry, _as_updated(unit, memory, [r for r, _ in as_read[:i]], ref))
        steps.append(Step(ref, entry, sets))
    if fault is not None and fault.raw is not None:
        _mark(steps, fault.entry_hpa)
    return steps


def _mark(steps: list[Step], hpa: int | None) -> None:
    """Mark the last reference of the entry at which the walk stopped."""
    for i in reversed(range(len(steps))):
        if steps[i].ref.hpa == hpa:
            steps[i] = Step(steps[i].ref, steps[i].entry, steps[i].sets, stopped=True)
            return


def _as_updated(unit: Unit, memory: Memory, before: list[Ref], ref: Ref) -> in_words.Entry:
    data = memory.read(ref.hpa, ref.len) or b""
    updated = ref.updated.to_bytes(8, "little") + data[8:]
    earlier = [(each, memory.read(each.hpa, each.len) or b"") for each in before]
    return in_words.decode_entry(unit.kind, unit.registers, earlier, ref, updated[: ref.len])


def _nested(steps: Iterable[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Put each stage-2 walk for an entry into the step of that entry; what is left over."""
    found: list[Step] = []
    waiting: list[Step] = []
    for step in steps:
        if step.ref.stage is Stage.S2 and step.ref.purpose is not Purpose.DATA:
            waiting.append(step)
        elif waiting and step.ref.stage is not Stage.S2:
            found.append(Step(step.ref, step.entry, step.sets, step.stopped, tuple(waiting)))
            waiting = []
        else:
            found.append(step)
    return tuple(found), tuple(waiting)


def explain(unit: Unit, memory: Memory, request: Request) -> Explanation:
    """Translate with both ledgers and put the walk into words. UsageError as translate() raises it."""
    answers = ask(unit, memory, request)
    left_out = answers.fast.ok and memory.left_out(answers.fast.hpa or 0)
    try:
        steps, wanted = _nested(_explained(unit, memory, answers.fast))
    except Exception as error:  # entries that the plain ledger cannot name: the ledgers disagree on them
        broken = Difference("decoding of refs", f"{len(answers.fast.refs)} entries", repr(error))
        return Explanation(
            request, answers.fast, (), (), (*answers.differences, broken), repr(error), left_out
        )
    return Explanation(request, answers.fast, steps, wanted, answers.differences, left_out=left_out)


__all__ = ["Explanation", "Step", "explain"]
