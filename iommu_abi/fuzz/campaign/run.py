"""Hands out turns, and takes care that nothing is lost when a process dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.campaign import slots
from iommu_abi.fuzz.campaign import state as states
from iommu_abi.fuzz.campaign.apart import no_end, of_death
from iommu_abi.fuzz.campaign.session import Slice
from iommu_abi.fuzz.campaign.state import Count, Lane, Tally
from iommu_abi.fuzz.campaign.store import Finding, Store, name_of
from iommu_abi.fuzz.campaign.worker import Chosen, Shrink, Turn, Worker
from iommu_abi.fuzz.engines import ENGINES, Engine
from iommu_abi.fuzz.process import Died
from iommu_abi.fuzz.targets.target import Problem

#: Seconds between two looks at the processes.
LOOK = 0.2

#: Told of the state and of each new finding.
Listener = Callable[[Tally, "list[Finding]"], None]


class Campaign:
    """One run of a campaign; another one in the same directory goes on with it."""

    def __init__(
        self,
        store: Store,
        targets: Sequence[Chosen],
        engines: Sequence[Engine],
        *,
        seed: int = 1,
        jobs: int = 2,
        enough: int | None = None,
    ) -> None:
        """``enough`` causes, known ones too, end a run early. UsageError if no engine serves any target."""
        self.store, self.seed, self.jobs, self.enough = store, seed, jobs, enough
        self.targets = {each.target.name: each for each in targets}
        self.lanes = [
            Lane(name, engine.name)
            for engine in engines
            for name, each in self.targets.items()
            if engine.serves(each.target)
        ]
        if not self.lanes:
            names = ", ".join(engine.name for engine in engines)
            raise UsageError(f"--engine {names}: it serves none of these targets")
        for engine in engines:
            engine.prepare([each.target for each in self.targets.values() if engine.serves(each.target)])
        store.lock()
        try:
            self._open()
        except BaseException:
            store.unlock()
            raise
        self._told: set[str] = set()
        #: Engines that broke down at a target, which they do not get again.
        self.failures: list[str] = []
        self._homes: dict[str, int] = {}
        self._turns = 0
        self._workers: list[Worker] = []
        self._start = 0.0

    def _open(self) -> None:
        """Take up what the directory holds; what was running when a campaign was killed is run again."""
        store = self.store
        store.check(self.targets)
        self.state = states.read(store)
        store.mend()
        slots.recover(store, self.targets, self.state.deadly)
        self._queued: set[str] = set()
        self._waiting: list[Finding] = []
        self._queue()

    # ------------------------------------------------------------ time

    def _now(self) -> float:
        """Seconds of the campaign, those of former runs included."""
        return self._before + time.monotonic() - self._start

    def run(self, seconds: float, tell: Listener) -> Tally:
        """Work for some time; findings that still have to be minimised then are."""
        self._before, self._start = self.state.elapsed, time.monotonic()
        begin = {"event": "begin", "seed": self.seed, "jobs": self.jobs, "seconds": seconds}
        self.store.note(**begin)
        self.state.replay(begin)
        self._workers = [Worker(i, self.targets, self.store) for i in range(self.jobs)]
        end = self._start + seconds
        try:
            self._until(end, tell)
            tell(self.state, self._news())
            self.store.note(event="end", at=round(self._now(), 2))
        finally:
            self.store.unlock()
        return self.state

    def _until(self, end: float, tell: Listener) -> None:
        try:
            self._work(end, tell)
        except KeyboardInterrupt:  # enough; what was found is on the disk
            pass
        finally:
            for worker in self._workers:
                worker.end()

    def _work(self, end: float, tell: Listener) -> None:
        while (going := self._goes_on(end)) or self._waiting or self._shrinking():
            self._hand_out(end, going)
            self._collect()
            self._watch()
            tell(self.state, self._news())
        while any(worker.busy for worker in self._workers):
            self._collect()
            self._watch()

    def _goes_on(self, end: float) -> bool:
        """Whether there are turns to hand out."""
        return time.monotonic() < end and (self.enough is None or self._causes < self.enough)

    def _shrinking(self) -> bool:
        return any(isinstance(worker.busy, Shrink) for worker in self._workers)

    def _news(self) -> list[Finding]:
        """Findings that nobody was told of yet, minimised."""
        found = [each for each in self.store.findings() if each.minimal and each.folder not in self._told]
        self._told.update(each.folder for each in found)
        return found

    # ------------------------------------------------------------ orders

    def _hand_out(self, end: float, going: bool) -> None:
        for number, worker in enumerate(self._workers):
            if worker.busy is not None:
                continue
            if self._waiting:
                worker.give(Shrink(self._waiting.pop(0)))
            elif going:
                worker.give(self._next(number, end))

    def _next(self, number: int, end: float) -> Turn:
        """A turn for the lane that has had least of its share; the seeds of a target are one process's."""
        busy = [Lane(w.busy.target, w.busy.engine) for w in self._workers if isinstance(w.busy, Turn)]
        had = self.state.lanes
        free = [lane for lane in self.lanes if lane not in busy] or self.lanes
        own = [lane for lane in free if self._homes.get(lane.target, number) == number]
        lane = min(own or free, key=lambda each: had.get(each, Count()).seconds / ENGINES[each.engine].share)
        if lane.target not in self.state.seeded:
            self._homes[lane.target] = number
        else:
            self._homes.pop(lane.target, None)
        self._turns += 1
        seconds = min(ENGINES[lane.engine].turn, max(0.1, end - time.monotonic()))
        return Turn(
            lane.target,
            lane.engine,
            f"{self.seed}/{self.state.runs}/{self._turns}",
            seconds,
            lane.target in self.state.seeded,
            frozenset(self.state.features.get(lane.target, ())),
            frozenset(self.state.deadly),
        )

    # ------------------------------------------------------------ answers

    def _collect(self) -> None:
        busy = {worker.pipe: worker for worker in self._workers if worker.busy is not None}
        for pipe in wait(list(busy), timeout=LOOK):
            worker = busy[pipe]
            order = worker.busy
            try:
                done: Slice = worker.take()
            except Died as died:
                self._lost(worker, order, of_death(str(died), worker.log.last_words()))
                continue
            self._count(order, done)

    def _count(self, order: Turn | Shrink, done: Slice) -> None:
        target = order.target if isinstance(order, Turn) else order.finding.name
        engine = order.engine if isinstance(order, Turn) else order.finding.engine
        corpus = len(self.store.names(target))
        lane = Lane(target, engine)
        self.store.note(**self.state.add(lane, done, self._now(), corpus))
        if done.failed and len(self.lanes) > 1 and lane in self.lanes:  # the others go on
            self.lanes.remove(lane)
            self.failures.append(f"{target} with {engine}, which broke down: {done.failed}")
        self._queue()

    def _queue(self) -> None:
        """Let findings be minimised that were not yet, whoever has put them there."""
        found = [each for each in self.store.findings() if each.name in self.targets]
        self._causes = len(found)
        for each in found:
            if not each.minimal and each.folder not in self._queued and self._can_run(each):
                self._queued.add(each.folder)
                self._waiting.append(each)

    def _can_run(self, finding: Finding) -> bool:
        """Whether it can be made smaller here: it may have been found where there was a clang."""
        libfuzzer, target = ENGINES["libfuzzer"], self.targets[finding.name].target
        return finding.run_as != "c" or (libfuzzer.serves(target) and not libfuzzer.missing())

    def _watch(self) -> None:
        """End processes that are at one input for too long, and keep short what they print."""
        for worker in self._workers:
            since, _ = worker.at()
            order = worker.busy
            if order is None:
                continue
            name = order.target if isinstance(order, Turn) else order.finding.name
            if worker.log.trim() and name not in self.state.floods:
                flood = {"event": "flood", "target": name}
                self.store.note(**flood)
                self.state.replay(flood)
            if not since:
                continue
            target = self.targets[name].target
            if time.monotonic() - since > target.patience:
                worker.kill()
                self._lost(worker, order, no_end(target))

    def _lost(self, worker: Worker, order: Turn | Shrink, problem: Problem) -> None:
        """Record the input of which a process died, then note it, and start another process."""
        if isinstance(order, Shrink):  # what it has found stays as it was found
            self.store.minimised(order.finding, self.store.input(order.finding))
        else:
            since, data = worker.at()
            if since:
                self._record(order, problem, data)
                self.store.note(event="deadly", input=name_of(data))
                self.state.deadly.add(name_of(data))
                self.store.forget(order.target, name_of(data))
            else:  # while it made one, say
                self._record(order, Problem(f"outside a run: {problem.cause}", problem.text), b"")
        number = self._workers.index(worker)
        self._workers[number] = Worker(number, self.targets, self.store)
        if isinstance(order, Turn):
            self._count(order, Slice(executions=1, seconds=time.monotonic() - worker.since))

    def _record(self, order: Turn, problem: Problem, data: bytes) -> None:
        words = self.targets[order.target].words
        finding = Finding(words, order.target, problem.cause, problem.text, order.engine, run_as="process")
        self.store.record(finding, data)
