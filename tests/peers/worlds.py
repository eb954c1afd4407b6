"""Random valid tables in the emulated machine's memory, and requests that use them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from iommu_abi.schemas import build
from iommu_abi.terms import Access, Request
from peers.ram import MARGIN, SIZE, Ram

T = TypeVar("T")
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC
RIGHTS = (READ | WRITE | EXEC, READ | WRITE, READ, WRITE)


class Dice(random.Random):
    """Random numbers that depend on a name only."""

    def __init__(self, *name: object) -> None:
        super().__init__("/".join(map(str, name)))

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[self.randrange(len(items))]

    def flags(self, *names: str) -> dict[str, int]:
        """Fields of one bit each."""
        return {name: self.getrandbits(1) for name in names}


@dataclass
class World:
    """Tables of one IOMMU: its registers, and requests of which most succeed."""

    registers: dict[str, int]
    requests: list[Request] = field(default_factory=list)


def target(dice: Dice, ram: Ram) -> int:
    """An address in memory for 8 bytes in one page, where no tables lie."""
    while True:
        address = dice.randrange(ram.base + MARGIN, ram.base + SIZE - MARGIN)
        if address % build.PAGE <= build.PAGE - 8 and not ram.tables(address):
            return address


def use(dice: Dice, rid: int, addresses: Iterable[int]) -> list[Request]:
    """A read and a write of each address."""
    return [Request(rid, address, access=access) for address in addresses for access in (READ, WRITE)]


def fill(
    dice: Dice,
    tables: build.Tables,
    targets: Sequence[int],
    lg2: int,
    sizes: Sequence[int],
    *,
    rights: Sequence[Access] = RIGHTS,
    upper: int = 0,
    mask: int = -1,
    **fields: int,
) -> list[int]:
    """Map a page of one of ``sizes`` over each target, below 2^``lg2``; what reaches the targets.

    ``upper`` is added to every input address; ``mask`` says which of its bits a page's may have.
    """
    found = []
    for to in targets:
        for _ in range(20):
            size = dice.pick([size for size in sizes if size < 1 << lg2])
            page = upper + (dice.getrandbits(lg2) if dice.chance(0.7) else dice.getrandbits(lg2 // 2))
            page &= -size & mask
            try:
                levels = range(tables.levels)
                level = next((each for each in levels if size >> tables.page_lg2(each) <= 16), levels[-1])
                if tables.space.load(tables.entry(page, level), tables.entry_len):
                    continue
            except ValueError:  # a larger page lies in the way
                continue
            tables.map(page, to & -size, page=size, access=dice.pick(rights), **fields)
            found.append(page + to % size)
            break
    return found


def devices(dice: Dice, rids: Sequence[int]) -> list[int]:
    """Some of the requesters: one, or more."""
    return sorted(dice.sample(rids, dice.pick((1, 1, 2, 3))))
