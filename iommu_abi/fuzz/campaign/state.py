"""How far a campaign has come: counted from its journal, so that nothing is lost when it is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from iommu_abi.fuzz.campaign.session import Slice
from iommu_abi.fuzz.campaign.store import Store
from iommu_abi.fuzz.targets.target import FuzzTarget


class Lane(NamedTuple):
    """A target with an engine: what gets turns."""

    target: str
    engine: str


@dataclass
class Count:
    """What the turns of a lane have cost and brought."""

    executions: int = 0
    seconds: float = 0.0
    features: int = 0

    @property
    def rate(self) -> float:
        """Executions per second and process."""
        return self.executions / self.seconds if self.seconds else 0.0


class Sample(NamedTuple):
    """Everything at one time, seconds from the start of the campaign."""

    at: float
    executions: int
    features: int
    corpus: int


@dataclass
class Tally:
    """A campaign over all its runs."""

    lanes: dict[Lane, Count] = field(default_factory=dict)
    #: Target -> what it has reached; explained differences; the number of its inputs.
    features: dict[str, set[str]] = field(default_factory=dict)
    notes: dict[str, set[str]] = field(default_factory=dict)
    corpus: dict[str, int] = field(default_factory=dict)
    seeded: set[str] = field(default_factory=set)
    deadly: set[str] = field(default_factory=set)
    #: Targets of whose output only the end is kept.
    floods: set[str] = field(default_factory=set)
    #: Lines of the journal that are no events.
    left_out: int = 0
    elapsed: float = 0.0
    runs: int = 0
    samples: list[Sample] = field(default_factory=list)

    @property
    def executions(self) -> int:
        """Of all lanes."""
        return sum(count.executions for count in self.lanes.values())

    def add(self, lane: Lane, done: Slice, at: float, corpus: int) -> dict[str, Any]:
        """Count a turn; the event that says it."""
        new = sorted(done.features - self.features.get(lane.target, set()))
        notes = sorted(done.notes - self.notes.get(lane.target, set()))
        event = {
            "event": "turn",
            "target": lane.target,
            "engine": lane.engine,
            "executions": done.executions,
            "seconds": round(done.seconds, 3),
            "features": new,
            "notes": notes,
            "seeded": done.seeded,
            "corpus": corpus,
            "at": round(at, 2),
        }
        self.replay(event)
        return event

    def replay(self, event: dict[str, Any]) -> None:
        """Count what an event says."""
        kind = event.get("event")
        if kind == "begin":
            self.runs += 1
        elif kind == "deadly":
            self.deadly.add(event["input"])
        elif kind == "flood":
            self.floods.add(event["target"])
        elif kind == "turn":
            self._turn(event)

    def _turn(self, event: dict[str, Any]) -> None:
        target = event["target"]
        count = self.lanes.setdefault(Lane(target, event["engine"]), Count())
        count.executions += event["executions"]
        count.seconds += event["seconds"]
        count.features += len(event["features"])
        self.features.setdefault(target, set()).update(event["features"])
        self.notes.setdefault(target, set()).update(event["notes"])
        self.corpus[target] = event["corpus"]
        if event["seeded"]:
            self.seeded.add(target)
        self.elapsed = max(self.elapsed, event["at"])
        features = sum(map(len, self.features.values()))
        self.samples.append(Sample(event["at"], self.executions, features, sum(self.corpus.values())))


def read(store: Store) -> Tally:
    """The state that a directory holds."""
    state = Tally()
    for event in store.lines():
        if _is_event(event):
            state.replay(event)
        else:
            state.left_out += 1
    return state


def _number(value: object) -> bool:
    """A number that can be added up: no NaN, none without an end."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < MOST


def _count(value: object) -> bool:
    return isinstance(value, int) and _number(value)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


#: No campaign counts further.
MOST = 1 << 60
#: Kind of event -> what is read of it.
_EVENTS: dict[str, dict[str, Callable[[object], bool]]] = {
    "begin": {},
    "end": {},
    "deadly": {"input": _text},
    "flood": {"target": _text},
    "turn": {
        "target": _text,
        "engine": _text,
        "executions": _count,
        "seconds": _number,
        "features": _texts,
        "notes": _texts,
        "seeded": lambda value: isinstance(value, bool),
        "corpus": _count,
        "at": _number,
    },
}


def _is_event(value: object) -> bool:
    """Whether a value of the journal, which may be damaged, is an event as this version writes it."""
    if not isinstance(value, dict) or not _text(value.get("event")):
        return False
    fields = _EVENTS.get(value["event"])
    return fields is not None and all(holds(value.get(name)) for name, holds in fields.items())


def reached(state: Tally, targets: Iterable[FuzzTarget]) -> dict[str, tuple[int, int, int]]:
    """Target -> known features that were reached, that can be, and that nothing can reach."""
    made = {}
    for target in targets:
        known = target.known()
        alive = [name for name, cause in known.items() if cause is None]
        seen = state.features.get(target.name, set())
        made[target.name] = sum(name in seen for name in alive), len(alive), len(known) - len(alive)
    return made
