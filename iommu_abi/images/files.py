"""Files -> bytes: mapped or read, and unpacked first if they are packed."""

from __future__ import annotations

import gzip
import lzma
import mmap
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer

CHUNK = 1 << 20
XZ, GZIP = b"\xfd7zXZ\0", b"\x1f\x8b"
OPENERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    XZ: lzma.LZMAFile,
    GZIP: lambda f: gzip.GzipFile(fileobj=f),
}


class Sparse:
    """A temporary file in which runs of zeros take no room, of at most ``most`` bytes."""

    def __init__(self, path: Path, most: int) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115, handed to the caller
        self.size = 0
        self._path, self._most = path, most

    def append(self, chunk: bytes) -> None:
        """Add bytes; ImageError if there are too many."""
        self.size += len(chunk)
        if self.size > self._most:
            raise ImageError(f"{self._path}: unpacks to more than {self._most} bytes (see --max-size)")
        if chunk.count(0) == len(chunk):
            self.file.seek(len(chunk), os.SEEK_CUR)
        else:
            self.file.write(chunk)

    def finish(self) -> BinaryIO:
        """The file, to be read."""
        self.file.truncate(self.size)
        self.file.seek(0)
        return self.file


def _unpack(path: Path, packed: Any, most: int) -> BinaryIO:
    out = Sparse(path, most)
    try:
        while chunk := packed.read(CHUNK):
            out.append(chunk)
    except BaseException as error:
        out.file.close()
        if isinstance(error, (lzma.LZMAError, EOFError, OSError)):  # gzip.BadGzipFile is an OSError
            raise ImageError(f"{path}: cannot be unpacked: {error}") from None
        raise
    return out.finish()


def open_plain(path: Path, max_size: int) -> BinaryIO:
    """The file, unpacked to at most ``max_size`` bytes if it is packed."""
    try:
        file: BinaryIO = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from None
    start = file.read(len(XZ))
    file.seek(0)
    for magic, opener in OPENERS.items():
        if start.startswith(magic):
            with file:
                return _unpack(path, opener(file), max_size)
    return file


def contents(path: Path, file: BinaryIO, copy: bool) -> Buffer:
    """The bytes of a file: mapped, unless ``copy``."""
    if os.fstat(file.fileno()).st_size == 0:
        raise ImageError(f"{path}: empty file")
    if copy:
        file.seek(0)
        return file.read()
    try:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be mapped: {error}") from None
