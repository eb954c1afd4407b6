"""What a campaign has to say, as plain values: the command prints them, and the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from iommu_abi.fuzz.campaign.state import Count, Tally
from iommu_abi.fuzz.campaign.store import Finding, Store
from iommu_abi.fuzz.engines import ENGINES
from iommu_abi.fuzz.targets.target import FuzzTarget
from iommu_abi.fuzz.targets.versions import MEETINGS, Versions


@dataclass(frozen=True, slots=True)
class OfTarget:
    """A target over the whole campaign. ``missing``: known features that were not reached and can be."""

    target: FuzzTarget
    engines: dict[str, Count]
    corpus: int
    features: int
    known: int
    missing: tuple[str, ...]
    dead: dict[str, str]
    findings: int

    @property
    def executions(self) -> int:
        """Inputs that were run."""
        return sum(count.executions for count in self.engines.values())

    @property
    def reached(self) -> int:
        """Known features that were reached."""
        return self.known - len(self.missing)


@dataclass(frozen=True, slots=True)
class Difference:
    """An explained difference: what becomes of a struct of one generation in another one's kernel."""

    struct: str
    program: str
    kernel: str
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything. ``not_run``: what was asked for, and of which nothing or not all was done."""

    store: Store
    state: Tally
    targets: tuple[OfTarget, ...]
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    #: Engine -> what it needs and this machine lacks.
    engines: dict[str, str]
    not_run: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Executions per second of the whole campaign."""
        return self.state.executions / self.state.elapsed if self.state.elapsed else 0.0


def make(store: Store, state: Tally, targets: Sequence[FuzzTarget], failures: Iterable[str] = ()) -> Summary:
    """Add everything up. ``failures`` are engines that broke down at a target, with the reason."""
    findings = tuple(store.findings())
    of_targets = tuple(_of_target(state, target, findings) for target in targets)
    idle = [f"{each.target.name}: the time was too short" for each in of_targets if not each.executions]
    return Summary(
        store,
        state,
        of_targets,
        findings,
        tuple(_differences(state)),
        {name: engine.missing() for name, engine in ENGINES.items()},
        (*idle, *failures),
    )


def _of_target(state: Tally, target: FuzzTarget, findings: Sequence[Finding]) -> OfTarget:
    known, seen = target.known(), state.features.get(target.name, set())
    alive = [name for name, cause in known.items() if cause is None]
    return OfTarget(
        target,
        {lane.engine: count for lane, count in state.lanes.items() if lane.target == target.name},
        state.corpus.get(target.name, 0),
        len(seen),
        len(alive),
        tuple(name for name in alive if name not in seen),
        {name: cause for name, cause in known.items() if cause is not None},
        sum(finding.name == target.name for finding in findings),
    )


def _differences(state: Tally) -> Iterator[Difference]:
    """What was seen when generations met, in the order of the structs."""
    notes = state.notes.get(Versions.name, set())
    for meeting in MEETINGS:
        start = f"{meeting}: "
        effects = sorted(note.removeprefix(start) for note in notes if note.startswith(start))
        if effects:
            yield Difference(meeting.struct, meeting.program, meeting.kernel, tuple(effects))


def as_json(found: Summary) -> dict[str, object]:
    """All of it for programs."""
    state, store = found.state, found.store
    return {
        "not_run": list(found.not_run),
        "dir": str(store.root),
        "runs": state.runs,
        "seconds": round(state.elapsed, 1),
        "executions": state.executions,
        "rate": round(found.rate, 1),
        "corpus": sum(each.corpus for each in found.targets),
        "floods": sorted(state.floods),
        "left_out": state.left_out,
        "engines": {name: missing or "works" for name, missing in found.engines.items()},
        "targets": [_target_json(each) for each in found.targets],
        "findings": [_finding_json(store, each) for each in found.findings],
        "differences": [
            {"struct": d.struct, "program": d.program, "kernel": d.kernel, "effects": list(d.effects)}
            for d in found.differences
        ],
    }


def _target_json(each: OfTarget) -> dict[str, object]:
    return {
        "name": each.target.name,
        "about": each.target.about,
        "engines": {
            name: {"executions": c.executions, "seconds": round(c.seconds, 1), "rate": round(c.rate, 1)}
            for name, c in each.engines.items()
        },
        "corpus": each.corpus,
        "features": each.features,
        "reached": each.reached,
        "known": each.known,
        "missing": list(each.missing),
        "out_of_reach": each.dead,
        "findings": each.findings,
    }


def _finding_json(store: Store, finding: Finding) -> dict[str, object]:
    return {
        "target": finding.name,
        "cause": finding.cause,
        "text": finding.text,
        "engine": finding.engine,
        "run_as": finding.run_as,
        "minimal": finding.minimal,
        "input": store.input(finding).hex(),
        "reproducer": store.reproducer(finding),
    }
