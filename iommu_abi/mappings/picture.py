"""Pictures of a map of what devices can reach: as lines of text, and as SVG."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator
from typing import Literal
from xml.etree import ElementTree

from iommu_abi import drawing
from iommu_abi.mappings.enumeration import ContextState
from iommu_abi.mappings.map import TABLES, Map, Region, Row
from iommu_abi.terms import Access

R, W, X = Access.READ, Access.WRITE, Access.EXEC

#: Columns beside the axis in a picture of text.
MARGIN = 22
#: Columns of the axis in an SVG.
SVG_COLUMNS = 168

Look = Literal["name", "frame", "none", "read", "write", "both", "exec", "all", "tables"]
Segment = tuple[str, Look]

TABLES_NAME = "IOMMU tables"
EMPTY = {
    ContextState.TRANSLATES: "reach nothing on this map",
    ContextState.PASSES: "pass everything through",
    ContextState.REFUSES: "refuse every request",
    ContextState.BROKEN: "are broken and block every request",
}


def _word(row: Row, label: str) -> str:
    """The label of a row with a strip."""
    return f"{label} passes" if row.state is ContextState.PASSES else label


def _size(size: int) -> str:
    """A power of two of bytes, short."""
    steps = max(0, (size.bit_length() - 1) // 10)
    return f"{size >> 10 * steps}{'BKMGTPE'[steps]}"


def notes(drawn: Map, labels: Iterable[str], members: Iterable[str]) -> Iterator[str]:
    """What is to be said below a picture: who shares a row, who reaches nothing, what is not exact.

    ``labels`` and ``members``: the short and the long name of each row.
    """
    for row, label, all_of_them in zip(drawn.rows, labels, members):
        if not any(row.cells):
            yield f"{EMPTY[row.state]} ({row.count}): {all_of_them}"
        elif row.count > 1:
            yield f"{label}: {all_of_them}"
    if drawn.left_out:
        yield f"{drawn.left_out} more contexts have no room here"
    if not drawn.exact:
        yield "IOMMU tables lie in too many places: what lies between close ones counts as table"
    if drawn.stop:
        yield str(drawn.stop)


def _levels(ends: list[tuple[int, int]]) -> list[int]:
    """For labels with these first and last columns, ascending: lines above the axis, so that none overlap."""
    levels: list[int] = []
    for i in range(len(ends) - 1, -1, -1):
        beside = [level for (first, _), level in zip(ends[i + 1 :], levels) if first <= ends[i][1] + 1]
        levels.insert(0, max(beside) + 1 if beside else 0)
    return levels


# ---------------------------------------------------------------- text

#: Rights -> sign, kind, and what the legend says.
_SIGNS: dict[int, tuple[str, Look, str]] = {
    0: ("·", "none", "nothing"),
    R: ("r", "read", "read"),
    W: ("w", "write", "write"),
    R | W: ("█", "both", "read, write"),
    X: ("x", "exec", "read, execute"),
    R | X: ("x", "exec", "read, execute"),
    W | X: ("X", "all", "all, execute too"),
    R | W | X: ("X", "all", "all, execute too"),
}
_REACHED: tuple[str, Look, str] = ("!", "tables", "reaches IOMMU tables")


def _sign(cell: int) -> tuple[str, Look, str]:
    return _REACHED if cell & TABLES else _SIGNS[cell]


def _x(regions: list[Region]) -> list[int]:
    """Where on a line the frame before each region is."""
    return [region.at + i for i, region in enumerate(regions)]


def _header(regions: list[Region]) -> Iterator[str]:
    """First addresses of regions over their frames, then the bytes of a column where there is room."""
    at = _x(regions)
    texts = [f"{region.first:#x}" for region in regions]
    levels = _levels([(x, x + len(text)) for x, text in zip(at, texts)])
    for level in range(max(levels, default=0), -1, -1):
        line = ""
        for x, text, own in zip(at, texts, levels):
            if own >= level:
                line = line.ljust(x) + (text if own == level else "│")
        yield line
    line = ""
    for x, region in zip(at, regions):
        text = _size(region.unit)
        line = line.ljust(x) + "│" + (text if len(text) <= region.columns else "")
    yield line


def _strip(regions: list[Region], signs: list[tuple[str, Look]]) -> Iterator[Segment]:
    """Signs, with the frame between regions and neighbours of a kind together."""
    for region in regions:
        yield "│", "frame"
        for kind, group in itertools.groupby(signs[region.at : region.at + region.columns], lambda s: s[1]):
            yield "".join(sign for sign, _ in group), kind
    yield "│", "frame"


def _name(text: str) -> str:
    return (text if len(text) < MARGIN else f"…{text[2 - MARGIN :]}").ljust(MARGIN)


def _legend(cells: Iterable[int]) -> Iterator[Segment]:
    for sign, kind, meaning in dict.fromkeys(map(_sign, sorted(cells))):
        yield sign, kind
        yield f" {meaning}   ", "name"
    yield "T", "tables"
    yield " IOMMU tables", "name"


def lines(drawn: Map, labels: list[str]) -> Iterator[list[Segment]]:
    """The picture as lines of (text, what it shows), MARGIN columns wider than its axis; then the legend."""
    *above, addresses, units = _header(drawn.regions)
    for text in above:
        yield [(" " * MARGIN + text, "frame")]
    yield [(_name("host-physical address") + addresses, "frame")]
    yield [(_name("bytes per column") + units, "frame")]
    for row, label in zip(drawn.rows, labels):
        if any(row.cells):
            signs = [_sign(cell)[:2] for cell in row.cells]
            yield [(_name(_word(row, label)), "name"), *_strip(drawn.regions, signs)]
    tables: list[tuple[str, Look]] = [("T", "tables") if cell else ("·", "none") for cell in drawn.tables]
    yield [(_name(TABLES_NAME), "name"), *_strip(drawn.regions, tables)]
    yield list(_legend({cell if cell < TABLES else TABLES for row in drawn.rows for cell in row.cells}))


# ---------------------------------------------------------------- SVG

_CELL, _LANE, _ROW, _LEFT, _EDGE = 5, 5, 23, 190, 16
_GAP = 6  # pixels between regions
_CHARACTER = 7.3  # pixels, about, of monospace at 12
_NARROWEST = 880  # pixels: the legend needs them
_WRAP = (_NARROWEST - 2 * _EDGE) // 7 - 3  # characters of a note in one line
_LANES = ((R, "r", "read"), (W, "w", "write"), (X, "x", "execute"))

_STYLE = """
.bg { fill: #ffffff } .region { fill: #f1f3f5 } .text { fill: #1b1f24 } .dim { fill: #6a737d }
.title { font-weight: bold; font-size: 14px }
.line { stroke: #c5ccd3; stroke-width: 0.7 } .r { fill: #2a7ab9 } .w { fill: #e08a00 } .x { fill: #b5338a }
.t { fill: #57606a } .alarm { fill: none; stroke: #d1242f; stroke-width: 2 } .alarm-text { fill: #d1242f }
@media (prefers-color-scheme: dark) {
.bg { fill: #0d1117 } .region { fill: #1c2128 } .text { fill: #e6edf3 } .dim { fill: #8b949e }
.line { stroke: #444c56 } .r { fill: #58a6e8 } .w { fill: #f0a93b } .x { fill: #dd6fb8 }
.t { fill: #9aa4af } .alarm { stroke: #ff6a69 } .alarm-text { fill: #ff6a69 }
}
"""


def _left(regions: list[Region]) -> list[int]:
    """Where each region begins, in pixels."""
    return [_LEFT + region.at * _CELL + i * _GAP for i, region in enumerate(regions)]


def _heads(regions: list[Region]) -> list[tuple[int, int]]:
    """First and last pixel of the regions' labels."""
    widths = (int(len(f"{region.first:#x}") * _CHARACTER) + 4 for region in regions)
    return [(x, x + width) for x, width in zip(_left(regions), widths)]


def _svg_header(root: ElementTree.Element, regions: list[Region], top: int, bottom: int) -> None:
    """The regions from ``top`` to ``bottom``, their addresses and units above them."""
    drawing.text(root, _EDGE, top - 21, "host-physical address", "dim")
    drawing.text(root, _EDGE, top - 7, "bytes per column", "dim")
    for x, level, region in zip(_left(regions), _levels(_heads(regions)), regions):
        y = top - 21 - 15 * level
        width = region.columns * _CELL
        box = drawing.element(root, "rect", "region", x=x, y=top, width=width, height=bottom - top)
        hint = f"{region.first:#x}..{region.last:#x}, {_size(region.unit)} a column"
        ElementTree.SubElement(box, "title").text = hint
        drawing.element(root, "line", "line", x1=x + 0.5, y1=y - 10, x2=x + 0.5, y2=top)
        drawing.text(root, x + 4, y, f"{region.first:#x}")
        if len(unit := _size(region.unit)) * _CHARACTER + 6 <= width:
            drawing.text(root, x + 4, top - 7, unit, "dim")


def _runs(regions: list[Region], cells: bytearray) -> Iterator[tuple[int, int, int, int, int]]:
    """Neighbours with the same cell, but empty ones: (cell, x, width, first address, last address)."""
    for region, left in zip(regions, _left(regions)):
        columns = range(region.at, region.at + region.columns)
        for cell, group in itertools.groupby(columns, lambda column: cells[column]):
            found = list(group)
            if cell:
                x = left + (found[0] - region.at) * _CELL
                yield cell, x, len(found) * _CELL, region.span(found[0])[0], region.span(found[-1])[1]


def _svg_row(root: ElementTree.Element, regions: list[Region], row: Row, label: str, y: int) -> None:
    drawing.text(root, _EDGE, y + 15, label)
    for cell, x, width, first, last in _runs(regions, row.cells):
        group = ElementTree.SubElement(root, "g")
        reached = ", IOMMU tables among it" if cell & TABLES else ""
        rights = Access(cell & ~TABLES)
        ElementTree.SubElement(group, "title").text = f"{label}: {rights} in {first:#x}..{last:#x}{reached}"
        for lane, (right, style, _) in enumerate(_LANES):
            if cell & right:
                drawing.element(group, "rect", style, x=x, y=y + 4 + lane * _LANE, width=width, height=_LANE)
        if cell & TABLES:
            drawing.element(group, "rect", "alarm", x=x, y=y + 3, width=width, height=3 * _LANE + 2)


def _svg_tables(root: ElementTree.Element, drawn: Map, y: int) -> None:
    drawing.text(root, _EDGE, y + 15, TABLES_NAME)
    for _, x, width, first, last in _runs(drawn.regions, drawn.tables):
        box = drawing.element(root, "rect", "t", x=x, y=y + 4, width=width, height=3 * _LANE)
        ElementTree.SubElement(box, "title").text = f"{TABLES_NAME} in {first:#x}..{last:#x}"


def _svg_legend(root: ElementTree.Element, y: int) -> None:
    x = _LEFT
    for lane, (_, style, meaning) in enumerate(_LANES):
        drawing.element(root, "rect", style, x=x, y=y + 4 + lane * _LANE, width=24, height=_LANE)
        drawing.text(root, x + 30, y + 15, meaning)
        x += 100
    drawing.element(root, "rect", "t", x=x, y=y + 4, width=24, height=3 * _LANE)
    drawing.text(root, x + 30, y + 15, TABLES_NAME)
    drawing.element(root, "rect", "alarm", x=x + 140, y=y + 3, width=24, height=3 * _LANE + 2)
    drawing.text(root, x + 170, y + 15, "a device reaches IOMMU tables")


def svg(drawn: Map, labels: list[str], members: list[str], title: str) -> str:
    """A drawing of the map: three lanes a row, one for each right; hints say addresses."""
    strips = [(row, _word(row, label)) for row, label in zip(drawn.rows, labels) if any(row.cells)]
    below = [line for note in notes(drawn, labels, members) for line in textwrap.wrap(note, _WRAP)]
    top = 84 + 15 * max(_levels(_heads(drawn.regions)), default=0)
    bottom = top + _ROW * (len(strips) + 1)
    right = max((x + r.columns * _CELL for x, r in zip(_left(drawn.regions), drawn.regions)), default=0)
    label_end = max((end for _, end in _heads(drawn.regions)), default=0)
    width, height = max(_NARROWEST, right + _EDGE, label_end + 2), bottom + 60 + 16 * len(below)
    root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}")
    root.attrib |= {"width": str(width), "height": str(height)}
    root.attrib |= {"font-family": "monospace", "font-size": "12"}
    ElementTree.SubElement(root, "style").text = _STYLE
    drawing.element(root, "rect", "bg", width=width, height=height)
    drawing.text(root, _EDGE, 26, title, "text title")
    _svg_header(root, drawn.regions, top, bottom)
    for i, (row, label) in enumerate(strips):
        y = top + i * _ROW
        _svg_row(root, drawn.regions, row, label, y)
        drawing.element(root, "line", "line", x1=_EDGE, y1=y + _ROW - 0.5, x2=right, y2=y + _ROW - 0.5)
    _svg_tables(root, drawn, bottom - _ROW)
    _svg_legend(root, bottom + 14)
    for i, line in enumerate(below):
        drawing.text(root, _EDGE, bottom + 62 + 16 * i, line, "dim")
    return ElementTree.tostring(root, encoding="unicode") + "\n"
