"""Intel VT-d: legacy mode (revision 5.10, 3.4.2, 9.1, 9.3)."""

from __future__ import annotations

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.plain import Fetched, Stop
from iommu_abi.schemas.vtd_entries import CONTEXT_ENTRY, ROOT_ENTRY
from iommu_abi.schemas.vtd_mode import Mode
from iommu_abi.schemas.vtd_rules import legacy_context_reserved
from iommu_abi.schemas.vtd_stages import UnscaledSecondStage
from iommu_abi.terms import At, Reason, Stage, Translation


class LegacyMode(Mode):
    """Root entry, context entry, second stage (3.4.2)."""

    def translate(self) -> Translation:
        """Follow root, context and second stage."""
        self._check_registers()
        entry = self._context_entry()
        context = CONTEXT_ENTRY.parse(entry.contents)
        self._check(entry, context)
        if self.request.at is not At.UNTRANSLATED and context.TT != 1:
            raise self.stop(Reason.BLOCKED, 0xD, entry)
        if self.request.at is At.TRANSLATED:
            return self.translated(0x4)
        if self.unit.asks_for_messages():
            return self.unit.messages_untranslated()
        if context.TT == 2:
            return self.limited(context.AW)
        second = UnscaledSecondStage(self.unit, context.SLPTPTR, context.AW)
        return self.through(None, second, self.data_access())

    def _check_registers(self) -> None:
        """Refuse PASIDs (RTA.2), and the rights IR and IW, which legacy mode lacks (RTA.1.4)."""
        unit = self.unit
        if self.request.pasid is not None:
            raise Stop(Reason.BLOCKED, 0x31, unit.place(Stage.DEVICE))
        if unit.ecap.SSIRWS and unit.rtaddr.SSIRWE:
            raise Stop(Reason.INVALID, 0x30, unit.place(Stage.DEVICE))

    def _context_entry(self) -> Fetched:
        address = self.unit.rtaddr.RTA + 16 * (self.request.rid >> 8)
        entry = self.fetch(Stage.DEVICE, 1, address, 16, 0x8)
        root = ROOT_ENTRY.parse(entry.contents)
        if not root.P:
            raise self.stop(Reason.NOT_PRESENT, 0x1, entry)
        if ROOT_ENTRY.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise self.stop(Reason.RESERVED, 0xA, entry)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 16 * (self.request.rid & 0xFF), 16, 0x9)

    def _check(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x2, entry)
        if legacy_context_reserved(self.unit, context):
            raise self.stop(Reason.RESERVED, 0xB, entry)
        if not self._type_supported(context.TT) or not self._width_allowed(context):
            raise self.stop(Reason.INVALID, 0x3, entry)

    def _type_supported(self, tt: int) -> bool:
        return {0: True, 1: bool(self.unit.ecap.DT), 2: bool(self.unit.ecap.PT), 3: False}[tt]

    def _width_allowed(self, context: Fields) -> bool:
        if context.TT == 2 and self.unit.largest_width() != context.AW:
            return False
        return self.unit.width_supported(context.AW)
