"""Runs cases in processes of their own, and says which case a process died of.

A process writes the index of each case to shared memory before it runs it. What is counted does
not depend on the number of processes, nor on which of them is faster.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from iommu_abi.fuzz.judge import Walked
from iommu_abi.fuzz.process import Child, Died
from iommu_abi.terms import Stage
from iommu_abi.worlds.ways import Row, Use
from smoke import cases

#: Seconds after which a chunk is taken to hang.
PATIENCE = 120.0
#: Findings after which a run stops.
ENOUGH = 5


class Chunk(NamedTuple):
    """Attempts at one plan, one after the other."""

    plan: int
    first: int
    attempts: int


@dataclass
class Finding:
    """A case at which something is wrong."""

    index: int
    text: str


@dataclass
class Tally:
    """What was counted."""

    rows: Counter[Row] = field(default_factory=Counter)
    uses: Counter[Use] = field(default_factory=Counter)
    codes: Counter[tuple[str, int]] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    numbers: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another has counted."""
        self.rows.update(other.rows)
        self.uses.update(other.uses)
        self.codes.update(other.codes)
        self.rules.update(other.rules)
        self.numbers.update(other.numbers)
        self.findings += other.findings

    def count(self, index: int, result: Walked | cases.Checked) -> None:
        """Add one case."""
        if result.problems:
            self.findings.append(Finding(index, "\n".join(result.problems)))
        if isinstance(result, Walked):
            self._walked(index, result)
        else:
            self._checked(index, result)

    def _walked(self, index: int, result: Walked) -> None:
        numbers = self.numbers
        if result.claims:
            plan = cases.PLANS[index % len(cases.PLANS)]
            numbers[f"claims {plan.format.split('-')[0]}"] += result.claims
        if result.refused:
            numbers["refused"] += 1
            return
        kind = "mutated" if result.mutated else "valid"
        numbers["translations"] += 1
        numbers[kind] += 1
        numbers["passed"] += result.passed
        numbers[f"{kind} passed"] += result.passed
        if result.row is not None:
            self.rows[result.row] += 1
            self.codes[result.row.format, result.native] += 1
            if result.row.stage is Stage.S2:
                self.uses[Use(result.row.format, result.purpose, result.row.reason)] += 1

    def _checked(self, index: int, result: cases.Checked) -> None:
        self.numbers["blobs"] += 2
        self.numbers["accepted"] += result.accepted
        plan = cases.PLANS[index % len(cases.PLANS)]
        if result.rule is not None and not result.problems and isinstance(plan, cases.BlobPlan):
            self.rules[plan.generation, result.rule] += 1


def run_chunk(seed: int, chunk: Chunk, note: Callable[[int], None] = lambda index: None) -> Tally:
    """Run cases, telling ``note`` each before it begins."""
    tally = Tally()
    for attempt in range(chunk.first, chunk.first + chunk.attempts):
        index = cases.index_of(chunk.plan, attempt)
        note(index)
        try:
            tally.count(index, cases.run(seed, index))
        except Exception:
            tally.findings.append(Finding(index, traceback.format_exc()))
    return tally


class Worker(Child):
    """A process that runs chunks, and notes in shared memory which case it is at."""

    def __init__(self, seed: int, slots: Any, number: int) -> None:
        self.slots, self.number = slots, number

        def note(index: int) -> None:
            slots[number] = index

        super().__init__(lambda chunk: run_chunk(seed, chunk, note))

    def counted(self) -> Tally:
        """What it has counted; if it died, the case of which it died."""
        try:
            tally: Tally = self.take()
            return tally
        except Died as died:
            return self.lost(str(died))

    def lost(self, how: str) -> Tally:
        """A finding instead of counts."""
        return Tally(findings=[Finding(self.slots[self.number], how)])


class Pool:
    """Processes that run chunks."""

    def __init__(self, seed: int, jobs: int) -> None:
        slots = multiprocessing.RawArray("Q", jobs)
        self.workers = [Worker(seed, slots, number) for number in range(jobs)]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.end()

    def run(self, chunks: Sequence[Chunk], tally: Tally, deadline: float) -> bool:
        """Run all chunks; False if time ran out or enough was found."""
        waiting = list(reversed(chunks))
        while waiting or any(worker.busy for worker in self.workers):
            for worker in self.workers:
                if worker.busy is None and waiting:
                    worker.give(waiting.pop())
            if time.monotonic() > deadline:
                return False
            self._collect(tally)
            if len(tally.findings) >= ENOUGH or not all(w.process.is_alive() for w in self.workers):
                return False
        return True

    def _collect(self, tally: Tally) -> None:
        busy = {worker.pipe: worker for worker in self.workers if worker.busy}
        for pipe in wait(list(busy), timeout=1.0):
            tally.add(busy[pipe].counted())
        for worker in self.workers:
            if worker.busy and time.monotonic() - worker.since > PATIENCE:
                worker.kill()
                tally.add(worker.lost(f"no end after {PATIENCE:.0f} s"))
