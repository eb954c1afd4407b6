"""AMD-Vi: a guest's GCR3 table in a device table entry that has host (v1) tables.

AMD IOMMU specification 48882, device table entry and guest translation; what Linux's set_dte_nested() sets.
The seed's enum has no AMD, so the operation has a name of its own; docs/drivers.md has its terms.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from iommu_abi.drivers import Binder, field, put
from iommu_abi.drivers.directory import Directory
from iommu_abi.iommu import Device, broken
from iommu_abi.memory import Memory
from iommu_abi.walk import registers

DTE_BYTES = 32
PTR_LAST = (1 << 52) - 1
GTSUP, GIOSUP = 4, 48  # EXT_FEATURES
TRP_SUP = 3  # EXT_FEATURES2: GCR3TRPMode
IOMMU_EN, GT_EN, TRP_MODE = 0, 16, 58  # CONTROL


class Flag(enum.IntFlag):
    """Flags of the payload."""

    FIVE_LEVELS = 1 << 0  # guest tables have 5 levels; needs EXT_FEATURES.GATS
    GIOV = 1 << 1  # requests without PASID use entry 0


class AmdviDriver(Binder):
    """Binds a guest's GCR3 table into device table entries."""

    KIND = "amdvi"
    WORDS = 4

    def __init__(self, memory: Memory, registers_: Mapping[str, int]) -> None:
        """``registers_``: DEVTAB_BASE, and CONTROL, EXT_FEATURES, EXT_FEATURES2 unless the defaults fit."""
        super().__init__(memory, registers_)
        known = {name: value or 0 for name, value in registers("amdvi").items()} | dict(registers_)
        self.devtab, self.control = known["DEVTAB_BASE"], known["CONTROL"]
        self.efr, self.efr2 = known["EXT_FEATURES"], known["EXT_FEATURES2"]

    def bind_gcr3_table(self, dev: Device, ptr: int, size: int, payload: bytes = b"") -> None:
        """Let requests of a device with PASID p use entry p of the table at ``ptr``, over the host's tables.

        ``size`` is 4096 x (GLX + 1): 512 PASIDs, 2^18 or all. OSError with the errno if refused.
        """
        self.bind(dev, Directory(ptr, size, payload))

    def unbind_gcr3_table(self, dev: Device) -> None:
        """Put the former device table entry back."""
        self.unbind(dev)

    def check(self, info: Any) -> None:
        """Guest tables of 5 levels and depths of the GCR3 table are as EXT_FEATURES has them."""
        flags = Flag.GIOV | (Flag.FIVE_LEVELS if field(self.efr, 13, 12) else 0)
        deepest = min(field(self.efr, 15, 14), 2) + 1
        info.check("GCR3 table", ptr_last=PTR_LAST, levels=range(1, deepest + 1), flags=int(flags))

    def capable(self, dev: Device) -> bool:
        """The IOMMU is on and has guest translation with a GCR3 table in GPA."""
        wanted = ((self.efr, GTSUP), (self.efr, GIOSUP), (self.efr2, TRP_SUP))
        switched = ((self.control, bit) for bit in (IOMMU_EN, GT_EN, TRP_MODE))
        return all(register >> bit & 1 for register, bit in (*wanted, *switched))

    def context_address(self, dev: Device) -> int:
        """The DTE of the device, in one table of as many pages as DEVTAB_BASE says."""
        offset = dev.rid * DTE_BYTES
        if offset >> 12 > field(self.devtab, 8, 0):
            raise broken("bind.context", repr(dev), got=dev.rid)
        return (field(self.devtab, 51, 12) << 12) + offset

    def bound_context(self, dev: Device, before: tuple[int, ...], info: Any) -> tuple[int, ...]:
        """GV, GLX, GCR3TRP in its three pieces, GIoV and the guest's levels; the rest stays the host's."""
        q0, q1, q2, q3 = before
        if q0 & 0b11 == 0b11 and q0 >> 55 & 1:
            raise broken("bind.busy", repr(dev), got=q0)
        if q0 & 0b11 != 0b11 or not 1 <= field(q0, 11, 9) <= 6:  # V and TV, Mode
            raise broken("bind.context", repr(dev), got=q0)
        q0 = put(put(q0, 55, 55, 1), 54, 54, bool(info.flags & Flag.GIOV))
        q0 = put(put(q0, 57, 56, info.levels - 1), 60, 58, info.ptr >> 12)
        q1 = put(put(q1, 31, 16, info.ptr >> 15), 63, 43, info.ptr >> 31)
        return q0, q1, put(q2, 55, 54, bool(info.flags & Flag.FIVE_LEVELS)), q3


__all__ = ["AmdviDriver", "Flag"]
