"""A PC (q35): what the machines of Intel's and AMD's IOMMU have in common."""

from __future__ import annotations

from peers.machine import Machine
from peers.qtest import Qemu


class Pc(Machine):
    """Memory from 0 on; configuration space behind two ports."""

    binary = "qemu-system-x86_64"
    firmware = bytes(0xFFF0) + bytes.fromhex("faf4ebfd") + bytes(12)  # cli; hlt; again, at the reset vector
    ram_base = 0
    bars = 0xE000_0000
    windows = 1 << 32

    def __init__(self, iommu: str, qemu: Qemu | None) -> None:
        super().__init__("q35", iommu, qemu=qemu)

    def config(self, rid: int, register: int, value: int) -> None:
        self.ask(f"outl 0xcf8 {1 << 31 | rid << 8 | register:#x}", f"outl 0xcfc {value:#x}")
