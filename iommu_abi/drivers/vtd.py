"""Intel VT-d: bind in extended-context (ECS) mode, for which the seed was written.

VT-d 2.x, 3.8 and 9.4. With NESTE and PASIDE set in the extended context entry, the PASID table and
the first-stage tables of a device are the guest's and lie in GPA; the second stage stays the host's.
Scalable mode, its successor, has no such entry: there the PASID table is the host's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from iommu_abi.drivers import Driver, field, put
from iommu_abi.iommu import Device, broken, check_bind
from iommu_abi.memory import Memory
from iommu_abi.uapi.v1_2017 import IOMMU_MODEL_INTEL_VTD
from iommu_abi.walk import registers

TTM_ECS = 2
SMALLEST_TABLE = 256  # PTS 0: 32 entries of 8 bytes, the least that the context entry can say
PASID_ENTRY = 8

# bits of the payload's flags -> bit of the context entry's second word, and the capability it needs
DT, MTS, EAFS, ERS, SRS = 2, 25, 34, 30, 31
FLAGS = {
    "WPE": (0, 5, None),
    "NXE": (1, 4, None),
    "SMEP": (2, 24, SRS),
    "PGE": (3, 3, None),
    "EAFE": (4, 25, EAFS),
    "ERE": (5, 26, ERS),
    "SLEE": (6, 27, ERS),
    "CD": (7, 6, MTS),
    "EMTE": (8, 7, MTS),
}


class VtdDriver(Driver):
    """Binds a guest's PASID table into extended context entries."""

    KIND = "vtd"
    WORDS = 4

    def __init__(self, memory: Memory, registers_: Mapping[str, int]) -> None:
        """``registers_``: RTADDR, and CAP, ECAP, GSTS, HAW where the defaults do not fit."""
        super().__init__(memory, registers_)
        known = {name: value or 0 for name, value in registers("vtd").items()}
        known.update(registers_)
        self.rtaddr, self.cap, self.ecap = known["RTADDR"], known["CAP"], known["ECAP"]
        self.haw = known["HAW"]

    @property
    def host_table(self) -> int:
        """Bytes of the largest PASID table that this IOMMU can be given."""
        pss = field(self.ecap, 39, 35)
        return max(SMALLEST_TABLE, PASID_ENTRY << pss + 1)

    def _has(self, bit: int | None) -> bool:
        return bit is None or bool(self.ecap >> bit & 1)

    def check(self, info: Any) -> None:
        """Model, payload length, ptr, size, payload."""
        check_bind(
            info,
            model=IOMMU_MODEL_INTEL_VTD,
            ptr_align=4096,
            ptr_last=(1 << field(self.cap, 21, 16) + 1) - 1,
            size_min=SMALLEST_TABLE,
            size_host=self.host_table,
            vtd_flags=sum(1 << bit for bit, _, needs in FLAGS.values() if self._has(needs)),
            vtd_pat=self._has(MTS),
        )

    def capable(self, dev: Device) -> bool:
        """ECS mode is on, and ECAP has ECS (24), NEST (26) and PASID (40)."""
        return field(self.rtaddr, 11, 10) == TTM_ECS and all(self._has(bit) for bit in (24, 26, 40))

    def context_address(self, dev: Device) -> int:
        """Through the upper or lower half of the extended root entry."""
        root = (self.rtaddr & ~0xFFF) + (dev.rid >> 8) * 16
        lower, upper = self.read_words(root, 2, dev)
        half = upper if dev.rid & 0x80 else lower
        if not half & 1:
            raise broken("bind.context", repr(dev), got=half)
        return (half & ~0xFFF) + (dev.rid & 0x7F) * 32

    def bound_context(self, dev: Device, before: tuple[int, ...], info: Any) -> tuple[int, ...]:
        """NESTE, PASIDE, PASIDPTR, PTS and the payload's controls; the host's second stage stays."""
        q0, q1, _, q3 = before
        translation_type = field(q0, 4, 2)
        if q0 >> 11 & 1:
            raise broken("bind.busy", repr(dev), got=q0)
        if not q0 & 1 or translation_type > 2 or not self._second_stage(q0, q1) or q3 & 0xFFF:
            raise broken("bind.context", repr(dev), got=q0)
        self._check_table(dev, info, field(q1, 2, 0))
        _, flags, pat, emt = self._payload(info)
        if translation_type == 2:  # blocks every request with PASID; 4 and 5 pass the others as 2 did
            q0 = put(q0, 4, 2, 5 if dev.ats and self._has(DT) else 4)
        q0 = put(put(put(q0, 7, 5, emt), 10, 10, 1), 11, 11, 1)
        q0 = put(q0, 9, 9, 1 if self._has(29) and dev.pri else 0)
        for bit, position, _ in FLAGS.values():
            q1 = put(q1, position, position, flags >> bit)
        q1 = put(q1, 63, 32, pat)
        pts = info.size.bit_length() - 1 - 8
        return q0, q1, info.ptr | pts, q3

    def _second_stage(self, q0: int, q1: int) -> bool:
        """Has the host set up SLPTPTR and an address width that the IOMMU supports, and nothing reserved?"""
        above_haw = q0 >> self.haw
        domain = field(q1, 23, 8) >> 4 + 2 * field(self.cap, 2, 0)
        if above_haw or domain or field(q1, 31, 28):
            return False
        return bool(q0 & ~0xFFF) and bool(self._widths() >> (q1 & 7) & 1)

    def _widths(self) -> int:
        """SAGAW, of which bits 0 and 4 are reserved."""
        return field(self.cap, 12, 8) & 0b1110

    def _check_table(self, dev: Device, info: Any, width: int) -> None:
        """The second stage of this context takes the whole table: min(MGAW, AGAW), VT-d 2.x 3.8.1."""
        last = (1 << min(field(self.cap, 21, 16) + 1, 30 + 9 * width)) - 1
        if info.ptr + info.size - 1 > last:
            raise broken("bind.ptr.range", repr(dev), got=info.ptr, want=last - (info.size - 1))

    @staticmethod
    def _payload(info: Any) -> tuple[int, ...]:
        data = bytes(info.opaque)[:16] or bytes(16)
        return tuple(int.from_bytes(data[i : i + 4], sys.byteorder) for i in range(0, 16, 4))


__all__ = ["VtdDriver"]
