"""Intel VT-d: legacy mode (revision 5.10, 3.4.2, 9.1, 9.3)."""

from __future__ import annotations

from iommu_abi.schemas.context import Stages
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import Fetched, Walk
from iommu_abi.schemas.vtd_context import VtdContext
from iommu_abi.schemas.vtd_entries import CONTEXT_ENTRY, ROOT_ENTRY
from iommu_abi.schemas.vtd_rules import legacy_context_reserved
from iommu_abi.schemas.vtd_stages import UnscaledSecondStage
from iommu_abi.schemas.vtd_transaction import VtdTransaction
from iommu_abi.terms import At, Reason, Request, Stage, Translation


class LegacyContext(VtdContext):
    """Root entry and context entry: ``entry`` and ``fields`` (3.4.2)."""

    entry: Fetched
    fields: Fields

    def read_parts(self) -> None:
        """Read root and context entry."""
        self.registers = self.part(self.check_registers)
        self.device = self.part(self._read_device)

    def check_registers(self) -> None:
        """Refuse PASIDs (RTA.2), and the rights IR and IW, which legacy mode lacks (RTA.1.4)."""
        super().check_registers()
        if self.pasid is not None:
            raise self.place(Stage.DEVICE).stop(Reason.BLOCKED, 0x31)
        if self.unit.ecap.SSIRWS and self.unit.rtaddr.SSIRWE:
            raise self.place(Stage.DEVICE).stop(Reason.INVALID, 0x30)

    def _read_device(self) -> None:
        """Read root and context entry."""
        self.entry = self._context_entry()
        self.fields = CONTEXT_ENTRY.parse(self.entry.contents)
        self._check(self.entry, self.fields)

    def _context_entry(self) -> Fetched:
        address = self.unit.rtaddr.RTA + 16 * (self.rid >> 8)
        entry = self.fetch(Stage.DEVICE, 1, address, 16, 0x8)
        root = ROOT_ENTRY.parse(entry.contents)
        if not root.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x1)
        if ROOT_ENTRY.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise entry.stop(Reason.RESERVED, 0xA)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 16 * (self.rid & 0xFF), 16, 0x9)

    def _check(self, entry: Fetched, fields: Fields) -> None:
        self.note_fpd(fields)
        if not fields.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x2)
        if legacy_context_reserved(self.unit, fields):
            raise entry.stop(Reason.RESERVED, 0xB)
        if not self._type_supported(fields.TT) or not self._width_allowed(fields):
            raise entry.stop(Reason.INVALID, 0x3)

    def _type_supported(self, tt: int) -> bool:
        return {0: True, 1: bool(self.unit.ecap.DT), 2: bool(self.unit.ecap.PT), 3: False}[tt]

    def _width_allowed(self, fields: Fields) -> bool:
        if fields.TT == 2 and self.unit.largest_width() != fields.AW:
            return False
        return self.unit.width_supported(fields.AW)

    def transaction(self, walk: Walk, request: Request) -> LegacyTransaction:
        """Let this requester ask for something."""
        return LegacyTransaction(self, walk, request)


class LegacyTransaction(VtdTransaction):
    """A request that the context entry sends through the second stage, or past it (3.4.2)."""

    context: LegacyContext

    def admit_in_mode(self) -> Stages | Translation:
        """Go by the context entry."""
        self.enter(self.context.device)
        context = self.context.fields
        if self.request.at is not At.UNTRANSLATED and context.TT != 1:
            raise self.context.entry.stop(Reason.BLOCKED, 0xD)
        if self.request.at is At.TRANSLATED:
            return self.translated(0x4)
        if self.asks_for_messages():
            return self.messages_untranslated()
        if context.TT == 2:
            return self.limited(context.AW)
        second = UnscaledSecondStage(self.unit, context.SLPTPTR, context.AW)
        return Stages(None, second, self.data_access())
