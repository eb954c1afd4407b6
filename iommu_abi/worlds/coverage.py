"""What a fuzzing run has to reach, and what nothing can reach: the :class:`Ways` of all formats.

The universe is every reason of :class:`iommu_abi.terms.Reason` at every level that a stage of a
format can have. Each combination is either in :data:`ROWS`, with the text that names it, or has a
cause; a test holds the two together, and a run that reaches a combination with a cause has found
an error of these tables.
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.terms import Reason, Stage
from iommu_abi.worlds.formats import FORMATS, KINDS
from iommu_abi.worlds.ways import EVERYWHERE, Row, Use

#: Every combination that has to be reached.
ROWS: tuple[Row, ...] = tuple(row for kind in KINDS for named in kind.ways.named for row in named.rows())

#: Every failure of stage 2 by what it was walked for.
USES: tuple[Use, ...] = tuple(use for kind in KINDS for use in kind.ways.uses())


def codes() -> list[tuple[str, int]]:
    """Every format and code that has to be reported."""
    return [
        (name, int(code, 16))
        for kind in KINDS
        for name, text in kind.ways.codes.items()
        for code in text.split()
    ]


def universe() -> Iterator[Row]:
    """Every reason but OK at every level of every stage of every format."""
    for name, format_ in FORMATS.items():
        for stage, levels in format_.ways.levels[name].items():
            for level in levels:
                for reason in Reason:
                    if reason is not Reason.OK:
                        yield Row(name, stage, level, reason)


def cause(row: Row) -> str | None:
    """Why a combination cannot be reached; None if nothing says so."""
    causes = (*FORMATS[row.format].ways.causes, *EVERYWHERE)
    return next((each.text for each in causes if each.fits(row)), None)


def source(row: Row) -> str:
    """The text that names a combination of :data:`ROWS`."""
    return next(each.source for each in FORMATS[row.format].ways.named if row in each.rows())


def unreached() -> Iterator[tuple[Row, str]]:
    """Every combination that is not in :data:`ROWS`, with the cause."""
    known = frozenset(ROWS)
    for row in universe():
        if row not in known:
            yield row, cause(row) or ""


def rows_of(name: str) -> list[Row]:
    """The rows of one format."""
    return [row for row in ROWS if row.format == name]


def rows_of_use(use: Use) -> list[Row]:
    """The same failure of stage 2, by level."""
    known = frozenset(ROWS)
    levels = FORMATS[use.format].ways.levels[use.format][Stage.S2]
    return [row for row in (Row(use.format, Stage.S2, at, use.reason) for at in levels) if row in known]
