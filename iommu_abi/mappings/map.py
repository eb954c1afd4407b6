"""A map of what devices can reach: host memory from left to right, a row for each context.

The axis is compressed: it shows the regions that are reached or hold tables of the IOMMU, each to
its own scale, and leaves out what lies between. Two passes over the mappings, one for the axis, one
for the rows; memory is bounded by the constants below, whatever the tables hold.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iommu_abi.mappings.budget import Budget, OutOfSteps, Stop, stop
from iommu_abi.mappings.enumeration import ContextRun, ContextState, Mapping, mappings, requesters, tables
from iommu_abi.mappings.extents import Extents, widest_gaps
from iommu_abi.memory import Memory
from iommu_abi.terms import Request, Stage, hex_repr
from iommu_abi.walk import Unit

PAGE = 4096

MOST_EXTENTS = 1 << 12  # ranges that the axis is made from
MOST_TABLES = 1 << 16  # ranges of pages with tables
MOST_ROWS = 1 << 10
MOST_NAMES = 16  # runs of IDs that a row lists

GAP = 16  # a gap that would take more than this part of the axis is left out
NARROWEST = 9  # columns that a region has on average, at least: room for its address

#: In a cell, beside the bits of Access.
TABLES = 8


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the axis: columns of ``unit`` bytes from ``first`` on; the last one may be shorter."""

    first: int
    last: int
    unit: int
    at: int  # its first column on the axis

    def __repr__(self) -> str:
        return hex_repr(self)

    @property
    def columns(self) -> int:
        """How many columns it has."""
        return (self.last - self.first) // self.unit + 1

    def column(self, address: int) -> int:
        """The column of the axis in which an address of the region is."""
        return self.at + (address - self.first) // self.unit

    def span(self, column: int) -> tuple[int, int]:
        """First and last address of a column."""
        first = self.first + (column - self.at) * self.unit
        return first, min(first + self.unit - 1, self.last)


@dataclass(slots=True)
class Who:
    """Neighbours: rids ``first`` to ``last``, or with ``pasid`` those PASIDs of ``rid``."""

    rid: int
    pasid: bool
    first: int
    last: int

    def __repr__(self) -> str:
        return hex_repr(self)

    def goes_on(self, after: Who) -> bool:
        """Are those ``after`` the next ones?"""
        same = (self.pasid, self.pasid and self.rid) == (after.pasid, after.pasid and after.rid)
        return same and self.last + 1 == after.first


@dataclass(slots=True)
class Row:
    """Contexts that reach the same, and a cell for each column.

    ``who`` are the first MOST_NAMES runs of them, ``count`` is all. A cell is bits of Access, those of
    everything that is reached there, and TABLES if a page with IOMMU tables is.
    """

    state: ContextState
    cells: bytearray
    who: list[Who] = field(default_factory=list)
    count: int = 0

    def add(self, rid: int, pasid: int | None, context: ContextRun) -> None:
        """One more context."""
        self.count += context.last - context.first + 1
        new = Who(rid, pasid is not None, context.first, context.last)
        if self.who and self.who[-1].goes_on(new):
            self.who[-1].last = new.last
        elif len(self.who) < MOST_NAMES:
            self.who.append(new)


@dataclass(frozen=True, slots=True)
class Map:
    """The axis and what is on it. ``tables``: columns in which IOMMU tables lie.

    ``left_out``: contexts for which there was no row left. ``exact`` is False where tables lie in
    more than MOST_TABLES ranges: gaps between them then count as tables. ``stop`` says how much of
    everything this is, if it is not all.
    """

    regions: list[Region]
    rows: list[Row]
    tables: bytearray
    left_out: int
    exact: bool
    stop: Stop | None = None


def _regions(ranges: list[tuple[int, int]], width: int) -> list[tuple[int, int]]:
    """The ranges, joined over all gaps but the wide ones."""
    left = ranges[-1][1] - ranges[0][0] + 1
    cuts: list[int] = []
    for i in widest_gaps(ranges)[: max(1, width // NARROWEST) - 1]:
        gap = ranges[i][0] - ranges[i - 1][1] - 1
        if gap * GAP < left:
            break
        left -= gap
        cuts.append(i)
    return [(ranges[i][0], ranges[j - 1][1]) for i, j in itertools.pairwise([0, *sorted(cuts), len(ranges)])]


def axis(ranges: list[tuple[int, int]], width: int) -> list[Region]:
    """Regions for ascending, disjoint ranges, in ``width`` columns, with one free beside each.

    A column is a power of two of bytes; whichever region is widest gives up resolution first.
    """
    if not ranges:
        return []
    found = _regions(ranges, width)
    units = [PAGE] * len(found)

    def columns() -> list[int]:
        return [(last - first) // unit + 1 for (first, last), unit in zip(found, units)]

    def needed(has: list[int]) -> int:
        """The last region's address stands above it, and to the right of it if that is narrow."""
        return len(has) + 1 + sum(has[:-1]) + max(has[-1], len(f"{found[-1][0]:#x}"))

    while needed(has := columns()) > width and max(has) > 1:
        units[has.index(max(has))] *= 2
    starts = itertools.accumulate(columns(), initial=0)
    return [Region(first, last, unit, at) for (first, last), unit, at in zip(found, units, starts)]


class _Painter:
    """Puts mappings into cells."""

    def __init__(self, regions: list[Region], tables: Extents) -> None:
        self.regions = regions
        self.tables = tables
        self.width = regions[-1].at + regions[-1].columns if regions else 0
        self._lasts = [region.last for region in regions]
        self.table_columns = bytearray(self.width)
        for first, last in tables.ranges():
            for column, _, _ in self._columns(first, last):
                self.table_columns[column] = TABLES

    def _columns(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """The columns that a range is in, with what of it is there."""
        for region in self.regions[bisect.bisect_left(self._lasts, first) :]:
            if region.first > last:
                return
            a, b = max(first, region.first), min(last, region.last)
            for column in range(region.column(a), region.column(b) + 1):
                begin, end = region.span(column)
                yield column, max(a, begin), min(b, end)

    def paint(self, cells: bytearray, m: Mapping) -> None:
        """Add a mapping; a page, of which there are many, is in one column."""
        first = m.hpa
        last = first + m.last - m.first
        at = bisect.bisect_left(self._lasts, first)
        if at == len(self.regions):
            return
        region, access = self.regions[at], int(m.access)  # operators of enums are slow
        column = (first - region.first) // region.unit
        if 0 <= column == (last - region.first) // region.unit and last <= region.last:
            columns: Iterable[tuple[int, int, int]] = ((region.at + column, first, last),)
        else:
            columns = self._columns(first, last)
        for column, begin, end in columns:
            cells[column] |= access
            if self.table_columns[column] and self.tables.touch(begin, end):
                cells[column] |= TABLES


def pages_of_tables(
    unit: Unit, memory: Memory, rid: int, pasid: int | None, context: ContextRun, budget: Budget | None = None
) -> Iterator[int]:
    """Host-physical addresses of the 4 KiB pages whose entries decide what a context reaches.

    In no order, and pages may come more than once.
    """
    for ref in unit.translate(memory, Request(rid, 0, pasid), trace=True).refs:
        yield ref.hpa // PAGE * PAGE
    if context.state is ContextState.TRANSLATES:
        for table in tables(unit, memory, Stage.S1, rid, pasid, budget=budget):
            if table.ref:
                yield table.ref.hpa // PAGE * PAGE


class _Survey:
    """What the axis has to show, and where tables lie; as far as a budget lasts."""

    def __init__(self) -> None:
        self.shown, self.in_tables = Extents(MOST_EXTENTS), Extents(MOST_TABLES)

    def look(self, unit: Unit, memory: Memory, rid: int | None, pasid: int | None, budget: Budget) -> None:
        """OutOfSteps at the end of the budget. Tables may use up one of their own, not that of mappings."""
        for_tables = budget.half()
        for at, process, context in requesters(unit, memory, rid, pasid, budget):
            with contextlib.suppress(OutOfSteps):
                for page in pages_of_tables(unit, memory, at, process, context, for_tables):
                    self.in_tables.add(page, page + PAGE - 1)
            if context.state is ContextState.TRANSLATES:
                for m in mappings(unit, memory, at, process, budget=budget):
                    self.shown.add(m.hpa, m.hpa + m.last - m.first)

    def end(self, memory: Memory) -> None:
        """Tables are shown too; if there is nothing, the image is."""
        for first, last in self.in_tables.ranges():
            self.shown.add(first, last)
        if not self.shown.ranges():
            for region in memory:
                self.shown.add(region.first, region.last)


#: What makes two mappings the same.
_IDENTITY = struct.Struct("<3QB")


class _Rows:
    """A row for each set of contexts that reach the same."""

    def __init__(self, painter: _Painter) -> None:
        self.painter = painter
        self.rows: dict[bytes, Row] = {}
        self.left_out = 0

    def add(self, at: int, process: int | None, context: ContextRun, found: Iterator[Mapping]) -> None:
        """Draw what a context reaches; as far as a budget lasts: then OutOfSteps."""
        cells = bytearray(self.painter.width)
        identity = hashlib.blake2b(bytes([context.state]), digest_size=16)
        try:
            for m in found:
                self.painter.paint(cells, m)
                identity.update(_IDENTITY.pack(m.first, m.last, m.hpa, m.access))
        finally:
            self._keep(identity.digest(), Row(context.state, cells), at, process, context)

    def _keep(self, key: bytes, row: Row, at: int, process: int | None, context: ContextRun) -> None:
        if key not in self.rows and len(self.rows) >= MOST_ROWS:
            self.left_out += 1
        else:
            self.rows.setdefault(key, row).add(at, process, context)


def draw(
    unit: Unit,
    memory: Memory,
    width: int,
    rid: int | None = None,
    pasid: int | None = None,
    window: tuple[int, int] | None = None,
    budget: Budget | None = None,
) -> Map:
    """The map, its axis made for ``width`` columns: of all requesters, or of one device or one PASID of each.

    ``window``: all of these host-physical addresses, and no others. The axis without one is made from
    what tables lead to and are, as what passes through reaches everything; if that is nothing, from the
    image. Contexts with exactly the same mappings share a row. ``budget`` is for each of two passes; at its
    end the map shows what was seen.
    """
    budget = budget or Budget()
    survey = _Survey()
    with contextlib.suppress(OutOfSteps):
        survey.look(unit, memory, rid, pasid, budget)
    survey.end(memory)
    painter = _Painter(axis([window] if window else survey.shown.ranges(), width), survey.in_tables)
    drawn, second, stopped = _Rows(painter), budget.again(), None
    try:
        for at, process, context in requesters(unit, memory, rid, pasid, second):
            reached = context.state < ContextState.REFUSES
            found = mappings(unit, memory, at, process, budget=second) if reached else iter(())
            drawn.add(at, process, context, found)
    except OutOfSteps:
        stopped = stop(second, lambda limits: requesters(unit, memory, rid, pasid, limits))
    rows, exact = list(drawn.rows.values()), survey.in_tables.exact
    return Map(painter.regions, rows, painter.table_columns, drawn.left_out, exact, stopped)
