"""Delta debugging: the smallest input with the same cause.

First parts are left out (Zeller's ddmin over what the target calls pieces), then what is left is made
plainer: words and bytes become 0, bits are cleared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from iommu_abi.fuzz.targets.target import FuzzTarget

Same = Callable[[bytes], bool]


class _OutOfTime(Exception):
    """The best so far has to do."""


class _Search:
    def __init__(self, data: bytes, same: Same, seconds: float) -> None:
        self.best, self._same = data, same
        self._end = time.monotonic() + seconds
        self._tried = {data}

    def accept(self, data: bytes) -> bool:
        """Whether a candidate has the same cause; then it is the best so far."""
        if data in self._tried:
            return False
        if time.monotonic() > self._end:
            raise _OutOfTime
        self._tried.add(data)
        if self._same(data):
            self.best = data
            return True
        return False


def minimise(target: FuzzTarget, data: bytes, same: Same, seconds: float = 20.0) -> bytes:
    """An input for which ``same`` holds and that is no larger; ``same(data)`` has to hold."""
    search = _Search(data, same, seconds)
    try:
        before = None
        while before != search.best:
            before = search.best
            _leave_out(search, target.pieces(search.best))
            _plainer(search)
    except _OutOfTime:
        pass
    return search.best


def _leave_out(search: _Search, pieces: Sequence[bytes]) -> None:
    """The fewest of the pieces; the first one stays."""
    head, rest = pieces[0], list(pieces[1:])
    size = len(rest)
    while size:
        at = 0
        while at < len(rest):
            shorter = rest[:at] + rest[at + size :]
            if search.accept(head + b"".join(shorter)):
                rest = shorter
            else:
                at += size
        size //= 2


def _plainer(search: _Search) -> None:
    """Numbers that are 0, or have fewer bits."""
    for size in (8, 1):
        for at in range(0, len(search.best), size):
            _try(search, at, bytes(len(search.best[at : at + size])))
    for at in range(len(search.best)):
        for bit in range(7, -1, -1):
            byte = search.best[at]
            if byte >> bit & 1:
                _try(search, at, bytes([byte & ~(1 << bit)]))


def _try(search: _Search, at: int, part: bytes) -> None:
    search.accept(search.best[:at] + part + search.best[at + len(part) :])
