"""Whole memory of real guests against what was read of their IOMMUs at the same stop: `make dumps`.

IOMMU_ABI_DUMPS names a directory with a directory for each dump: vmcore.*, meta.json, truth.json. Without it,
one of the name ``dumps`` is looked for beside the clone; where there is none, each test is skipped by name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_acquire_linux import EXPECTED, differing

BESIDE = (Path(__file__).resolve().parents[2] / place for place in ("dumps", "shared/data/dumps"))
ROOT = Path(os.environ.get("IOMMU_ABI_DUMPS") or next((p for p in BESIDE if p.is_dir()), "dumps"))
DUMPS = sorted(path for path in ROOT.glob("*/vmcore.*") if (path.parent / "meta.json").is_file())
MOST_SECONDS, MOST_BYTES = 10, 300 << 20

pytestmark = pytest.mark.skipif(not DUMPS, reason=f"no dumps in {ROOT}: IOMMU_ABI_DUMPS says where they are")


@pytest.fixture(
    scope="module", params=DUMPS or [None], ids=lambda path: path and f"{path.parent.name}-{path.name}"
)
def dump(request, tmp_path_factory):
    """A dump, unpacked once, with what is known of it."""
    path = request.param
    if path.name.startswith("vmcore.kdump"):
        pytest.importorskip("kdumpfile", reason=f"{path.parent.name}: libkdumpfile is not here")
    plain = tmp_path_factory.mktemp("dump") / path.stem
    with plain.open("wb") as out:
        subprocess.run(["xz", "-dc", str(path)], stdout=out, check=True)
    yield plain, path.parent
    plain.unlink()


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "iommu_abi", *map(str, words)], capture_output=True, text=True
    )


def test_registers_are_those_of_the_hardware(dump):
    plain, about = dump
    meta = json.loads((about / "meta.json").read_text())

    done = command("config", plain, "--json")

    assert done.returncode == 0, done.stderr
    [unit] = json.loads(done.stdout)["units"]
    assert (unit["kind"], unit["base"]) == (meta["kind"], meta["registers"]["base"])
    assert set(EXPECTED[meta["kind"]]) <= set(unit["registers"])
    assert differing(unit["registers"], meta["registers"]) == {}


def test_mappings_are_those_with_the_true_registers(dump):
    plain, about = dump

    found = command("mappings", plain, "--csv")
    described = command("mappings", plain, "--csv", "--config", about / "meta.json")

    assert found.stdout == described.stdout
    assert found.returncode == 0


def test_known_translations_hold(dump):
    plain, about = dump
    truth = json.loads((about / "truth.json").read_text())
    from iommu_abi.acquire import linux
    from iommu_abi.memory import Memory
    from iommu_abi.terms import Access, Request
    from iommu_abi.walk import Unit

    memory = Memory.open(plain)
    [found] = linux.acquire(memory).units
    unit = Unit(found.kind, found.registers)
    rids = {device.short: device.ids[0] for device in found.devices}

    wrong = []
    for line in truth["translations"]:
        first, size = int(line["iova"], 16), int(line["size"], 16)
        for offset in {0, size - 1}:
            access = Access.READ if "r" in line["access"] else Access.WRITE
            request = Request(rids[line["bdf"]], first + offset, line["pasid"], access)
            answer = unit.translate(memory, request)
            if answer.hpa != int(line["pa"], 16) + offset:
                wrong.append((line, answer))
    assert wrong == []
    assert truth["translations"]


def test_the_kernels_uapi_structs_are_those_of_its_generation(dump):
    """Debian has iommufd and VFIO as modules, whose types are in the dump where they are loaded."""
    plain, about = dump
    release = json.loads((about / "meta.json").read_text())["kernel"]
    generation = "vfio_7_2" if " 7.2." in release else "vfio_6_12"

    done = command("compat", generation, plain, "--json")

    if done.returncode == 2:  # of 6.1 without data symbols, the list of modules is not known
        assert "its BTF has none of these structs" in done.stderr
        assert " 6.1." in release
        return
    report = json.loads(done.stdout)
    assert report["subjects"]
    assert {each["verdict"] for each in report["subjects"]} == {"COMPATIBLE"}


def test_it_is_quick_and_small(dump):
    plain, _ = dump
    code = (
        "import resource, sys, json; from iommu_abi.cli import main; main(['config', sys.argv[1]]);"
        "u = resource.getrusage(resource.RUSAGE_SELF);"
        "print(json.dumps([u.ru_utime + u.ru_stime, u.ru_maxrss * 1024]), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(plain)], capture_output=True, text=True, check=True
    )

    seconds, size = json.loads(done.stderr.splitlines()[-1])
    assert seconds < MOST_SECONDS
    assert size < MOST_BYTES
