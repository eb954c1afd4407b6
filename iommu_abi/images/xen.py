"""Xen's `xl dump-core`: an ELF file with sections and no program headers.

Xen's docs/misc/dump-core-format.txt: .xen_pages holds the pages; .xen_pfn (guests with translated
addresses) a frame number of 8 bytes for each, .xen_p2m (PV guests) two of them, pfn and gmfn. An IOMMU
sees machine frames, so of the latter it is gmfn. A page that is not there has all bits set.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from iommu_abi.errors import ImageError
from iommu_abi.images.pieces import Buffer, Piece

PAGES, PFN, P2M = ".xen_pages", ".xen_pfn", ".xen_p2m"
_PAGE_SIZES = (1 << 12, 1 << 14, 1 << 16)
_ABSENT = (1 << 64) - 1

#: (file offset, bytes)
Section = tuple[int, int]


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
