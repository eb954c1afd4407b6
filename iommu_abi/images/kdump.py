"""kdump-compressed vmcores, as makedumpfile writes them, read through libkdumpfile.

The format (makedumpfile's IMPLEMENTATION, "KDUMP" header, bitmaps, page descriptors) has five
compressions and a flattened form; libkdumpfile knows them all. It has two Python bindings, both named
``kdumpfile``: Debian's python3-libkdumpfile, and pykdumpfile on PyPI. The pages that the file holds
are unpacked, as .xz is: the walk needs bytes that stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from iommu_abi.errors import ImageError
from iommu_abi.images.files import CHUNK, Sparse, contents
from iommu_abi.images.pieces import Piece

#: Of the file itself, and of its flattened form (makedumpfile -F).
MAGICS = (b"KDUMP   ", b"makedumpfile\0\0\0\0")

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

    def runs(self) -> Iterator[tuple[int, int]]:
        """(address, bytes) of the pages that are there, in a row each; ascending."""
        bitmap, frame = self._context.attr["file"]["pagemap"], 0
        while True:
            try:
                start = bitmap.find_set(frame)
            except self._failure:  # there is no further bit
                return
            frame = bitmap.find_clear(start)
            yield start * self.page_size, (frame - start) * self.page_size

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
    """One piece for each run of pages that the dump holds; pages that were left out do not exist."""
    binding = _binding(path)
    out = Sparse(path, max_size)
    with out.file:
        try:
            found = _copy(Dump(binding, file), out)
        except (_failure(binding), KeyError, OSError) as error:
            raise ImageError(f"{path}: libkdumpfile cannot read it: {error}") from None
        if not found:
            raise ImageError(f"{path}: a kdump-compressed vmcore without pages in it")
        buffer = contents(path, out.finish(), copy)
    return [Piece(address, buffer, offset, size, str(path)) for address, offset, size in found]
