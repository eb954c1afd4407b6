"""ELF cores: one piece of memory for each PT_LOAD.

The generic ABI's program headers, as QEMU's dump-guest-memory, makedumpfile -E and the kernel's
vmcore write them; p_paddr is the physical address. Bytes beyond p_filesz are a hole: makedumpfile
leaves out pages that are zero, and pages that no kernel table is in (makedumpfile(8), -d). So a table
there is zero, and anything else unknown. /proc/kcore gives memory without an address p_paddr -1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iommu_abi.errors import ImageError
from iommu_abi.images import xen
from iommu_abi.images.pieces import Buffer, Piece, without, zeros

MAGIC = b"\x7fELF"
PT_LOAD = 1
ET_CORE = 4
EI_CLASS, EI_DATA = 4, 5
PN_XNUM = 0xFFFF
_CLASSES = {1: False, 2: True}  # 32 bits, 64
_ORDERS = {1: "<", 2: ">"}
_NOWHERE = (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)


#: How much of a file says of which type it is (e_type).
KIND_END = 18


def is_core_or_none(start: bytes) -> bool:
    """Is it no ELF file, or one of memory?"""
    return not start.startswith(MAGIC) or ET_CORE in start[16:KIND_END]


@dataclass(frozen=True, slots=True)
class Load:
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
    """The file's header. Its fields and theirs: the generic ABI, "ELF Header" and "Section Header"."""
    ident = bytes(buffer[:16]).ljust(16, b"\0")
    wide, order = _CLASSES.get(ident[EI_CLASS]), _ORDERS.get(ident[EI_DATA])
    row = struct.Struct(f"{order or '<'}16xHHI{'QQQ' if wide else 'III'}IHHHHHH")
    if wide is None or order is None or len(buffer) < row.size:
        raise ImageError(f"{path}: damaged ELF header: {ident[:6].hex(' ')}, {len(buffer)} bytes")
    kind, _, _, _, offset, sections, _, _, step, count, _, number, _ = row.unpack_from(buffer)
    if count == PN_XNUM:
        count = _many(path, buffer, order + ("44xI" if wide else "28xI"), sections)
    found = xen.sections(path, buffer) if number and not count else {}
    return _Header(order, wide, kind, offset, step, count, found)


def _many(path: Path, buffer: Buffer, sh_info: str, sections: int) -> int:
    """How many program headers there are where e_phnum cannot say: sh_info of section 0."""
    row = struct.Struct(sh_info)
    if not 0 < sections <= len(buffer) - row.size:
        raise ImageError(f"{path}: damaged ELF header: section 0, at {sections:#x}, is not in the file")
    return int(row.unpack_from(buffer, sections)[0])


def _loads(path: Path, buffer: Buffer, header: _Header) -> Iterator[Load]:
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
            load = Load(*rest)
            if kind == PT_LOAD and load.first != nowhere and max(load.held, load.size):
                yield load


def loads(path: Path, head: bytes) -> list[Load]:
    """The PT_LOADs of a file that begins so; ImageError if they are not within."""
    return list(_loads(path, head, _header(path, head)))


def _refuse(path: Path, loads: list[Load], size: int) -> None:
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
