"""Pictures of a layout: every byte of a struct in its place, as lines of text and as SVG.

Where a union has alternatives, the picture shows the one that the header names first; the table of
fields beside it has them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from iommu_abi import drawing
from iommu_abi.uapi.layout import ABIS, Abi, Array, Enum, Field, Layout, Pointer, Record, Type, layout

Look = Literal["field", "reserved", "hole", "tail"]

ROW_BYTES = 8
_RESERVED = ("reserved", "padding", "pad")


@dataclass(frozen=True, slots=True)
class Cell:
    """Bytes that belong together; a hole has no name."""

    name: str
    offset: int
    size: int
    kind: Look


def kind_of(f: Field) -> Look:
    """What a field is for, which for reserved ones only their name says."""
    if isinstance(f.type, Array) and f.type.count is None:
        return "tail"
    last = f.name.rsplit(".", 1)[-1].lstrip("_").rstrip("0123456789")
    return "reserved" if last in _RESERVED else "field"


def type_name(t: Type) -> str:
    """A type as the header writes it."""
    if isinstance(t, Array):
        return f"{type_name(t.item)}[{'' if t.count is None else t.count}]"
    if isinstance(t, Enum):
        return f"enum {t.name}"
    if isinstance(t, Record):
        return f"{t.kind} {t.tag}"
    return "pointer" if isinstance(t, Pointer) else t.name


def cells(made: Layout) -> list[Cell]:
    """The bytes in their order, each once; a flexible array comes last, with no bytes."""
    found: list[Cell] = []
    end = 0
    for f in made.fields:
        if f.offset < end:  # another alternative of a union, which may be longer than the first
            beyond = f.offset + f.size - end
            if beyond > 0:
                found.append(Cell(f.name, end, beyond, kind_of(f)))
                end += beyond
            continue
        if f.offset > end:
            found.append(Cell("", end, f.offset - end, "hole"))
        found.append(Cell(f.name, f.offset, f.size, kind_of(f)))
        end = f.offset + f.size
    if end < made.size:
        found.append(Cell("", end, made.size - end, "hole"))
    return sorted(found, key=lambda cell: cell.kind == "tail")


def groups(record: Record) -> list[tuple[list[Abi], Layout]]:
    """The distinct layouts of a struct, each with the ABIs that have it; that of the most comes first."""
    found: dict[object, tuple[list[Abi], Layout]] = {}
    for abi in ABIS.values():
        made = layout(record, abi)
        shape = (made.size, made.align, tuple((f.offset, f.size) for f in made.fields))
        found.setdefault(shape, ([], made))[0].append(abi)
    return sorted(found.values(), key=lambda group: -len(group[0]))


@dataclass(frozen=True, slots=True)
class Piece:
    """What one row shows of a cell. ``label`` is empty on all but the first row."""

    cell: Cell
    offset: int
    size: int
    label: str


Row = list[Piece]


def rows(made: Layout) -> Iterator[Row]:
    """Rows of eight bytes, cells cut where a row ends. A row that repeats the one before is left out."""
    row: Row = []
    for cell in cells(made):
        if cell.kind == "tail":
            continue
        at = cell.offset
        while at < cell.offset + cell.size:
            size = min(ROW_BYTES - at % ROW_BYTES, cell.offset + cell.size - at)
            row.append(Piece(cell, at, size, cell.name if at == cell.offset else ""))
            at += size
            if at % ROW_BYTES == 0:
                if len(row) > 1 or row[0].label or row[0].offset <= row[0].cell.offset + ROW_BYTES:
                    yield row
                row = []
    if row:
        yield row


# ---------------------------------------------------------------- text

_BYTE = 9  # columns
_MARGIN = 6
_FILL: dict[Look, str] = {"field": " ", "reserved": "·", "hole": "░", "tail": " "}

Segment = tuple[str, Look | Literal["frame"]]


def _fit(name: str, width: int) -> str:
    """A name in that many columns: first without the structs it is in, then without its beginning."""
    while len(name) > width and "." in name:
        name = name.split(".", 1)[1]
    return name if len(name) <= width else f"…{name[1 - width :]}"


def _inside(piece: Piece) -> str:
    """The middle of a cell: its name, or what fills it."""
    width = _BYTE * piece.size - 1
    hole = piece.cell.kind == "hole" and piece.offset == piece.cell.offset
    text = f" {_fit('hole' if hole else piece.label, width - 1)}" if hole or piece.label else ""
    return (text if len(text) == width else text + " " if text else "").ljust(width, _FILL[piece.cell.kind])


_CORNERS = {(True, True): "├┼┤", (False, True): "┌┬┐", (True, False): "└┴┘"}


def _edges(row: Row) -> set[int]:
    return {p.offset % ROW_BYTES + e for p in row for e in (0, p.size)}


def _frame(above: Row, below: Row) -> str:
    """The line between two rows, with a corner wherever a cell of either begins or ends."""
    up, down = _edges(above), _edges(below)
    width = max(up | down)
    line = ""
    for i in range(width + 1):
        corner = _CORNERS.get((i in up, i in down), "───")
        line += corner[0 if i == 0 else 2 if i == width else 1] + "─" * (_BYTE - 1)
    return " " * _MARGIN + line[: 1 - _BYTE]


def lines(made: Layout) -> Iterator[list[Segment]]:
    """The picture as lines of (text, what it shows), 79 columns wide."""
    above: Row = []
    numbers = "".join(f"{i}".ljust(_BYTE) for i in range(min(ROW_BYTES, made.size)))
    yield [(" " * (_MARGIN + 1) + numbers.rstrip(), "frame")]
    for row in rows(made):
        if above and row[0].offset > above[0].offset + ROW_BYTES:
            yield [(_frame(above, []), "frame")]
            yield [("...".rjust(_MARGIN - 1), "frame")]
            above = []
        yield [(_frame(above, row), "frame")]
        line: list[Segment] = [(f"{row[0].offset:>{_MARGIN - 1}} ", "frame")]
        for piece in row:
            line += [("│", "frame"), (_inside(piece), piece.cell.kind)]
        yield [*line, ("│", "frame")]
        above = row
    if above:
        yield [(_frame(above, []), "frame")]
    for cell in cells(made):
        if cell.kind == "tail":
            yield [(f"{cell.offset:>{_MARGIN - 1}} ", "frame"), (f"  {cell.name}[] ...", "tail")]


# ---------------------------------------------------------------- SVG

_W, _H, _TOP, _LEFT = 90, 34, 56, 60
_STYLE = """
.bg { fill: #ffffff } .text { fill: #1b1f24 } .title { font-weight: bold } .dim { fill: #5a636d }
.cell { stroke: #444c56 } .field { fill: #dbe9f6 } .reserved { fill: #eeeeee } .hole { fill: url(#hole) }
.tail { fill: #ffffff } .hole-back { fill: #fdecea } .hole-line { fill: #c0392b }
@media (prefers-color-scheme: dark) {
.bg { fill: #0d1117 } .text { fill: #e6edf3 } .dim { fill: #9aa4af } .cell { stroke: #8b949e }
.field { fill: #1d3a57 } .reserved { fill: #2a3038 } .tail { fill: #0d1117 }
.hole-back { fill: #2c1717 } .hole-line { fill: #b8483c }
}
"""


def _panel(parent: ElementTree.Element, title: str, made: Layout, top: int) -> int:
    """One picture below ``top``; returns where it ends."""
    drawing.text(parent, _LEFT, top + 20, title, "text title")
    for i in range(min(ROW_BYTES, made.size)):
        drawing.text(parent, _LEFT + i * _W + 4, top + 46, str(i), "dim")
    y = top + _TOP
    for row in rows(made):
        drawing.text(parent, _LEFT - 8, y + 21, str(row[0].offset), "dim").set("text-anchor", "end")
        for piece in row:
            x, width = _LEFT + piece.offset % ROW_BYTES * _W, piece.size * _W
            cell = drawing.element(
                parent, "rect", f"cell {piece.cell.kind}", x=x, y=y, width=width, height=_H
            )
            until = piece.cell.offset + piece.cell.size - 1
            hint = f"{piece.cell.name or 'hole'}: bytes {piece.cell.offset} to {until}"
            ElementTree.SubElement(cell, "title").text = hint
            drawing.text(parent, x + 5, y + 21, _fit(piece.label, width // 8 - 1))
        y += _H
    for each in cells(made):
        if each.kind == "tail":
            drawing.text(parent, _LEFT + 5, y + 21, f"{each.name}[] ...")
            y += _H
    return y


def svg(panels: list[tuple[str, Layout]]) -> str:
    """A drawing of one or more layouts, each with its title, one below the other; also on dark screens."""
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": "monospace"})
    root.set("font-size", "13")
    ElementTree.SubElement(root, "style").text = _STYLE
    hatch = ElementTree.SubElement(
        ElementTree.SubElement(root, "defs"), "pattern", id="hole", width="8", height="8",
        patternUnits="userSpaceOnUse", patternTransform="rotate(45)",
    )  # fmt: skip
    drawing.element(hatch, "rect", "hole-back", width=8, height=8)
    drawing.element(hatch, "rect", "hole-line", width=2, height=8)
    back = drawing.element(root, "rect", "bg")
    bottom = 0
    for title, made in panels:
        bottom = _panel(root, title, made, bottom) + 10
    width = max(_LEFT + ROW_BYTES * _W + 20, _LEFT + 20 + 8 * max(len(title) for title, _ in panels))
    size = {"width": str(width), "height": str(bottom + 10)}
    root.attrib |= {**size, "viewBox": f"0 0 {width} {bottom + 10}"}
    back.attrib |= size
    return ElementTree.tostring(root, encoding="unicode") + "\n"
