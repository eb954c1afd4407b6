"""`iommu-abi fuzz` with campaign directories, targets and words that nobody means well with.

Each is a sentence or a finding, never a traceback; no link is followed and nothing of others is cut short.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_support import run, sentence

from iommu_abi.fuzz.campaign import html, slots, state, summary
from iommu_abi.fuzz.campaign.pytest_case import test_file as the_test_file
from iommu_abi.fuzz.campaign.run import Campaign
from iommu_abi.fuzz.campaign.store import Finding, Store, name_of
from iommu_abi.fuzz.campaign.worker import Chosen
from iommu_abi.fuzz.engines import ENGINES
from iommu_abi.fuzz.process import Child, Died, signal_name
from iommu_abi.fuzz.targets import FuzzTarget, Outcome, Problem, target_of
from iommu_abi.fuzz.targets.feed import KEPT, feed
from iommu_abi.inputs import InputError

HERE = Path(__file__).resolve().parent
SCRATCH = "scratch_fuzz_target"
#: Far more than is needed.
PATIENT = 120.0


@pytest.fixture(autouse=True)
def _at_home(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.chdir(tmp_path)


def campaign(folder: str, function: str, seconds: float = 0.3, enough: int | None = None) -> state.Tally:
    target = target_of(["--target", f"{SCRATCH}:{function}"])
    target.patience = PATIENT
    chosen = [Chosen(target, ("--target", f"{SCRATCH}:{function}"))]
    made = Campaign(Store(Path(folder)), chosen, [ENGINES["hypothesis"]], jobs=1, enough=enough)
    return made.run(seconds, lambda state, news: None)


def causes(folder: str) -> list[str]:
    return [each.cause for each in Store(Path(folder)).findings()]


# ---------------------------------------------------------------- signals, texts, floods


def test_every_signal_of_which_a_process_can_die_has_a_name():
    """signal(7): those from SIGRTMIN to SIGRTMAX are named by their distance; the C library has two below."""
    named = {number: signal_name(number) for number in range(1, 65)}

    assert len(set(named.values())) == 64
    assert (named[9], named[11]) == ("SIGKILL", "SIGSEGV")
    assert named[signal.SIGRTMIN + 3] == "SIGRTMIN+3"
    assert (named[32], named[33]) == ("signal 32", "signal 33")


@pytest.mark.parametrize("number", [signal.SIGRTMIN, signal.SIGRTMIN + 1, 50, signal.SIGRTMAX - 1])
def test_a_program_that_dies_of_a_real_time_signal_is_a_finding(number):
    program = target_of(["--program", f"{sys.executable} -S -c 'import os; os.kill(os.getpid(), {number})'"])

    problem = program.run(b"").problem

    assert problem == Problem(f"died of {signal_name(number)}", f"died of {signal_name(number)}")


def test_a_process_that_dies_of_a_real_time_signal_says_so():
    child = Child(lambda order: os.kill(os.getpid(), signal.SIGRTMIN + 7))
    child.give("go")

    with pytest.raises(Died, match=r"the process died of SIGRTMIN\+7"):
        child.take()


def test_a_cause_is_one_bounded_line_that_can_be_written_anywhere():
    problem = Problem("a\0b\nc\udcff\x1b[31m" + "x" * 10_000, "\udc80" * 100 + "\n" + "y" * 10**6)

    assert problem.cause.startswith("a\\x00b\\nc\\udcff\\x1b[31mxxx")
    assert len(problem.cause) <= 400
    assert len(problem.text) < 30_000
    problem.cause.encode("utf-8")
    problem.text.encode("utf-8")


def test_exceptions_with_surrogates_and_nul_are_findings_with_all_reports(capsys):
    campaign("d", "hostile_texts", PATIENT, enough=3)

    found = causes("d")
    assert sorted(each.split(" in ")[0] for each in found) == ["KeyError", "LookupError", "OSError"]
    done = run(
        capsys, "fuzz", "--target", f"{SCRATCH}:hostile_texts", "--dir", "d", "--time", "0.1s",
        "--engine", "hypothesis", "--html", "r.html", "--pytest", "test_it.py", "--json", "--jobs", 1,
    )  # fmt: skip
    assert (done.status, done.err) == (1, "")
    assert len(done.json["findings"]) == 3
    compile(Path("test_it.py").read_text(encoding="utf-8"), "test_it.py", "exec")
    assert "\0" not in Path("r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("cause", ["NUL \0", "half \ud800", '"""', "\\", "two\nlines", "\\x", "{0}", "'" * 9])
def test_any_cause_becomes_a_test_and_a_page(tmp_path, cause):
    words = ("--target", "m\0\udcff:f")
    store = Store(tmp_path / "d")
    finding = Finding(words, "target", cause, "text \0\udcff", "hypothesis")
    store.record(finding, b"x")

    space: dict[str, object] = {}
    text = the_test_file([(finding, b"x"), (finding, b"y")]).encode("utf-8")
    exec(compile(text, "test_it.py", "exec"), space)

    assert len([name for name in space if name.startswith("test_target")]) == 2
    assert store.findings() == [finding]
    html.page(summary.make(store, state.Tally(), [])).encode("utf-8")


def test_a_function_that_floods_its_output_keeps_little_of_it_and_is_told(capsys):
    done = run(
        capsys, "fuzz", "--target", f"{SCRATCH}:floods", "--dir", "d", "--time", "6s", "--jobs", 1,
        "--engine", "hypothesis",
    )  # fmt: skip

    assert done.status == 0
    assert f"{SCRATCH}-floods prints floods: only their end is kept" in done.out
    assert sum(path.stat().st_size for path in Path("d").rglob("*") if path.is_file()) < 1 << 28


@pytest.mark.parametrize(
    "text",
    [
        "while True: os.write(2, b'x' * 65536)",
        "os.close(0); os.close(1)\nwhile True: os.write(2, b'Error')",
        "os.close(2); time.sleep(600)",
        "os.fork() or time.sleep(600)\ntime.sleep(600)",
    ],
)
def test_a_program_that_floods_or_falls_silent_is_ended_in_time(text):
    command = [sys.executable, "-S", "-c", f"import os, time\n{text}"]
    start = time.monotonic()

    ended = feed(command, b"x" * (1 << 20), 1.0)

    assert ended.status is None
    assert len(ended.said) < 4 * KEPT
    assert time.monotonic() - start < 60


def test_a_program_ends_though_what_it_started_holds_its_output_open():
    text = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(20); os._exit(0)\nos._exit(3)"
    start = time.monotonic()

    assert feed([sys.executable, "-S", "-c", text], b"", PATIENT).status == 3
    assert time.monotonic() - start < 19


def test_of_a_long_report_the_beginning_and_the_end_are_kept():
    text = "import sys; sys.stderr.write('first\\n' + 'x' * 10**7 + '\\nlast'); sys.exit(9)"

    ended = feed([sys.executable, "-S", "-c", text], b"", PATIENT)

    assert ended.status == 9
    assert ended.said.startswith(b"first\n")
    assert ended.said.endswith(b"\nlast")
    assert b"bytes left out" in ended.said
    assert len(ended.said) < 4 * KEPT


def test_a_program_that_cannot_be_started_is_no_finding(tmp_path, capsys):
    bad = tmp_path / "program"
    bad.write_bytes(b"\x7fELF of no machine")
    bad.chmod(0o755)

    done = run(
        capsys,
        "fuzz",
        "--program",
        str(bad),
        "--dir",
        "d",
        "--time",
        "1s",
        "--jobs",
        1,
        "--engine",
        "hypothesis",
    )

    assert done.status == 2
    assert "--program: cannot run" in sentence(done)
    assert causes("d") == []


def test_a_target_that_forks_changes_its_directory_or_returns_a_book_is_no_trouble():
    """What it returns is a feature, of bounded length; its child does not do the campaign's work as well."""
    made = campaign("d", "wanders", PATIENT, enough=1)

    assert causes("d") == ['ValueError in scratch_fuzz_target.py:wanders: raise ValueError("found")']
    assert all(len(each) <= 400 for each in made.features[f"{SCRATCH}-wanders"])


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--program", ""], "--program: got '', expected a command"),
        (["--program", "  "], "--program: got '  ', expected a command"),
        (["--program", "''"], "--program: there is no program ''"),
        (["--program", "a\0b"], "got 'a\\x00b': a word with a NUL character"),
        (["--target", ""], "--target: got '', expected a target's name or MODULE:FUNCTION"),
        (["--target", ":"], "--target: got ':', expected a target's name or MODULE:FUNCTION"),
        (["--target", "..:x"], "--target: cannot import ..: "),
        (["--dir", ""], "--dir: got '', expected a name"),
        (["--html", ""], "--html: got '', expected a name"),
        (["--timeout", "nan"], "--timeout: got nan, expected more than 0 seconds"),
        (["--timeout", "inf"], "--timeout: got inf, expected more than 0 seconds"),
        (["--timeout", "-1"], "--timeout: got -1, expected more than 0 seconds"),
        (["--time", "9" * 400], "--time: got '999"),
        (["--seed", "-1"], "--seed: got '-1', expected a number"),
    ],
)
def test_words_that_mean_nothing_are_a_sentence(capsys, words, said):
    done = run(capsys, "fuzz", *words)

    assert done.status == 2
    assert sentence(done).startswith(said)


def test_names_of_targets_fit_into_a_directory_and_differ():
    programs = ["日本" * 200, "中国" * 200, "x" * 500, "x" * 501]
    names = [target_of(["--program", f"cat {each}"]).name for each in programs]

    assert len(set(names)) == 4
    assert all(len(name.encode()) < 120 for name in names)


# ---------------------------------------------------------------- directories


def _fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def _dangling(path: Path, outside: Path) -> None:
    path.symlink_to(outside.with_name("nowhere"))


def _directory(path: Path, outside: Path) -> None:
    path.mkdir()
    (path / "x").write_bytes(b"x")


def _file(path: Path, outside: Path) -> None:
    path.write_bytes(b"a file")


def _socket(path: Path, outside: Path) -> None:
    made = socket.socket(socket.AF_UNIX)
    made.bind(os.path.relpath(path))
    made.close()


MADE = [_fifo, _link, _dangling, _directory, _file, _socket]
NAMES = {
    _fifo: "a FIFO", _link: "a symbolic link", _dangling: "a symbolic link", _directory: "a directory",
    _file: "a plain file", _socket: "a socket",
}  # fmt: skip
TARGET = f"{SCRATCH}-two_bugs"
#: Places in a campaign's directory -> is it a directory?
PLACES = {
    "corpus": True, f"corpus/{TARGET}": True, f"corpus/{TARGET}/INPUT": False,
    "findings": True, "findings/FOUND": True, "findings/FOUND/meta.json": False,
    "findings/FOUND/input": False, "findings/FOUND/original": False,
    "journal.jsonl": False, "lock": False, "tmp": True, "worker-0.log": False,
    "running": True, "running/0": False, "artifacts": True, f"artifacts/{TARGET}": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A campaign that has found something."""
    folder = tmp_path_factory.mktemp("finished")
    sys.path.insert(0, str(HERE))
    try:
        campaign(str(folder / "d"), "two_bugs", PATIENT, enough=1)
    finally:
        sys.path.remove(str(HERE))
    return folder / "d"


def place(name: str, root: Path) -> Path:
    found = sorted(path.name for path in (root / "findings").iterdir())[0]
    kept = sorted(path.name for path in (root / "corpus" / TARGET).iterdir())[0]
    return root / name.replace("FOUND", found).replace("INPUT", kept)


def again(capsys, *more: object):
    words = ["fuzz", "--target", f"{SCRATCH}:two_bugs", "--dir", "d", "--time", "0.1s", "--jobs", 1]
    return run(capsys, *words, "--engine", "hypothesis", *more)


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__[1:])
@pytest.mark.parametrize("name", PLACES)
def test_nothing_but_its_own_files_is_opened_in_a_campaigns_directory(capsys, tmp_path, finished, name, make):
    shutil.copytree(finished, tmp_path / "d")
    path, outside = place(name, tmp_path / "d"), tmp_path / "outside"
    outside.write_bytes(b"somebody else's\n")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path, outside)
    right = make is (_directory if PLACES[name] else _file)
    refused = not right or name in ("findings", "findings/FOUND", "findings/FOUND/meta.json")
    start = time.monotonic()

    done = again(capsys, "--json")

    assert outside.read_bytes() == b"somebody else's\n"
    assert not outside.with_name("nowhere").exists()
    assert "Traceback" not in done.err
    assert time.monotonic() - start < PATIENT
    assert done.status == (2 if refused else 1)
    if not right:
        assert f"{path.relative_to(tmp_path)}: {NAMES[make]}, expected " in sentence(done)
    assert os.path.lexists(path)


@pytest.mark.parametrize("damage", ["empty", "cut", "bits", "zeros", "deep", "numbers"])
@pytest.mark.parametrize("name", [name for name, is_dir in PLACES.items() if not is_dir])
def test_damaged_files_are_a_sentence_or_left_out_and_no_finding_is_forgotten(
    capsys, tmp_path, finished, name, damage
):
    shutil.copytree(finished, tmp_path / "d")
    path = place(name, tmp_path / "d")
    data = path.read_bytes() if path.exists() else b""
    path.write_bytes(
        {
            "empty": b"",
            "cut": data[: len(data) // 2],
            "bits": bytes(byte ^ 0x55 for byte in data),
            "zeros": bytes(100_000),
            "deep": b"[" * 100_000,
            "numbers": b'{"event": "turn", "executions": 1e999, "at": NaN}\n'
            + b"9" * 100_000
            + b"\n5\n[]\nnull\n",
        }[damage]
    )

    done = again(capsys, "--json")

    assert "Traceback" not in done.err
    if name.endswith("meta.json"):
        assert done.status == 2
        assert "meta.json" in sentence(done)
    else:
        assert (done.status, done.err) == (1, "")
        assert len(done.json["findings"]) >= 1
        assert done.json["left_out"] >= (name == "journal.jsonl" and damage != "empty" and damage != "cut")


def test_a_journal_of_one_line_without_an_end_is_refused(capsys, tmp_path, finished):
    shutil.copytree(finished, tmp_path / "d")
    os.truncate(tmp_path / "d/journal.jsonl", 1 << 40)

    done = again(capsys)

    assert done.status == 2
    assert sentence(done).endswith(f"journal.jsonl: {1 << 40} bytes, which no campaign has written")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../../outside"}, "another finding"),
        ({"cause": "another"}, "another finding"),
        ({"run_as": "root"}, "these are not the fields of a finding"),
        ({"target": "a word"}, "these are not the fields of a finding"),
        ({"target": []}, "these are not the fields of a finding"),
        ({"minimal": "yes"}, "these are not the fields of a finding"),
        ({"more": 1}, "these are not the fields of a finding"),
    ],
)
def test_a_finding_that_says_something_else_than_its_directory_is_a_sentence(
    capsys, tmp_path, finished, change, said
):
    shutil.copytree(finished, tmp_path / "d")
    meta = place("findings/FOUND/meta.json", tmp_path / "d")
    meta.write_text(json.dumps(json.loads(meta.read_text()) | change))

    done = again(capsys)

    assert done.status == 2
    assert sentence(done).endswith(said) or said in sentence(done)
    assert not (tmp_path / "outside").exists()


def test_what_lies_in_a_directory_tmp_of_others_stays(capsys, tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/thesis").write_text("years of work")

    done = run(
        capsys, "fuzz", "--target", f"{SCRATCH}:fine", "--dir", ".", "--time", "0.2s", "--jobs", 1,
        "--engine", "hypothesis",
    )  # fmt: skip

    assert done.status == 0
    assert (tmp_path / "tmp/thesis").read_text() == "years of work"


def test_a_record_behind_something_else_is_an_error_and_not_forgotten(tmp_path):
    store = Store(tmp_path / "d")
    finding = Finding(("x",), "x", "cause", "text", "hypothesis")
    (store.findings_at / finding.folder).symlink_to(tmp_path / "nowhere")

    with pytest.raises(InputError, match="a symbolic link, expected a directory"):
        store.record(finding, b"input")


# ---------------------------------------------------------------- what dies in between


def test_a_full_disk_ends_a_campaign_with_a_sentence_and_the_input_is_run_again(
    tmp_path, monkeypatch, capsys
):
    """The worker cannot record what it found; after there is room again, the same input is a finding."""
    honest = Store.record

    def full(self, finding, data):
        raise OSError(28, "No space left on device", str(self.at / "tmp"))

    monkeypatch.setattr(Store, "record", full)
    done = run(
        capsys, "fuzz", "--target", f"{SCRATCH}:one_rare", "--dir", "d", "--jobs", 1, "--engine", "hypothesis"
    )
    assert done.status == 2
    assert sentence(done).endswith("tmp: No space left on device")
    assert causes("d") == []

    monkeypatch.setattr(Store, "record", honest)
    campaign("d", "one_rare", PATIENT, enough=1)
    (found,) = Store(Path("d")).findings()
    assert Store(Path("d")).original(found) == Path("first").read_bytes()


def test_what_was_running_when_all_were_killed_is_in_the_corpus_then(tmp_path):
    store = Store(tmp_path / "d")
    slots.write(slots.of_process(store, "0"), "mine", b"under way")
    slots.write(slots.of_process(store, "1"), "of another", b"of another")
    slots.write(slots.of_process(store, "2"), "mine", b"known")
    done = slots.of_process(store, "3")
    slots.write(done, "mine", b"has ended")
    slots.clear(done)

    slots.recover(store, ["mine"], {name_of(b"known")})

    assert [store.kept("mine", name) for name in store.names("mine")] == [b"under way"]
    slots.recover(store, ["of another"], set())
    assert [store.kept("of another", name) for name in store.names("of another")] == [b"of another"]
    assert list(store.running_at.iterdir()) == []


class DiesWhileMaking(FuzzTarget):
    """An input is made in a process that does not live to see it run."""

    name, about = "dies-while-making", ""

    def seeds(self, dice):
        yield b""

    def fresh(self, dice):
        os._exit(5)

    def run(self, data):
        return Outcome()


def test_a_process_that_dies_outside_of_a_run_is_told_so():
    target = DiesWhileMaking()
    made = Campaign(Store(Path("d")), [Chosen(target, ("x",))], [ENGINES["hypothesis"]], jobs=1, enough=1)
    made.run(PATIENT, lambda state, news: None)

    assert causes("d") == ["outside a run: the process ended with status 5; a sanitizer's report is above"]


def test_a_campaign_is_not_stopped_by_a_child_that_died_while_it_waited():
    child = Child(lambda order: order)
    child.give(1)
    assert child.take() == 1
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.join()

    child.give(2)
    with pytest.raises(Died, match="SIGKILL"):
        child.take()
    child.end()


def test_the_attackers_script_finds_what_was_lost(tmp_path):
    """Kill -9 in the place where a finding is stored; started again, it is there."""
    (tmp_path / "target_segv.py").write_text(
        "import os, signal\ndef one(data):\n    if data == b'\\0': os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    (tmp_path / "kill.py").write_text(
        "import os, signal, sys\n"
        "from iommu_abi.fuzz.campaign import store\n"
        "from iommu_abi.cli import main\n"
        "honest, own = store.Store.record, os.getpid()\n"
        "def record(self, *of):\n"
        "    if os.getpid() == own: os.kill(own, signal.SIGKILL)\n"
        "    return honest(self, *of)\n"
        "store.Store.record = record\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ["fuzz", "--target", "target_segv:one", "--dir", "D", "--jobs", "1", "--engine", "hypothesis"]

    killed = subprocess.run([sys.executable, "kill.py", *words, "--time", "120s"], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    went_on = subprocess.run(
        [sys.executable, "-m", "iommu_abi", *words, "--time", "120s", "--max-findings", "1", "--json"],
        capture_output=True,
    )

    assert went_on.returncode == 1
    (found,) = json.loads(went_on.stdout)["findings"]
    assert found["cause"].startswith("the process died of SIGSEGV")
    assert found["input"] == "00"
