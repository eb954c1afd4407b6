"""What `make fuzz-smoke` promises, asserted on the counts of its run.

Not among the default tests, which have no such run: `make fuzz-smoke` calls it with the file that
the run has written, or another in FUZZ_SMOKE_JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from iommu_abi.fuzz import blobs
from iommu_abi.vendors import KINDS
from iommu_abi.worlds import coverage

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    path = Path(os.environ.get("FUZZ_SMOKE_JSON", ROOT / "build/fuzz/smoke.json"))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_ledgers_never_disagree_and_nothing_crashes(run):
    assert run["findings"] == []
    assert run["good"]


def test_the_core_that_ran_was_built_with_both_sanitizers(run):
    assert run["sanitizers"] == ["address", "undefined"]


def test_at_least_30_percent_of_blobs_are_accepted(run):
    numbers = run["numbers"]

    assert numbers["blobs"] >= 50_000
    assert numbers["accepted"] >= 0.30 * numbers["blobs"]


def test_each_rule_is_broken_alone_1000_times(run):
    found = {(row["generation"], row["rule"]): row["broken_alone"] for row in run["rules"]}

    assert found.keys() == {(generation, rule) for generation in blobs.GENERATIONS for rule in blobs.RULES}
    assert {key: count for key, count in found.items() if count < 1000} == {}


def test_at_least_30_percent_of_translations_succeed(run):
    numbers = run["numbers"]

    assert numbers["translations"] >= 50_000
    assert numbers["passed"] >= 0.30 * numbers["translations"]
    assert numbers["valid passed"] == numbers["valid"]
    assert numbers["mutated"] > numbers["valid"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_answers_claim_is_asked_back_250_000_times_of_each_kind(run, kind):
    """Four kinds make 10^6; what is untrue is a finding."""
    assert run["numbers"][f"claims {kind}"] >= 250_000


def test_every_way_to_fail_is_hit_100_times(run):
    hits = {(r["format"], r["stage"], r["level"], r["reason"]): r["hits"] for r in run["coverage"]}
    rows = {(row.format, row.stage.name, row.level, row.reason.name) for row in coverage.ROWS}

    assert hits.keys() == rows
    assert {key: count for key, count in hits.items() if count < 100} == {}


def test_what_is_not_reached_has_its_cause(run):
    out = {(r["format"], r["stage"], r["level"], r["reason"]): r["cause"] for r in run["out_of_reach"]}

    assert len(out) + len(coverage.ROWS) == len(list(coverage.universe()))
    assert all(out.values())


def test_every_code_that_the_texts_name_is_reported(run):
    hits = {(row["format"], int(row["code"], 16)) for row in run["codes"]}

    assert [code for code in coverage.codes() if code not in hits] == []


def test_the_run_takes_less_than_10_minutes(run):
    assert run["seconds"] < 600
