"""What every image format becomes: pieces of physical memory over buffers."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iommu_abi.errors import ImageError

Buffer = Any
Range = tuple[int, int]

#: So much of a hole is one piece: all of them are over the same zeros.
_ZEROS = 1 << 30


@dataclass(frozen=True, slots=True)
class Piece:
    """``size`` bytes of ``buffer`` from ``offset`` on are memory at ``first``.

    A ``hole`` is memory that the dump left out: zeros for a walk that reads a table there, unknown to
    anybody else. Without a buffer nothing at all can be said about its bytes.
    """

    first: int
    buffer: Buffer | None
    offset: int
    size: int
    source: str
    hole: bool = False

    @property
    def last(self) -> int:
        """Address of the last byte."""
        return self.first + self.size - 1


def first_overlap(pieces: Sequence[Piece]) -> tuple[int, int] | None:
    """Positions of two pieces that hold the same address, the earlier one first."""
    order = sorted(range(len(pieces)), key=lambda i: pieces[i].first)
    for a, b in itertools.pairwise(order):
        if pieces[a].last >= pieces[b].first:
            return min(a, b), max(a, b)
    return None


def without(holes: Iterable[Range], taken: Iterable[Range]) -> Iterator[Range]:
    """What of some ranges (first, last) no other range takes; ascending, each address once."""
    rest = sorted(taken)
    at = i = 0
    for first, last in sorted(holes):
        at = max(at, first)
        while at <= last:
            while i < len(rest) and rest[i][1] < at:
                i += 1
            end = min(last, rest[i][0] - 1) if i < len(rest) else last
            if end >= at:
                yield at, end
            at = max(at, rest[i][1] + 1) if end < last else last + 1


def zeros(path: Path, holes: Sequence[Range], most: int) -> list[Piece]:
    """Holes of at most ``most`` bytes in all, as pieces over zeros that take no memory."""
    if not holes:
        return []
    size = sum(last - first + 1 for first, last in holes)
    if size > most:
        raise ImageError(f"{path}: leaves out {size} bytes, more than {most} (see --max-size)")
    room = min(_ZEROS, max(last - first + 1 for first, last in holes))
    buffer = mmap.mmap(-1, room, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return [
        Piece(at, buffer, 0, min(room, last - at + 1), str(path), hole=True)
        for first, last in holes
        for at in range(first, last + 1, room)
    ]
