"""kdump-compressed vmcores, as makedumpfile writes them, read through libkdumpfile.

The format (makedumpfile's IMPLEMENTATION, "KDUMP" header, bitmaps, page descriptors) has five
compressions; libkdumpfile knows them all. It may die of a damaged dump, so it works in a process of its own.
A page whose bit is clear in the file's bitmap was left out, and its bytes are unknown: pages of zeros are
there. libkdumpfile has two Python bindings, both named ``kdumpfile``: Debian's python3-libkdumpfile, and
pykdumpfile on PyPI. The pages that the file holds are unpacked, as .xz is: the walk needs bytes that stay
where they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from iommu_abi.errors import Error, ImageError
from iommu_abi.images.apart import Failed, apart
from iommu_abi.images.files import CHUNK, Sparse, contents
from iommu_abi.images.pieces import Piece, Range, without

#: makedumpfile's, and diskdump's before it.
MAGICS = (b"KDUMP   ", b"DISKDUMP")

#: Where the header has its page size, on machines of 64 and of 32 bits (makedumpfile's diskdump_mod.h).
_PAGE_SIZE_AT = (0x1AC, 0x1A0)
_PAGE_SIZES = {1 << shift for shift in range(12, 19)}

MISSING = (
    "a kdump-compressed vmcore needs libkdumpfile's Python binding: apt install python3-libkdumpfile"
    " for Debian's own Python, or pip install 'iommu-abi[kdump]', which needs libkdumpfile's headers"
)


def _binding(path: Path) -> Any:
    try:
        import kdumpfile
    except ImportError as error:
        raise ImageError(f"{path}: {MISSING} ({error})") from None
    return kdumpfile


def _failure(binding: Any) -> type[Exception]:
    """Base of the binding's exceptions."""
    old: type[Exception] | None = getattr(getattr(binding, "exceptions", None), "KDumpBaseException", None)
    return old or binding.KdumpfileError


def _check(path: Path, file: BinaryIO) -> None:
    """Refuse a page size that is none: libkdumpfile 0.5.1 would kill the process."""
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    words = [head[at : at + 4] for at in _PAGE_SIZE_AT]
    found = {n for word in words for n in (int.from_bytes(word, "little"), int.from_bytes(word, "big"))}
    if len(head) == 4096 and not found & _PAGE_SIZES:
        raise ImageError(f"{path}: a kdump-compressed vmcore with a damaged header: no page size in it")


class Dump:
    """An open dump: which pages it holds, and their bytes."""

    def __init__(self, binding: Any, file: BinaryIO) -> None:
        if hasattr(binding, "Context"):  # pykdumpfile
            self._context = binding.Context()
            self._context.open_fd(file.fileno())
            self._space = binding.MACHPHYSADDR
        else:  # python3-libkdumpfile takes names only, and an unpacked file has none
            self._context = binding.kdumpfile(f"/proc/self/fd/{file.fileno()}")
            self._space = binding.KDUMP_MACHPHYSADDR
        self._failure = _failure(binding)
        self.page_size: int = self._context.attr["arch"]["page_size"]

    def runs(self, of: str = "file") -> Iterator[tuple[int, int]]:
        """(address, bytes) of the pages in the file, or that the "memory" had, in a row each; ascending."""
        bitmap, frame = self._context.attr[of]["pagemap"], 0
        while True:
            try:
                start = bitmap.find_set(frame)
            except self._failure:  # there is no further bit
                return
            frame = bitmap.find_clear(start)
            if frame <= start:
                raise ImageError("a bitmap of pages without an end")
            yield start * self.page_size, (frame - start) * self.page_size

    def left_out(self, held: Iterable[Range]) -> list[Range]:
        """Pages of the memory that the file does not hold; none if the dump does not say."""
        try:
            all_pages = [(at, at + size - 1) for at, size in self.runs("memory")]
        except (self._failure, KeyError, NotImplementedError):
            return []
        return list(without(all_pages, held))

    def read(self, address: int, size: int) -> bytes:
        """Bytes of pages that are there."""
        return bytes(self._context.read(self._space, address, size))


def _copy(binding: Any, file: BinaryIO, out: Sparse) -> Iterator[list[Any]]:
    """Append every page to a file, and say what was found: runs (address, bytes), holes (first, last)."""
    dump = Dump(binding, file)
    held = []
    for address, size in dump.runs():
        for at in range(address, address + size, CHUNK):
            out.append(dump.read(at, min(CHUNK, address + size - at)))
            yield ["alive"]
        held.append((address, address + size - 1))
        yield ["run", address, size]
    for first, last in dump.left_out(held):
        yield ["hole", first, last]
    out.file.flush()


def _told(path: Path, binding: Any, file: BinaryIO, out: Sparse) -> Iterator[list[Any]]:
    """The same; whatever goes wrong is an ImageError."""
    try:
        yield from _copy(binding, file, out)
    except ImageError:
        raise
    except Exception as error:  # the binding's own, and what a damaged dump makes it stumble over
        raise ImageError(
            f"{path}: libkdumpfile cannot read it: {str(error) or type(error).__name__}"
        ) from None


def _found(path: Path, binding: Any, file: BinaryIO, out: Sparse) -> tuple[list[Range], list[Range]]:
    """Runs (address, bytes) and holes (first, last), found by a process that may die of a damaged dump."""
    runs: list[Range] = []
    holes: list[Range] = []
    try:
        for kind, *numbers in apart(lambda: _told(path, binding, file, out)):
            if kind == "alive":
                continue
            first, second = numbers
            (runs if kind == "run" else holes).append((int(first), int(second)))
    except Failed as error:
        raise ImageError(f"{path}: a damaged kdump-compressed vmcore: libkdumpfile {error}") from None
    except ImageError:
        raise
    except Error as error:
        raise ImageError(str(error)) from None
    return runs, holes


def pieces(path: Path, file: BinaryIO, *, copy: bool, max_size: int) -> list[Piece]:
    """One piece for each run of pages that the dump holds, and the holes, whose bytes nobody knows."""
    binding = _binding(path)
    _check(path, file)
    out = Sparse(path, max_size)
    with out.file:
        runs, missing = _found(path, binding, file, out)
        if not runs:
            raise ImageError(f"{path}: a kdump-compressed vmcore without pages in it")
        out.size = sum(size for _, size in runs)
        buffer = contents(path, out.finish(), copy)
    starts = itertools.accumulate((size for _, size in runs), initial=0)
    holes = [Piece(first, None, 0, last - first + 1, str(path), hole=True) for first, last in missing]
    return [Piece(at, buffer, start, size, str(path)) for (at, size), start in zip(runs, starts)] + holes
