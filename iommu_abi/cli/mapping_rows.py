"""Mappings as text, JSON and CSV; lists of them while they come."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output
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


def rights_text(m: Mapping) -> str:
    """Rights and page sizes."""
    return f"{m.access!s:3} {'+'.join(_pages(m)) or 'untranslated'}"


def kind_text(m: Mapping) -> str:
    """What is reached, if it is not memory."""
    return " an MSI's MRIF" if m.target is Target.MRIF else ""


def reached_text(m: Mapping) -> str:
    """Where a mapping leads, with which rights."""
    via = f" via GPA {m.gpa:#x}" if m.gpa not in (m.first, m.hpa) else ""
    return f"-> {m.hpa:#014x} {rights_text(m)}{via}{kind_text(m)}"


def reached_json(m: Mapping) -> dict[str, object]:
    """The same as JSON has it: the values of REACHED."""
    from iommu_abi.mappings import page_sizes

    sizes = list(page_sizes(m.s1_sizes)), list(page_sizes(m.s2_sizes))
    return dict(zip(REACHED, (hex(m.gpa), hex(m.hpa), str(m.access), *sizes, m.target.name.lower())))


def span_text(m: Mapping) -> str:
    """The IOVAs of a mapping."""
    return f"{m.first:#014x}..{m.last:#014x}"


def emit_json(objects: Iterable[str]) -> int:
    """A JSON list, an object a line, while they come; how many there were."""
    n = 0

    def lines() -> Iterator[str]:
        nonlocal n
        for n, each in enumerate(objects, 1):
            yield f"{',' if n > 1 else '['}\n{each}"

    output.lines(lines())
    print("\n]" if n else "[]")
    return n


def csv_line(values: Iterable[object]) -> str:
    """A line of CSV. A list is separated by slashes."""
    made = StringIO()
    cells = ("/".join(map(str, value)) if isinstance(value, list) else value for value in values)
    csv.writer(made, lineterminator="\n").writerow(cells)
    return made.getvalue()


def emit_csv(columns: tuple[str, ...], lines: Iterable[str]) -> int:
    """CSV, while lines come; how many there were."""
    n = 0

    def counted() -> Iterator[str]:
        nonlocal n
        yield csv_line(columns)
        for each in lines:
            n += 1
            yield each

    output.lines(counted())
    return n
