"""ELF cores: one piece of memory for each PT_LOAD.

The generic ABI's program headers, as QEMU's dump-guest-memory, makedumpfile -E and the kernel's
vmcore write them; p_paddr is the physical address. Bytes beyond p_filesz are a hole: makedumpfile
leaves out pages that are zero, and pages that no kernel table is in (makedumpfile(8), -d). So a table
there is zero, and anything else unknown. /proc/kcore gives memory without an address p_paddr -1.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from iommu_abi.errors import ImageError
from iommu_abi.images import xen
from iommu_abi.images.pieces import Buffer, Piece, without, zeros

MAGIC = b"\x7fELF"
PT_LOAD = 1
ET_CORE = 4
_NOWHERE = (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)


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


@dataclass(frozen=True, slots=True)
class _Load:
    """A PT_LOAD: bytes in the file, and bytes in memory from there on."""

    offset: int
    vaddr: int
    first: int
    held: int
    size: int


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the program headers lie; or the sections of Xen's files."""

    order: str
    wide: bool
    kind: int
    offset: int
    step: int
    count: int
    sections: dict[str, xen.Section]


def _header(path: Path, buffer: Buffer) -> _Header:
    from elftools.elf.elffile import ELFFile

    file = _Seekable(buffer)
    try:
        elf = ELFFile(cast("BinaryIO", file))
        found = {}
        if not elf["e_phnum"]:
            wanted = (elf.get_section_by_name(name) for name in (xen.PAGES, xen.PFN, xen.P2M))
            found = {s.name: (s["sh_offset"], s["sh_size"]) for s in wanted if s}
        return _Header(
            order="<" if elf.little_endian else ">",
            wide=elf.elfclass == 64,
            kind=int.from_bytes(buffer[16:18], "little" if elf.little_endian else "big"),
            offset=elf["e_phoff"],
            step=elf["e_phentsize"],
            count=elf.num_segments(),  # reads section 0 when there are more than 65534 (PN_XNUM)
            sections=found,
        )
    except Exception as error:  # on damage pyelftools raises what it comes across
        raise ImageError(f"{path}: damaged ELF header: {str(error) or type(error).__name__}") from None
    finally:
        file.close()


def _loads(path: Path, buffer: Buffer, header: _Header) -> Iterator[_Load]:
    """The PT_LOADs; pyelftools would need seconds for 10^5 of them."""
    row = struct.Struct(header.order + ("I4xQQQQQ8x" if header.wide else "IIIIII8x"))
    offset, step, count = header.offset, header.step, header.count
    if step < row.size or offset + count * step > len(buffer):
        raise ImageError(f"{path}: {count} program headers at {offset:#x} do not lie in the file")
    view = memoryview(buffer)[offset : offset + count * step]
    nowhere = _NOWHERE[header.wide]
    with view:
        for i in range(count):
            kind, *rest = row.unpack_from(view, i * step)
            load = _Load(*rest)
            if kind == PT_LOAD and load.first != nowhere and max(load.held, load.size):
                yield load


def _refuse(path: Path, loads: list[_Load], size: int) -> None:
    """ImageError if these are not the memory of a machine."""
    if not any(load.held for load in loads):
        raise ImageError(f"{path}: an ELF file without memory in it (no PT_LOAD with bytes)")
    user = all(0 < load.vaddr < 1 << 47 for load in loads)
    if not any(load.first for load in loads) and (len(loads) > 1 or user):
        raise ImageError(
            f"{path}: every p_paddr is 0: this core does not say where its memory was, as cores of processes"
            " (gcore) do not; QEMU's dump-guest-memory or `virsh dump --memory-only` dumps a guest's memory"
        )
    for load in loads:
        if load.offset + load.held > size:
            raise ImageError(
                f"{path}: truncated: the segment for {load.first:#x} ends at {load.offset + load.held:#x},"
                f" the file at {size:#x}"
            )


def pieces(path: Path, buffer: Buffer, max_size: int) -> list[Piece]:
    """PT_LOAD segments at their p_paddr, and holes between their bytes and their ends."""
    header = _header(path, buffer)
    if xen.PAGES in header.sections:
        return xen.pieces(path, buffer, header.sections, header.order)
    if header.kind != ET_CORE:
        raise ImageError(
            f"{path}: an ELF program or object (type {header.kind}), not a core (type {ET_CORE})"
        )
    loads = list(_loads(path, buffer, header))
    _refuse(path, loads, len(buffer))
    found = [Piece(n.first, buffer, n.offset, n.held, str(path)) for n in loads if n.held]
    holes = [(n.first + n.held, n.first + n.size - 1) for n in loads if n.size > n.held]
    gaps = list(without(holes, ((p.first, p.last) for p in found)))
    return found + zeros(path, gaps, max_size)
