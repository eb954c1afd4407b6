"""The emulated machine's memory, which this process shares: both sides read the same bytes."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Iterator
from pathlib import Path

from iommu_abi.memory import Memory
from iommu_abi.schemas import build

PAGE = build.PAGE
#: Both ends of memory belong to firmware, the kernel's habits and device windows.
MARGIN = 1 << 24
SIZE = 1 << 31


class Ram(build.Space):
    """2 GiB from ``base`` on, in a sparse file. Table pages lie scattered; :meth:`clear` forgets them."""

    def __init__(self, path: Path, base: int) -> None:
        super().__init__(base)
        self.path, self.base, self.end = path, base, base + SIZE
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(self._file, SIZE)
        self._map = mmap.mmap(self._file, SIZE)
        self.memory = Memory()
        self.memory.map(base, self._map)
        self.dice = random.Random()
        self._pages: set[int] = set()

    def has(self, address: int, length: int = 8) -> bool:
        """Whether memory is there, away from its margins."""
        return self.base + MARGIN <= address and address + length <= self.end - MARGIN

    def tables(self, address: int) -> bool:
        """Whether tables lie there."""
        return address // PAGE in self._pages

    # build.Space

    def page(self, count: int = 1, align: int = PAGE) -> int:
        """Take pages that no table has."""
        align = max(align, PAGE)
        while True:
            first = self.dice.randrange(self.base + MARGIN, self.end - MARGIN - count * PAGE) // align * align
            pages = range(first // PAGE, first // PAGE + count)
            if self.has(first, count * PAGE) and self._pages.isdisjoint(pages):
                self._pages.update(pages)
                return first

    def back(self, address: int, length: int) -> None:
        """Memory is everywhere."""

    def read(self, address: int, length: int) -> bytes | None:
        """The bytes, or None outside of memory."""
        at = address - self.base
        return self._map[at : at + length] if 0 <= at <= SIZE - length else None

    def write(self, address: int, data: bytes) -> None:
        """Put bytes; IndexError outside of memory."""
        at = address - self.base
        self._map[at : at + len(data)] = data

    # Between cases.

    def clear(self) -> None:
        """Zero the tables and forget them."""
        for page in self._pages:
            self.write(page * PAGE, bytes(PAGE))
        self._pages.clear()

    def find(self, data: bytes) -> Iterator[int]:
        """Where bytes lie; looks only at what was ever written."""
        end = 0
        while True:
            try:
                start = os.lseek(self._file, end, os.SEEK_DATA)
            except OSError:  # no more data
                return
            end = os.lseek(self._file, start, os.SEEK_HOLE)
            at = self._map.find(data, start, end)
            while at >= 0:
                yield self.base + at
                at = self._map.find(data, at + 1, end)
