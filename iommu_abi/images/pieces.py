"""What every image format becomes: pieces of physical memory over buffers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Buffer = Any


@dataclass(frozen=True, slots=True)
class Piece:
    """``size`` bytes of ``buffer`` from ``offset`` on are memory at ``first``."""

    first: int
    buffer: Buffer
    offset: int
    size: int
    source: str

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
