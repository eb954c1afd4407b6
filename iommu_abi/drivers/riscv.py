"""RISC-V IOMMU: a guest's process directory in a device context that has a second stage.

RISC-V IOMMU specification 1.0, 3.1 (device directory and context) and 3.3 (process directory).
The seed's enum has no RISC-V, so the operation has a name of its own; docs/drivers.md has its terms.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

from iommu_abi.drivers import Binder, field, put
from iommu_abi.drivers.directory import Directory
from iommu_abi.iommu import Device, broken
from iommu_abi.memory import Memory
from iommu_abi.walk import registers

PTR_LAST = (1 << 56) - 1  # PPN has 44 bits
MSI_FLAT, AMO_HWAD, PD8 = 22, 24, 38  # capabilities
PDTV, SADE, DPE = 5, 8, 9  # DC.tc
#: ddtp.iommu_mode: levels of the device directory
DIRECTORY_LEVELS = {2: 1, 3: 2, 4: 3}
#: Bits of a device_id below those that each level indexes, from the last level up: 32-byte, 64-byte contexts
SPLITS = {32: (0, 7, 16, 24), 64: (0, 6, 15, 24)}


class Flag(enum.IntFlag):
    """Flags of the payload."""

    DPE = 1 << 0  # requests without process_id use process 0
    SADE = 1 << 1  # hardware sets A and D in the guest's tables; needs capabilities.AMO_HWAD


class RiscvDriver(Binder):
    """Binds a guest's process directory into device contexts."""

    KIND = "riscv"
    WORDS = 4  # tc, iohgatp, ta, fsc; an extended context has its MSI table after them

    def __init__(self, memory: Memory, registers_: Mapping[str, int]) -> None:
        """``registers_``: DDTP, and CAPABILITIES where the default does not fit."""
        super().__init__(memory, registers_)
        known = {name: value or 0 for name, value in registers("riscv").items()} | dict(registers_)
        self.ddtp, self.capabilities = known["DDTP"], known["CAPABILITIES"]

    def bind_process_directory(self, dev: Device, ptr: int, size: int, payload: bytes = b"") -> None:
        """Let requests of a device with process_id p use context p of the directory at ``ptr``.

        ``size`` is 4096 for PD8, 8192 for PD17, 12288 for PD20. OSError with the errno if refused.
        """
        self.bind(dev, Directory(ptr, size, payload))

    def unbind_process_directory(self, dev: Device) -> None:
        """Put the former device context back."""
        self.unbind(dev)

    def check(self, info: Any) -> None:
        """Depths and A/D updates are as the capabilities have them."""
        levels = {i + 1 for i in range(3) if self.capabilities >> PD8 + i & 1}
        flags = Flag.DPE | (Flag.SADE if self.capabilities >> AMO_HWAD & 1 else 0)
        info.check("process directory", ptr_last=PTR_LAST, levels=levels, flags=int(flags))

    def capable(self, dev: Device) -> bool:
        """There is a device directory, and any second stage."""
        return field(self.ddtp, 3, 0) in DIRECTORY_LEVELS and bool(field(self.capabilities, 19, 16))

    def context_address(self, dev: Device) -> int:
        """Through the levels of the device directory."""
        size = 64 if self.capabilities >> MSI_FLAT & 1 else 32
        splits, levels = SPLITS[size], DIRECTORY_LEVELS[field(self.ddtp, 3, 0)]
        if dev.rid >> splits[levels]:
            raise broken("bind.context", repr(dev), got=dev.rid)
        table = field(self.ddtp, 53, 10) << 12
        for level in range(levels - 1, 0, -1):
            index = field(dev.rid, splits[level + 1] - 1, splits[level])
            (entry,) = self.read_words(table + 8 * index, 1, dev)
            if not entry & 1:
                raise broken("bind.context", repr(dev), got=entry)
            table = field(entry, 53, 10) << 12
        return table + size * field(dev.rid, splits[1] - 1, 0)

    def bound_context(self, dev: Device, before: tuple[int, ...], info: Any) -> tuple[int, ...]:
        """PDTV, pdtp in fsc, DPE and SADE; the second stage and all else stay the host's."""
        tc, iohgatp, ta, fsc = before
        if tc & 1 and tc >> PDTV & 1:
            raise broken("bind.busy", repr(dev), got=tc)
        if (
            not tc & 1 or not field(iohgatp, 63, 60) or fsc
        ):  # not valid, no second stage, a first of the host's
            raise broken("bind.context", repr(dev), got=tc)
        for flag, bit in ((Flag.DPE, DPE), (Flag.SADE, SADE)):
            tc = put(tc, bit, bit, bool(info.flags & flag))
        return put(tc, PDTV, PDTV, 1), iohgatp, ta, info.levels << 60 | info.ptr >> 12

    def stores(self, old: tuple[int, ...], new: tuple[int, ...], *, bound: bool) -> Iterable[tuple[int, int]]:
        """Store with V=0 while tc and fsc do not fit ("Updating in-memory data structure entries")."""
        del bound
        return [(0, new[0] & ~1), *((i, new[i]) for i in (3, 2, 1)), (0, new[0])]


__all__ = ["Flag", "RiscvDriver"]
