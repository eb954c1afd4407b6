"""Arm SMMUv3: bind turns a stage-2 stream table entry into a nested one.

Arm IHI 0070, 5.2 (STE) and 5.4 (CD). The guest's context descriptor table is named by an IPA in
S1ContextPtr, and every read of it goes through the host's stage 2, which does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iommu_abi.drivers import Driver, field, put
from iommu_abi.iommu import Device, broken, check_bind
from iommu_abi.memory import Memory
from iommu_abi.uapi.v1_2017 import IOMMU_MODEL_ARM_SMMU

CD_BYTES = 64
CONFIG_S2, CONFIG_NESTED = 0b110, 0b111
S1FMT_LINEAR, S1FMT_4K_L2, S1FMT_64K_L2 = 0, 1, 2
LEAF_CDS_LG2 = {S1FMT_4K_L2: 6, S1FMT_64K_L2: 10}
#: IDR5.OAS -> bits. 56 of them need 128-bit descriptors, which are not modelled.
_OAS_BITS = (32, 36, 40, 42, 44, 48, 52, 52)


def aligned(word: int, lg2: int) -> int:
    """The address in bits 55:6, of a table of 2^``lg2`` bytes."""
    return field(word, 55, lg2) << lg2 if lg2 <= 55 else 0


class Smmuv3Driver(Driver):
    """Binds a guest's CD table into stream table entries."""

    KIND = "smmuv3"
    WORDS = 8

    def __init__(self, memory: Memory, registers: Mapping[str, int]) -> None:
        """``registers``: STRTAB_BASE, STRTAB_BASE_CFG, IDR0, IDR1, IDR5; AIDR if it is not v3.1."""
        super().__init__(memory, registers)
        self.idr0, self.idr1, self.idr5 = (registers[name] for name in ("IDR0", "IDR1", "IDR5"))
        self.strtab, self.strtab_cfg = registers["STRTAB_BASE"], registers["STRTAB_BASE_CFG"]
        self.v3_0 = not registers.get("AIDR", 1) & 0xFF

    @property
    def host_table(self) -> int:
        """Bytes of the largest linear CD table: SSIDSIZE bits of PASID."""
        return CD_BYTES << field(self.idr1, 10, 6)

    def check(self, info: Any) -> None:
        """Model, payload length, ptr, size, payload. ``size`` is 64 << S1CDMax whatever the format."""
        check_bind(
            info,
            model=IOMMU_MODEL_ARM_SMMU,
            ptr_align=self._alignment(info),
            ptr_last=(1 << 52) - 1,
            size_min=CD_BYTES,
            size_host=self.host_table,
        )

    def _alignment(self, info: Any) -> int:
        """Tables are aligned to their size; of two levels, ptr names the first (8-byte descriptors)."""
        if info.size & info.size - 1 or info.size < CD_BYTES:
            return CD_BYTES  # the size will be refused
        leaf = LEAF_CDS_LG2.get(self._payload(info)[0])
        if leaf is None:
            return int(info.size)
        first_level: int = 8 * max(1, info.size // CD_BYTES >> leaf)
        return max(CD_BYTES, first_level)

    @staticmethod
    def _payload(info: Any) -> tuple[int, int]:
        """S1Fmt and S1DSS."""
        data = bytes(info.opaque)[:8]
        return (data[4], data[5]) if len(data) == 8 else (0, 0)

    def capable(self, dev: Device) -> bool:
        """IDR0.S1P and S2P, and substreams at all (IDR1.SSIDSIZE)."""
        return bool(self.idr0 & 1) and bool(self.idr0 & 2) and field(self.idr1, 10, 6) > 0

    def context_address(self, dev: Device) -> int:
        """The STE of the device's StreamID, where the IOMMU finds it: 6.3.24, 6.3.25 and 5.1."""
        log2size = field(self.strtab_cfg, 5, 0)
        if dev.rid >> min(log2size, field(self.idr1, 5, 0)):
            raise broken("bind.context", repr(dev), got=dev.rid)
        if field(self.strtab_cfg, 17, 16) == 1 and field(self.idr0, 28, 27):
            return self._in_second_table(dev, log2size)
        return self._within_oas(aligned(self.strtab, log2size + 6) + dev.rid * 64, dev)

    def _in_second_table(self, dev: Device, log2size: int) -> int:
        """Of a two-level stream table: each is aligned to its size, the first to 64 bytes at least."""
        split = field(self.strtab_cfg, 10, 6)
        split = split if split in (6, 8, 10) else 6
        first = aligned(self.strtab, max(6, log2size - split + 3)) + (dev.rid >> split) * 8
        (descriptor,) = self.read_words(self._within_oas(first, dev), 1, dev)
        span, index = field(descriptor, 4, 0), dev.rid & (1 << split) - 1
        if not 1 <= span <= split + 1 or index >> (span - 1):
            raise broken("bind.context", repr(dev), got=descriptor)
        return self._within_oas(aligned(descriptor, 5 + span) + index * 64, dev)

    def _within_oas(self, at: int, dev: Device) -> int:
        """An entry beyond the output address size is not fetched (3.4.3)."""
        bits = _OAS_BITS[field(self.idr5, 2, 0)]
        if at >> (min(bits, 48) if self.v3_0 else bits):
            raise broken("bind.context", repr(dev), got=at)
        return at

    def bound_context(self, dev: Device, before: tuple[int, ...], info: Any) -> tuple[int, ...]:
        """Config 110 becomes 111 with S1ContextPtr, S1Fmt, S1CDMax and S1DSS of the guest."""
        word0, word1 = before[:2]
        config = field(word0, 3, 1)
        s1fmt, s1dss = self._payload(info)
        if word0 & 1 and config == CONFIG_NESTED:
            raise broken("bind.busy", repr(dev), got=word0)
        two_level = s1fmt != S1FMT_LINEAR
        if not word0 & 1 or config != CONFIG_S2 or (two_level and not self.idr0 >> 19 & 1):
            raise broken("bind.context", repr(dev), got=word0)
        cdmax = (info.size // CD_BYTES).bit_length() - 1
        word0 = put(put(word0, 3, 1, CONFIG_NESTED), 5, 4, s1fmt)
        word0 = put(put(word0, 55, 6, info.ptr >> 6), 63, 59, cdmax)
        return (word0, put(word1, 1, 0, s1dss), *before[2:])


__all__ = ["Smmuv3Driver"]
