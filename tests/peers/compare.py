"""One case: what our walk says, what QEMU does, and whether a named departure tells that they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Fault, Reason, Request, Stage, Target, Translation
from iommu_abi.walk import Unit, kinds
from peers.machine import Machine, Outcome

#: A fault that only QEMU has.
NOWHERE = Fault(Reason.INVALID, Stage.DEVICE, 0, 0, 0)


class Unfit(Exception):
    """A case that shows nothing or would disturb the machine: another is made instead."""


class View:
    """A case as the specification sees it, and what departures make of it.

    A departure changes what the walk sees (:meth:`put`, ``registers``, ``request``; then :meth:`ask`)
    to what QEMU takes it for, or changes ``reached`` and ``record``.
    """

    def __init__(self, machine: Machine, registers: Mapping[str, int], request: Request) -> None:
        self.machine, self.ram = machine, machine.ram
        self.registers, self.request = dict(registers), request
        self._undo: list[tuple[int, bytes]] = []
        #: A departure has the last word on what is walked.
        self.settled = False
        self.ask()

    def ask(self) -> None:
        """Walk again."""
        self.answer = ask(self.machine, self.registers, self.request)
        fault = self.answer.fault
        self.reached = self.answer.hpa if self.answer.ok else None
        self.record: dict[str, int | None] | None = None
        if fault is not None and fault.recorded and fault.native:
            self.record = dict(self.machine.expected(self.request, fault))

    def passes(self, address: int) -> None:
        """Say that the request reaches ``address``."""
        self.settled = True
        self.answer = Translation(hpa=address, refs=self.answer.refs)
        self.reached, self.record = address, None

    def blocks(self, code: int | None, stage: Stage | None = None) -> None:
        """Say that the request is blocked, and what is recorded."""
        self.settled = True
        fault = replace(self.fault or NOWHERE, native=code or 0, recorded=code is not None)
        if stage is not None:
            fault = replace(fault, stage=stage, reason=Reason.INVALID)
        self.answer = Translation(fault=fault, refs=self.answer.refs)
        self.reached = None
        self.record = None if code is None else dict(self.machine.expected(self.request, fault))

    @property
    def fault(self) -> Fault | None:
        return self.answer.fault

    def load(self, address: int, length: int = 8) -> int:
        return self.ram.load(address, length)

    def given(self, address: int, length: int = 8) -> int:
        """The same before any departure changed it."""
        data = next((data for at, data in self._undo if (at, len(data)) == (address, length)), None)
        return self.load(address, length) if data is None else int.from_bytes(data, "little")

    def put(self, address: int, value: int, length: int = 8) -> None:
        """Change an entry for what follows; :meth:`restore` undoes it."""
        self.write(address, value.to_bytes(length, "little"))
        self.ask()

    def write(self, address: int, data: bytes) -> None:
        """The same for any bytes, without asking."""
        self._undo.append((address, self.ram.read(address, len(data)) or b""))
        self.ram.write(address, data)

    def restore(self) -> None:
        for address, data in reversed(self._undo):
            self.ram.write(address, data)
        self._undo.clear()

    def fit(self) -> None:
        """Unfit unless what is read and reached is memory, or nowhere."""
        answer = self.answer
        if answer.target is not Target.MEMORY:
            raise Unfit
        if answer.ok and (not self.ram.has(answer.hpa) or self.ram.tables(answer.hpa)):
            raise Unfit
        places = [ref.hpa for ref in answer.refs]
        if answer.fault is not None and answer.fault.entry_hpa is not None:
            places.append(answer.fault.entry_hpa)
        if any(not self.ram.has(place) and place < self.machine.windows for place in places):
            raise Unfit


def ask(machine: Machine, registers: Mapping[str, int], request: Request) -> Translation:
    """Our answer: C's where there is C, else the plain ledger's."""
    if machine.kind in kinds():
        return Unit(machine.kind, registers).translate(machine.ram.memory, request, trace=True)
    return plain_walk.translate(machine.kind, registers, machine.ram.read, request)


@dataclass(frozen=True, slots=True)
class Departure:
    """Where QEMU does not follow the specification.

    ``applies`` looks at the input, edits the view to what QEMU makes of it and says True; it knows
    nothing of what QEMU answered.
    """

    name: str
    why: str
    applies: Callable[[View], bool]
    #: Of records: tried once, after those that change what is walked.
    last: bool = False
    #: The first QEMU that has it, and the first that has it no more.
    since: tuple[int, ...] = (0,)
    until: tuple[int, ...] = (1000,)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``names``: the departures that explain a difference. ``problem``: what nothing explains."""

    blocked: bool
    names: tuple[str, ...] = ()
    problem: str = ""


@dataclass
class Expected:
    reached: int | None
    record: Mapping[str, int | None] | None
    names: tuple[str, ...] = field(default=(), compare=False)

    def matches(self, outcome: Outcome) -> bool:
        """Whether QEMU did this. None as a value of a record stands for any."""
        if self.reached != outcome.reached or (self.record is None) != (outcome.record is None):
            return False
        wanted, got = dict(self.record or {}), outcome.record or {}
        return wanted.keys() == got.keys() and all(v is None or v == got[k] for k, v in wanted.items())


def departed(view: View, departures: Sequence[Departure]) -> Expected:
    """What QEMU should do, by its departures."""
    names: list[str] = []
    while not view.settled and len(names) < 20:
        for departure in departures:
            if not departure.last and departure.applies(view):
                names.append(departure.name)
                break
        else:
            break
    view.fit()
    for departure in departures:
        if departure.last and departure.applies(view):
            names.append(departure.name)
    return Expected(view.reached, view.record, tuple(dict.fromkeys(names)))


def judge(
    machine: Machine, registers: Mapping[str, int], request: Request, departures: Sequence[Departure]
) -> Verdict:
    """Make the request on both sides. Unfit if it is no case."""
    view = View(machine, registers, request)
    view.fit()
    first, fault, path = Expected(view.reached, view.record), view.fault, _path(view)
    second = expect(view, departures)
    places = sorted({each.reached for each in (first, second) if each.reached is not None})
    outcome = machine.probe(registers, request, places)
    if first.matches(outcome):
        return Verdict(fault is not None)
    if second.names and second.matches(outcome):
        return Verdict(fault is not None, _needed(view, departures, outcome, second.names))
    stray = machine.stray()
    return Verdict(fault is not None, problem=_problem(request, fault, path, first, second, outcome, stray))


def expect(view: View, departures: Sequence[Departure]) -> Expected:
    """What QEMU should do by these departures; the tables are afterwards as they were."""
    fresh = View(view.machine, view.registers, view.request)
    try:
        return departed(fresh, departures)
    finally:
        fresh.restore()


def _needed(
    view: View, departures: Sequence[Departure], outcome: Outcome, names: Sequence[str]
) -> tuple[str, ...]:
    """The departures without which the outcome is not explained."""
    needed = [departure for departure in departures if departure.name in names]
    for departure in list(needed):
        without = [each for each in needed if each is not departure]
        try:
            if expect(view, without).matches(outcome):
                needed = without
        except Unfit:
            continue
    return tuple(departure.name for departure in needed)


def _path(view: View) -> str:
    """The entries that we read."""
    words = (
        " ".join(f"{view.load(ref.hpa + at, min(8, ref.len)):x}" for at in range(0, ref.len, 8))
        for ref in view.answer.refs
    )
    return ", ".join(f"{ref.stage.name} {ref.level}: {text}" for ref, text in zip(view.answer.refs, words))


def _problem(
    request: Request,
    fault: Fault | None,
    path: str,
    first: Expected,
    second: Expected,
    outcome: Outcome,
    stray: list[int],
) -> str:
    want = f"{first.reached:#x}" if first.reached is not None else str(fault)
    lines = [f"{request.access} {request.iova:#x} of {request.rid:#x}: we say {want}, record {first.record}"]
    lines.append(f"entries {path}")
    if second.names:
        there = None if second.reached is None else hex(second.reached)
        lines.append(f"by {', '.join(second.names)}: {there}, record {second.record}")
    there = None if outcome.reached is None else hex(outcome.reached)
    lines.append(f"QEMU: {there}, record {outcome.record}, stray {[hex(at) for at in stray]}")
    return "\n  ".join(lines)
