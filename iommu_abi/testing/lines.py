"""Differences as lines in columns, for the message of an assertion."""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[str, str, str, str]


def table(heading: str, sides: tuple[str, str], rows: Sequence[Row]) -> list[str]:
    """The heading, then (offset, field, one side, other side) in columns; nothing if there are no rows."""
    if not rows:
        return []
    cells = [("offset", "field", *sides), *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    lines = [
        f"  {row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}" for row in cells
    ]
    return [heading, *lines]
