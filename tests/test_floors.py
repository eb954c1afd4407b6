"""Imports go downwards only: the source is held against the drawing in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).resolve().parent.parent


def rooms() -> list[str]:
    return sorted({*map(house.room, house.modules(ROOT)), house.COMPILED})


def test_every_room_stands_on_one_line_of_the_drawing():
    drawn = [name for line in house.floors(ROOT) for name in line]

    assert sorted(drawn) == rooms()


def test_no_arrow_runs_up_or_along_a_line():
    assert house.up(house.arrows(ROOT), house.floors(ROOT)) == []


def test_schemas_import_words_only():
    """Else comparing the ledgers would compare a thing with itself."""
    found = {b for a, b in house.arrows(ROOT) if a == "schemas"}

    assert found <= {"errors", "terms", "names", "vendors"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("import iommu_abi.walk", ["iommu_abi.walk"]),
        ("from iommu_abi import walk as w, terms", ["iommu_abi.walk", "iommu_abi.terms"]),
        ("def f():\n    from iommu_abi.cli import output", ["iommu_abi.cli.output"]),
        ("if TYPE_CHECKING:\n    from iommu_abi.walk import Unit", ["iommu_abi.walk.Unit"]),
        ("import_module('iommu_abi.uapi')", ["iommu_abi.uapi"]),
        ("importlib.import_module(f'iommu_abi.nesting.{name}').accept(data)", ["iommu_abi.nesting."]),
        ("import_module(f'{__package__}.{name}')", ["iommu_abi.here."]),
    ],
)
def test_an_import_is_seen_wherever_it_stands(text, wanted):
    assert list(house.imports(ast.parse(text), "iommu_abi.here")) == wanted


def test_an_arrow_that_runs_up_or_along_is_told():
    found = Counter({("low", "high"): 1, ("high", "low"): 1, ("high", "beside"): 2, ("new", "low"): 1})
    told = [("high", "beside"), ("low", "high"), ("new", "low")]

    assert house.up(found, [["high", "beside"], ["low"]]) == told
    assert house.circles(found) == [("high", "low"), ("low", "high")]
