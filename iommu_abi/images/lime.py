"""LiME dumps: physical memory as the Linux Memory Extractor writes it with format=lime.

Each range of memory is a header of 32 bytes, little-endian, and its bytes: magic 0x4c694d45,
version 1, first and last address (8 bytes each, both inclusive), 8 reserved bytes. (LiME's
documentation, doc/README.md, "LiME Memory Range Header Version 1 Specification".)
"""

from __future__ import annotations

import struct
from pathlib import Path

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer, Piece, first_overlap

HEADER = struct.Struct("<IIQQ8x")
WORD = 0x4C694D45
MAGIC = WORD.to_bytes(4, "little")
VERSION = 1


def pieces(path: Path, buffer: Buffer) -> list[Piece]:
    """One piece for each header. ImageError names the header, counted from 0, and its offset."""
    found: list[Piece] = []
    offsets: list[int] = []
    size, at = len(buffer), 0
    while at < size:
        found.append(_range(path, buffer, at, len(found)))
        offsets.append(at)
        at = found[-1].offset + found[-1].size
    if pair := first_overlap(found):
        a, b = (found[i] for i in pair)
        raise ImageError(
            f"{_place(path, pair[1], offsets[pair[1]])}: {b.first:#x}..{b.last:#x} overlaps"
            f" {a.first:#x}..{a.last:#x} of header {pair[0]} at {offsets[pair[0]]:#x}"
        )
    return found


def _place(path: Path, number: int, at: int) -> str:
    return f"{path}: LiME header {number} at {at:#x}"


def _range(path: Path, buffer: Buffer, at: int, number: int) -> Piece:
    size, where = len(buffer), _place(path, number, at)
    if size - at < HEADER.size:
        raise ImageError(f"{where}: truncated: got {size - at} bytes, expected {HEADER.size}")
    magic, version, first, last = HEADER.unpack_from(buffer, at)
    if magic != WORD:
        raise ImageError(f"{where}: got magic {magic:#x}, expected {WORD:#x}")
    if version != VERSION:
        raise ImageError(f"{where}: got version {version}, expected {VERSION}")
    if last < first:
        raise ImageError(f"{where}: the range {first:#x}..{last:#x} ends before it begins")
    start, length = at + HEADER.size, last - first + 1
    if length > size - start:
        raise ImageError(
            f"{where}: truncated: the bytes of {first:#x}..{last:#x} end at {start + length:#x},"
            f" the file at {size:#x}"
        )
    return Piece(first, buffer, start, length, str(path))
