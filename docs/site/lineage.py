"""The lineage: every struct of every generation beside its predecessor, as data that lineage.js draws.

Layouts are those of `iommu-abi layout`, verdicts and reasons those of `iommu-abi compat`. They go into one
script that sets a global, because a page that is opened as a file may load scripts and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from iommu_abi import compat, uapi
from iommu_abi.names import generations_of
from iommu_abi.schemas import uapi as schemas
from iommu_abi.uapi import picture
from iommu_abi.uapi.layout import ABIS, Layout

_ABI_NUMBERS = {name: i for i, name in enumerate(ABIS)}


class _Layouts:
    """Distinct layouts, each once: most structs do not change from one generation to the next."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def number(self, layout: Layout) -> int:
        """Where a layout is in the list."""
        drawn = _drawn(layout)
        key = json.dumps(drawn)
        if key not in self._numbers:
            self._numbers[key] = len(self.made)
            self.made.append(drawn)
        return self._numbers[key]


def _drawn(layout: Layout) -> dict[str, Any]:
    """A layout: its cells, the rows of the drawing as (cell, offset, bytes), and its fields."""
    cells = picture.cells(layout)
    return {
        "size": layout.size,
        "align": layout.align,
        "cells": [[cell.name, cell.offset, cell.size, cell.kind] for cell in cells],
        "rows": [
            [[cells.index(piece.cell), piece.offset, piece.size] for piece in row]
            for row in picture.rows(layout)
        ],
        "fields": [
            [f.name, f.offset, f.size, picture.type_name(f.type), f.in_union, f.bits or 0]
            for f in layout.fields
        ],
    }


def _predecessors(name: str, generations: list[str]) -> Iterator[tuple[str, str] | None]:
    """For each generation of a struct the (struct, generation) before it, also one of a shorter name."""
    first, *_ = generations
    yield _under_a_shorter_name(name, first)
    yield from ((name, generation) for generation in generations[:-1])


def _under_a_shorter_name(name: str, generation: str) -> tuple[str, str] | None:
    """gpasid_bind_data became iommu_gpasid_bind_data: words before a name, to compat the same struct."""
    earlier = uapi.GENERATIONS[: uapi.GENERATIONS.index(generation)]
    for old, generations in uapi.structs().items():
        if name.endswith(f"_{old}") and generations[-1] in earlier and generation not in generations:
            return old, generations[-1]
    return None


@cache
def _subjects(old: str, new: str) -> dict[str, compat.Compared]:
    report = compat.compare(compat.read(old), compat.read(new))
    return {subject.name: subject for subject in report.subjects if subject.kind in ("struct", "union")}


def _change(name: str, generation: str, before: tuple[str, str]) -> dict[str, Any]:
    """What changed since the predecessor, and the verdict in both directions."""
    subject = _subjects(before[1], generation)[name]
    return {
        "struct": before[0],
        "generation": before[1],
        "contract": subject.contract,
        "old": subject.old_program.name,
        "new": subject.new_program.name,
        "findings": [
            [f.field, f.change, f.reason, f.old_program.name, f.new_program.name] for f in subject.findings
        ],
    }


def _ioctls(generation: str, struct: str) -> list[str]:
    """Commands that take a struct, itself or as data beside their own."""
    made = schemas.GENERATIONS[generation]
    carriers = {p.struct for p in made.payloads if struct in p.types.values()}
    return [ioctl.name for ioctl in made.ioctls.values() if ioctl.struct in {struct, *carriers}]


def _states(name: str, generations: list[str], layouts: _Layouts) -> Iterator[dict[str, Any]]:
    """A struct in each of its generations."""
    for generation, before in zip(generations, _predecessors(name, generations)):
        record = uapi.declarations(generation).records[name]
        yield {
            "generation": generation,
            "layouts": [
                [layouts.number(layout), [_ABI_NUMBERS[abi.name] for abi in abis]]
                for abis, layout in picture.groups(record)
            ],
            "ioctls": _ioctls(generation, name),
            "since": _change(name, generation, before) if before else None,
        }


def _kernels() -> dict[str, list[str]]:
    """Kernel -> the generations that were seen in it."""
    named = re.findall(r"_(\d+)_(\d+)\b", " ".join(uapi.GENERATIONS))
    versions = sorted({(int(major), int(minor)) for major, minor in named})
    return {f"{a}.{b}": generations_of(f"{a}.{b}", uapi.GENERATIONS) for a, b in versions}


def data() -> dict[str, Any]:
    """All that the page needs."""
    layouts = _Layouts()
    structs = [
        {"name": name, "states": list(_states(name, generations, layouts))}
        for name, generations in sorted(uapi.structs().items())
    ]
    sources = {name: schemas.GENERATIONS[name].source for name in uapi.GENERATIONS}
    return {
        "abis": list(ABIS),
        "generations": sources,
        "kernels": _kernels(),
        "layouts": layouts.made,
        "structs": structs,
    }


def _write(app: Sphinx, failed: Exception | None) -> None:
    """Put the script beside the others."""
    if not failed:
        text = json.dumps(data(), separators=(",", ":"))
        (Path(app.outdir) / "_static/lineage-data.js").write_text(f"window.LINEAGE = {text};\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the data when the pages are made."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True}
