"""Intel VT-d: extended mode (ECS), 2014 to 2018 (revision 2.x, 3.4, 3.6 to 3.8, 9.2, 9.4, 9.5).

Of its codes for PASIDs two are known: the history of 2.5 names 19h and 1Ah for ERE and SRE.
"""

from __future__ import annotations

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.plain import Fetched, Paging
from iommu_abi.schemas.vtd_entries import EXTENDED_CONTEXT_ENTRY, EXTENDED_PASID_ENTRY, EXTENDED_TYPES
from iommu_abi.schemas.vtd_mode import Mode
from iommu_abi.schemas.vtd_rules import extended_context_reserved
from iommu_abi.schemas.vtd_stages import FirstStage, SecondStage, UnscaledSecondStage, configured
from iommu_abi.terms import Access, At, Reason, Stage, Translation


class ExtendedMode(Mode):
    """Extended root and context; with a PASID its table, first stage, second stage (2.x, 3.8)."""

    def translate(self) -> Translation:
        """Follow root and context; with a PASID its entry and the first stage."""
        entry = self._context_entry()
        context = EXTENDED_CONTEXT_ENTRY.parse(entry.contents)
        self._check(entry, context)
        if self.request.at is not At.UNTRANSLATED and context.T not in (1, 5):
            raise self.stop(Reason.BLOCKED, 0xD, entry)
        if self.request.at is At.TRANSLATED:
            return self._translated()
        if self.request.pasid is not None:
            return self._with_pasid(entry, context, self.request.pasid)
        if self.unit.asks_for_messages():
            return self.unit.messages_untranslated()
        if context.T in (0, 1):
            return self.through(None, self._second_stage(context), self.data_access())
        return self.limited(context.AW)

    def _context_entry(self) -> Fetched:
        root = self.root_half(absent=0x1, reserved_bits=0xA, unreadable=0x8)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.request.rid & 0x7F), 32, 0x9)

    def _check(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x2, entry)
        if extended_context_reserved(self.unit, context):
            raise self.stop(Reason.RESERVED, 0xB, entry)
        if not self._supported(context):
            raise self.stop(Reason.INVALID, 0x3, entry)

    def _supported(self, context: Fields) -> bool:
        if context.T not in EXTENDED_TYPES:
            return False
        if context.T in (1, 5) and not self.unit.ecap.DT:
            return False
        if context.T in (2, 4, 5) and not self.unit.ecap.PT:
            return False
        return self.unit.width_supported(context.AW)

    def _translated(self) -> Translation:
        """Let it through without PASID; with one it is of revision 5.0 (4.1.3 there)."""
        if self.request.pasid is not None:
            raise self.unsupported()
        return self.translated(0x4)

    def _with_pasid(self, entry: Fetched, context: Fields, pasid: int) -> Translation:
        if not context.PASIDE or context.T == 2:
            raise self.stop(Reason.BLOCKED, 0, entry)
        if self.request.access is Access.EXEC and not context.ERE:
            raise self.stop(Reason.BLOCKED, 0x19, entry)
        if pasid >> (context.PTS + 5):
            raise self.stop(Reason.PASID_RANGE, 0, entry)
        second = self._second_stage(context) if context.NESTE else None
        if second is not None:
            second.executes = bool(context.ERE)
            second.slee = bool(context.SLEE)
        first = self._first_stage(context, self._pasid_entry(context, pasid, second), second)
        return self.through(first, second, self.request.access)

    def _pasid_entry(self, context: Fields, pasid: int, second: Paging | None) -> Fields:
        place = self.unit.place(Stage.PASID)
        entry = self.walk.fetch(place, context.PASIDPTR + 8 * pasid, 8, 0, second)
        fields = EXTENDED_PASID_ENTRY.parse(entry.contents)
        if not fields.P:
            raise self.stop(Reason.NOT_PRESENT, 0, entry)
        bad_pointer = second is None and self.unit.above_haw(fields.FLPTPTR)
        bad_levels = fields.FLPM and not self.unit.cap.FL5LP
        if EXTENDED_PASID_ENTRY.has_reserved_bits(fields) or bad_pointer or bad_levels:
            raise self.stop(Reason.RESERVED, 0, entry)
        if self.request.priv and not (fields.SRE and self.unit.ecap.SRS):
            raise self.stop(Reason.BLOCKED, 0x1A, entry)
        return fields

    def _first_stage(self, context: Fields, entry: Fields, second: Paging | None) -> Paging:
        first = FirstStage(entry.FLPTPTR, 4 + entry.FLPM, second)
        configured(first, self.unit, context, self.request.priv)
        return first

    def _second_stage(self, context: Fields) -> SecondStage:
        second = UnscaledSecondStage(self.unit, context.SLPTPTR, context.AW)
        # Requests without PASID have the entry of legacy mode (3.4.4), and its code.
        second.bad_root = 0x3 if self.request.pasid is None else 0x7
        return second
