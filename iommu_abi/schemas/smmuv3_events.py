"""Arm SMMUv3: the events, what they say of a fault, and which of them are recorded.

Source: Arm IHI 0070, 7.3 (event records), 5.5 (A, R, S), 3.9.1.2 and 3.9.1.3 (ATS), 6.3.9 (CR0) and
6.3.12 (CR2).
"""

from __future__ import annotations

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.vmsa import F_ACCESS, F_ADDR_SIZE, F_PERMISSION, F_TRANSLATION, F_WALK_EABT
from iommu_abi.terms import At, Fault, Purpose, Stage

C_BAD_STREAMID = 0x02
F_STE_FETCH = 0x03
C_BAD_STE = 0x04
F_BAD_ATS_TREQ = 0x05
F_STREAM_DISABLED = 0x06
F_TRANSL_FORBIDDEN = 0x07
C_BAD_SUBSTREAMID = 0x08
F_CD_FETCH = 0x09
C_BAD_CD = 0x0A
#: Nothing is recorded.
NO_EVENT = 0

#: Events that R and S, of the CD or of the STE, decide on.
FAULTS = (F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION)
#: Events of the configuration: those of ATS are recorded with CR2.REC_CFG_ATS alone.
CONFIGURATION = (
    C_BAD_STREAMID,
    F_STE_FETCH,
    C_BAD_STE,
    F_STREAM_DISABLED,
    C_BAD_SUBSTREAMID,
    F_CD_FETCH,
    C_BAD_CD,
)

CLASS_CD, CLASS_TT, CLASS_IN = range(3)
_CLASSES = {
    Purpose.PASID_ENTRY: CLASS_CD,
    Purpose.S1_ENTRY: CLASS_TT,
    Purpose.S1_UPDATE: CLASS_TT,
    Purpose.DATA: CLASS_IN,
}


def event_detail(fault: Fault) -> int:
    """Return S2 in bit 0 and CLASS in bits 2:1, for the events that have them."""
    if fault.native not in (*FAULTS, F_WALK_EABT):
        return 0
    if fault.stage is Stage.S2:
        return 1 | _CLASSES[fault.purpose] << 1
    return (CLASS_TT if fault.native == F_WALK_EABT else CLASS_IN) << 1


class Records:
    """What is written to the event queue for one request."""

    def __init__(self, cr0: Fields, cr2: Fields, at: At) -> None:
        self.cr0 = cr0
        self.cr2 = cr2
        self.at = at
        #: R and S of the CD, S2R and S2S of the STE, once they have been read.
        self._gates: dict[Stage, tuple[int, int]] = {}

    def gate(self, stage: Stage, record: int, stall: int) -> None:
        """Take R and S of a stage."""
        self._gates[stage] = record, stall

    def holds(self, fault: Fault) -> bool:
        """Whether the event of a fault is recorded."""
        if fault.native == NO_EVENT:
            return False
        if self._stalls(fault):
            # Waits for the queue if that is off (7.2.1).
            return True
        return bool(self.cr0.EVTQEN) and self._wanted(fault)

    def _stalls(self, fault: Fault) -> bool:
        """Whether the request waits for software; those of ATS never do (5.5)."""
        _, stall = self._gates.get(fault.stage, (0, 0))
        return self.at is At.UNTRANSLATED and fault.native in FAULTS and bool(stall)

    def _wanted(self, fault: Fault) -> bool:
        if fault.native in CONFIGURATION:
            return self._wants_configuration(fault.native)
        if fault.native == F_WALK_EABT:
            return self._wants_abort(fault)
        if self.at is At.TRANSLATION:
            return fault.native == F_BAD_ATS_TREQ
        if fault.native in FAULTS and fault.stage in self._gates:
            return bool(self._gates[fault.stage][0])
        # Also F_ADDR_SIZE of a stage 1 that is off, for which no CD has an R (3.4).
        return True

    def _wants_abort(self, fault: Fault) -> bool:
        """A translated request's walk for a CD is part of the configuration, that for its data is not."""
        if self.at is At.UNTRANSLATED:
            return True
        is_data = self.at is At.TRANSLATED and fault.purpose is Purpose.DATA
        return is_data or bool(self.cr2.REC_CFG_ATS)

    def _wants_configuration(self, event: int) -> bool:
        if self.at is not At.UNTRANSLATED and not self.cr2.REC_CFG_ATS:
            return False
        # RECINVSID does not count for translated requests (3.9.1.3).
        return event != C_BAD_STREAMID or self.at is At.TRANSLATED or bool(self.cr2.RECINVSID)
