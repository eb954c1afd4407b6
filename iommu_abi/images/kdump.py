"""kdump-compressed vmcores, as makedumpfile writes them, read through libkdumpfile.

The format (makedumpfile's IMPLEMENTATION, "KDUMP" header, bitmaps, page descriptors) has five
compressions; libkdumpfile knows them all. A page whose bit is clear in the file's bitmap was left out, and
its bytes are unknown: pages of zeros are there. libkdumpfile has two Python bindings, both named
``kdumpfile``: Debian's python3-libkdumpfile, and pykdumpfile on PyPI. The pages that the file holds
are unpacked, as .xz is: the walk needs bytes that stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from iommu_abi.errors import ImageError
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


def _copy(dump: Dump, out: Sparse) -> list[tuple[int, int, int]]:
    """Append every page to a file: (address, offset in the file, bytes) of each run."""
    found = []
    for address, size in dump.runs():
        found.append((address, out.size, size))
        for at in range(address, address + size, CHUNK):
            out.append(dump.read(at, min(CHUNK, address + size - at)))
    return found


def pieces(path: Path, file: BinaryIO, *, copy: bool, max_size: int) -> list[Piece]:
    """One piece for each run of pages that the dump holds, and the holes, whose bytes nobody knows."""
    binding = _binding(path)
    _check(path, file)
    out = Sparse(path, max_size)
    with out.file:
        try:
            dump = Dump(binding, file)
            found = _copy(dump, out)
            missing = dump.left_out((address, address + size - 1) for address, _, size in found)
        except ImageError:
            raise
        except Exception as error:  # the binding's own, and what a damaged dump makes it stumble over
            raise ImageError(f"{path}: libkdumpfile cannot read it: {error}") from None
        if not found:
            raise ImageError(f"{path}: a kdump-compressed vmcore without pages in it")
        buffer = contents(path, out.finish(), copy)
    holes = [Piece(first, None, 0, last - first + 1, str(path), hole=True) for first, last in missing]
    return [Piece(address, buffer, offset, size, str(path)) for address, offset, size in found] + holes
