"""A struct's bytes beside what they mean: a colour for each field on a terminal, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, groupby
from typing import TYPE_CHECKING

from iommu_abi.cli import output

if TYPE_CHECKING:
    from iommu_abi.structs.dump import Row
    from iommu_abi.structs.kind import Field

COLOURS = ("cyan", "green", "magenta", "blue", "yellow")


def lines(fields: Sequence[Field], data: bytes) -> list[str]:
    """The dump as text, which ``unpack --in hex`` reads again."""
    from iommu_abi.structs.dump import rows

    return [str(row) for row in rows(fields, data)]


def _limited(found: Iterable[Row], most: int | None) -> Iterator[Row]:
    """At most so many rows of one field, then how many bytes are left out."""
    from iommu_abi.structs.dump import Row

    for field, group in groupby(found, lambda row: row.field):
        each = list(group)
        yield from each[:most]
        left = sum(len(row.data) for row in each[most:]) if most else 0
        if left:
            yield Row(0, b"", f"{left} more bytes", field)


def show(fields: Sequence[Field], data: bytes, indent: str = "", most: int | None = None) -> None:
    """Print the dump; what is reserved and not 0 is red. ``most`` rows of any field, or of none."""
    from iommu_abi.structs.dump import rows

    colours = cycle(COLOURS)
    styles: dict[str, str] = {}
    for row in _limited(rows(fields, data), most):
        style = "dim"
        if row.field:
            style = "bold red" if row.field.broken else styles.get(row.field.name) or next(colours)
            styles[row.field.name] = style
        elif any(row.data):
            style = "bold red"
        address, blank, rest = str(row).partition(" ")
        output.parts_line([(indent + address, "dim"), (blank + rest, style)])
