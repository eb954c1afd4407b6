"""Xen's `xl dump-core`: an ELF file with sections and no program headers.

Xen's docs/misc/dump-core-format.txt: .xen_pages holds the pages; .xen_pfn (guests with translated
addresses) a frame number of 8 bytes for each, .xen_p2m (PV guests) two of them, pfn and gmfn. An IOMMU
sees machine frames, so of the latter it is gmfn. A page that is not there has all bits set.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer, Piece

PAGES, PFN, P2M = ".xen_pages", ".xen_pfn", ".xen_p2m"
_PAGE_SIZES = (1 << 12, 1 << 14, 1 << 16)
_ABSENT = (1 << 64) - 1

#: (file offset, bytes)
Section = tuple[int, int]


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


def sections(path: Path, buffer: Buffer) -> dict[str, Section]:
    """Those of the three that are there. Other cores have program headers, and need no pyelftools."""
    from elftools.elf.elffile import ELFFile

    file = _Seekable(buffer)
    try:
        elf = ELFFile(cast("BinaryIO", file))
        wanted = (elf.get_section_by_name(name) for name in (PAGES, PFN, P2M))
        return {s.name: (s["sh_offset"], s["sh_size"]) for s in wanted if s}
    except Exception as error:  # on damage pyelftools raises what it comes across
        raise ImageError(f"{path}: damaged ELF header: {str(error) or type(error).__name__}") from None
    finally:
        file.close()


def _frames(buffer: Buffer, section: Section, *, pairs: bool, order: str) -> Iterator[int]:
    row = struct.Struct(order + ("8xQ" if pairs else "Q"))
    view = memoryview(buffer)[section[0] : section[0] + section[1]]
    with view:
        for (frame,) in row.iter_unpack(view[: len(view) // row.size * row.size]):
            yield frame


def pieces(path: Path, buffer: Buffer, sections: dict[str, Section], order: str) -> list[Piece]:
    """One piece for each run of frames."""
    table = sections.get(P2M) or sections.get(PFN)
    if not table:
        raise ImageError(f"{path}: a Xen dump-core file without {PFN} or {P2M}")
    for name, (offset, size) in sections.items():
        if offset + size > len(buffer):
            raise ImageError(
                f"{path}: truncated: {name} ends at {offset + size:#x}, the file at {len(buffer):#x}"
            )
    pairs = P2M in sections
    start, held = sections[PAGES]
    count = table[1] // (16 if pairs else 8)
    page = held // count if count else 0
    if page not in _PAGE_SIZES:
        raise ImageError(f"{path}: a Xen dump-core file with {held:#x} bytes for {count} pages")
    runs: list[list[int]] = []  # frame, position, frames
    for i, frame in enumerate(_frames(buffer, table, pairs=pairs, order=order)):
        if frame == _ABSENT:
            continue
        if runs and (frame, i) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1][2] += 1
        else:
            runs.append([frame, i, 1])
    return [Piece(f * page, buffer, start + i * page, n * page, str(path)) for f, i, n in runs]
