"""One target in one process: what every engine does with an input."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from iommu_abi.fuzz.campaign import slots
from iommu_abi.fuzz.campaign.store import Finding, Store, name_of
from iommu_abi.fuzz.targets.target import (
    MOST,
    MOST_FEATURE,
    FuzzTarget,
    Outcome,
    Problem,
    attempt,
    of_exception,
    one_line,
)
from iommu_abi.worlds.dice import Dice

#: Features of one target, at most: a function may return another text for each input.
MOST_FEATURES = 50_000


@dataclass
class Slice:
    """What one turn at a target produced; ``failed`` says how the engine broke down, if it did."""

    executions: int = 0
    seconds: float = 0.0
    features: set[str] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)
    seeded: bool = False
    failed: str = ""


class Session:
    """Runs inputs, keeps those that reach something new, records what is wrong."""

    def __init__(self, target: FuzzTarget, words: tuple[str, ...], store: Store, slot: Any) -> None:
        self.target, self.words, self.store, self.slot = target, words, store, slot
        self.seen: set[str] = set()
        self.notes: set[str] = set()
        #: Inputs of which a process has died: they are not run again.
        self.deadly: set[str] = set()
        self.corpus: list[bytes] = []
        self._seeds: Iterator[bytes] | None = None
        self._read: set[str] = set()
        self.engine = ""
        self.slice = Slice()

    def begin(self, engine: str, seen: set[str], deadly: set[str]) -> None:
        """Start a slice with the features and the deadly inputs that all processes know."""
        self.engine, self.slice = engine, Slice()
        self.seen |= seen
        self.deadly |= deadly

    def run(self, data: bytes) -> Outcome:
        """Run an input, and learn nothing from it."""
        outcome = self._run(data)
        slots.clear(self.slot)
        return outcome

    def _run(self, data: bytes) -> Outcome:
        """Run an input. It stays in the slot until that is cleared: after a kill it is run again."""
        slots.write(self.slot, self.target.name, data)
        process = os.getpid()
        outcome = attempt(self.target, data)
        if os.getpid() != process:  # the target has forked, and its child must not go on with our work
            os._exit(0)
        return outcome

    def try_(self, data: bytes) -> None:
        """Run an input; keep it if it reaches something new, and record what is wrong."""
        data = data[:MOST]
        name = name_of(data)
        if name in self.deadly:
            return
        outcome = self._run(data)
        self.slice.executions += 1
        if outcome.problem:  # first of all: what is noted, or is in the corpus, may never be run again
            self.record(outcome.problem, data)
        if outcome.notes:
            self.slice.notes.update(note for note in outcome.notes if note not in self.notes)
            self.notes.update(outcome.notes)
        fresh = self._fresh(outcome.features)
        if fresh:
            self.seen.update(fresh)
            self.slice.features.update(fresh)
            self._remember(name, data)
            self.store.keep(self.target.name, data)
        slots.clear(self.slot)

    def _fresh(self, features: tuple[str, ...]) -> list[str]:
        """The features of an outcome that no outcome before had."""
        if len(self.seen) >= MOST_FEATURES:
            return []
        bounded = (each if len(each) <= MOST_FEATURE else one_line(each, MOST_FEATURE) for each in features)
        return [each for each in bounded if each not in self.seen]

    def record(self, problem: Problem, data: bytes, run_as: str = "call") -> None:
        """Put a finding on the disk, unless its cause is known."""
        finding = Finding(self.words, self.target.name, problem.cause, problem.text, self.engine, run_as)
        self.store.record(finding, data)

    def make(self, way: Callable[..., bytes], *of: Any) -> bytes:
        """Make an input; if that breaks down, it is a finding as well."""
        try:
            return way(*of)
        except Exception as error:
            problem = of_exception(error)
            self.record(Problem(f"making an input: {problem.cause}", problem.text), b"")
            return b""

    def seed(self, dice: Dice, end: float) -> None:
        """Run the inputs that the target starts from; what is left over at ``end`` is for the next time."""
        if self._seeds is None:
            self._seeds = self.target.seeds(dice)
        for data in self._seeds:
            self.try_(data)
            if time.monotonic() >= end:
                return
        if not self.corpus:
            self._remember("", b"")
        self.slice.seeded = True

    def catch_up(self) -> None:
        """Run what others have put into the corpus."""
        for name in self.store.names(self.target.name):
            if name not in self._read and name not in self.deadly:
                try:
                    data = self.store.kept(self.target.name, name)
                except FileNotFoundError:  # another process has found that it is deadly
                    continue
                self._remember(name, data)
                self.try_(data)

    def _remember(self, name: str, data: bytes) -> None:
        if name not in self._read:
            self._read.add(name)
            self.corpus.append(data)
