"""VMware's suspended state (.vmss) and snapshots (.vmsn), with the .vmem beside them.

The format as crash's vmware_vmss.h and Volatility's vmware layer tell it, little-endian: a header (magic,
version, number of groups), a row for each group (name of 64 bytes, offset, size), and in a group tags:
16 bits (size of the value, number of indices, length of the name), name, indices of 4 bytes, value. A
size of 63 or 62 is a block, plain or packed: bytes in the file, bytes in memory, 16 bits of padding. The
group "memory" has the block "Memory", or none if a .vmem file has the bytes; and regions, in pages:
regionPPN (address), regionPageNum (place in the memory), regionSize.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer, Piece

MAGICS = (b"\xd2\xbe\xd2\xbe", b"\xd3\xbe\xd3\xbe", b"\xd1\xba\xd1\xba", b"\xd2\xba\xd2\xba")
#: Numbers of 32 bits: not read.
OLD = b"\xd0\xbe\xd0\xbe"
PAGE = 4096
_HEADER, _GROUP = struct.Struct("<4sII"), struct.Struct("<64sQQ")
_BLOCK = struct.Struct("<QQH")
_PLAIN, _PACKED = 63, 62
_NAME = "a VMware suspended state or snapshot"
_ADVICE = "vmss2core makes a core of it"
#: Regions of a machine: three in practice.
_MOST_REGIONS = 1 << 16


class _Tags:
    """The group "memory": its numbers by (name, index), and where its block lies."""

    def __init__(self, buffer: Buffer, at: int) -> None:
        self.numbers: dict[tuple[str, int], int] = {}
        self.block: tuple[int, int] | None = None
        self._buffer = buffer
        while tag := struct.unpack_from("<H", buffer, at)[0]:
            at = self._one(tag, at + 2)

    def _one(self, tag: int, at: int) -> int:
        """Take a tag, behind its 16 bits; where the next one is."""
        size, indices, length = tag & 63, tag >> 6 & 3, tag >> 8
        name = bytes(self._buffer[at : at + length]).decode("latin-1")
        at += length
        index = struct.unpack_from(f"<{indices}I", self._buffer, at)
        at += 4 * indices
        if size not in (_PLAIN, _PACKED):
            value = bytes(self._buffer[at : at + size])
            self.numbers[name, index[0] if index else 0] = int.from_bytes(value, "little")
            return at + size
        held, _, padding = _BLOCK.unpack_from(self._buffer, at)
        at += _BLOCK.size + padding
        if name == "Memory":
            if size == _PACKED:
                raise ValueError("its memory is packed")
            self.block = at, held
        return int(at + held)


def _tags(path: Path, buffer: Buffer) -> _Tags:
    try:
        _, _, count = _HEADER.unpack_from(buffer, 0)
        for i in range(count):
            name, at, _ = _GROUP.unpack_from(buffer, _HEADER.size + i * _GROUP.size)
            if name.rstrip(b"\0") == b"memory" and at >= _HEADER.size:
                return _Tags(buffer, at)
        raise ValueError("it has no group that describes memory")
    except (struct.error, ValueError, OverflowError) as error:
        raise ImageError(f"{path}: {_NAME}, not readable: {error}; {_ADVICE}") from None


def pieces(path: Path, buffer: Buffer, beside: Callable[[Path], Buffer]) -> list[Piece]:
    """One piece for each region; ``beside`` opens the .vmem."""
    if bytes(buffer[: len(OLD)]) == OLD:
        raise ImageError(f"{path}: a VMware suspended state of 32 bits: {_ADVICE}")
    tags, source = _tags(path, buffer), path
    start, size = tags.block or (0, 0)
    if not size:
        source = path.with_suffix(".vmem")
        if not source.exists():
            raise ImageError(f"{path}: {_NAME} without its memory: {source.name} is not beside it")
        buffer = beside(source)
        start, size = 0, len(buffer)
    if start + size > len(buffer):
        raise ImageError(
            f"{source}: truncated: memory ends at {start + size:#x}, the file at {len(buffer):#x}"
        )
    return [
        Piece(first, buffer, start + offset, length, str(source))
        for first, offset, length in _regions(path, tags, size)
    ]


def _regions(path: Path, tags: _Tags, size: int) -> list[tuple[int, int, int]]:
    """(address, place in the memory, bytes)."""
    count = tags.numbers.get(("regionsCount", 0), 0)
    if not count:
        return [(0, 0, size)]
    found = []
    for i in range(min(count, _MOST_REGIONS)):
        first, at, length = (
            tags.numbers.get((name, i), -1) * PAGE for name in ("regionPPN", "regionPageNum", "regionSize")
        )
        if min(first, at) < 0 or length <= 0 or at + length > size:
            raise ImageError(
                f"{path}: {_NAME} whose region {i} does not lie in its {size:#x} bytes of memory; {_ADVICE}"
            )
        found.append((first, at, length))
    return found
