"""Image files -> pieces of physical memory: ELF and Xen cores, LiME, AVML, VMware, kdump-compressed, raw.

Packed ones (.xz, .gz, .bz2, .zst, zlib) are unpacked, flattened ones put in order. What is known to be
something else is refused by name (unread.py); only what nothing is known about is raw memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from iommu_abi.errors import ImageError, UsageError
from iommu_abi.images import avml, elf, files, flat, kdump, lime, unread, vmware
from iommu_abi.images.files import contents, open_plain
from iommu_abi.images.pieces import Buffer, Piece
from iommu_abi.terms import IMAGE_FORMATS as FORMATS

#: This machine's own memory, which cannot be mapped.
KCORE = Path("/proc/kcore")
#: How files begin that are recognised, by a name for each beginning.
MAGICS = {
    "elf": elf.MAGIC,
    "lime": lime.MAGIC,
    "kdump": kdump.MAGICS[0],
    "makedumpfile": flat.MAGIC,
    "xz": files.XZ,
    "gzip": files.GZIP,
    "bzip2": files.BZIP2,
    "zstd": files.ZSTD,
    "avml": avml.MAGIC,
    "vmware": vmware.MAGICS[0],
    "diskdump": kdump.MAGICS[1],
}


@dataclass(frozen=True, slots=True)
class Source:
    """An image file. ``base`` says where raw memory lies, if it is not where all raw files do.

    Of a raw file, ``size`` bytes from ``offset`` on are used; None is up to its end.
    """

    path: Path
    base: int | None = None
    offset: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return str(self.path)


_STARTS: dict[str, tuple[bytes, ...]] = {
    "elf": (elf.MAGIC,),
    "lime": (lime.MAGIC,),
    "kdump": kdump.MAGICS,
    "avml": (avml.MAGIC,),
    "vmware": (*vmware.MAGICS, vmware.OLD),
}


def _detect(path: Path, start: bytes) -> str:
    for kind, magics in _STARTS.items():
        if start.startswith(magics):
            return kind
    unread.refuse(path, start)
    return "raw"


def is_image(path: Path) -> bool:
    """Is this a file of memory, of a format that says so itself?"""
    start = files.head(path, unread.HEAD)
    return start.startswith((flat.MAGIC, *(magic for magics in _STARTS.values() for magic in magics)))


def is_memory(path: Path) -> bool:
    """The same without programs and objects, which are ELF files too."""
    if not path.is_file() or not is_image(path):
        return False
    return elf.is_core_or_none(files.head(path, elf.KIND_END))


def _raw(source: Source, buffer: Buffer, base: int) -> list[Piece]:
    room = len(buffer) - source.offset
    size = room if source.size is None else source.size
    if not 0 < size <= room:
        last = "its end" if source.size is None else f"{source.offset + source.size:#x}"
        raise ImageError(
            f"{source}: its bytes from {source.offset:#x} to {last} are wanted, it ends at {len(buffer):#x}"
        )
    return [Piece(base if source.base is None else source.base, buffer, source.offset, size, str(source))]


def open_image(source: Source, *, format: str, base: int, copy: bool, max_size: int) -> list[Piece]:
    """The pieces of an image file; see :meth:`iommu_abi.memory.Memory.open`."""
    if format not in FORMATS:
        raise UsageError(f"unknown image format {format!r}, expected one of: {' '.join(FORMATS)}")
    path = source.path
    with _ordered(path, max_size, format) as file:
        file.seek(0)
        kind = _detect(path, file.read(unread.HEAD)) if format == "auto" else format
        if source.base is not None and kind != "raw":
            raise UsageError(f"{path}: this {kind} file says itself where its memory was, a base cannot")
        if path == KCORE:
            from iommu_abi.images import kcore

            return kcore.pieces(path, file)
        if kind == "kdump":
            return kdump.pieces(path, file, copy=copy, max_size=max_size)
        buffer = contents(path, file, copy)
    if kind == "elf":
        return elf.pieces(path, buffer, max_size)
    if kind == "avml":
        return avml.pieces(path, buffer, copy=copy, max_size=max_size)
    if kind == "vmware":
        return vmware.pieces(path, buffer, lambda beside: _whole(beside, copy, max_size))
    return lime.pieces(path, buffer) if kind == "lime" else _raw(source, buffer, base)


def _ordered(path: Path, max_size: int, format: str) -> BinaryIO:
    """The file, unpacked, and put in order if it is flattened."""
    forced = format == "raw"
    file = open_plain(path, max_size, forced=forced)
    if forced or file.read(len(flat.MAGIC)) != flat.MAGIC:
        return file
    with file:
        return flat.rearrange(path, file, max_size)


def _whole(path: Path, copy: bool, max_size: int) -> Buffer:
    with open_plain(path, max_size) as file:
        return contents(path, file, copy)


__all__ = ["FORMATS", "MAGICS", "Buffer", "Piece", "Source", "is_image", "open_image"]
