"""A running QEMU: registers by its monitor, memory page by page when it is touched.

``info mtree -f`` says where memory and the IOMMUs' registers are, ``xp`` reads both. The machine is stopped
from the first question on, and goes on when it is closed, if it was running.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator, Mapping
from itertools import islice

from iommu_abi.acquire.qmp import Qmp
from iommu_abi.acquire.units import Acquired, Found
from iommu_abi.errors import ImageError
from iommu_abi.images.demand import DemandedPages, Fetch
from iommu_abi.memory import Memory
from iommu_abi.walk import registers

#: First, last, type, name, and how far into the region this part of it begins.
_ROW = re.compile(
    r"^\s+([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (\S+)\): (\S+)(?: @([0-9a-f]{16}))?", re.MULTILINE
)
_WORD = re.compile(r"0x([0-9a-f]{8,16})\b")
_MOST_RANGES = 1 << 10

#: The name of a region of registers -> kind, and offset and bytes of each register:
#: VT-d specification 11.4, AMD IOMMU 3.4, Arm SMMUv3 6.3, RISC-V IOMMU 6.
_KINDS: Mapping[str, tuple[str, Mapping[str, tuple[int, int]]]] = {
    "intel_iommu": ("vtd", {
        "VER": (0, 4), "CAP": (8, 8), "ECAP": (0x10, 8), "GSTS": (0x1C, 4), "RTADDR": (0x20, 8),
        "FSTS": (0x34, 4), "IQA": (0x90, 8), "IRTA": (0xB8, 8),
    }),
    "amdvi-mmio": ("amdvi", {
        "DEVTAB_BASE": (0, 8), "CMDBUF_BASE": (8, 8), "EVTLOG_BASE": (0x10, 8), "CONTROL": (0x18, 8),
        "EXCL_BASE": (0x20, 8), "EXCL_LIMIT": (0x28, 8), "EXT_FEATURES": (0x30, 8),
        "EXT_FEATURES2": (0x1A0, 8), "STATUS": (0x2020, 8),
    }),
    "arm-smmuv3": ("smmuv3", {
        "IDR0": (0, 4), "IDR1": (4, 4), "IDR2": (8, 4), "IDR3": (0xC, 4), "IDR4": (0x10, 4),
        "IDR5": (0x14, 4), "IIDR": (0x18, 4), "AIDR": (0x1C, 4),
        "CR0": (0x20, 4), "CR0ACK": (0x24, 4), "CR1": (0x28, 4), "CR2": (0x2C, 4),
        "GBPA": (0x44, 4), "GERROR": (0x60, 4), "STRTAB_BASE": (0x80, 8), "STRTAB_BASE_CFG": (0x88, 4),
        "CMDQ_BASE": (0x90, 8), "EVENTQ_BASE": (0xA0, 8),
    }),
    "riscv-iommu-regs": ("riscv", {
        "CAPABILITIES": (0, 8), "FCTL": (8, 4), "DDTP": (0x10, 8), "CQB": (0x18, 8), "FQB": (0x28, 8),
        "PQB": (0x38, 8), "IPSR": (0x54, 4),
    }),
}  # fmt: skip


def _system(tree: str) -> str:
    """The part of ``info mtree -f`` that is the machine's own address space."""
    for part in tree.split("FlatView #"):
        if 'AS "memory"' in part:
            return part
    raise ImageError("info mtree has no address space of the machine")


class Qemu:
    """An attached machine; ``close()`` lets it go on."""

    def __init__(self, path: str) -> None:
        self._qmp = Qmp(path)
        self._was_running = False
        try:
            self._stop()
            tree = _system(self._qmp.monitor("info mtree -f"))
        except ImageError:
            with contextlib.suppress(ImageError):
                self.close()
            raise
        self._rows = list(islice(_ROW.findall(tree), _MOST_RANGES))

    def _stop(self) -> None:
        status = self._qmp.execute("query-status")
        self._was_running = isinstance(status, dict) and status.get("running") is True
        if self._was_running:
            self._qmp.execute("stop")

    def close(self) -> None:
        """Let the machine go on, if it was running; ImageError if it is gone: then no answer counts."""
        try:
            self._qmp.execute("cont" if self._was_running else "query-status")
        finally:
            self._qmp.close()

    def _words(self, address: int, count: int, size: int) -> list[int]:
        """Numbers of 4 or 8 bytes; OSError where there is nothing."""
        text = self._qmp.monitor(f"xp /{count}{'g' if size == 8 else 'w'}x {address:#x}")
        found = [word for line in text.splitlines() for word in _WORD.findall(line.partition(":")[2])]
        if len(found) != count:
            raise OSError(f"{self._qmp.path}: QEMU cannot read {address:#x}")
        return [int(word, 16) for word in found]

    def _register(self, address: int, size: int) -> int:
        """In words of 4 bytes, which all of these registers can be read in."""
        return sum(word << 32 * i for i, word in enumerate(self._words(address, size // 4, 4)))

    def _unit(self, base: int, region: str, index: int) -> Found:
        kind, places = _KINDS[region]
        known = registers(kind)
        values = {n: self._register(base + at, size) for n, (at, size) in places.items() if n in known}
        assumed = ("HAW, which no register says, is 52",) if kind == "vtd" else ()
        evidence = (f"registers of {region} at {base:#x}, read by xp",)
        return Found(kind, f"{region}{index or ''}", base, 0, values, (), evidence, assumed)

    def acquire(self) -> Acquired:
        """Its IOMMUs; ImageError if it has none of a known kind."""
        # registers that another region cuts in two, as an MSI-X table does, are one unit
        places = [
            (int(first, 16), name)
            for first, _, _, name, at in self._rows
            if name in _KINDS and not int(at or "0", 16)
        ]
        paused = ", paused while it is asked" if self._was_running else ""
        try:
            units = tuple(self._unit(base, name, i) for i, (base, name) in enumerate(places))
        except OSError as error:
            raise ImageError(str(error)) from None
        if not units:
            raise ImageError(f"{self._qmp.path}: this QEMU has no IOMMU of these: {' '.join(_KINDS)}")
        return Acquired(f"QEMU {self._qmp.version} behind {self._qmp.path}{paused}", units)

    def memory(self) -> Memory:
        """Its memory, of which pages are fetched when they are touched."""
        made = Memory()
        for first, size in self._ram():
            made.map(first, DemandedPages.of(size, self._fetch_from(first)), source=self._qmp.path)
        return made

    def _ram(self) -> Iterator[tuple[int, int]]:
        for first, last, kind, *_ in self._rows:
            size = int(last, 16) - int(first, 16) + 1
            if kind in ("ram", "rom") and size % 4096 == 0:
                yield int(first, 16), size

    def _fetch_from(self, first: int) -> Fetch:
        def fetch(offset: int, length: int) -> bytes:
            words = self._words(first + offset, -(-length // 8), 8)
            return struct.pack(f"<{len(words)}Q", *words)[:length]

        return fetch
