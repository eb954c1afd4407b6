"""Guest stream table entries: ``struct iommu_hwpt_arm_smmuv3``, words 0 and 1 of an STE.

Source: Linux 7.2, drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c. Fields: Arm IHI 0070, 5.2.
EIO says that the entry is wrong, EINVAL that the payload is none. A nested hwpt exists only on a vIOMMU;
that and what attaching it needs (a vdevice for Config 101) are not about the entry and not here.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from iommu_abi.drivers import field, put
from iommu_abi.errors import AbiError, Rule, UsageError
from iommu_abi.nesting import mask, only, words

STRUCT = "iommu_hwpt_arm_smmuv3"
SOURCE = "Linux 7.2, arm-smmu-v3-iommufd.c"
LENGTH = Rule("smmuv3.nested.length", "", errno.EINVAL, "%llu bytes", SOURCE)
BITS = Rule("smmuv3.nested.bits", "ste", errno.EIO, "no bits but %#llx", SOURCE)
CONFIG = Rule("smmuv3.nested.config", "ste[0].Config", errno.EIO, "0 abort, 4 bypass or 5 stage 1", SOURCE)
EATS = Rule("smmuv3.nested.eats", "ste[1].EATS", errno.EIO, "0 off or 1 full ATS", SOURCE)

#: V, Config, S1Fmt, S1ContextPtr, S1CDMax; S1DSS, S1CIR, S1COR, S1CSH, S1STALLD, EATS
ALLOWED = (mask((0, 0), (3, 1), (5, 4), (51, 6), (63, 59)), mask((7, 0), (27, 27), (29, 28)))
VALID, MERGE_EVENTS = 1, 1 << 19
ABORT, BYPASS, STAGE_1, STAGE_2, NESTED = 0b000, 0b100, 0b101, 0b110, 0b111
STE_WORDS = 8


@dataclass(frozen=True, slots=True)
class GuestSte:
    """A guest's entry that the host has accepted."""

    word0: int
    word1: int

    @property
    def config(self) -> int:
        """STE.Config as the guest has it."""
        return field(self.word0, 3, 1)

    def physical(self, host: Sequence[int]) -> tuple[int, ...]:
        """The STE that hardware gets: 8 words. ``host`` is the host's own, stage 2 only.

        Stage 2 is the host's in all of it; EATS of a nested one is the guest's. Events of nested
        streams are merged (MEV), so that a guest cannot flood the host's queue.
        """
        if len(host) != STE_WORDS or not host[0] & VALID or field(host[0], 3, 1) != STAGE_2:
            raise UsageError("the host's STE: expected 8 words of a valid entry with Config 110 (stage 2)")
        if self.config == BYPASS:
            return tuple(host)
        if self.config == ABORT:
            return (VALID | ABORT << 1, *[0] * (STE_WORDS - 1))
        word0 = put(self.word0, 3, 1, NESTED)
        word1 = put(host[1], 29, 28, 0) | self.word1 | MERGE_EVENTS
        return (word0, word1, *host[2:])


def accept(payload: bytes) -> GuestSte:
    """Check a guest's words; AbiError with the kernel's errno.

    With V=0 nothing else is looked at: the guest's stream aborts, as it would on hardware.
    """
    word0, word1 = words(payload, 2, LENGTH, STRUCT)
    if not word0 & VALID:
        return GuestSte(0, 0)
    only((word0, word1), ALLOWED, BITS, STRUCT)
    config, eats = field(word0, 3, 1), field(word1, 29, 28)
    if config not in (ABORT, BYPASS, STAGE_1):
        raise AbiError(CONFIG, CONFIG.field, 0, config, 0, STRUCT)
    if eats > 1:
        raise AbiError(EATS, EATS.field, 8, eats, 0, STRUCT)
    return GuestSte(word0, word1)
