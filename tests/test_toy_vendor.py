"""What a new kind of IOMMU costs: six new files, and two lines in others.

A copy of the package gets a vendor more, is built, and walks, decodes and conforms by it. Its tables are
those of AMD-Vi under another name, so that the count is of the house and not of a format; the house does not
know that.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_NEW_FILES, MOST_EDITED_LINES = 6, 3

CORE = re.sub(r"(\b|_)amdvi(?!\w*\.h)", r"\1toy", (ROOT / "iommu_abi/core/amdvi.c").read_text())

SCHEMA = '''\
"""The toy: the plain walk of its tables."""

from iommu_abi.schemas.amdvi import FORMAT

__all__ = ["FORMAT"]
'''

RECORD = '''\
"""The toy."""

from iommu_abi.vendors import Vendor

VENDOR = Vendor(code="toy event", code_key="event", switch="CONTROL")
'''

DECODE = '''\
"""Fault lines of the toy: "toy-iommu: event 2 device 00:02.0 address 0x1000"."""

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Meaning, Report

_LINE = regex(r"toy-iommu: event (?P<code>\\d{1,3}) device 00:02.0 address (?P<address>0x[0-9a-f]{1,16})")
DRIVER = "toy-iommu"
MARKS = ("toy-iommu: event",)
BEGINS = "toy-iommu: event"
HINT = regex("toy-iommu: event")


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault is one line."""
    found = lines.find(at, _LINE)
    if not found:
        return None
    meaning, address = Meaning("page fault", "no page there"), int(found["address"], 16)
    return Report("toy", int(found["code"]), meaning, "nowhere", found.at, 0x10, "00:02.0", address=address)
'''

CONFORM = '''\
"""Cases of the toy."""

from iommu_abi.conform.walks import WalkFormat
from iommu_abi.inputs import Record
from iommu_abi.terms import Request


def registers(config: Record) -> dict[str, int]:
    """The device table."""
    return {"DEVTAB_BASE": config.number("table")}


def request(asked: Record) -> Request:
    """What the device asks."""
    return Request(asked.number("device"), asked.number("iova"))


FORMATS = {"toy": WalkFormat("toy", registers, request)}
'''

#: Device 0x10 at 0x1000 + 32 * 0x10; one level, root 0x2000; page 1 is at 0x5000 (AMD 48882, 2.2.2, 2.2.3).
TESTS = '''\
"""The toy, asked in all the ways that there are."""

import json

from iommu_abi.cli.answers import code_text
from iommu_abi.conform import read_cases, run
from iommu_abi.decode.faults import decode
from iommu_abi.ledgers import ask
from iommu_abi.memory import Memory
from iommu_abi.terms import Request
from iommu_abi.walk import Unit

WORDS = {0x1200: 0x6000_0000_0000_2203, 0x2008: 0x6000_0000_0000_5001}


def test_both_ledgers_translate():
    memory = Memory()
    for page in (0x1000, 0x2000):
        words = (WORDS.get(page + at, 0) for at in range(0, 0x1000, 8))
        memory.map(page, b"".join(word.to_bytes(8, "little") for word in words))

    answers = ask(Unit("toy", {"DEVTAB_BASE": 0x1000}), memory, Request(0x10, 0x1ABC))
    assert answers.differences == ()
    assert answers.fast.hpa == 0x5ABC


def test_a_fault_line_is_decoded():
    [report] = decode("[    1.0] toy-iommu: event 2 device 00:02.0 address 0x1000").reports

    assert (report.kind, report.code, report.address) == ("toy", 2, 0x1000)
    assert code_text("toy") == "toy event"


def test_a_case_conforms():
    memory = [{"hpa": hpa, "qword": word} for hpa, word in WORDS.items()]
    case = {"id": "1", "format": "toy", "config": {"table": 0x1000}, "memory": memory,
            "input": {"device": 0x10, "iova": 0x1ABC}, "expect": {"result": "ok", "hpa": 0x5ABC}}

    [found] = read_cases(json.dumps([case]), "here")
    assert run(found).passed
'''

NEW = {
    "iommu_abi/core/toy.c": CORE,
    "iommu_abi/schemas/toy.py": SCHEMA,
    "iommu_abi/vendors/toy.py": RECORD,
    "iommu_abi/decode/toy.py": DECODE,
    "iommu_abi/conform/toy.py": CONFORM,
    "tests/test_toy.py": TESTS,
}
#: File -> what is replaced in it.
EDITS = {
    "iommu_abi/core/formats.h": ("FORMAT(smmuv3)\n", "FORMAT(smmuv3)\nFORMAT(toy)\n"),
    "iommu_abi/vendors/__init__.py": ("KINDS = {", 'KINDS = {"toy": "toy", '),
}
BUILD = """
import sys
sys.path.insert(0, "iommu_abi")
import _build
_build.FLAGS.append("-O0")
_build.core().compile()
"""


def said_by(house: Path, *words: str) -> str:
    """What a command says in the copy."""
    environment = os.environ | {"PYTHONPATH": str(house)}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The package with one vendor more, built."""
    house = tmp_path_factory.mktemp("house")
    left_out = shutil.ignore_patterns("__pycache__", "_core.*", "lib")
    for name in ("iommu_abi", "cdefs"):
        shutil.copytree(ROOT / name, house / name, ignore=left_out, symlinks=True)
    (house / "tests").mkdir()
    for path in (ROOT / "VERSION", *(ROOT / "tests").glob("*.py")):
        shutil.copy(path, house / path.relative_to(ROOT))
    for name, text in NEW.items():
        assert not (house / name).exists()
        (house / name).write_text(text)
    for name, (old, new) in EDITS.items():
        text = (house / name).read_text()
        assert old in text
        (house / name).write_text(text.replace(old, new, 1))
    said_by(house, "-c", BUILD)
    yield house
    shutil.rmtree(house)


def edited_lines(house: Path) -> list[str]:
    """Lines of files that were there, which are new in the copy."""
    found = []
    for path in (path for name in ("iommu_abi", "cdefs") for path in (house / name).rglob("*.[hcp]*")):
        old = ROOT / path.relative_to(house)
        if old.exists() and path.suffix in (".py", ".c", ".h"):
            lines = difflib.ndiff(old.read_text().splitlines(), path.read_text().splitlines())
            found += [line for line in lines if line.startswith("+ ")]
    return found


def test_a_vendor_is_six_files_and_two_lines(house: Path) -> None:
    assert len(NEW) <= MOST_NEW_FILES
    assert len(edited_lines(house)) == len(EDITS) <= MOST_EDITED_LINES


def test_a_new_vendor_is_walked_decoded_and_conforms(house: Path) -> None:
    said = said_by(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_toy.py")

    assert "3 passed" in said


def test_the_house_asks_for_no_more_of_a_vendor(house: Path) -> None:
    names = ("test_every_format_has_the_files_that_contributing_names",)
    names += ("test_python_reads_the_formats_from_the_core",)
    asked = [f"tests/test_architecture.py::{name}" for name in names]

    assert "2 passed" in said_by(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked)
