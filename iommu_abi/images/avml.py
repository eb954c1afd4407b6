"""AVML compressed images (avml --compress): ranges as LiME has them, each a Snappy stream.

AVML's src/image.rs (Microsoft, MIT): magic "AVML", version 2, first and last address (8 bytes each, both
inclusive), 8 reserved bytes, all little-endian; then a stream in Snappy's framing format, and its length
in 8 bytes. Snappy's framing_format.txt: a chunk is a byte of type, 3 bytes of length, its bytes; data is
at most 65536 bytes a chunk and has a checksum, which the library holds it against.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from iommu_abi.errors import ImageError
from iommu_abi.images.files import Sparse, contents
from iommu_abi.images.pieces import Buffer, Piece

MAGIC = b"AVML"
HEADER = struct.Struct("<4sIQQ8x")
VERSION = 2
STREAM = b"\xff\x06\x00\x00sNaPpY"
_COMPRESSED, _PLAIN, _SKIPPABLE = 0x00, 0x01, 0x80
_ADVICE = "avml-convert makes LiME of it"


def _snappy(path: Path) -> Any:
    try:
        from cramjam import snappy
    except ImportError:
        raise ImageError(
            f"{path}: an AVML compressed image needs Snappy: pip install 'iommu-abi[images]'; or {_ADVICE}"
        ) from None
    return snappy


def _damaged(path: Path, at: int, what: str) -> ImageError:
    return ImageError(
        f"{path}: an AVML compressed image, damaged at {at:#x}: {what}; of a whole one {_ADVICE}"
    )


class _Reader:
    """The file, range by range."""

    def __init__(self, path: Path, buffer: Buffer, out: Sparse) -> None:
        self.path, self.buffer, self.out, self.at = path, buffer, out, 0
        self.snappy = _snappy(path)

    def take(self, size: int, what: str) -> bytes:
        """The next bytes."""
        data = bytes(self.buffer[self.at : self.at + size])
        if len(data) < size:
            raise _damaged(self.path, self.at, f"got {len(data)} bytes of {what}, expected {size}")
        self.at += size
        return data

    def chunk(self) -> bytes:
        """What the next chunk of a stream unpacks to: nothing, if it is no data."""
        at = self.at
        head = self.take(4, "a chunk's header")
        kind, size = head[0], int.from_bytes(head[1:], "little")
        body = self.take(size, "a chunk")
        if kind > _PLAIN:
            if kind < _SKIPPABLE or (kind == STREAM[0] and body != STREAM[4:]):
                raise _damaged(self.path, at, f"got a chunk of type {kind:#x}")
            return b""
        try:
            found = bytes(self.snappy.decompress(STREAM + head + body))
        except Exception as error:  # the library's own
            raise _damaged(self.path, at, f"Snappy: {error}") from None
        if not found:
            raise _damaged(self.path, at, "got a chunk without data")
        return found

    def range(self) -> tuple[int, int, int]:
        """(address, offset in the output, bytes) of the next range."""
        at = self.at
        magic, version, first, last = HEADER.unpack(self.take(HEADER.size, "a range's header"))
        if (magic, version) != (MAGIC, VERSION) or last < first:
            raise _damaged(self.path, at, f"{magic!r}, version {version}, {first:#x}..{last:#x} is no header")
        start, offset, left = self.at, self.out.size, last - first + 1
        while left > 0:
            found = self.chunk()
            self.out.append(found)
            left -= len(found)
        packed = self.at - start
        got = int.from_bytes(self.take(8, "a stream's length"), "little")
        if left or got != packed:
            raise _damaged(
                self.path, at, f"{packed} bytes of stream, not {got}, or {-left} bytes too many in it"
            )
        return first, offset, last - first + 1


def pieces(path: Path, buffer: Buffer, *, copy: bool, max_size: int) -> list[Piece]:
    """One piece for each range."""
    out = Sparse(path, max_size)
    with out.file:
        reader, found = _Reader(path, buffer, out), []
        while reader.at < len(buffer):
            found.append(reader.range())
        unpacked = contents(path, out.finish(), copy)
    return [Piece(first, unpacked, offset, size, str(path)) for first, offset, size in found]
