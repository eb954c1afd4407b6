"""The bytes of a world for both ledgers, and how to put them back after a case.

C reads the same buffers in place. They are larger than what Python allocates in its own pools, so
that under AddressSanitizer a read beyond a run of pages is found.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator

from iommu_abi.memory import Memory


class Image:
    """Runs of memory. Writes and what is taken away are undone by :meth:`restore`."""

    def __init__(self, runs: Iterable[tuple[int, bytearray]]) -> None:
        self.runs = sorted(runs)
        self._firsts = [first for first, _ in self.runs]
        self._whole = Memory()
        self._whole.map_many(self.runs)
        self._memory: Memory | None = self._whole
        self._undo: list[tuple[bytearray, int, bytes]] = []
        #: (first, length) of each piece that is not there.
        self.taken: list[tuple[int, int]] = []

    def _run(self, address: int, length: int) -> tuple[bytearray, int] | None:
        """The buffer that holds all of a range, and where in it."""
        i = bisect.bisect_right(self._firsts, address) - 1
        if i < 0:
            return None
        first, data = self.runs[i]
        return (data, address - first) if address + length <= first + len(data) else None

    def read(self, address: int, length: int) -> bytes | None:
        """What the plain ledger reads."""
        if any(address < first + size and first < address + length for first, size in self.taken):
            return None
        return self.beneath(address, length)

    def beneath(self, address: int, length: int) -> bytes | None:
        """The same, whatever was taken away."""
        found = self._run(address, length)
        return None if found is None else bytes(found[0][found[1] : found[1] + length])

    def write(self, address: int, data: bytes) -> None:
        """Change bytes that are there; others are left alone."""
        found = self._run(address, len(data))
        if found is not None:
            buffer, at = found
            self._undo.append((buffer, at, bytes(buffer[at : at + len(data)])))
            buffer[at : at + len(data)] = data

    def take(self, first: int, length: int) -> None:
        """Take a piece of memory away."""
        self.taken.append((first, length))
        self._memory = None

    @property
    def memory(self) -> Memory:
        """What C reads."""
        if self._memory is None:
            self._memory = Memory()
            self._memory.map_many(self.pieces())
        return self._memory

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """The runs without what was taken away."""
        for first, data in self.runs:
            at = first
            end = first + len(data)
            view = memoryview(data)
            for hole, size in sorted(self.taken):
                if hole < end and at < hole + size:
                    if at < hole:
                        yield at, view[at - first : hole - first]
                    at = max(at, hole + size)
            if at < end:
                yield at, view[at - first :]

    def restore(self) -> None:
        """As it was built."""
        while self._undo:
            buffer, at, old = self._undo.pop()
            buffer[at : at + len(old)] = old
        self.taken.clear()
        self._memory = self._whole
