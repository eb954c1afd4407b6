"""Pages of data, which are addresses only: where mappings of a world lead, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass

from iommu_abi.terms import Access
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.spaces import ACCESSES, EXEC, READ, WRITE, Guest, place

INTERRUPTS = 0xFEE


def one_of(dice: Dice, access: Access) -> Access:
    """One of the accesses that rights allow; ``access`` has at least one."""
    return dice.pick([each for each in ACCESSES if each in access])


def interrupts(address: int) -> bool:
    """Whether x86 takes writes to ``address`` for interrupt messages."""
    return address >> 20 == INTERRUPTS


def low_address(dice: Dice, lg2: int) -> int:
    """An address below 2^``lg2`` that is no interrupt address."""
    while True:
        address = dice.address(lg2, 12) | dice.offset()
        if not interrupts(address):
            return address


@dataclass(frozen=True, slots=True)
class Destination:
    """A page that a mapping leads to: its size in the mapping, its address, the offset that is used.

    The address is a GPA where stage 2 is on, then ``access`` is what stage 2 allows there.
    """

    page: int
    offset: int
    access: Access = READ | WRITE | EXEC


def direct(dice: Dice, lg2: int, size_lg2: int) -> Destination:
    """A page of host memory, and an offset that is no interrupt address."""
    while True:
        page = dice.address(lg2, size_lg2)
        offset = dice.address(size_lg2, 12) | dice.offset()
        if not interrupts(page + offset):
            return Destination(page, offset)


def through(guest: Guest, size_lg2: int, second_lg2: int, access: Access, **fields: int) -> Destination:
    """A page of guest memory, of which stage 2 maps what is used by a page of 2^``second_lg2`` bytes."""
    dice = guest.host.dice
    for _ in range(200):
        gpa = guest.address(12)
        page = gpa & -1 << size_lg2
        if page & guest.holes or page + (1 << size_lg2) > 1 << guest.lg2:
            continue
        out = direct(dice, guest.host.lg2, second_lg2).page
        inside = gpa & ((1 << second_lg2) - 1)
        if interrupts(out + inside) or not place(
            guest.second, gpa - inside, out, second_lg2, access, **fields
        ):
            continue
        return Destination(page, gpa - page | dice.offset(), access)
    raise Unlucky
