"""Flattened files, as makedumpfile -F and QEMU's kdump-zlib write them to a pipe: put back in order.

makedumpfile's IMPLEMENTATION, "The flattened format": a header of 4096 bytes (signature, type 1,
version 1), then pieces of the real file, each behind its offset and size. Numbers are big-endian, 8
bytes; the last piece has offset -1. The real file is kdump-compressed or an ELF core.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from iommu_abi.errors import ImageError
from iommu_abi.images.files import CHUNK, Sparse

MAGIC = b"makedumpfile\0\0\0\0"
HEADER = 4096
_KIND = struct.Struct(">16xqq")
_PIECE = struct.Struct(">qq")
_END = -1


def rearrange(path: Path, file: BinaryIO, most: int) -> BinaryIO:
    """The real file, of at most ``most`` bytes."""
    file.seek(0)
    head = file.read(HEADER)
    if len(head) < HEADER or _KIND.unpack_from(head) != (1, 1):
        raise ImageError(
            f"{path}: a flattened makedumpfile file with a damaged header, expected type 1, version 1"
        )
    out = Sparse(path, most)
    try:
        at = HEADER
        while (size := _copy_piece(path, file, at, out)) is not None:
            at += _PIECE.size + size
        return out.finish()
    except BaseException:
        out.file.close()
        raise


def _copy_piece(path: Path, file: BinaryIO, at: int, out: Sparse) -> int | None:
    """Bytes of the piece at ``at``; None for the end."""
    where = f"{path}: flattened makedumpfile file, piece at {at:#x}"
    head = file.read(_PIECE.size)
    if len(head) < _PIECE.size:
        raise ImageError(f"{where}: truncated: got {len(head)} bytes of its header, expected {_PIECE.size}")
    offset, size = _PIECE.unpack(head)
    if offset == _END:
        return None
    if offset < 0 or size <= 0:
        raise ImageError(f"{where}: damaged: offset {offset}, size {size}")
    out.seek(offset)
    left = size
    while left:
        data = file.read(min(left, CHUNK))
        if not data:
            raise ImageError(f"{where}: truncated: {left} of {size} bytes are missing")
        out.append(data)
        left -= len(data)
    return int(size)
