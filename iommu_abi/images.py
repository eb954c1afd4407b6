"""Image files -> pieces of physical memory: ELF cores, raw dumps, both also packed.

ELF: the generic ABI's program headers, as QEMU's dump-guest-memory, makedumpfile -E and the
kernel's vmcore write them; p_paddr is the physical address, and bytes beyond p_filesz do not exist
in the file.
"""

from __future__ import annotations

import gzip
import lzma
import mmap
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from iommu_abi.errors import ImageError, UsageError

Buffer = Any
PT_LOAD = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """``size`` bytes of ``buffer`` from ``offset`` on are memory at ``first``."""

    first: int
    buffer: Buffer
    offset: int
    size: int
    source: str


def _unpack(path: Path, packed: lzma.LZMAFile | gzip.GzipFile, max_size: int) -> BinaryIO:
    """A packed file, unpacked to a temporary one in which runs of zeros take no room."""
    out = tempfile.TemporaryFile()  # noqa: SIM115, handed to the caller
    size = 0
    try:
        while chunk := packed.read(CHUNK):
            size += len(chunk)
            if size > max_size:
                raise ImageError(f"{path}: unpacks to more than {max_size} bytes (see --max-size)")
            if chunk.count(0) == len(chunk):
                out.seek(len(chunk), os.SEEK_CUR)
            else:
                out.write(chunk)
    except (lzma.LZMAError, EOFError, gzip.BadGzipFile, OSError) as error:
        out.close()
        raise ImageError(f"{path}: cannot be unpacked: {error}") from None
    except ImageError:
        out.close()
        raise
    out.truncate(size)
    return out


OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\xfd7zXZ\0": lzma.LZMAFile, b"\x1f\x8b": gzip.GzipFile}


def _file_buffer(path: Path, copy: bool, max_size: int) -> Buffer:
    """The bytes of a file, unpacked; mapped unless ``copy``."""
    try:
        file: BinaryIO = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from None
    with file:
        start = file.read(6)
        file.seek(0)
        for magic, opener in OPENERS.items():
            if start.startswith(magic):
                packed = opener(file) if opener is lzma.LZMAFile else gzip.GzipFile(fileobj=file)
                with _unpack(path, packed, max_size) as plain:
                    return _contents(path, plain, copy)
        return _contents(path, file, copy)


def _contents(path: Path, file: BinaryIO, copy: bool) -> Buffer:
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise ImageError(f"{path}: empty file")
    if copy:
        file.seek(0)
        return file.read()
    try:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be mapped: {error}") from None


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


def _elf_pieces(path: Path, buffer: Buffer) -> list[Piece]:
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


def open_image(path: Path, *, format: str, base: int, copy: bool, max_size: int) -> list[Piece]:
    """The pieces of an image file; see :meth:`iommu_abi.memory.Memory.open`."""
    if format not in ("auto", "elf", "raw"):
        raise UsageError(f"unknown image format {format!r}, expected auto, elf or raw")
    buffer = _file_buffer(path, copy, max_size)
    if format == "elf" or (format == "auto" and buffer[:4] == b"\x7fELF"):
        return _elf_pieces(path, buffer)
    return [Piece(base, buffer, 0, len(buffer), str(path))]
