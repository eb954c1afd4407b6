"""Dice: random choices that depend on a name only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Unlucky(Exception):
    """No room was found in a narrow address space; the builder is asked again with other dice."""


class Dice(random.Random):
    """Random numbers that depend on a name only."""

    def __init__(self, *name: object) -> None:
        super().__init__("/".join(map(str, name)))

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of them."""
        return items[int(self.random() * len(items))]

    def number(self, bits: int) -> int:
        """A number of at most ``bits`` bits, of any magnitude: small ones as often as large ones."""
        return self.getrandbits(self.randrange(bits + 1) or 1) if bits else 0

    def offset(self) -> int:
        """A byte of a page of 4 KiB, with its first and last among them."""
        return self.pick((0, 0xFFF, self.getrandbits(12), self.getrandbits(12)))

    def address(self, lg2: int, align_lg2: int) -> int:
        """An aligned address below 2^``lg2``: near 0, near the top, or anywhere."""
        pages = lg2 - align_lg2
        if pages <= 0:
            return 0
        where = self.random()
        if where < 0.1:
            return self.getrandbits(1) << align_lg2
        if where < 0.2:
            return ((1 << pages) - 1) << align_lg2
        return (self.getrandbits(pages) if where < 0.7 else self.number(pages)) << align_lg2
