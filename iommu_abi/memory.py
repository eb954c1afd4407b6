"""Physical memory images: what the walk reads.

:class:`Memory` is a table of regions over buffers that stay where they are: bytes, bytearray,
mmap, numpy arrays. C reads it without copying. The table is replaced as a whole when a region is
added, so that a walk in another thread goes on with the one it started with; the *contents* may
change at any time. A mapped buffer cannot be resized or closed until it is unmapped and every
walk that may use it has ended.
"""

from __future__ import annotations

import bisect
import itertools
import sys
import threading
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iommu_abi._core import ffi, lib
from iommu_abi._core_buffers import address, hold
from iommu_abi.errors import ImageError, UsageError
from iommu_abi.images import Piece, Source, open_image
from iommu_abi.images.mapped import Demanded, MappedFile

Buffer = Any


@dataclass(frozen=True, slots=True)
class Region:
    """``size`` bytes of memory from physical address ``first`` on.

    A ``hole`` was left out of a dump: it reads as zeros, as a table there is, and holds nobody knows what.
    """

    first: int
    size: int
    writable: bool
    source: str
    address: int  # of the first byte, in this process
    buffer: Any  # cffi's hold on the exporting object
    hole: bool = False
    origin: Any = None  # the exporting object, and where in it the region begins
    offset: int = 0

    @property
    def last(self) -> int:
        """Address of the last byte."""
        return self.first + self.size - 1


class Table:
    """An immutable C table of regions, with the buffers it borrows. Alive while a reader holds it."""

    __slots__ = ("_buffers", "_rows", "c")

    def __init__(self, regions: list[Region]) -> None:
        """Cost: linear in the number of regions."""
        self._buffers = [r.buffer for r in regions]
        rows = array("Q", itertools.chain.from_iterable((r.first, r.size, r.address) for r in regions))
        if ffi.sizeof("void *") == 8:
            self._rows = ffi.from_buffer("struct iommu_abi_region[]", rows) if regions else ffi.NULL
        else:
            self._rows = ffi.new("struct iommu_abi_region[]", max(1, len(regions)))
            for row, r in zip(self._rows, regions):
                row.first, row.size, row.data = r.first, r.size, ffi.cast("void *", r.address)
        self.c = ffi.new("struct iommu_abi_mem *", {"regions": self._rows, "n": len(regions)})


class _Exports:
    """Regions of buffers, each exported once, however many pieces lie in it."""

    def __init__(self, writable: bool) -> None:
        self.writable = writable
        self._held: dict[int, tuple[Buffer, Any]] = {}  # with the buffer: its id() is its own while it lives

    def region(
        self, first: int, buffer: Buffer, source: str, offset: int = 0, size: int | None = None
    ) -> Region:
        """UsageError for what its buffer, or 64 bits, do not hold."""
        if id(buffer) not in self._held:
            self._held[id(buffer)] = buffer, hold(buffer, source, writable=self.writable)
        _, held = self._held[id(buffer)]
        size = len(held) - offset if size is None else size
        if not 0 <= offset <= offset + size <= len(held):
            raise UsageError(f"{source}: {size} bytes from {offset:#x} on are not in its {len(held)} bytes")
        if size <= 0 or first < 0 or first + size > 1 << 64:
            raise UsageError(f"{source}: {size} bytes at {first:#x} do not fit in 64 bits")
        at = address(held) + offset
        return Region(first, size, self.writable, source, at, held, origin=buffer, offset=offset)

    def of_piece(self, p: Piece) -> Region:
        """The same for a piece of an image file."""
        region = self.region(p.first, p.buffer, p.source, p.offset, p.size)
        return replace(region, hole=True) if p.hole else region


class Memory:
    """Physical memory as a set of regions; addresses in no region do not exist.

    Threads: any method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._regions: list[Region] = []
        self._unknown: list[tuple[int, int]] = []  # left out, and not even a table can be read there
        self._demanded = False  # is any of it fetched when it is touched?
        self.table = Table([])

    @classmethod
    def open(
        cls,
        *images: str | Path | Source,
        format: str = "auto",
        base: int = 0,
        copy: bool = False,
        max_size: int = 1 << 40,
    ) -> Memory:
        """Memory from image files, as one address space.

        ``format``: "auto", "elf" (core file: one region per PT_LOAD at its p_paddr, and one for each hole;
        Xen's dump-core), "lime", "kdump" (kdump-compressed, through libkdumpfile), "avml", "vmware" or "raw"
        (one region at ``base``, or where its :class:`Source` says). ``.xz``, ``.gz``, ``.bz2``, ``.zst``,
        AVML and kdump are unpacked, to at most ``max_size`` bytes, and so much may be left out of a core.
        Other files are mapped, not read: a file that shrinks meanwhile kills the process;
        ``copy=True`` reads it instead. ImageError says what is wrong with a file.
        """
        memory = cls()
        for image in images:
            source = image if isinstance(image, Source) else Source(Path(image))
            pieces = open_image(source, format=format, base=base, copy=copy, max_size=max_size)
            exports = _Exports(writable=False)
            there = [exports.of_piece(piece) for piece in pieces if piece.buffer is not None]
            memory._add(there, [(piece.first, piece.last) for piece in pieces if piece.buffer is None])
        return memory

    def map(self, first: int, buffer: Buffer, *, writable: bool = False, source: str = "buffer") -> None:
        """Make a buffer appear at physical address ``first``. UsageError if it overlaps a region."""
        self._add([_Exports(writable).region(first, buffer, source)])

    def map_many(self, pieces: Iterable[tuple[int, Buffer]], *, writable: bool = False) -> None:
        """map() for many buffers at the cost of one."""
        exports = _Exports(writable)
        self._add([exports.region(first, buffer, "buffer") for first, buffer in pieces])

    def _add(self, new: list[Region], unknown: Iterable[tuple[int, int]] = ()) -> None:
        with self._lock:
            regions = sorted([*self._regions, *new], key=lambda r: r.first)
            for a, b in itertools.pairwise(regions):
                if a.last >= b.first:
                    raise ImageError(
                        f"{b.source}: {b.first:#x}..{b.last:#x} overlaps"
                        f" {a.first:#x}..{a.last:#x} of {a.source}"
                    )
            self._demanded = any(isinstance(r.origin, Demanded) for r in regions)
            self._regions, self.table = regions, Table(regions)
            self._unknown = sorted([*self._unknown, *unknown])

    def unmap(self, first: int) -> None:
        """Take away the region that starts at ``first``."""
        with self._lock:
            regions = [r for r in self._regions if r.first != first]
            if len(regions) == len(self._regions):
                raise UsageError(f"no region starts at {first:#x}")
            self._regions, self.table = regions, Table(regions)

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)

    def find(self, addr: int, length: int) -> Region | None:
        """The region that holds all of ``length`` bytes at ``addr``."""
        regions = self._regions
        i = bisect.bisect_right(regions, addr, key=lambda r: r.first) - 1
        if i < 0 or addr + length > regions[i].first + regions[i].size:
            return None
        return regions[i]

    def left_out(self, addr: int) -> bool:
        """Is this memory of the machine whose bytes a dump left out, so that they are not known?"""
        region = self.find(addr, 1)
        if region:
            return region.hole
        unknown = self._unknown
        i = bisect.bisect_right(unknown, addr, key=lambda r: r[0]) - 1
        return i >= 0 and addr <= unknown[i][1]

    def read(self, addr: int, length: int) -> bytes | None:
        """``length`` bytes at ``addr``, zeros in a hole; None unless one region holds them all."""
        table = self.table  # one load: keeps the buffers alive
        if not (0 <= addr < 1 << 64 and 0 < length <= sys.maxsize):
            return None
        if self._demanded:
            self._ensure(addr, length)
        at = lib.iommu_abi_mem_find(table.c, addr, length)
        return bytes(ffi.buffer(at, length)) if at else None

    def _ensure(self, addr: int, length: int) -> None:
        """Fetch what is read next, if it is fetched when it is touched."""
        region = self.find(addr, length)
        if region and isinstance(region.origin, Demanded):
            region.origin.ensure(region.offset + addr - region.first, length)

    def write(self, addr: int, data: Buffer) -> None:
        """Store all bytes of a buffer in a writable region; UsageError if there is none at ``addr``."""
        held = hold(data, "data to write")
        region = self.find(addr, len(held))
        if region is None or not region.writable:
            raise UsageError(f"{addr:#x}: no writable region holds {len(held)} bytes there")
        at = region.address - address(region.buffer) + addr - region.first
        ffi.memmove(region.buffer + at, held, len(held))

    def chunks(self, size: int, overlap: int = 0) -> Iterator[tuple[int, bytes]]:
        """All that is there, in order, as (address, bytes) of at most ``size`` and ``overlap`` more.

        Left out are holes of dumps and of files, which are zeros. A file's pages are not kept in memory.
        """
        for region in self._regions:
            runs: Iterable[tuple[int, int]] = [] if region.hole else [(0, region.size)]
            origin = region.origin
            if isinstance(origin, MappedFile) and not region.hole:
                offset = region.offset
                runs = ((a - offset, b - offset) for a, b in origin.runs(offset, offset + region.size))
            for first, end in runs:
                for at in range(first, end, size):
                    length = min(size + overlap, region.size - at)
                    if isinstance(origin, Demanded):
                        yield region.first + at, origin.peek(region.offset + at, length)
                        continue
                    yield region.first + at, self.read(region.first + at, length) or b""
                    if isinstance(origin, MappedFile):
                        origin.forget(region.offset + at, region.offset + min(at + size, end))

    def search(self, needle: bytes, align: int = 1) -> Iterator[int]:
        """Addresses of these bytes, ascending, that are multiples of ``align``."""
        for first, data in self.chunks(1 << 22, len(needle) - 1):
            at = data.find(needle)
            while at >= 0:
                if (first + at) % align == 0:
                    yield first + at
                at = data.find(needle, at + 1)

    def read64(self, addr: int) -> int | None:
        """A little-endian 64-bit word, as hardware tables hold them; None if it does not exist."""
        data = self.read(addr, 8)
        return None if data is None else int.from_bytes(data, "little")

    def write64(self, addr: int, value: int) -> None:
        """Store a little-endian 64-bit word."""
        self.write(addr, value.to_bytes(8, "little"))
