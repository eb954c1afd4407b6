"""Many cases of one mode. A case depends on (seed, mode, number of its table set, its own number) only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from iommu_abi.terms import Request
from peers import attach
from peers.compare import Departure, Unfit, ask, judge
from peers.machine import Machine
from peers.modes import Mode
from peers.mutate import mutate
from peers.qtest import Qemu, QemuGone
from peers.worlds import Dice

CASES = 40  # of a table set, about; building one costs as much as ten cases
VALID = 0.25
ATTACHED = 8  # requests of the first table set that are asked of the running machine too


@dataclass
class Tally:
    """How the cases of a mode ended."""

    mode: Mode
    qemu: Qemu
    passed: int = 0
    blocked: int = 0
    explained: int = 0
    departures: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def cases(self) -> int:
        return self.passed + self.blocked

    @property
    def known(self) -> list[Departure]:
        """The departures of this QEMU."""
        return [each for each in self.mode.departures if each.since <= self.qemu.version < each.until]


def run(mode: Mode, qemu: Qemu, seed: int, count: int, only: int | None = None) -> Tally:
    """At least ``count`` cases, or those of one table set."""
    tally = Tally(mode, qemu)
    try:
        with mode.machine(qemu=qemu) as machine:
            number = only or 0
            while tally.cases < count and len(tally.problems) < 20:
                table_set(machine, seed, number, tally)
                number += 1
                if only is not None:
                    break
    except QemuGone as error:
        tally.error = str(error)
    return tally


def table_set(machine: Machine, seed: int, number: int, tally: Tally) -> None:
    """Build tables, and ask for what they map and for what is broken in them."""
    mode, ram = tally.mode, machine.ram
    ram.clear()
    dice = Dice(seed, mode.name, number)
    ram.dice = dice
    world = mode.build(dice, machine)
    if not number:
        tally.problems += attach.problems(machine, world, world.requests[:ATTACHED])
    machine.prepare(world.registers)
    for turn in range(CASES if world.requests else 0):
        case = Dice(seed, mode.name, number, turn)
        request = case.pick(world.requests)
        mutated = not case.chance(VALID)
        answer = ask(machine, world.registers, request)
        before = [(ref.hpa, ram.read(ref.hpa, ref.len) or b"") for ref in answer.refs]
        if mutated:
            request = mutate(case, machine, answer.refs, request)
        _judge(machine, world.registers, request, tally, f"seed {seed}, set {number}, case {turn}: ")
        for address, data in before:
            ram.write(address, data)


def _judge(machine: Machine, registers: dict[str, int], request: Request, tally: Tally, where: str) -> None:
    try:
        verdict = judge(machine, registers, request, tally.known)
    except Unfit:
        return
    tally.blocked += verdict.blocked
    tally.passed += not verdict.blocked
    tally.explained += bool(verdict.names)
    tally.departures.update(verdict.names)
    if verdict.problem:
        tally.problems.append(where + verdict.problem)
