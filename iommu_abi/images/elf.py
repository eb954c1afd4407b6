"""ELF cores: one piece of memory for each PT_LOAD.

The generic ABI's program headers, as QEMU's dump-guest-memory, makedumpfile -E and the kernel's
vmcore write them; p_paddr is the physical address, and bytes beyond p_filesz do not exist in the
file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer, Piece

MAGIC = b"\x7fELF"
PT_LOAD = 1


class _Seekable:
    """A buffer as a file, for pyelftools: it copies only what is read."""

    def __init__(self, buffer: Buffer) -> None:
        self._view = memoryview(buffer)
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._view)}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._view) if size < 0 else self._at + size
        data = bytes(self._view[self._at : end])
        self._at += len(data)
        return data

    def close(self) -> None:
        self._view.release()


def _program_headers(path: Path, buffer: Buffer) -> Iterator[tuple[int, int, int, int]]:
    """(type, file offset, physical address, bytes in the file) of each program header."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    file = _Seekable(buffer)
    try:
        elf = ELFFile(cast("BinaryIO", file))
        count = elf.num_segments()  # reads section 0 when there are more than 65534 (PN_XNUM)
        offset, step = elf["e_phoff"], elf["e_phentsize"]
        order = "<" if elf.little_endian else ">"
    except (ELFError, struct.error, KeyError, ValueError, OverflowError, AttributeError, TypeError) as error:
        raise ImageError(f"{path}: damaged ELF header: {str(error) or type(error).__name__}") from None
    finally:
        file.close()
    # p_type, p_offset, p_paddr, p_filesz; pyelftools would need seconds for 10^5 of them
    wide = elf.elfclass == 64
    row = struct.Struct(order + ("I4xQ8xQQ16x" if wide else "II4xII8x4x"))
    if step < row.size or offset + count * step > len(buffer):
        raise ImageError(f"{path}: {count} program headers at {offset:#x} do not lie in the file")
    view = memoryview(buffer)[offset : offset + count * step]
    with view:
        for i in range(count):
            yield row.unpack_from(view, i * step)


def pieces(path: Path, buffer: Buffer) -> list[Piece]:
    """PT_LOAD segments at their p_paddr."""
    loads = [(o, p, n) for t, o, p, n in _program_headers(path, buffer) if t == PT_LOAD and n]
    if not loads:
        raise ImageError(f"{path}: an ELF file without memory in it (no PT_LOAD with bytes)")
    if len(loads) > 1 and not any(paddr for _, paddr, _ in loads):
        raise ImageError(f"{path}: every p_paddr is 0: this core does not say where its memory was")
    size = len(buffer)
    for offset, paddr, filesz in loads:
        if offset + filesz > size:
            raise ImageError(
                f"{path}: truncated: the segment for {paddr:#x} ends at {offset + filesz:#x},"
                f" the file at {size:#x}"
            )
    return [Piece(paddr, buffer, offset, filesz, str(path)) for offset, paddr, filesz in loads]
