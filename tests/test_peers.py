"""How the comparison with QEMU judges, without a QEMU."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from peers.compare import Departure, View, judge
from peers.machine import Outcome
from peers.modes import MODES
from peers.ram import Ram
from peers.worlds import Dice

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Fault, Request

MAPPED, TARGET = 0x7000_0000, 0x2000_0000


class Machine(SimpleNamespace):
    """Answers what it is told to."""

    kind, windows = "vtd", 1 << 32
    outcome = Outcome(None, None)

    def probe(self, registers: Mapping[str, int], request: Request, places: Sequence[int]) -> Outcome:
        return self.outcome

    def stray(self) -> list[int]:
        return []

    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        return {"code": fault.native}


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    ram = Ram(tmp_path / "ram", 0)
    ram.dice = Dice("fact")
    second = build.VtdSecondStage(ram)
    second.map(MAPPED, TARGET)
    unit = build.VtdLegacy(ram)
    unit.context(0x18, second)
    return Machine(ram=ram, registers=unit.registers)


def ask(machine: Any, iova: int, *departures: Departure) -> Any:
    return judge(machine, machine.registers, Request(0x18, iova, access=Access.READ), departures)


def test_the_same_answer_needs_no_departure(machine: Any) -> None:
    machine.outcome = Outcome(TARGET + 8, None)

    verdict = ask(machine, MAPPED + 8)

    assert not verdict.problem
    assert verdict.names == ()


@pytest.mark.parametrize(
    "outcome", [Outcome(None, None), Outcome(None, {"code": 6}), Outcome(TARGET + 8, {"code": 6})]
)
def test_a_translation_that_qemu_refuses_or_records_is_a_problem(machine: Any, outcome: Outcome) -> None:
    machine.outcome = outcome

    assert ask(machine, MAPPED + 8).problem


@pytest.mark.parametrize("outcome", [Outcome(None, None), Outcome(None, {"code": 5})])
def test_a_fault_that_qemu_records_otherwise_is_a_problem(machine: Any, outcome: Outcome) -> None:
    machine.outcome = outcome

    assert ask(machine, MAPPED + 0x1000).problem


def test_a_departure_explains_what_it_predicts_and_nothing_else(machine: Any) -> None:
    def maps_all(view: View) -> bool:
        if not view.fault:
            return False
        view.passes(TARGET)
        return True

    departure = Departure("maps all", "a lie", maps_all)
    machine.outcome = Outcome(TARGET, None)
    assert ask(machine, MAPPED + 0x1000, departure).names == ("maps all",)

    machine.outcome = Outcome(None, {"code": 5})
    assert ask(machine, MAPPED + 0x1000, departure).problem


def test_what_a_departure_puts_into_tables_is_taken_back(machine: Any) -> None:
    tables = [
        (ref.hpa, machine.ram.load(ref.hpa))
        for ref in View(machine, machine.registers, Request(0x18, MAPPED)).answer.refs
    ]

    def clears(view: View) -> bool:
        if view.fault:
            return False
        view.put(view.answer.refs[-1].hpa, 0)
        return True

    machine.outcome = Outcome(None, {"code": 6})
    assert ask(machine, MAPPED, Departure("clears", "a lie", clears)).names == ("clears",)
    assert all(machine.ram.load(address) == value for address, value in tables)


def test_names_of_departures_are_unique_in_a_mode_and_have_reasons() -> None:
    for mode in MODES:
        names = [departure.name for departure in mode.departures]
        assert len(set(names)) == len(names)
        assert all(departure.why for departure in mode.departures)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "peers/findings").glob("[a-z]*.py")), ids=lambda path: path.stem
)
def test_a_finding_can_be_run_alone_and_says_what_is_right(path: Path) -> None:
    finding = importlib.import_module(f"peers.findings.{path.stem}")

    assert callable(finding.main)
    assert finding.__doc__
    assert hasattr(finding, "NOTE") or hasattr(finding, "NOTES")
