"""Case files: what a case holds, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iommu_abi.inputs import InputError, Record, parse_json
from iommu_abi.ledgers import Difference


@dataclass(frozen=True, slots=True)
class Case:
    """One case as it stands in the file, and where that is."""

    where: str
    id: str
    format: str
    config: Record
    input: Record
    words: tuple[tuple[int, int], ...]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What we say, by the keys of ``expect``; where the ledgers differ."""

    got: Mapping[str, Any]
    differences: tuple[Difference, ...] = ()


def _word(data: object, where: str) -> tuple[int, int]:
    record = Record(data, where)
    return record.number("hpa"), record.number("qword")


def _case(data: object, where: str) -> Case:
    record = Record(data, where)
    words = record.items("memory") if "memory" in record else []
    return Case(
        where,
        record.text("id"),
        record.text("format"),
        record.record("config"),
        record.record("input"),
        tuple(_word(each, f"{where}: memory") for each in words),
        record.record("expect").data,
    )


def read_cases(text: str, where: str) -> list[Case]:
    """The cases of a file: ``{"cases": [...]}`` or the list alone."""
    data = parse_json(text, where)
    rows = data if isinstance(data, list) else Record(data, where).items("cases")
    if not rows:
        raise InputError(f"{where}: no cases")
    return [_case(row, f"{where}: case {i}") for i, row in enumerate(rows, 1)]
