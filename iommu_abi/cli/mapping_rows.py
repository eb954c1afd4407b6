"""Mappings as text, JSON and CSV; lists of them while they come."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

from iommu_abi.cli import answers
from iommu_abi.terms import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iommu_abi.mappings import Mapping

#: What :func:`reached_json` says.
REACHED = ("gpa", "hpa", "access", "s1_pages", "s2_pages", "target")


def _pages(m: Mapping) -> Iterator[str]:
    from iommu_abi.mappings import page_sizes

    for sizes in (m.s1_sizes, m.s2_sizes):
        if sizes:
            yield "/".join(answers.size_text(size.bit_length() - 1) for size in page_sizes(sizes))


def reached_text(m: Mapping) -> str:
    """Where a mapping leads, with which rights."""
    via = f" via GPA {m.gpa:#x}" if m.gpa not in (m.first, m.hpa) else ""
    mrif = " an MSI's MRIF" if m.target is Target.MRIF else ""
    return f"-> {m.hpa:#014x} {m.access!s:3} {'+'.join(_pages(m)) or 'untranslated'}{via}{mrif}"


def reached_json(m: Mapping) -> dict[str, object]:
    """The same as JSON has it: the values of REACHED."""
    from iommu_abi.mappings import page_sizes

    sizes = list(page_sizes(m.s1_sizes)), list(page_sizes(m.s2_sizes))
    return dict(zip(REACHED, (hex(m.gpa), hex(m.hpa), str(m.access), *sizes, m.target.name.lower())))


def span_text(m: Mapping) -> str:
    """The IOVAs of a mapping."""
    return f"{m.first:#014x}..{m.last:#014x}"


def emit_json(rows: Iterable[dict[str, object]]) -> int:
    """A JSON list, a row a line, while rows come; how many there were."""
    n = 0
    for n, row in enumerate(rows, 1):
        print("[" if n == 1 else ",", json.dumps(row), sep="\n", end="")
    print("\n]" if n else "[]")
    return n


def emit_csv(columns: tuple[str, ...], rows: Iterable[dict[str, object]]) -> int:
    """CSV, while rows come; how many there were. A list is separated by slashes."""
    out = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    out.writeheader()
    n = 0
    for row in rows:
        n += 1
        lists = {key: "/".join(map(str, value)) for key, value in row.items() if isinstance(value, list)}
        out.writerow(row | lists)
    return n
