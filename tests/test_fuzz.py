"""The fuzzer: its worlds are valid, its blobs break what they say, and what it finds is told.

The full run, under sanitizers and with the thresholds of the project, is ``make fuzz-smoke``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from smoke import __main__ as smoke
from smoke import cases, keep, pool
from smoke.pool import Chunk, Tally, run_chunk
from smoke.report import Goals, shortfalls

from iommu_abi.fuzz import blobs, judge
from iommu_abi.fuzz.judge import Walked
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Purpose, Reason, Stage
from iommu_abi.worlds import coverage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.formats import FORMATS, KINDS
from iommu_abi.worlds.plans import BLOCK, PLANS, VALID, WalkPlan, build_case, site
from iommu_abi.worlds.ways import EVERYWHERE, Use

ROOT = Path(__file__).resolve().parent.parent
SHORT = Goals(hits=6, rules=25, free=96)


@pytest.fixture(autouse=True)
def no_worlds_of_other_tests():
    site.cache_clear()
    yield
    site.cache_clear()


def number_of(name: str) -> int:
    return [str(plan) for plan in cases.PLANS].index(name)


# ---------------------------------------------------------------- the table


def test_every_combination_is_named_by_a_text_or_has_one_cause():
    rows = set(coverage.ROWS)

    assert len(rows) == len(coverage.ROWS)
    assert rows <= set(coverage.universe())
    assert [str(row) for row in rows if coverage.cause(row)] == []
    assert [str(row) for row, cause in coverage.unreached() if not cause] == []


def test_every_format_has_rows_a_builder_and_free_cases():
    assert set(FORMATS) == {row.format for row in coverage.ROWS}
    assert all(set(kind.worlds) == set(kind.ways.levels) == set(kind.ways.codes) for kind in KINDS)
    assert {plan.format for plan in cases.PLANS if str(plan).endswith(" free")} == {*FORMATS, "blob"}


def test_every_cause_is_of_use():
    used = {(row.format.split("-")[0], cause) for row, cause in coverage.unreached()}

    for kind in KINDS:
        name = next(iter(kind.ways.levels)).split("-")[0]
        assert [each.text for each in kind.ways.causes if (name, each.text) not in used] == []
    assert {each.text for each in EVERYWHERE} <= {cause for _, cause in used}


def test_no_code_is_both_reported_and_out_of_reach():
    for kind in KINDS:
        for text in kind.ways.codes.values():
            assert set(text.split()).isdisjoint(" ".join(kind.ways.silent).split())


# ---------------------------------------------------------------- worlds


@pytest.mark.parametrize("name", FORMATS)
def test_requests_of_a_world_succeed_and_both_ledgers_say_where_they_go(name):
    plans = [plan for plan in PLANS if plan.format == name]
    seen = 0
    for plan in plans:
        for turn in range(3):
            case, mutated = build_case(7, plan, turn)
            assert not mutated
            answer, problems = judge.ask(case)
            assert problems == ()
            assert answer is not None
            assert answer.fault is None
            seen += 1
    assert seen == 3 * len(plans)


def test_worlds_have_every_number_of_levels_and_every_size_of_page():
    levels: dict[str, set[tuple[Stage, int]]] = {}
    sizes: dict[str, set[int]] = {}
    for plan in PLANS:
        for turn in range(VALID):
            case, _ = build_case(3, plan, turn)
            answer = plain_walk.translate(case.world.kind, case.registers, case.image.read, case.request)
            levels.setdefault(plan.format, set()).update((ref.stage, ref.level) for ref in answer.refs)
            sizes.setdefault(plan.format, set()).add(answer.size_lg2)

    for name, kind in FORMATS.items():
        stages = kind.ways.levels[name]
        wanted = {(stage, level) for stage, each in stages.items() for level in each}
        if name == "smmuv3-s2":  # whose stage 1 is off, but judges the width of addresses
            wanted -= {(Stage.S1, 0)}
        assert wanted <= levels[name]
    assert {12, 21, 30} <= sizes["vtd-legacy"] & sizes["vtd-ecs"] & sizes["vtd-scalable"] & sizes["amdvi-v2"]
    assert {12, 13, 21, 22, 30, 39, 48} <= sizes["amdvi-v1"]
    assert {12, 14, 16, 21, 25, 29, 30} <= sizes["smmuv3-s1"] & sizes["smmuv3-s2"]
    assert {12, 16, 21, 22, 30, 39, 48} <= sizes["riscv-s1"] & sizes["riscv-s2"]


def test_a_case_depends_on_its_seed_and_index_only():
    def made(seed: int, index: int) -> str:
        return json.dumps(keep.kept(seed, index, ""), sort_keys=True)

    some = [cases.index_of(number, attempt) for number in (3, 100, 250, 380) for attempt in (2, 9, 40)]
    first = [made(5, index) for index in some]
    site.cache_clear()

    assert [made(5, index) for index in reversed(some)] == first[::-1]
    assert all(made(6, index) != text for index, text in zip(some, first))


def test_a_case_leaves_the_image_as_it_was():
    plan = WalkPlan("vtd-scalable")
    case, _ = build_case(1, plan, 0)
    before = [(first, bytes(data)) for first, data in case.image.runs]
    for attempt in range(VALID, BLOCK):
        cases.walk(1, plan, attempt)

    assert [(first, bytes(data)) for first, data in case.image.runs] == before


# ---------------------------------------------------------------- blobs


def test_the_rules_are_those_of_the_document():
    rows = re.findall(r"^\| ([\w.]+\.\w+) \| (E\w+)", (ROOT / "docs/rules.md").read_text(), re.M)

    assert [name for name, _ in rows] == list(blobs.RULES)


@pytest.mark.parametrize("generation", blobs.GENERATIONS)
@pytest.mark.parametrize("rule", blobs.RULES)
def test_each_rule_is_broken_alone_and_by_the_change_only(generation, rule):
    for i in range(40):
        blob = blobs.make(Dice("rule", generation, rule, i), generation, rule)
        undone = replace(blob, data=blob.before)

        assert blobs.both(blob) == (rule, ())
        assert blobs.breaks(blob) == {rule}
        assert blobs.both(undone) == (None, ())
        assert blobs.breaks(undone) == set()


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def short_run() -> Tally:
    """A run of two processes."""
    tally, ended = smoke.run(1, 2, SHORT, 300, Console(quiet=True))
    assert ended
    return tally


def test_a_short_run_reaches_everything_and_finds_nothing(short_run):
    assert [finding.text for finding in short_run.findings] == []
    assert [text for text in shortfalls(short_run, SHORT) if "never reported" not in text] == []
    assert short_run.numbers["refused"] > 0


def test_what_is_counted_does_not_depend_on_the_number_of_processes():
    chunks = [Chunk(number, 0, 16) for number in range(0, len(cases.PLANS), 9)]
    counts = []
    for jobs in (1, 3):
        tally = Tally()
        with pool.Pool(1, jobs) as workers:
            assert workers.run(chunks, tally, float("inf"))
        counts.append((tally.rows, tally.uses, tally.rules, tally.numbers))

    assert counts[0] == counts[1]


def test_an_unreached_row_fails_the_run_by_name(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(smoke.Schedule, "round", lambda *_: [])

    assert smoke.main(["--json", str(tmp_path / "run.json")]) == 1
    assert "NOT REACHED vtd-scalable S2 4 NOT_PRESENT: 0 hits of 100" in capsys.readouterr().out
    assert json.loads((tmp_path / "run.json").read_text())["good"] is False


def test_too_little_time_fails_the_run(capsys):
    assert smoke.main(["--seconds", "0", "--jobs", "1"]) == 1
    assert "OUT OF TIME" in capsys.readouterr().out


# ---------------------------------------------------------------- findings


@pytest.fixture
def planted(monkeypatch):
    """The plain ledger takes one reserved bit of PASID entries for an absent one."""
    honest = plain_walk.translate

    def wrong(*args):
        answer = honest(*args)
        fault = answer.fault
        if fault and (fault.stage, fault.reason) == (Stage.PASID, Reason.RESERVED):
            return replace(answer, fault=replace(fault, reason=Reason.NOT_PRESENT))
        return answer

    monkeypatch.setattr(plain_walk, "translate", wrong)
    return honest


def test_a_planted_bug_is_found_told_and_kept(planted, monkeypatch, capsys, tmp_path):
    code = smoke.main(["--hits", "3", "--rules", "0", "--free", "16", "--keep", str(tmp_path), "--seed", "9"])

    told = capsys.readouterr().out
    assert code == 1
    assert "FINDING" in told
    assert "fault.reason" in told
    index = int(re.search(r"python -m smoke --seed 9 --case (\d+)", told)[1])
    path = tmp_path / f"case-9-{index}.json"
    assert json.loads(path.read_text())["registers"]
    assert smoke.main(["--seed", "9", "--case", str(index)]) == 1
    assert smoke.main(["--file", str(path)]) == 1
    monkeypatch.setattr(plain_walk, "translate", planted)
    assert smoke.main(["--seed", "9", "--case", str(index)]) == 0
    assert smoke.main(["--file", str(path)]) == 0


def test_a_kept_case_ends_as_the_case_itself():
    for name in ("vtd-ecs S1 2 DENIED", "amdvi-nested S2 1 UNREADABLE", "vtd-legacy free"):
        for attempt in (0, 7, 11):
            index = cases.index_of(number_of(name), attempt)
            case, mutated = build_case(2, cases.PLANS[number_of(name)], attempt)
            direct, _ = judge.ask(case)
            case.image.restore()
            again, problems = judge.ask(keep._case(keep.kept(2, index, "")))
            assert problems == ()
            assert again == direct
            assert mutated == (attempt >= VALID)


def test_a_kept_blob_is_the_blob(tmp_path):
    index = cases.index_of(number_of("blob v1_2017 vtd.pat"), 1)
    path = tmp_path / "blob.json"
    path.write_text(json.dumps(keep.kept(1, index, "")))

    assert keep.load(path) == ("vtd.pat", ())


def one_chunk(index: int) -> Tally:
    """A chunk around a case, in a process of its own."""
    tally = Tally()
    with pool.Pool(1, 1) as workers:
        number, attempt = index % len(cases.PLANS), index // len(cases.PLANS)
        workers.run([Chunk(number, attempt - 1, 3)], tally, float("inf"))
    return tally


def test_a_crash_is_reported_with_the_case_that_did_it(monkeypatch):
    index = cases.index_of(number_of("vtd-ecs free"), 5)
    honest = cases.walk

    def dies(seed, plan, attempt):
        if attempt == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(seed, plan, attempt)

    monkeypatch.setattr(cases, "walk", dies)

    assert [(f.index, f.text) for f in one_chunk(index).findings] == [(index, "the process died of SIGKILL")]


def test_a_sanitizer_that_ends_the_process_is_reported_too(monkeypatch):
    index = cases.index_of(number_of("vtd-ecs free"), 5)
    monkeypatch.setattr(
        cases, "walk", lambda seed, plan, attempt: os._exit(1) if attempt == 5 else Walked(True, True)
    )

    (finding,) = one_chunk(index).findings
    assert finding.index == index
    assert "status 1" in finding.text


def test_a_case_that_does_not_end_is_reported(monkeypatch):
    index = cases.index_of(number_of("amdvi-v1 free"), 5)
    monkeypatch.setattr(pool, "PATIENCE", 0.1)
    monkeypatch.setattr(
        cases, "walk", lambda seed, plan, attempt: signal.pause() if attempt == 5 else Walked(True, True)
    )

    assert [finding.index for finding in one_chunk(index).findings] == [index]


def test_an_exception_is_a_finding(monkeypatch):
    def broken(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(judge.ledgers, "ask", broken)
    tally = run_chunk(1, Chunk(number_of("vtd-legacy free"), 0, 1))

    assert "RuntimeError: planted" in tally.findings[0].text


def test_what_the_table_calls_out_of_reach_is_a_finding(monkeypatch):
    number = number_of("vtd-legacy DEVICE 0 ABORTED")
    row = cases.PLANS[number].row
    monkeypatch.setattr(judge, "_REACHABLE", judge._REACHABLE - {row})

    tally = run_chunk(1, Chunk(number, 0, BLOCK))

    assert any(f"{row} is out of reach" in finding.text for finding in tally.findings)


def test_uses_of_stage_2_are_aimed_at():
    number = number_of("amdvi-nested S2 for S1_ENTRY RESERVED")
    tally = run_chunk(4, Chunk(number, 0, 8 * BLOCK))

    assert tally.uses[Use("amdvi-nested", Purpose.S1_ENTRY, Reason.RESERVED)] > 20


# ---------------------------------------------------------------- the C targets


@pytest.mark.parametrize("name", ["unpack", "walk", "case"])
def test_the_c_targets_run_without_libfuzzer(name, tmp_path):
    cc = shutil.which(os.environ.get("CC", "cc").split()[0])
    if cc is None:
        pytest.skip("no C compiler here")
    program = tmp_path / name
    sources = [ROOT / f"tests/c/fuzz_{name}.c", ROOT / "tests/c/fuzz_main.c"]
    core = sorted((ROOT / "iommu_abi/core").glob("*.c"))
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-DCONFIG_IOMMU_API=1", '-DIOMMU_ABI_VERSION="0"']
    command = [cc, *flags, f"-I{ROOT / 'cdefs'}", *sources, *core, "-o", program]
    env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    subprocess.run(list(map(str, command)), check=True, env=env)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/one").write_bytes(bytes(range(200)))
    (tmp_path / "corpus/empty").write_bytes(b"")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env=env)
        return done.stdout

    assert "3000 random inputs of up to 64 bytes, seed 5" in run("-n", "3000", "-s", "5", "-l", "64")
    run(tmp_path / "corpus", tmp_path / "corpus/one")
