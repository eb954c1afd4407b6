"""The tables of docs/text_smmuv3.md name functions of the plain ledger and tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = ROOT / "docs/text_smmuv3.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| section ")
]
TESTS = {
    name
    for path in (ROOT / "tests").glob("test_smmuv3*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
}


def test_each_row_has_a_section_what_it_says_a_function_and_a_test() -> None:
    assert len(ROWS) > 100
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []


@pytest.mark.parametrize("name", sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])}))
def test_what_checks_a_section_exists(name: str) -> None:
    module, *path = name.split(".")
    found = importlib.import_module(f"iommu_abi.schemas.{module}")
    for part in path:
        found = getattr(found, part)


def test_every_test_that_is_named_exists() -> None:
    named = {name for row in ROWS for name in re.findall(r"\btest_\w+(?:\.py)?", row[3])}

    files = {name for name in named if name.endswith(".py")}
    assert [name for name in files if not (ROOT / "tests" / name).is_file()] == []
    assert named - files - TESTS == set()


def test_a_section_that_is_checked_has_a_test() -> None:
    assert [
        row for row in ROWS if row[2].startswith("`") and row[3] == "-" and "vmsa_entries`" not in row[2]
    ] == []
