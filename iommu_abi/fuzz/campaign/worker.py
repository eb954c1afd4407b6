"""What a process of a campaign does: turns at targets, and minimising findings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iommu_abi.fuzz.campaign import slots
from iommu_abi.fuzz.campaign.apart import Log, apart
from iommu_abi.fuzz.campaign.minimise import minimise
from iommu_abi.fuzz.campaign.session import Session, Slice
from iommu_abi.fuzz.campaign.store import Finding, Store
from iommu_abi.fuzz.engines import ENGINES
from iommu_abi.fuzz.engines.by_libfuzzer import in_c
from iommu_abi.fuzz.engines.engine import EngineFailed
from iommu_abi.fuzz.process import Child
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome
from iommu_abi.worlds.dice import Dice

#: Seconds for minimising one finding.
SHRINK = 20.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A target of a campaign, and the words that name it on the command line."""

    target: FuzzTarget
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Time at a target with an engine. ``seen`` and ``deadly`` are what all processes know."""

    target: str
    engine: str
    seed: str
    seconds: float
    seeded: bool
    seen: frozenset[str]
    deadly: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shrink:
    """A finding to be minimised."""

    finding: Finding


def outcome(target: FuzzTarget, data: bytes, run_as: str) -> Outcome:
    """Run one input in the way in which a finding shows."""
    if run_as == "c":
        return in_c(target, data)
    return apart(target, data)


class Worker(Child):
    """One process; what it runs stands in memory that the parent sees."""

    def __init__(self, number: int, targets: Mapping[str, Chosen], store: Store) -> None:
        self.slot = slot = slots.of_process(store, str(number))
        self.log = log = Log(store.at / f"worker-{number}.log")
        sessions: dict[str, Session] = {}

        def work(order: Turn | Shrink) -> Slice:
            if not sessions:
                log.take_over()
            name = order.target if isinstance(order, Turn) else order.finding.name
            if name not in sessions:
                sessions[name] = Session(targets[name].target, targets[name].words, store, slot)
            if isinstance(order, Turn):
                return _turn(sessions[name], order)
            return _shrink(sessions[name], order.finding)

        super().__init__(work)

    def at(self) -> tuple[float, bytes]:
        """When the present run began, 0 for none; the input."""
        since, _, data = slots.read(self.slot)
        return since, data


def _turn(session: Session, order: Turn) -> Slice:
    start = time.monotonic()
    end = start + order.seconds
    session.begin(order.engine, set(order.seen), set(order.deadly))
    if not order.seeded:
        session.seed(Dice(order.seed.partition("/")[0], order.target), end)
    session.catch_up()
    left = end - time.monotonic()
    if left > 0:
        try:
            ENGINES[order.engine].work(session, order.seed, left)
        except EngineFailed as error:
            session.slice.failed = str(error)
    session.slice.seconds = time.monotonic() - start
    return session.slice


def _shrink(session: Session, finding: Finding) -> Slice:
    """Minimise, and put the result on the disk."""
    start = time.monotonic()
    session.begin(finding.engine, set(), set())

    def same(data: bytes) -> bool:
        session.slice.executions += 1
        if finding.run_as == "call":
            found: Any = session.run(data).problem
        else:
            found = outcome(session.target, data, finding.run_as).problem
        return bool(found) and found.cause == finding.cause

    data = session.store.input(finding)
    if same(data):
        data = minimise(session.target, data, same, SHRINK)
    session.store.minimised(finding, data)
    session.slice.seconds = time.monotonic() - start
    return session.slice
