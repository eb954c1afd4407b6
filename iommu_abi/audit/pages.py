"""A set of pages of 4 KiB, for sets that lie dense in few places."""

from __future__ import annotations

from collections.abc import Iterator

PAGE_LG2 = 12
BLOCK_LG2 = 9  # pages of a block, which is 2 MiB
BLOCK = 1 << BLOCK_LG2
FULL = (1 << BLOCK) - 1
MOST = 1 << 20  # blocks of a set: 2 TiB, and 150 MB for the set


class TooMany(Exception):
    """More than :data:`MOST` blocks."""


class Pages:
    """Page numbers. Costs about 150 bytes for each block of 2 MiB that has a page in the set."""

    def __init__(self) -> None:
        #: Block number -> a bit for each of its pages.
        self.blocks: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(bin(bits).count("1") for bits in self.blocks.values())

    def __contains__(self, page: int) -> bool:
        return bool(self.blocks.get(page >> BLOCK_LG2, 0) >> (page & BLOCK - 1) & 1)

    def add_bytes(self, first: int, last: int) -> None:
        """Add the pages of addresses ``first`` to ``last``; TooMany leaves the set as it is."""
        page, end = first >> PAGE_LG2, last >> PAGE_LG2
        blocks = self.blocks
        if len(blocks) + (end >> BLOCK_LG2) - (page >> BLOCK_LG2) >= MOST:
            raise TooMany
        while page <= end:
            block, low = page >> BLOCK_LG2, page & BLOCK - 1
            high = min(BLOCK - 1, end - (block << BLOCK_LG2))
            bits = FULL if high - low == BLOCK - 1 else (1 << high + 1) - (1 << low)
            blocks[block] = blocks.get(block, 0) | bits
            page = (block + 1) << BLOCK_LG2

    def add_block(self, block: int, bits: int) -> None:
        """Add pages of one block."""
        self.blocks[block] = self.blocks.get(block, 0) | bits

    def meets(self, other: Pages) -> bool:
        """Is there a page in both?"""
        few, many = sorted((self.blocks, other.blocks), key=len)
        return any(bits & many.get(block, 0) for block, bits in few.items())

    def within(self, first: int, last: int) -> Iterator[int]:
        """The pages of the set among those of addresses ``first`` to ``last``, ascending."""
        page, end = first >> PAGE_LG2, last >> PAGE_LG2
        for block in range(page >> BLOCK_LG2, (end >> BLOCK_LG2) + 1):
            bits = self.blocks.get(block, 0)
            if not bits:
                continue
            start = block << BLOCK_LG2
            bits &= (1 << max(0, min(BLOCK, end + 1 - start))) - (1 << max(0, page - start))
            for at, count in _runs(bits):
                yield from range(start + at, start + at + count)

    def runs(self) -> Iterator[tuple[int, int]]:
        """The set as (first address, bytes) of runs without a gap, ascending."""
        start = end = 0
        for block in sorted(self.blocks):
            for first, count in _runs(self.blocks[block]):
                page = (block << BLOCK_LG2) + first
                if page != end:
                    if end:
                        yield start << PAGE_LG2, (end - start) << PAGE_LG2
                    start = page
                end = page + count
        if end:
            yield start << PAGE_LG2, (end - start) << PAGE_LG2


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """(first, how many) of the runs of 1 bits."""
    at = 0
    while bits:
        gap = (bits & -bits).bit_length() - 1
        bits >>= gap
        ones = (~bits & bits + 1).bit_length() - 1
        yield at + gap, ones
        bits >>= ones
        at += gap + ones
