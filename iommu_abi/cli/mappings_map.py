"""iommu-abi mappings --map and -o: what devices can reach, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import limits, output, words

if TYPE_CHECKING:
    import argparse

    from iommu_abi.mappings.map import Map, Row, Who
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

STYLES = {
    "name": "",
    "frame": "dim",
    "none": "dim",
    "read": "cyan",
    "write": "yellow",
    "both": "blue",
    "exec": "green",
    "all": "magenta",
    "tables": "bold red",
}


def _name(who: Who) -> str:
    if not who.pasid:
        return words.names_of_requesters(who.first, who.last)
    return words.name_of_context(who.rid, who.first) + (f"..{who.last}" if who.last > who.first else "")


def _label(row: Row) -> str:
    """A short name: the first of them."""
    who = row.who[0]
    first = words.name_of_context(who.rid, who.first) if who.pasid else words.name_of_requester(who.first)
    return first if row.count == 1 else f"{first} +{row.count - 1}"


def _members(row: Row) -> str:
    """All of them, as far as they are known."""
    listed = sum(who.last - who.first + 1 for who in row.who)
    more = f" and {row.count - listed} more" if row.count > listed else ""
    return ", ".join(map(_name, row.who)) + more


def _print(drawn: Map) -> None:
    from iommu_abi.mappings import picture

    labels = list(map(_label, drawn.rows))
    for segments in picture.lines(drawn, labels):
        output.picture_line(segments, STYLES)
    for note in picture.notes(drawn, labels, map(_members, drawn.rows)):
        output.line(note)


def _svg(drawn: Map, title: str) -> bytes:
    from iommu_abi.mappings import picture

    labels, members = list(map(_label, drawn.rows)), list(map(_members, drawn.rows))
    return picture.svg(drawn, labels, members, title).encode()


def run(
    args: argparse.Namespace,
    unit: Unit,
    memory: Memory,
    rid: int | None,
    pasid: int | None,
    window: tuple[int, int] | None,
) -> bool:
    """Draw to a file, the terminal or both; is anything reached, and is this all of it?"""
    from iommu_abi.mappings.map import draw
    from iommu_abi.mappings.picture import MARGIN, SVG_COLUMNS

    def drawn_in(width: int) -> Map:
        spent = limits.budget(args, memory)
        with output.busy(spent, quiet=False):
            return draw(unit, memory, width, rid, pasid, window, spent)

    if args.file:
        drawn = drawn_in(SVG_COLUMNS)
        output.write_bytes(args.file, _svg(drawn, "What each device reaches in host memory"))
        if drawn.stop and not args.map:
            output.line(str(drawn.stop), stderr=True)
    if args.map:
        drawn = drawn_in(output.console().width - MARGIN)
        _print(drawn)
    return drawn.stop is None and any(any(row.cells) for row in drawn.rows)
