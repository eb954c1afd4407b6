"""Unions of address ranges in bounded memory."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator


def union(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same addresses (first, last), ascending, with those that touch or overlap as one."""
    run: tuple[int, int] | None = None
    for first, last in sorted(ranges):
        if run and first <= run[1] + 1:
            run = run[0], max(run[1], last)
            continue
        if run:
            yield run
        run = first, last
    if run:
        yield run


def widest_gaps(ranges: list[tuple[int, int]]) -> list[int]:
    """Where in a sorted list there is a gap before a range, the widest first: never 0."""
    return sorted(range(1, len(ranges)), key=lambda i: ranges[i - 1][1] - ranges[i][0])


class Extents:
    """Addresses that were added, as at most ``limit`` ranges.

    Beyond that, the ranges with the smallest gaps between them become one, and ``exact`` False.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.exact = True
        self._ranges: list[tuple[int, int]] = []
        self._settled = True
        self._firsts: list[int] = []  # of the ranges when they were settled
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Add a range; the cost is amortized."""
        at = bisect.bisect_right(self._firsts, first) - 1
        if at >= 0 and last <= self._lasts[at]:
            return
        self._ranges.append((first, last))
        self._settled = False
        if len(self._ranges) >= 2 * self.limit:
            self._settle()

    def _settle(self) -> None:
        ranges = list(union(self._ranges))
        if len(ranges) > self.limit:
            self.exact = False
            cuts = sorted(widest_gaps(ranges)[: self.limit - 1])
            ranges = [
                (ranges[i][0], ranges[j - 1][1]) for i, j in itertools.pairwise([0, *cuts, len(ranges)])
            ]
        self._ranges, self._settled = ranges, True
        self._firsts, self._lasts = [first for first, _ in ranges], [last for _, last in ranges]

    def ranges(self) -> list[tuple[int, int]]:
        """All of them as (first, last), ascending."""
        if not self._settled:
            self._settle()
        return self._ranges

    def touch(self, first: int, last: int) -> bool:
        """Is any of these addresses among them?"""
        i = bisect.bisect_right(self.ranges(), last, key=lambda r: r[0]) - 1
        return i >= 0 and self._ranges[i][1] >= first
