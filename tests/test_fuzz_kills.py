"""Campaigns that are killed with -9: what was seen to be wrong is a finding when they go on, each once.

The witness is a file that the target writes before its bugs show; see ``fuzz_kills.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Kills at random, and at steps (0: at every one): ``make fuzz-kills`` has more.
RANDOM, STEPS = os.environ.get("IOMMU_ABI_KILLS", "4 10").split()


@pytest.fixture(scope="module")
def kills() -> list[dict[str, object]]:
    script = Path(__file__).with_name("fuzz_kills.py")
    seed = os.environ.get("IOMMU_ABI_SEED", "1")
    done = subprocess.run([sys.executable, str(script), seed, RANDOM, STEPS], capture_output=True, check=True)
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_campaigns_are_killed_and_come_to_an_end_when_they_go_on(kills):
    assert len(kills) >= int(RANDOM) + int(STEPS)
    assert {each["went_on"] for each in kills} == {"status 0"}
    # a step is called as often as there is something to write: which number of them comes is not ours to say
    assert {each["end"] for each in kills if each["how"] == "at random"} == {"killed"}
    assert any(each["end"] == "killed" for each in kills if each["how"] != "at random")
    assert any(each["seen"] for each in kills)


def test_what_the_witness_saw_before_the_kill_is_a_finding(kills):
    assert [each for each in kills if each["lost"]] == []


def test_every_finding_was_seen_by_the_witness_and_is_there_once_and_minimised(kills):
    assert [each for each in kills if each["made_up"] or each["twice"] or not each["smallest"]] == []


def test_the_journal_is_only_ever_added_to_and_counts_no_run_twice(kills):
    assert [each for each in kills if not each["journal_grows"] or each["counted"] > each["ran"]] == []
