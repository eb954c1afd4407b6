"""Image files -> pieces of physical memory: ELF cores, LiME, kdump-compressed, raw; also .xz and .gz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iommu_abi.errors import ImageError, UsageError
from iommu_abi.images import elf, files, kdump, lime
from iommu_abi.images.files import contents, open_plain
from iommu_abi.images.pieces import Buffer, Piece

FORMATS = ("auto", "elf", "lime", "kdump", "raw")
#: How files begin that are recognised, by a name for each beginning.
MAGICS = {
    "elf": elf.MAGIC,
    "lime": lime.MAGIC,
    "kdump": kdump.MAGICS[0],
    "makedumpfile": kdump.MAGICS[1],
    "xz": files.XZ,
    "gzip": files.GZIP,
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


def _detect(start: bytes) -> str:
    if start.startswith(elf.MAGIC):
        return "elf"
    if start.startswith(lime.MAGIC):
        return "lime"
    return "kdump" if start.startswith(kdump.MAGICS) else "raw"


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
    with open_plain(path, max_size) as file:
        kind = _detect(file.read(max(map(len, kdump.MAGICS)))) if format == "auto" else format
        if source.base is not None and kind != "raw":
            raise UsageError(f"{path}: this {kind} file says itself where its memory was, a base cannot")
        if kind == "kdump":
            return kdump.pieces(path, file, copy=copy, max_size=max_size)
        buffer = contents(path, file, copy)
    if kind == "elf":
        return elf.pieces(path, buffer)
    return lime.pieces(path, buffer) if kind == "lime" else _raw(source, buffer, base)


__all__ = ["FORMATS", "MAGICS", "Buffer", "Piece", "Source", "open_image"]
