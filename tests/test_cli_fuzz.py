"""`iommu-abi fuzz`: planted bugs are found, made small, told once each; and nothing is lost by kill -9."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_support import run, sentence

from iommu_abi.fuzz.campaign import html, summary
from iommu_abi.fuzz.campaign.minimise import minimise
from iommu_abi.fuzz.campaign.session import Session, Slice
from iommu_abi.fuzz.campaign.slots import SLOT_SIZE
from iommu_abi.fuzz.campaign.state import Lane, Tally
from iommu_abi.fuzz.campaign.store import Finding, Store
from iommu_abi.fuzz.targets import FuzzTarget, Outcome, Problem, all_targets, attempt, target_of, wire
from iommu_abi.fuzz.targets.target import blank
from iommu_abi.fuzz.targets.versions import Versions
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Reason, Stage
from iommu_abi.worlds.dice import Dice

HERE = Path(__file__).resolve().parent
SCRATCH = "scratch_fuzz_target"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.chdir(tmp_path)


#: Seconds that a slow machine may take for what should take two.
PATIENT = 240


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "iommu_abi", "fuzz", *map(str, words), "--engine", "hypothesis"]


def fuzz(*words: object, findings: int = 1, seconds: int = PATIENT // 2) -> tuple[int, Any]:
    """A campaign of one process that ends when it has found enough: status, and its JSON."""
    limits = ["--time", seconds, "--max-findings", findings, "--jobs", 1, "--json"]
    done = subprocess.run(command(*words, *limits), capture_output=True, timeout=PATIENT)
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)


def folder_of(found: dict[str, Any]) -> Path:
    return Path(shlex.split(found["reproducer"])[-1]).parent


# ---------------------------------------------------------------- planted bugs


def test_two_planted_bugs_are_two_findings_small_and_reproducible(tmp_path, capsys):
    files = ["--html", "report.html", "--pytest", "test_it.py"]
    status, told = fuzz("--target", f"{SCRATCH}:two_bugs", *files, findings=2)

    assert status == 1
    inputs = {bytes.fromhex(each["input"]) for each in told["findings"]}
    # nothing can be left out, and no bit cleared
    assert sorted(map(sorted, inputs)) == [sorted(b"CMDQ\0\0\0"), sorted(b"CMDQ\x80")]
    for each in told["findings"]:
        again = run(capsys, *shlex.split(each["reproducer"])[1:])
        assert again.status == 1
        assert "ValueError: the " in again.out
    page = Path("report.html").read_text()
    assert "the planted one" in page
    assert told["findings"][0]["reproducer"] in page
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"], capture_output=True
    )
    assert b"2 failed" in tests.stdout
    assert b"the planted one" in tests.stdout


def test_nothing_wrong_is_exit_status_0_and_no_finding():
    status, told = fuzz("--target", f"{SCRATCH}:fine", seconds=1)

    assert (status, told["findings"]) == (0, [])
    assert told["executions"] > 5


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("crashes", "the process died of SIGSEGV: __init__.py:string_at < scratch_fuzz_target.py:crashes"),
        ("hangs", "no end"),
        ("leaves", "the process ended with status 7; a sanitizer's report is above"),
    ],
)
def test_a_target_that_takes_its_process_along_is_a_finding(name, cause):
    status, told = fuzz("--target", f"{SCRATCH}:{name}", "--timeout", 1)

    assert status == 1
    (found,) = told["findings"]
    assert (found["cause"], found["run_as"]) == (cause, "process")
    assert found["input"] == b"XX".hex()


def test_a_hypothesis_test_gets_its_values_from_the_bytes():
    status, told = fuzz("--target", f"{SCRATCH}:drawn")

    assert status == 1
    assert told["findings"][0]["cause"].startswith("AssertionError in scratch_fuzz_target.py:drawn")


PROGRAM = """\
import os, sys
data = sys.stdin.buffer.read()
if data[:1] == b"\\1": os.abort()
if data[:1] == b"\\2": print("model.c:12: Assertion failed", file=sys.stderr); sys.exit(77)
sys.exit(1 if data else 0)
"""


def test_a_program_that_reads_standard_input(tmp_path):
    (tmp_path / "model.py").write_text(PROGRAM)
    target = target_of(["--program", f"{sys.executable} -S model.py"])

    assert target.run(b"").features[0] == "status 0"
    assert target.run(b"x").problem is None  # it refuses, which is its right
    problems = [target.run(data).problem for data in (b"\1", b"\2")]
    assert [p.cause for p in problems] == ["died of SIGABRT", "status 77: model.c:#: Assertion failed"]


def test_a_program_that_does_not_end_is_ended(tmp_path):
    target = target_of(["--program", "sleep 60"])
    target.patience = 0.2
    start = time.monotonic()

    assert target.run(b"").problem == Problem("no end", "no end after 0.2 s")
    assert time.monotonic() - start < 10


# ---------------------------------------------------------------- both ledgers


def test_a_planted_disagreement_of_the_ledgers_is_found_and_made_small(monkeypatch, tmp_path):
    """The plain ledger takes reserved bits of PASID entries for an absent entry."""
    honest = plain_walk.translate

    def wrong(*args):
        answer = honest(*args)
        fault = answer.fault
        if fault and (fault.stage, fault.reason) == (Stage.PASID, Reason.RESERVED):
            return replace(answer, fault=replace(fault, reason=Reason.NOT_PRESENT))
        return answer

    monkeypatch.setattr(plain_walk, "translate", wrong)
    store = Store(tmp_path)
    session = Session(all_targets()["walk-vtd-scalable"], ("walk-vtd-scalable",), store, bytearray(SLOT_SIZE))

    session.seed(Dice(1), time.monotonic() + PATIENT)

    causes = {each.cause for each in store.findings()}
    assert "vtd-scalable PASID 0 RESERVED: fault.reason: fast RESERVED, plain NOT_PRESENT" in causes
    assert all("RESERVED, plain NOT_PRESENT" in cause for cause in causes)
    found = next(each for each in store.findings() if "PASID 0" in each.cause)
    before = store.original(found)
    small = minimise(
        session.target,
        before,
        lambda data: (p := session.run(data).problem) is not None and p.cause == found.cause,
    )
    assert len(small) < len(before)
    shown = session.target.show(small)
    assert [line for line in shown if line.startswith("  0x")]
    monkeypatch.setattr(plain_walk, "translate", honest)
    assert session.run(small).problem is None


def test_the_seeds_of_every_target_end_without_a_finding():
    for target in all_targets().values():
        for _, data in zip(range(4), target.seeds(Dice("seeds"))):
            assert attempt(target, data).problem is None, target.name


def test_any_bytes_are_an_input_of_every_target():
    dice = Dice("any bytes")
    for target in all_targets().values():
        for length in (0, 1, 23, 100, 1000):
            data = dice.randbytes(length)
            assert attempt(target, data).problem is None, target.name
            assert target.show(data)
            assert b"".join(target.pieces(data)).startswith(data)


#: What campaigns have found to be wrong with a target itself.
ONCE_FINDINGS = {
    "a requester with PASID whose PASID table is switched off": (
        "mappings-riscv-nested",
        (
            "00000100000000000000000005000000000000000000000002e883800000000000000000000000000400000000000000"
            "000000000000000000000000000000000000000000000000000000000000000000000000000000000000120000000000"
            "130000000000000000a00f0202000000a10800000000000008a00f02020000002001000000000080"
        ),
    ),
    "any of 2^52 pages may be one of interrupts": (
        "mappings-riscv-s2",
        (
            "0201000099a26f00000000000f00000000702f0000000000047000000000000010cfec4f740300000200000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000f8c6010000000000"
            "0194dfa7cf820300004027c208d10b000184dfa7cf82030000107e9f3e0b0e000188dfa7cf82030000207e9f3e0b0e00"
            "018cdfa7cf82030050547e9f3e0b0e00017447903b8d030040d61d41ee340e008101006d0000000048d61d41ee340e00"
            "74228c10bd00c3a850d61d41ee340e0000d0a8320000000058d61d41ee340e00000000000000000060d61d41ee340e00"
            "e0f7e9b3e000001068d61d41ee340e00ffffffffffff0f0070d61d41ee340e00ad45af6ef9040000"
        ),
    ),
}


@pytest.mark.parametrize("name", ONCE_FINDINGS)
def test_what_once_was_a_finding_is_none(name):
    target, data = ONCE_FINDINGS[name]

    assert target_of([target]).run(bytes.fromhex(data)).problem is None


def test_a_case_as_bytes_ends_as_the_case_itself():
    target = all_targets()["walk-riscv-nested"]
    for _, data in zip(range(10), target.seeds(Dice(3))):
        case = wire.unpack(data, "riscv-nested")
        assert wire.pack(case, wire.words(data, "riscv")) == data


# ---------------------------------------------------------------- killed


def test_kill_9_in_mid_campaign_loses_nothing(tmp_path, capsys):
    words = command("--target", f"{SCRATCH}:two_bugs", "--dir", "d", "--jobs", 2)
    child = subprocess.Popen(
        [*words, "--time", str(PATIENT)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    store, end = None, time.monotonic() + PATIENT
    while time.monotonic() < end:
        time.sleep(0.05)
        if (tmp_path / "d/findings").exists():
            store = Store(tmp_path / "d")
            if store.findings():
                break
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert store is not None
    before = {each.folder: store.original(each) for each in store.findings()}
    ran = sum(event.get("executions", 0) for event in store.events())
    kept = set(store.names("scratch_fuzz_target-two_bugs"))
    assert before

    limits = ["--time", str(PATIENT), "--max-findings", "2", "--json"]
    again = subprocess.run([*words, *limits], capture_output=True, timeout=PATIENT)

    told = json.loads(again.stdout)
    assert again.returncode == 1
    assert told["runs"] == 2
    assert told["executions"] > ran
    assert {folder_of(each).name for each in told["findings"]} >= before.keys()
    assert all(each["minimal"] for each in told["findings"])
    assert {each.folder: store.original(each) for each in store.findings()}.items() >= before.items()
    assert kept <= set(store.names("scratch_fuzz_target-two_bugs"))


def test_a_line_that_was_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path):
    store = Store(tmp_path)
    store.note(event="begin", seed=1)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"event": "tu')
    store.mend()
    store.note(event="end", at=3)

    assert [event["event"] for event in store.events()] == ["begin", "end"]


def test_a_cause_is_recorded_once_and_the_first_input_stays(tmp_path):
    store = Store(tmp_path)
    finding = Finding(("blob-v1_2017",), "blob-v1_2017", "a cause", "text", "hypothesis")

    assert store.record(finding, b"first")
    assert not store.record(finding, b"second")
    store.minimised(finding, b"f")
    (read,) = store.findings()
    assert (read.minimal, store.input(read), store.original(read)) == (True, b"f", b"first")


def test_two_campaigns_do_not_share_a_directory(tmp_path):
    first = Store(tmp_path / "d")
    first.lock()

    done = subprocess.run(command("blob", "--dir", "d", "--time", 1), capture_output=True, timeout=PATIENT)
    first.unlock()

    assert done.returncode == 2
    assert done.stderr == b"iommu-abi: d: another campaign is at work in this directory\n"


# ---------------------------------------------------------------- minimising


class Contains(FuzzTarget):
    """Wrong with inputs that have both of two bytes, in this order."""

    name, about = "contains", ""

    def seeds(self, dice):
        yield b""

    def run(self, data):
        at = data.find(b"\x81")
        return Outcome((), Problem("both", "") if at >= 0 and b"\x42" in data[at:] else None)


def test_minimising_leaves_only_what_the_cause_needs():
    target = Contains()
    data = Dice(5).randbytes(300) + b"\x81" + bytes(100) + b"\x42" + Dice(6).randbytes(50)

    small = minimise(target, data, lambda each: target.run(each).problem is not None)

    assert small == b"\x81\x42"


def test_minimising_stops_in_time_with_the_best_so_far():
    target, start = Contains(), time.monotonic()

    def slow(data: bytes) -> bool:
        time.sleep(0.02)
        return target.run(data).problem is not None

    small = minimise(target, b"\x81" * 200 + b"\x42" * 200, slow, 0.3)

    assert time.monotonic() - start < 5
    assert target.run(small).problem
    assert len(small) < 400


def test_two_texts_that_differ_in_their_numbers_have_one_cause():
    assert blank("refs[3].raw: fast 0x1f, plain 12") == blank("refs[4].raw: fast 0x2, plain 7")


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "unknown target 'nonsense' (iommu-abi fuzz --list lists all)"),
        (["--target", "nonsense"], "--target: got 'nonsense', expected a target's name or MODULE:FUNCTION"),
        (["--target", "no_such_module:f"], "--target: cannot import no_such_module: ModuleNotFoundError"),
        (["--target", f"{SCRATCH}:missing"], "--target: scratch_fuzz_target has no missing"),
        (["--program", "no-such-program"], "--program: there is no program 'no-such-program'"),
        (["--program", "'"], '--program: "\'": No closing quotation'),
        (["blob", "--target", f"{SCRATCH}:fine"], "fuzz: give names of targets, --target or --program"),
        (["--time", "soon"], "--time: got 'soon', expected a number with s, m or h"),
        (["--jobs", "0"], "--jobs: got 0, expected at least 1"),
        (["--timeout", "0"], "--timeout: got 0, expected more than 0 seconds"),
        (["blob", "--repro", "x"], "--repro: name the one target that x is for"),
        (["layouts", "--repro", "no-such-file"], "no-such-file: No such file or directory"),
        (["versions", "--engine", "libfuzzer"], "--engine"),
    ],
)
def test_misuse_is_one_sentence(capsys, words, said):
    done = run(capsys, "fuzz", *words)

    assert done.status == 2
    assert sentence(done).startswith(said)


def test_the_list_has_every_target_and_what_engines_lack(capsys):
    told = run(capsys, "fuzz", "--list", "--json").json

    assert [each["name"] for each in told["targets"]] == list(all_targets())
    assert set(told["engines"]) == {"hypothesis", "libfuzzer", "atheris"}
    assert told["engines"]["hypothesis"] == "works"


def test_an_input_with_which_nothing_is_wrong_is_exit_status_0(capsys, tmp_path):
    (tmp_path / "empty").write_bytes(b"")

    done = run(capsys, "fuzz", "walk-vtd-legacy", "--repro", "empty")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "nothing is wrong with it"


def test_a_campaign_says_what_it_reached_and_which_differences_are_explained(tmp_path):
    """ptc_v14 moved base_ptr and left the version at 1: a difference, and no finding."""
    targets = [Versions(), all_targets()["blob-v1_2017"]]
    store, state = Store(tmp_path), Tally()
    for target in targets:
        session = Session(target, (target.name,), store, bytearray(SLOT_SIZE))
        session.seed(Dice(1), time.monotonic() + PATIENT)
        state.add(Lane(target.name, "hypothesis"), session.slice, 1.0, len(store.names(target.name)))
    state.add(Lane("versions", "hypothesis"), Slice(), 2.0, len(store.names("versions")))

    found = summary.make(store, state, targets)

    assert found.findings == ()
    told = summary.as_json(found)
    assert json.loads(json.dumps(told)) == told
    blob = told["targets"][1]
    assert (blob["reached"], blob["missing"]) == (15, [])
    (moved,) = [
        d
        for d in told["differences"]
        if list(d.values())[:3] == ["iommu_pasid_table_config", "ptc_asid_2021", "ptc_v14"]
    ]
    assert "base_ptr does not arrive" in moved["effects"]
    page = html.page(found)
    assert page.startswith("<!doctype html>")
    assert "http" not in page
    assert "<polyline" in page
    assert "base_ptr does not arrive" in page


def test_what_was_not_run_is_said_first(tmp_path):
    names = ("walk-vtd-ecs", "blob-v1_2017")
    state = Tally()
    state.add(Lane("blob-v1_2017", "hypothesis"), Slice(executions=3, seconds=1.0), 1.0, 0)

    targets = [all_targets()[name] for name in names]
    found = summary.make(Store(tmp_path), state, targets, ["walk-x with atheris, which broke down: a reason"])

    said = ["walk-vtd-ecs: the time was too short", "walk-x with atheris, which broke down: a reason"]
    told = summary.as_json(found)
    assert next(iter(told.items())) == ("not_run", said)
    page = html.page(found)
    assert all(page.index(f"<li class=bad>{text}") < page.index("findings") for text in said)


def test_the_growth_of_a_campaign_has_axes_with_numbers(tmp_path):
    state = Tally()
    lane = Lane("blob-v1_2017", "hypothesis")
    for at, kept in ((0.0, 0), (240.0, 1200)):
        features = set(map(str, range(kept // 100)))
        state.add(lane, Slice(executions=9, seconds=1.0, features=features), at, kept)

    page = html.page(summary.make(Store(tmp_path), state, [all_targets()["blob-v1_2017"]]))

    labels = re.findall(r"<text [^>]*>([^<]*)</text>", page)
    assert labels[:5] == ["0 s", "1 min 0 s", "2 min 0 s", "3 min 0 s", "4 min 0 s"]
    assert labels[5::2] == ["0", "600", "1,200"]
    assert labels[6::2] == ["0", "6", "12"]
