"""How the comparison with QEMU judges, without a QEMU."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from peers import __main__ as runner
from peers import amdvi, amdvi_departures, qtest, riscv_departures, smmuv3_departures
from peers.amdvi import ON, Amdvi
from peers.compare import Departure, View, ask, expect, judge
from peers.machine import RIDS, Outcome
from peers.modes import MODES, Mode
from peers.qtest import Qemu
from peers.ram import Ram
from peers.riscv import Riscv
from peers.run import Tally
from peers.smmuv3 import Smmuv3
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


def verdict_of(machine: Any, iova: int, *departures: Departure) -> Any:
    return judge(machine, machine.registers, Request(0x18, iova, access=Access.READ), departures)


def test_the_same_answer_needs_no_departure(machine: Any) -> None:
    machine.outcome = Outcome(TARGET + 8, None)

    verdict = verdict_of(machine, MAPPED + 8)

    assert not verdict.problem
    assert verdict.names == ()


@pytest.mark.parametrize(
    "outcome", [Outcome(None, None), Outcome(None, {"code": 6}), Outcome(TARGET + 8, {"code": 6})]
)
def test_a_translation_that_qemu_refuses_or_records_is_a_problem(machine: Any, outcome: Outcome) -> None:
    machine.outcome = outcome

    assert verdict_of(machine, MAPPED + 8).problem


@pytest.mark.parametrize("outcome", [Outcome(None, None), Outcome(None, {"code": 5})])
def test_a_fault_that_qemu_records_otherwise_is_a_problem(machine: Any, outcome: Outcome) -> None:
    machine.outcome = outcome

    assert verdict_of(machine, MAPPED + 0x1000).problem


def test_a_departure_explains_what_it_predicts_and_nothing_else(machine: Any) -> None:
    def maps_all(view: View) -> bool:
        if not view.fault:
            return False
        view.passes(TARGET)
        return True

    departure = Departure("maps all", "a lie", maps_all)
    machine.outcome = Outcome(TARGET, None)
    assert verdict_of(machine, MAPPED + 0x1000, departure).names == ("maps all",)

    machine.outcome = Outcome(None, {"code": 5})
    assert verdict_of(machine, MAPPED + 0x1000, departure).problem


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
    assert verdict_of(machine, MAPPED, Departure("clears", "a lie", clears)).names == ("clears",)
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


# ---------------------------------------------------------------- which QEMU


def qemu_in(directory: Path, text: str) -> str:
    directory.mkdir()
    program = directory / "qemu-system-x86_64"
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return str(program)


def test_all_qemus_of_a_machine_are_found_the_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = qemu_in(tmp_path / "path", "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)")
    old = qemu_in(tmp_path / "unpacked", "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)")
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=":")
    monkeypatch.setattr(qtest, "UNPACKED", tmp_path / "unpacked")

    assert qtest.qemus("qemu-system-x86_64") == [Qemu((10, 0, 2), old), Qemu((11, 1, 3), new)]
    assert str(qtest.newest("qemu-system-x86_64")) == "11.1.3"


def test_a_finding_without_a_qemu_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(qtest, "UNPACKED", tmp_path)

    with pytest.raises(SystemExit, match=r"^no qemu-system-x86_64 here"):
        importlib.import_module("peers.findings.amdvi_event").main()


def test_a_departure_of_old_versions_explains_nothing_in_a_new_one() -> None:
    mode = next(mode for mode in MODES if mode.name == "vtd scalable, second stage")
    old, new = (
        {each.name for each in Tally(mode, Qemu(version, "")).known} for version in ((10, 0, 2), (11, 0))
    )

    assert old - new == {"RID_PASID without ECAP.RPS", "record: PASID"}
    assert new - old == {"RID_PASID without ECAP.RPS is reserved"}  # of which QEMU 11 made PASID 0


def idle(mode: Mode, qemu: Qemu, seed: int, count: int, only: int | None) -> Tally:
    """A run without a case where QEMU is 11, else one of one case."""
    return Tally(mode, qemu, passed=int(qemu.version < (11,)))


@pytest.mark.parametrize(("versions", "status"), [([(10, 0, 2)], 0), ([(10, 0, 2), (11, 1, 3)], 1)])
def test_a_mode_that_ran_no_case_on_a_qemu_that_has_it_is_a_failure(
    versions: list[tuple[int, ...]],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runner, "qemus", lambda binary: [Qemu(version, binary) for version in versions])
    monkeypatch.setattr(runner, "run", idle)
    monkeypatch.setattr("sys.argv", ["peers", "--mode", "amdvi" if status else "vtd legacy"])

    assert runner.main() == status
    assert ("no case was run: amdvi host (11.1.3)" in capsys.readouterr().err) == bool(status)


def test_a_mode_that_needs_a_newer_qemu_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "qemus", lambda binary: [Qemu((10, 0, 2), binary)])
    monkeypatch.setattr(runner, "run", idle)
    monkeypatch.setattr("sys.argv", ["peers"])

    assert runner.main() == 0
    assert "amdvi host: left out, needs qemu-system-x86_64 11.0" in capsys.readouterr().out


# ---------------------------------------------------------------- AMD-Vi

IR, IW = 1 << 61, 1 << 62
IOVA, PAGE_AT = 0x1234_5000, 0x3000_0000


class AmdMachine(Machine):
    kind, rids = "amdvi", RIDS
    registers: dict[str, int]
    expected = Amdvi.expected


@pytest.fixture
def amd(tmp_path: Path) -> AmdMachine:
    ram = Ram(tmp_path / "ram", 0)
    ram.dice = Dice("fact")
    return AmdMachine(ram=ram, registers={"CONTROL": ON, "EXT_FEATURES": 0x29D3, "EXT_FEATURES2": 0})


def flip(ram: Ram, entry: int, bits: int) -> None:
    ram.store(entry, ram.load(entry) ^ bits)


EVENT = {"code": 2, "device": 0x18, "flags": 1 << 1 | 1 << 3, "address": 0}
ILLEGAL = EVENT | {"code": 1, "flags": 0}

# What QEMU 11.1.3 did with a write of 0x12345008 by 0x18: where it got, or its event. Bits are flipped in
# the words of the device table entry, and in the entries of AMD's levels 4 to 1.
DEPARTED: dict[str, tuple[list[int], list[int], int | None, dict[str, int] | None]] = {
    "DTE: IR, IW": ([IW], [], 0x3000_0008, None),
    "table: IR, IW": ([], [0, IW], 0x3000_0008, None),
    "no rights left": ([], [IW, IR], 0x1234_5008, None),
    "entry: reserved bits": ([], [0, 0, 0, 1 << 52], 0x3000_0008, None),
    "DTE: reserved bits": ([0, 0, 0, 1], [], None, ILLEGAL),
    "DTE: features": ([3 << 54], [], 0x3000_0008, None),
    "SA": ([0, 1 << 34], [0, 0, 0, 1], None, EVENT),
    "no event": ([2], [], None, None),
    "event": ([], [0, 0, 0, 1], None, EVENT),
}


@pytest.mark.parametrize("name", DEPARTED)
def test_departures_of_amd_say_what_qemu_did(name: str, amd: AmdMachine) -> None:
    words, levels, reached, event = DEPARTED[name]
    tables = build.AmdV1(amd.ram, 4)
    tables.map(IOVA, PAGE_AT)
    unit = build.AmdUnit(amd.ram, 11, **amd.registers)
    device = unit.device(0x18, tables)
    for i, bits in enumerate(words):
        flip(amd.ram, device + 8 * i, bits)
    for i, bits in enumerate(levels):
        flip(amd.ram, tables.entry(IOVA, 3 - i), bits)

    expected = expect(
        View(amd, unit.registers, Request(0x18, IOVA + 8, access=Access.WRITE)), amdvi_departures.ALL
    )

    assert (expected.reached, expected.record) == (reached, event)
    assert name in expected.names


def test_qemu_takes_any_page_size_at_any_level_of_amd(amd: AmdMachine) -> None:
    """As QEMU 11.1.3 did: 8 KiB in the table of level 4, whose own pages have 512 GiB."""
    tables = build.AmdV1(amd.ram, 5)
    amd.ram.store(tables.entry(0x1BE3AB62A12D05F, 3), 0x6000_0000_330C_AE01)
    unit = build.AmdUnit(amd.ram, 11, **amd.registers)
    unit.device(0x18, tables)
    view = View(amd, unit.registers, Request(0x18, 0x1BE3AB62A12D05F, access=Access.WRITE))

    assert expect(view, amdvi_departures.ALL).reached == 0x330C_B05F


def test_qemu_ignores_the_skipped_bits_of_amd(amd: AmdMachine) -> None:
    tables = build.AmdV1(amd.ram, 3, skip=[2])
    tables.map(0x4000_5000, PAGE_AT)
    unit = build.AmdUnit(amd.ram, 11, **amd.registers)
    unit.device(0x18, tables)

    expected = expect(View(amd, unit.registers, Request(0x18, 0x4020_5008)), amdvi_departures.ALL)

    assert expected.reached == PAGE_AT + 8
    assert expected.names == ("skipped bits",)


def test_a_view_remembers_what_was_given(amd: AmdMachine) -> None:
    unit = build.AmdUnit(amd.ram, 11, **amd.registers)
    view = View(amd, unit.registers, Request(0x18, 0))
    where = unit.device(0x18)
    before = view.load(where)

    view.put(where, 0)
    view.put(where, 1)

    assert (view.load(where), view.given(where)) == (1, before)


def test_random_tables_of_amd_have_all_levels_sizes_and_skips_and_mostly_translate(amd: AmdMachine) -> None:
    modes, sizes, skips, good, bad = set(), set(), 0, 0, 0
    for number in range(40):
        amd.ram.clear()
        amd.ram.dice = dice = Dice("fact", number)
        world = amdvi.host(dice, amd)
        for request in world.requests:
            answer = ask(amd, world.registers, request)
            good, bad = good + answer.ok, bad + (not answer.ok)
            device, *entries = answer.refs
            modes.add(device.raw >> 9 & 7 if device.raw & 1 else None)
            sizes.add(answer.size_lg2 if answer.ok else None)
            levels = [entry.level for entry in entries]
            skips += any(above - below > 1 for above, below in itertools.pairwise(levels))

    assert modes == {None, *range(7)}
    own = {12, 21, 30, 39, 48}  # of levels 1 to 5; the others are NextLevel 7's
    assert own <= sizes
    assert len(sizes - own - {None}) > 5
    assert skips
    assert good > bad > 0


# ---------------------------------------------------------------- QEMU 10 and 11


class RiscvMachine(Machine):
    kind, windows = "riscv", Riscv.windows
    expected = Riscv.expected


class SmmuMachine(Machine):
    kind, windows = "smmuv3", Smmuv3.windows
    expected = Smmuv3.expected


def departed_in(version: tuple[int, ...], departures: Sequence[Departure], machine: Any, iova: int) -> Any:
    """Where a read by 0x18 gets, or its record, by the departures of a QEMU."""
    known = [each for each in departures if each.since <= version < each.until]
    expected = expect(View(machine, machine.registers, Request(0x18, iova)), known)
    return expected.record if expected.reached is None else expected.reached


# What 10.0.2 and 11.1.3 did with a read of 0x12345008, a bit flipped in the table of level 2, in the leaf or
# in the device context's first word: where it got, or what of the record is not cause 13, PV 0, TTYP 2 and
# the IOVA.
OLD, OLD_CONTEXT = {"pv": 1, "ttyp": 3}, {"cause": 259, "pv": 1, "iotval": 0}
Answer = int | None | dict[str, int]
RISCV: dict[str, tuple[str, int, Answer, Answer]] = {
    "V": ("leaf", 0, OLD, {}),
    "U": ("leaf", 4, 0xA000_0008, {}),
    "A": ("leaf", 6, OLD, {}),
    "A of a table": ("table", 6, 0xA000_0008, 0xA000_0008),
    "58 of a table": ("table", 58, OLD | {"cause": 5}, {}),
    "59 of a table": ("table", 59, OLD | {"cause": 5}, {}),
    "61 of a table": ("table", 61, OLD | {"cause": 5}, {"cause": 5}),
    "62": ("leaf", 62, 0xA000_0008, 0xA000_0008),
    "N": ("leaf", 63, 0xA000_0008, {}),
    "N of a table": ("table", 63, 0xA000_0008, 0xA000_0008),
    "GADE": ("context", 7, 0xA000_0008, 0xA000_0008),
    "SADE": ("context", 8, 0xA000_0008, {"cause": 259}),
    "DPE": ("context", 9, OLD_CONTEXT, {"cause": 259}),
    "SXL": ("context", 11, OLD, {}),
    "12 of tc": ("context", 12, 0xA000_0008, {"cause": 259}),
}


@pytest.mark.parametrize("name", RISCV)
@pytest.mark.parametrize(("version", "capabilities"), [(10, 0x78C2CF0F10), (11, 0x78C2CF4F10)])
def test_departures_of_riscv_say_what_both_qemus_did(
    name: str, version: int, capabilities: int, tmp_path: Path
) -> None:
    ram = Ram(tmp_path / "ram", Riscv.ram_base)
    ram.dice = Dice("fact")
    first = build.RiscvFirstStage(ram, "Sv39")
    first.map(IOVA, 0xA000_0000)
    unit = build.RiscvUnit(ram, 2, CAPABILITIES=capabilities, FCTL=0)
    places = {
        "context": unit.device(0x18, first),
        "table": first.entry(IOVA, 2),
        "leaf": first.entry(IOVA, 0),
    }
    where, bit, *answers = RISCV[name]
    flip(ram, places[where], 1 << bit)

    machine = RiscvMachine(ram=ram, registers=unit.registers)
    got = departed_in((version, 0), riscv_departures.ALL, machine, IOVA + 8)

    record = {"cause": 13, "pv": 0, "ttyp": 2, "did": 0x18, "iotval": IOVA + 8}
    wanted = answers[version - 10]
    assert got == (record | wanted if isinstance(wanted, dict) else wanted)


# The same for the first-level descriptor and the STE, with stage 1 alone and with both: a type of event, or
# no record.
SMMU: dict[str, tuple[bool, str, int, Answer, Answer]] = {
    "Span 1": (False, "L1STD", 9 ^ 1, {"type": 4}, {"type": 4}),
    "Span 5": (False, "L1STD", 9 ^ 5, 0xA000_0008, 0xA000_0008),
    "Span 10": (False, "L1STD", 9 ^ 10, 0xA000_0008, {"type": 2}),
    "L2Ptr 13": (False, "L1STD", 1 << 13, {"type": 4}, 0xA000_0008),
    "L2Ptr 52": (False, "L1STD", 1 << 52, {"type": 3}, {"type": 3}),
    "S1ContextPtr 43": (False, "STE", 1 << 43, {"type": 9}, {"type": 9}),
    "S1ContextPtr 44": (False, "STE", 1 << 44, {"type": 9}, {"type": 9}),
    "S1ContextPtr 48": (False, "STE", 1 << 48, 0xA000_0008, {"type": 9}),
    "S1ContextPtr 52": (False, "STE", 1 << 52, 0xA000_0008, {"type": 9}),
    "nested, S1ContextPtr 48": (True, "STE", 1 << 48, 0xA000_0008, None),
    "nested, S1ContextPtr 52": (True, "STE", 1 << 52, 0xA000_0008, None),
}


@pytest.mark.parametrize("name", SMMU)
@pytest.mark.parametrize("version", [10, 11])
def test_departures_of_smmuv3_say_what_both_qemus_did(name: str, version: int, tmp_path: Path) -> None:
    nested, where, bits, *answers = SMMU[name]
    ram = Ram(tmp_path / "ram", Smmuv3.ram_base)
    ram.dice = Dice("fact")
    second = build.SmmuStage2(ram, tsz=20) if nested else None
    space = build.Guest(ram, second, first=1 << 30) if second else ram
    first, cds = build.SmmuStage1(space), build.CdTable(space)
    first.map(IOVA, 0x10_0000 if second else 0xA000_0000)
    if second:
        second.map(0x10_0000, 0xA000_0000)
    cds.set(0, first)
    registers = {"IDR0": 0xD44101A | nested, "IDR1": 0x2730010, "IDR5": 0x74, "AIDR": 1, "CR2": 2}
    unit = build.SmmuUnit(ram, 11, 8, **registers)
    unit.device(0x18, cds, second, S2PS=5)
    machine = SmmuMachine(ram=ram, registers=unit.registers)
    l1std, ste = View(machine, machine.registers, Request(0x18, IOVA)).answer.refs[:2]
    flip(ram, {"L1STD": l1std, "STE": ste}[where].hpa, bits)

    got = departed_in((version, 0), smmuv3_departures.ALL, machine, IOVA + 8)

    wanted = answers[version - 10]
    assert got == (wanted | {"sid": 0x18} if isinstance(wanted, dict) else wanted)
