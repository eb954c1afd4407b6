"""Runs cases in processes of their own, and says which case a process died of.

A process writes the index of each case to shared memory before it runs it. What is counted does
not depend on the number of processes, nor on which of them is faster.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from iommu_abi.fuzz import cases
from iommu_abi.fuzz.ways import Row, Use
from iommu_abi.terms import Stage

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

    def count(self, index: int, result: cases.Walked | cases.Checked) -> None:
        """Add one case."""
        if result.problems:
            self.findings.append(Finding(index, "\n".join(result.problems)))
        if isinstance(result, cases.Walked):
            self._walked(result)
        else:
            self._checked(index, result)

    def _walked(self, result: cases.Walked) -> None:
        numbers = self.numbers
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


def _work(pipe: Connection, seed: int, slots: Any, number: int) -> None:
    """The life of a process: chunks in, tallies out, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def note(index: int) -> None:
        slots[number] = index

    while (chunk := pipe.recv()) is not None:
        pipe.send(run_chunk(seed, chunk, note))


class Worker:
    """One process."""

    def __init__(self, context: Any, seed: int, slots: Any, number: int) -> None:
        self.slots, self.number = slots, number
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, seed, slots, number), daemon=True)
        self.process.start()
        theirs.close()
        self.busy: Chunk | None = None
        self.since = 0.0

    def give(self, chunk: Chunk) -> None:
        """Let it run a chunk."""
        self.busy, self.since = chunk, time.monotonic()
        self.pipe.send(chunk)

    def take(self) -> Tally:
        """What it has counted; if it died, the case of which it died."""
        self.busy = None
        try:
            tally: Tally = self.pipe.recv()
            return tally
        except EOFError:
            self.process.join()
            return self.lost(_death(self.process.exitcode))

    def lost(self, how: str) -> Tally:
        """A finding instead of counts."""
        self.busy = None
        return Tally(findings=[Finding(self.slots[self.number], how)])

    def end(self) -> None:
        """Let it end, by force if it is still busy."""
        if self.process.is_alive():
            if self.busy is None:
                self.pipe.send(None)
            else:
                self.process.kill()
        self.process.join()
        self.pipe.close()


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    return f"the process ended with status {code}; a sanitizer's report is above"


class Pool:
    """Processes that run chunks."""

    def __init__(self, seed: int, jobs: int) -> None:
        """Forks: what the parent has changed of the package is changed in the children too."""
        context: Any = multiprocessing.get_context("fork")
        slots = context.RawArray("Q", jobs)
        self.workers = [Worker(context, seed, slots, number) for number in range(jobs)]

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
            tally.add(busy[pipe].take())
        for worker in self.workers:
            if worker.busy and time.monotonic() - worker.since > PATIENCE:
                worker.process.kill()
                tally.add(worker.lost(f"no end after {PATIENCE:.0f} s"))
