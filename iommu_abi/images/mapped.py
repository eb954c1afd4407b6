"""Bytes that need not all be in memory.

A mapped file that is read once from end to end need not stay there, and its holes need no look; of other
sources pages are fetched when they are touched.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO


class MappedFile(mmap.mmap):
    """A file's bytes, read-only."""

    _fd = -1

    @classmethod
    def of(cls, file: BinaryIO) -> MappedFile:
        """Map a whole file, which the caller may close."""
        made = cls(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
        made._fd = os.dup(file.fileno())
        return made

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(start, end) of what of a part is no hole of the file, which would read as zeros."""
        while start < end:
            try:
                begin = os.lseek(self._fd, start, os.SEEK_DATA)
                stop = os.lseek(self._fd, begin, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nothing but a hole is left
                    yield start, end  # a file system that does not know
                return
            if min(stop, end) > begin:
                yield begin, min(stop, end)
            start = max(stop, start + 1)

    def forget(self, start: int, end: int) -> None:
        """The pages of a part may be dropped: they are read again from the file when they are needed."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        size = end // mmap.PAGESIZE * mmap.PAGESIZE - first
        if size > 0:
            self.madvise(mmap.MADV_DONTNEED, first, size)


class Demanded(mmap.mmap):
    """Bytes of which each page is fetched when it is touched; ``demand`` says how.

    C touches them as any others. Python code asks for them first, since who waits for a page has the
    interpreter's lock, which the one who brings it needs.
    """

    def ensure(self, offset: int, length: int) -> None:
        """Fetch what is touched next."""
        raise NotImplementedError

    def peek(self, offset: int, length: int) -> bytes:
        """Bytes as they are now, which are not kept."""
        raise NotImplementedError
