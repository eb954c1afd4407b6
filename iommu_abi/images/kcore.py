"""/proc/kcore: the memory of the machine that this runs on, as an ELF core without end.

fs/proc/kcore.c: a PT_LOAD for each range of memory, with its physical address; others, for what is mapped
elsewhere, have none, and the kernel's image has its own, within the first. It cannot be mapped, and is as
large as the address space: pages are read when they are touched.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from iommu_abi.errors import ImageError
from iommu_abi.images import elf
from iommu_abi.images.demand import DemandedPages
from iommu_abi.images.pieces import Piece

#: Its headers and notes: it has some hundred PT_LOADs at most.
_HEAD = 1 << 20
_MOST = 1 << 46


def _ranges(path: Path, head: bytes) -> list[tuple[int, int, int]]:
    """(physical address, size, offset in the file) of memory, each address once: the largest range has it."""
    found: list[tuple[int, int, int]] = []
    loads = elf.loads(path, head)
    for load in sorted(loads, key=lambda load: -load.held):
        within = any(load.first < first + size and first < load.first + load.held for first, size, _ in found)
        if load.held and load.first + load.held <= _MOST and not within:
            found.append((load.first, load.held, load.offset))
    return sorted(found)


def pieces(path: Path, file: BinaryIO) -> list[Piece]:
    """Each range of memory; ImageError if there is none."""
    fd = os.dup(file.fileno())
    ranges = _ranges(path, os.pread(fd, _HEAD, 0))
    if not ranges:
        os.close(fd)
        raise ImageError(f"{path}: no memory with a physical address in it")
    starts, at = [], 0
    for _, size, _ in ranges:
        starts.append(at)
        at += -(-size // 4096) * 4096

    def fetch(offset: int, length: int) -> bytes:
        i = max(i for i, start in enumerate(starts) if start <= offset)
        _, size, place = ranges[i]
        inside = offset - starts[i]
        return os.pread(fd, max(min(length, size - inside), 0), place + inside)

    pages = DemandedPages.of(at, fetch)
    return [
        Piece(first, pages, start, size, str(path))
        for (first, size, _), start in zip(ranges, starts, strict=True)
    ]
