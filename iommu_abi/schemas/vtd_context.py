"""Intel VT-d: what a requester has, as far as the modes have it in common.

Sources: revision 5.10, 7.1.3 (RTA: registers; SRT: root entries), 9.1, 9.2.
"""

from __future__ import annotations

from iommu_abi.schemas.context import Context
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import Fetched
from iommu_abi.schemas.vtd_entries import ABORT, EXTENDED, LEGACY, SCALABLE, SCALABLE_ROOT_HALF
from iommu_abi.schemas.vtd_unit import VtdUnit
from iommu_abi.terms import Reason, Stage


class VtdContext(Context):
    """What a requester has in the mode that RTADDR.TTM chooses."""

    unit: VtdUnit

    def check_registers(self) -> None:
        """RTA.1 and RTA.4."""
        ttm, ecap = self.unit.rtaddr.TTM, self.unit.ecap
        if ttm == ABORT and ecap.ADMS:
            raise self.place(Stage.DEVICE).stop(Reason.ABORTED, 0x33)
        supported = {LEGACY: 1, SCALABLE: ecap.SMTS, EXTENDED: ecap.ECS, ABORT: 0}
        if not supported[ttm]:
            raise self.place(Stage.DEVICE).stop(Reason.INVALID, 0x30)

    def fetch(self, stage: Stage, level: int, address: int, length: int, native: int) -> Fetched:
        """Read an entry that lies in HPA."""
        return self.walk.fetch(self.place(stage, level), address, length, native)

    def note_fpd(self, fields: Fields) -> None:
        """From the entry that has FPD on, itself included, faults are not recorded."""
        if fields.FPD:
            self.suppressed = True

    def root_half(self, absent: int, reserved_bits: int, unreadable: int) -> Fields:
        """Read the half of an extended or scalable root entry that serves this requester."""
        bus, upper = self.rid >> 8, self.rid >> 7 & 1
        entry = self.fetch(Stage.DEVICE, 1, self.unit.rtaddr.RTA + 16 * bus + 8 * upper, 8, unreadable)
        root = SCALABLE_ROOT_HALF.parse(entry.contents)
        if not root.P:
            raise entry.stop(Reason.NOT_PRESENT, absent)
        if SCALABLE_ROOT_HALF.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise entry.stop(Reason.RESERVED, reserved_bits)
        return root
