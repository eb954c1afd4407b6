"""The tables of docs/text_riscv.md and docs/text_amd.md name functions and tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import test_amdvi
import test_riscv

ROOT = Path(__file__).parent.parent
TEXTS = {"text_riscv.md": test_riscv, "text_amd.md": test_amdvi}
TESTS = {
    name
    for path in (ROOT / "tests").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
}


def rows(text: str) -> list[list[str]]:
    lines = (ROOT / "docs" / text).read_text().splitlines()
    tables = [line for line in lines if line.startswith("| ") and not line.startswith("| section ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in tables]


@pytest.mark.parametrize("text", TEXTS)
def test_each_row_has_a_section_what_it_says_a_function_and_a_test(text: str) -> None:
    assert len(rows(text)) > 25
    assert [row for row in rows(text) if len(row) != 4 or not all(row)] == []


def functions() -> set[str]:
    return {name for text in TEXTS for row in rows(text) for name in re.findall(r"`([^`]+)`", row[2])}


@pytest.mark.parametrize("name", sorted(functions()))
def test_what_checks_a_section_exists(name: str) -> None:
    module, *path = name.split(".")
    found = importlib.import_module(f"iommu_abi.schemas.{module}")
    for part in path:
        made_by_init = part in getattr(found, "__annotations__", {})
        assert hasattr(found, part) or made_by_init
        found = getattr(found, part, None)


@pytest.mark.parametrize("text", TEXTS)
def test_every_test_that_is_named_exists(text: str) -> None:
    named = {name for row in rows(text) for name in re.findall(r"\btest_\w+(?:\.py)?", row[3])}

    files = {name for name in named if name.endswith(".py")}
    assert [name for name in files if not (ROOT / "tests" / name).is_file()] == []
    assert named - files - TESTS == set()


@pytest.mark.parametrize("text", TEXTS)
def test_every_row_of_a_table_of_facts_that_is_named_exists(text: str) -> None:
    tables = [value for value in vars(TEXTS[text]).values() if isinstance(value, dict)]
    known = {name for table in tables for name in table if isinstance(name, str)}
    # what is asked of each stage alike has the stage's name before it
    endings = {name.split(": ", 1)[-1] for name in known}

    named = {name for row in rows(text) for name in re.findall(r'"([^"]+)"', row[3])}

    assert named - known - endings == set()


@pytest.mark.parametrize("text", TEXTS)
def test_a_section_that_is_checked_has_a_test(text: str) -> None:
    assert [row for row in rows(text) if row[2].startswith("`") and row[3] == "-"] == []
