"""A QEMU machine with one IOMMU and `edu` devices behind it, which do DMA where they are told.

A probe is one DMA of 8 bytes at an IOVA. Writes send a token; reads fetch a marker that lies where
the bytes should come from, and the device then hands it out with the IOMMU off.
"""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from iommu_abi.terms import Access, Fault, Request
from peers.qtest import Qemu, QemuGone, Qtest, newest
from peers.ram import Ram

#: Requesters: three on the root bus, one on bus 5 behind a root port.
RIDS = (0x18, 0x80, 0xF0, 0x500)
ROOT_PORT = 0x28

TOKEN = 0x7065_6572_746F_6B65
BUFFER = 0x40000  # where edu's own buffer begins, as it counts
PATIENCE = 60  # seconds for a DMA, which takes a few reads
TOKEN_AT, DATA_AT = BUFFER, BUFFER + 0x800


@dataclass(frozen=True, slots=True)
class Outcome:
    """What QEMU did: the address that was reached, None if none of those expected; what it recorded."""

    reached: int | None
    record: Mapping[str, int] | None


class Machine(ABC):
    """One QEMU. What the kinds of IOMMU have of their own is in subclasses."""

    kind: ClassVar[str]
    binary: ClassVar[str]
    firmware: ClassVar[bytes]
    ram_base: ClassVar[int]
    bars: ClassVar[int]  # where device registers may be put
    rids: ClassVar[Sequence[int]] = RIDS  # whose DMA is known for theirs
    windows: ClassVar[int]  # below, what is not memory may be devices

    def __init__(
        self, machine: str, *devices: str, options: Sequence[str] = (), qemu: Qemu | None = None
    ) -> None:
        self.qemu = qemu or newest(self.binary)
        shared = Path("/dev/shm")
        self._directory = tempfile.TemporaryDirectory(
            prefix="peers-", dir=shared if shared.is_dir() else None
        )
        self.ram = Ram(Path(self._directory.name) / "ram", self.ram_base)
        options = [*options, "-machine", f"{machine},memory-backend=ram", "-m", "2G", "-object"]
        options += [f"memory-backend-file,id=ram,size=2G,share=on,mem-path={self.ram.path}"]
        for device in devices:
            options += ["-device", device]
        options += ["-device", f"pcie-root-port,id=behind,chassis=1,addr={ROOT_PORT >> 3:#x}"]
        for rid in RIDS:
            where = f"bus=behind,addr={rid >> 3 & 31:#x}" if rid >> 8 else f"addr={rid >> 3:#x}"
            options += ["-device", f"edu,{where},dma_mask=0xffffffffffffffff"]
        self.monitor = Path(self._directory.name) / "qmp"
        options += ["-qmp", f"unix:{self.monitor},server=on,wait=off"]
        self._options = options
        self._boot()

    def _boot(self) -> None:
        """Start QEMU with devices that have the token; memory stays as it is."""
        self.qtest = Qtest(self.qemu.path, self._options, self.firmware)
        self.ask = self.qtest.ask
        self._plug()
        self.start()
        # Memory may begin with the firmware (RISC-V). Time passes, and a DMA ends, only with the
        # processor halted: after one, no instruction is read any more, and memory is ours.
        self._dma(RIDS[0], self.off(), self.ram.base, TOKEN_AT)
        self.ram.store(self.ram.base, TOKEN)
        for rid in RIDS:
            self._dma(rid, self.off(), self.ram.base, TOKEN_AT)

    def restart(self) -> None:
        """Forget what registers once were."""
        self.qtest.__exit__(None, None, None)
        self._boot()

    def prepare(self, registers: Mapping[str, int]) -> None:  # noqa: B027, most have nothing to do
        """Before the cases of a table set."""

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.qtest.__exit__(kind, value, trace)
        self._directory.cleanup()

    # PCI.

    @abstractmethod
    def config(self, rid: int, register: int, value: int) -> None:
        """Write 32 bits of a function's configuration space."""

    def _bar(self, rid: int) -> int:
        return self.bars + (RIDS.index(rid) << 20)

    def _plug(self) -> None:
        """Give every device its registers and let it be bus master."""
        window = self._bar(RIDS[-1])
        self.config(ROOT_PORT, 0x18, (RIDS[-1] >> 8) * 0x10100)
        self.config(ROOT_PORT, 0x20, window & 0xFFF00000 | window >> 16)
        self.config(ROOT_PORT, 4, 6)
        for rid in RIDS:
            self.config(rid, 0x10, self._bar(rid))
            self.config(rid, 4, 6)

    # DMA.

    def _dma(self, rid: int, before: Sequence[str], source: int, target: int, outward: bool = False) -> None:
        """8 bytes into a device's buffer, or ``outward``, after ``before``; returns when they are there."""
        bar = self._bar(rid)
        *_, busy = self.ask(
            *before,
            f"writeq {bar + 0x80:#x} {source:#x}",
            f"writeq {bar + 0x88:#x} {target:#x}",
            f"writeq {bar + 0x90:#x} 8",
            f"writeq {bar + 0x98:#x} {3 if outward else 1}",
            f"readq {bar + 0x98:#x}",
        )
        deadline = time.monotonic() + PATIENCE
        while busy & 1:
            if time.monotonic() > deadline:
                raise QemuGone(f"a DMA of {rid:#x} does not end")
            (busy,) = self.ask(f"readq {bar + 0x98:#x}")

    def probe(self, registers: Mapping[str, int], request: Request, places: Sequence[int]) -> Outcome:
        """One DMA. ``places`` are where it may arrive; memory is afterwards as it was."""
        ram = self.ram
        before = [ram.load(place) for place in places]
        if request.access is Access.WRITE:
            for place in places:
                ram.store(place, 0)
            self._dma(request.rid, self.on(registers), TOKEN_AT, request.iova, outward=True)
            record = self.record()
            self.ask(*self.off())
            found = [place for place in places if ram.load(place) == TOKEN]
        else:
            for i, place in enumerate(places):
                ram.store(place, TOKEN + 1 + i)
            self._dma(request.rid, self.on(registers), request.iova, DATA_AT)
            record = self.record()
            self._dma(request.rid, self.off(), DATA_AT, ram.base, outward=True)
            found = [place for i, place in enumerate(places) if ram.load(ram.base) == TOKEN + 1 + i]
        for place, value in zip(places, before):
            ram.store(place, value)
        return Outcome(found[0] if found else None, record)

    def stray(self) -> list[int]:
        """Where tokens lie that should not; they are removed."""
        found = [at for at in self.ram.find(TOKEN.to_bytes(8, "little")) if at != self.ram.base]
        for at in found:
            self.ram.store(at, 0)
        return found

    # The IOMMU.

    @abstractmethod
    def start(self) -> None:
        """What is done once, with the IOMMU off."""

    @abstractmethod
    def on(self, registers: Mapping[str, int]) -> list[str]:
        """Commands that enable the IOMMU with nothing cached."""

    @abstractmethod
    def off(self) -> list[str]:
        """Commands after which DMA is not translated."""

    @abstractmethod
    def record(self) -> dict[str, int] | None:
        """The fault that QEMU recorded, which is then forgotten."""

    @abstractmethod
    def expected(self, request: Request, fault: Fault) -> dict[str, int]:
        """The same as the specification wants it."""
