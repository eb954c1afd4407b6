"""Files -> bytes: mapped or read, and unpacked first if they are packed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from iommu_abi.errors import ImageError
from iommu_abi.images.mapped import MappedFile
from iommu_abi.images.pieces import Buffer

CHUNK = 1 << 20
XZ, GZIP, BZIP2, ZSTD = b"\xfd7zXZ\0", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"
#: LiME's compress=1 (RFC 1950): deflate with a window of 32 KiB, by each level.
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class _Streams:
    """Packed streams, one behind the other, as a file: where each ends is noticed, and one that does not."""

    def __init__(self, file: BinaryIO, begin: Callable[[], Any], step: int) -> None:
        self._file, self._begin, self._step = file, begin, step
        self._stream, self._rest = begin(), b""

    def read(self, size: int) -> bytes:
        while True:
            self._rest = self._rest or self._file.read(self._step)
            if not self._rest:
                if self._stream.eof:
                    return b""
                raise EOFError("it ends before its end marker")
            if self._stream.eof:
                self._stream = self._begin()
            if found := self._more(size):
                return found

    def _more(self, size: int) -> bytes:
        found: bytes = self._stream.decompress(self._rest, size)
        self._rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return found


class _Zstd(_Streams):
    """A step of 2 KiB unpacks to 64 MiB at most (RFC 8878: a block of 4 bytes to 128 KiB)."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            from zstandard import ZstdDecompressor
        except ImportError:
            raise ImportError("it takes the zstandard package: pip install 'iommu-abi[images]'") from None
        super().__init__(file, lambda: ZstdDecompressor().decompressobj(), 1 << 11)

    def _more(self, size: int) -> bytes:
        found: bytes = self._stream.decompress(self._rest)
        self._rest = self._stream.unused_data if self._stream.eof else b""
        return found


@dataclass(frozen=True, slots=True)
class _Packing:
    """A way of packing, how such files begin, and a file of what is in them."""

    name: str
    magics: tuple[bytes, ...]
    open: Callable[[BinaryIO], Any]


_PACKINGS = (
    _Packing("an xz", (XZ,), lzma.LZMAFile),
    _Packing("a gzip", (GZIP,), lambda f: gzip.GzipFile(fileobj=f)),
    _Packing("a bzip2", (BZIP2,), bz2.BZ2File),
    _Packing("a Zstandard", (ZSTD,), _Zstd),
    _Packing("a zlib", ZLIB, lambda f: _Streams(f, zlib.decompressobj, CHUNK)),
)


class Sparse:
    """A temporary file in which runs of zeros take no room, of at most ``most`` bytes."""

    def __init__(self, path: Path, most: int) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115, handed to the caller
        self.size = 0
        self._at = 0
        self._path, self._most = path, most

    def seek(self, at: int) -> None:
        """Go on at another place, which may be written for the second time."""
        self._at = at

    def append(self, chunk: bytes) -> None:
        """Add bytes; ImageError if there are too many."""
        end = self._at + len(chunk)
        if end > self._most:
            raise ImageError(f"{self._path}: unpacks to more than {self._most} bytes (see --max-size)")
        if self._at < self.size or chunk.count(0) != len(chunk):
            try:
                self.file.seek(self._at)
                self.file.write(chunk)
            except OSError as error:
                raise ImageError(f"{self._path}: no room to unpack it: {error.strerror}") from None
        self._at, self.size = end, max(self.size, end)

    def finish(self) -> BinaryIO:
        """The file, to be read."""
        try:
            self.file.truncate(self.size)
        except OSError as error:
            raise ImageError(f"{self._path}: no room to unpack it: {error.strerror}") from None
        self.file.seek(0)
        return self.file


def _cannot(path: Path, packing: _Packing, error: Exception) -> ImageError:
    """Every decoder has exceptions of its own, and more than it tells."""
    why = str(error) or type(error).__name__
    return ImageError(f"{path}: {packing.name} file that cannot be unpacked: {why}")


def _chunks(path: Path, file: BinaryIO, packing: _Packing) -> Iterator[bytes]:
    try:
        packed = packing.open(file)
        while chunk := packed.read(CHUNK):
            yield chunk
    except Exception as error:
        raise _cannot(path, packing, error) from None


def _unpack(path: Path, file: BinaryIO, packing: _Packing, most: int) -> BinaryIO:
    out = Sparse(path, most)
    try:
        for chunk in _chunks(path, file, packing):
            out.append(chunk)
        return out.finish()
    except BaseException:
        out.file.close()
        raise


def _packing(start: bytes) -> _Packing | None:
    for packing in _PACKINGS:
        if start.startswith(packing.magics) and (packing.magics is not ZLIB or _inflates(start)):
            return packing
    return None


def _inflates(start: bytes) -> bool:
    """Two bytes alone say little: is it really a stream?"""
    try:
        return bool(zlib.decompressobj().decompress(start, 32))
    except zlib.error:
        return False


def _open(path: Path) -> BinaryIO:
    try:
        if stat.S_ISFIFO(path.stat().st_mode) or path.is_socket() or path.is_char_device():
            raise ImageError(f"{path}: an image is mapped, so it must be a regular file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def open_plain(path: Path, max_size: int, *, forced: bool = False) -> BinaryIO:
    """The file, unpacked to at most ``max_size`` bytes if it is packed.

    ``forced``: what only begins like a packed file is taken as it is.
    """
    file = _open(path)
    start = file.read(CHUNK >> 4)
    file.seek(0)
    packing = _packing(start)
    if not packing:
        return file
    if forced and not _begins(file, packing):
        return file
    with file:
        plain = _unpack(path, file, packing, max_size)
    if _packing(plain.read(CHUNK >> 4)):
        plain.close()
        raise ImageError(f"{path}: is packed twice: unpack it once yourself")
    plain.seek(0)
    return plain


def head(path: Path, size: int) -> bytes:
    """How a regular file begins, unpacked if it is packed; nothing where it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            start = file.read(CHUNK >> 4)
            packing = _packing(start)
            file.seek(0)
            found: bytes = packing.open(file).read(size) if packing else start[:size]
            return found
    except Exception:  # the decoder's own, too
        return b""


def _begins(file: BinaryIO, packing: _Packing) -> bool:
    """Can the first bytes be unpacked?"""
    try:
        return bool(packing.open(file).read(1))
    except Exception:  # the decoder's own
        return False
    finally:
        file.seek(0)


def contents(path: Path, file: BinaryIO, copy: bool) -> Buffer:
    """The bytes of a file: mapped, unless ``copy``."""
    if os.fstat(file.fileno()).st_size == 0:
        raise ImageError(f"{path}: empty file")
    if copy:
        file.seek(0)
        return file.read()
    try:
        return MappedFile.of(file)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be mapped: {error}") from None
