"""Tables without end: what is looked at has an end, and it is said what was not.

The images are three or four pages whose entries point at each other (VT-d 9.1, 9.3, 9.8: root and context
entries, second-stage entries with R and W): every page of 2^36 is mapped, or none, for each of 2^8 devices.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys

import pytest
from cli_support import run

from iommu_abi import Memory, Unit
from iommu_abi.audit import audit
from iommu_abi.mappings import budget, everything, requesters
from iommu_abi.mappings.budget import Budget, OutOfSteps
from iommu_abi.mappings.map import draw

UNIT = ("--iommu", "vtd", "--reg", "RTADDR=0x0")
DEVICES = 1 << 8  # of the first bus


def table(*words):
    """A page that is these words over and over."""
    return struct.pack("<512Q", *(words * (512 // len(words))))


ROOTS = struct.pack("<Q", 0x1001).ljust(4096, b"\0")
CONTEXTS = table(0x2001, 0x102)  # AW 2: four levels
LOOP = ROOTS + CONTEXTS + table(0x2003)
EMPTY = ROOTS + CONTEXTS + table(0x3003) + table(0x4003) + table(0x5003) + bytes(4096)


@pytest.fixture(autouse=True)
def _few_places(monkeypatch):
    """A run looks at few places, so that the tests are quick."""
    monkeypatch.setattr(budget, "PLACES", 1 << 18)


@pytest.fixture
def loop(tmp_path):
    path = tmp_path / "loop"
    path.write_bytes(LOOP)
    return path


@pytest.fixture
def empty(tmp_path):
    """Nothing is mapped in 2^36 pages."""
    path = tmp_path / "empty"
    path.write_bytes(EMPTY)
    return path


STOPPED = "stopped after 10 ranges; 255 contexts not looked at\n"


def test_a_list_ends_with_a_line(loop, capsys):
    done = run(capsys, "mappings", loop, *UNIT, "--max-ranges", "10")

    assert done.status == 1
    assert done.out.endswith(STOPPED)
    assert done.out.count(" -> ") == 10
    assert done.err == ""


def test_json_ends_with_an_element(loop, capsys):
    done = run(capsys, "mappings", loop, *UNIT, "--max-ranges", "10", "--json")

    assert done.status == 1
    assert len(done.json) == 11
    assert done.json[-1] == {"state": "stopped", "ranges": 10, "contexts_left": DEVICES - 1}
    assert all(row["state"] == "translates" for row in done.json[:-1])


def test_csv_has_rows_only_and_the_line_is_on_stderr(loop, capsys):
    done = run(capsys, "mappings", loop, *UNIT, "--max-ranges", "10", "--csv")

    assert done.status == 1
    assert len(list(csv.DictReader(io.StringIO(done.out)))) == 10
    assert done.err == "assumed: CAP 0x100000c002f0406, ECAP 0x1c998c50000c4: not given\n" + STOPPED


def test_a_search_counts_what_it_looks_at(loop, capsys):
    for address, rows in (("0x2000", 10), ("0x9000", 0)):
        words = ("--reverse", address, "--max-ranges", "10")
        text = run(capsys, "mappings", loop, *UNIT, *words)
        listed = run(capsys, "mappings", loop, *UNIT, *words, "--json")

        assert (text.status, listed.status) == (1, 1)
        assert text.out.endswith(STOPPED)
        assert ("nothing is reached so far" in text.out) == (not rows)
        assert len(listed.json) == rows + 1
        assert listed.json[-1]["ranges"] == 10


def test_a_comparison_counts_both_sides(loop, capsys):
    for words in ((), ("--json",), ("--csv",)):
        done = run(capsys, "mappings", loop, *UNIT, "--diff", loop, "--max-ranges", "10", *words)

        assert done.status == 1
        assert STOPPED.strip() in done.out + done.err or done.json[-1]["contexts_left"] == DEVICES - 1
        if not words:
            assert "no difference so far\n" in done.out


def test_pictures_show_what_was_seen_and_say_so(loop, tmp_path, capsys):
    drawing = tmp_path / "map.svg"
    done = run(capsys, "mappings", loop, *UNIT, "--max-ranges", "10", "--map", "-o", drawing)
    only = run(capsys, "mappings", loop, *UNIT, "--max-ranges", "10", "-o", drawing)

    assert (done.status, only.status) == (1, 1)
    assert done.out.endswith(STOPPED)
    assert only.err == STOPPED
    assert STOPPED.strip() in re.sub(r"</text><text[^>]*>", " ", drawing.read_text())
    assert "reaches IOMMU tables" in done.out


def test_an_audit_finds_what_it_can_and_says_what_it_did_not_look_at(loop, capsys):
    text = run(capsys, "audit", loop, *UNIT, "--max-ranges", "10")
    done = run(capsys, "audit", loop, *UNIT, "--max-ranges", "10", "--json")

    assert (text.status, done.status) == (1, 1)
    assert STOPPED in text.out
    kinds = {finding["kind"] for finding in done.json["findings"]}
    assert {"table-writable", "unfinished"} <= kinds
    assert done.json["stopped"] == {"state": "stopped", "ranges": 10, "contexts_left": DEVICES - 1}


def test_an_audit_of_one_device_is_not_clean_because_others_used_everything_up(loop, capsys):
    done = run(capsys, "audit", loop, *UNIT, "--max-ranges", "10", "--rid", "00:07.0")

    assert done.status == 1
    assert "nothing was found so far" in done.out


MODES = [(), ("--json",), ("--csv",), ("--reverse", "0x9000"), ("--map",), ("--diff", "OTHER")]


@pytest.mark.parametrize("mode", MODES)
def test_looking_where_nothing_is_has_an_end_too(mode, empty, capsys):
    words = [str(empty) if word == "OTHER" else word for word in mode]

    done = run(capsys, "mappings", empty, *UNIT, "--max-ranges", "1000", *words)

    assert done.status == 1
    said = done.out + done.err
    assert "stopped after 0 ranges; 255 contexts not looked at" in said or done.json[-1] == {
        "state": "stopped",
        "ranges": 0,
        "contexts_left": DEVICES - 1,
    }


def test_an_audit_has_an_end_where_nothing_is(empty, capsys):
    done = run(capsys, "audit", empty, *UNIT, "--max-ranges", "1000")

    assert done.status == 1
    assert "stopped after 0 ranges; 255 contexts not looked at\n" in done.out


def test_what_ends_by_itself_is_not_stopped(tmp_path, capsys):
    """Four pages of one device: exactly as many ranges as it has are not too many; 0 is no limit."""
    path = tmp_path / "few"
    pages = [0] * 512
    pages[:4] = 0x9003, 0x7003, 0x5003, 0x3003
    path.write_bytes(
        struct.pack("<QQ", 0x1001, 0).ljust(4096, b"\0")
        + struct.pack("<QQ", 0x2001, 0x102).ljust(4096, b"\0")
        + struct.pack("<Q", 0x3003).ljust(4096, b"\0")
        + struct.pack("<Q", 0x4003).ljust(4096, b"\0")
        + struct.pack("<Q", 0x5003).ljust(4096, b"\0")
        + struct.pack("<512Q", *pages)
    )
    for most, status, rows in (("4", 0, 4), ("0", 0, 4), ("5", 0, 4), ("3", 1, 4)):
        done = run(capsys, "mappings", path, *UNIT, "--max-ranges", most, "--json")

        assert (done.status, len(done.json)) == (status, rows)
    assert done.json[-1] == {"state": "stopped", "ranges": 3, "contexts_left": 0}


def test_contexts_without_ranges_are_not_without_end():
    """2^16 devices with 2^20 PASIDs each: VT-d scalable mode, PASID directory and table point to the same."""
    unit = Unit("vtd", {"RTADDR": 0x400})  # TTM 01: scalable
    memory = Memory()
    contexts, directory, entries = (
        table(0x2001 | 7 << 9, 0, 0, 0),
        table(0x3001),
        table(1, 0, 0, 0, 0, 0, 0, 0),
    )
    memory.map(0, table(0x1001) + contexts + directory + entries)
    most = Budget(1 << 17, 1000)

    with pytest.raises(OutOfSteps):
        for _ in everything(unit, memory, budget=most):
            pass
    stop = budget.stop(most, lambda limits: requesters(unit, memory, budget=limits))

    assert most.contexts > 100
    assert stop.more
    assert re.fullmatch(r"stopped after \d+ ranges; more than \d+ contexts not looked at", str(stop))
    assert audit(unit, memory, budget=Budget(1 << 15, 10)).stop
    assert draw(unit, memory, 80, budget=Budget(1 << 15, 10)).stop


def test_images_may_be_looked_at_as_far_as_they_can_honestly_hold_tables():
    memory = Memory()
    memory.map(0, bytes(1 << 20))

    assert Budget.of_ranges(10, memory).most_places == budget.PLACES + (1 << 17)
    assert Budget.of_ranges(budget.PLACES, memory).most_places == 64 * budget.PLACES + (1 << 17)
    assert Budget.of_ranges(0, memory).most_places is None


def test_a_terminal_sees_counts(loop, tmp_path):
    master, slave = pty.openpty()
    words = ["mappings", str(loop), *UNIT, "--max-ranges", "1000", "--json"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    with (tmp_path / "out").open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "iommu_abi", *words], stdout=out, stderr=slave, env=environment
        )
    os.close(slave)
    said = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while part := os.read(master, 1 << 16):
            said += part
    os.close(master)

    assert child.wait() == 1
    assert re.search(rb"[\d,]+ ranges, [\d,]+ contexts", said)
    assert json.loads((tmp_path / "out").read_text())[-1]["ranges"] == 1000


@pytest.mark.parametrize("word", ["-1", "many", "1e6", ""])
def test_a_limit_that_is_no_number_is_misuse(word, loop, capsys):
    for command in ("mappings", "audit"):
        done = run(capsys, command, loop, *UNIT, f"--max-ranges={word}")

        assert done.status == 2
        assert "--max-ranges" in done.err
