"""Captures: the tables of a live guest, its IOMMU's registers, and what its DMA reached.

A capture is a directory with ``meta.json`` (kind, registers, RAM), an ELF image of the pages, and
``oracle.jsonl``: one translation a line, as it was seen. What a line means is in
:mod:`iommu_abi.replay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iommu_abi.inputs import InputError, Record, parse_json, read_text
from iommu_abi.terms import Access, Request
from iommu_abi.unit_meta import Meta, read_meta

ACCESS = {"read": Access.READ, "write": Access.WRITE, "exec": Access.EXEC}

IMAGES = ("sparse.elf.xz", "sparse.elf.gz", "sparse.elf")

Fault = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the oracle.

    ``pa`` is None if nothing landed and nothing was read; ``fault`` is then the record that was
    logged, None if nothing was. ``how`` are the ways in which the line was established.
    """

    number: int
    request: Request
    bdf: str
    pa: int | None
    fault: Fault | None
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture without its image; ``where`` is the file with its registers."""

    name: str
    where: str
    meta: Meta
    lines: tuple[Line, ...]


def image(directory: Path) -> Path:
    """The image of a capture."""
    for name in IMAGES:
        if (directory / name).is_file():
            return directory / name
    others = sorted(directory.glob("*.elf*"))
    if len(others) == 1:
        return others[0]
    found = f"found {' '.join(p.name for p in others)}" if others else "there is no *.elf*"
    raise InputError(f"{directory}: no {IMAGES[0]}, and {found}: say which with --image")


def _line(text: str, number: int, where: str) -> Line:
    record = Record(parse_json(text, where), where)
    rid = record.number("sid", last=(1 << 32) - 1)
    request = Request(
        rid=rid,
        iova=record.number("iova"),
        pasid=record.number_or_none("pasid", last=(1 << 20) - 1),
        access=record.choice("access", ACCESS),
    )
    pa, fault, how = record.number_or_none("pa"), record.data.get("fault"), record.data.get("how", [])
    how = [how] if isinstance(how, str) else how
    if not isinstance(how, list) or not all(isinstance(each, str) for each in how):
        raise InputError(f"{where}: how: got {how!r}, expected a list of words")
    logged = fault if pa is None and isinstance(fault, dict) else None
    return Line(number, request, record.text("bdf", f"{rid:#x}"), pa, logged, tuple(how))


def _lines(path: Path) -> tuple[Line, ...]:
    numbered = enumerate(read_text(path).split("\n"), 1)
    found = tuple(_line(text, n, f"{path}: line {n}") for n, text in numbered if text.strip())
    if not found:
        raise InputError(f"{path}: empty, expected a translation on each line")
    return found


def load(directory: Path) -> Capture:
    """Read a capture: all but its image."""
    where = directory / "meta.json"
    meta = read_meta(read_text(where), str(where))
    lines = _lines(directory / "oracle.jsonl")
    name = directory.name or str(directory.resolve().name)
    return Capture(name, str(where), meta, lines)
