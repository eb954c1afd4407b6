"""Intel VT-d: extended mode (ECS), 2014 to 2018 (revision 2.x, 3.4, 3.6 to 3.8, 9.2, 9.4, 9.5).

Of its codes for PASIDs two are known: the history of 2.5 names 19h and 1Ah for ERE and SRE.
"""

from __future__ import annotations

from iommu_abi.schemas.context import Stages
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import Fetched, Walk
from iommu_abi.schemas.vtd_context import VtdContext
from iommu_abi.schemas.vtd_entries import EXTENDED_CONTEXT_ENTRY, EXTENDED_PASID_ENTRY, EXTENDED_TYPES
from iommu_abi.schemas.vtd_rules import extended_context_reserved
from iommu_abi.schemas.vtd_stages import FirstStage, SecondStage, UnscaledSecondStage, configured
from iommu_abi.schemas.vtd_transaction import VtdTransaction
from iommu_abi.terms import Access, At, Reason, Request, Stage, Translation


class ExtendedContext(VtdContext):
    """Extended root and context entry, and with a PASID its entry (2.x, 3.4).

    ``device_entry`` and ``device_fields`` are the context entry, ``fields`` the PASID entry.
    """

    device_entry: Fetched
    device_fields: Fields
    entry: Fetched
    fields: Fields

    def read_parts(self) -> None:
        """Read root, context, and with a PASID its entry."""
        self.registers = self.part(self.check_registers)
        self.device = self.part(self._read_device)
        self.choice = self.part(self._choose)
        self.roots = self.part(self._read_roots)

    def _read_device(self) -> None:
        """Read root and context entry."""
        root = self.root_half(absent=0x1, reserved_bits=0xA, unreadable=0x8)
        entry = self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.rid & 0x7F), 32, 0x9)
        self.device_entry, self.device_fields = entry, EXTENDED_CONTEXT_ENTRY.parse(entry.contents)
        self._check(entry, self.device_fields)

    def _check(self, entry: Fetched, context: Fields) -> None:
        self.note_fpd(context)
        if not context.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x2)
        if extended_context_reserved(self.unit, context):
            raise entry.stop(Reason.RESERVED, 0xB)
        if not self._supported(context):
            raise entry.stop(Reason.INVALID, 0x3)

    def _supported(self, context: Fields) -> bool:
        if context.T not in EXTENDED_TYPES:
            return False
        if context.T in (1, 5) and not self.unit.ecap.DT:
            return False
        if context.T in (2, 4, 5) and not self.unit.ecap.PT:
            return False
        return self.unit.width_supported(context.AW)

    def _choose(self) -> None:
        """Whether the device has PASIDs at all."""
        if self.pasid is not None and (not self.device_fields.PASIDE or self.device_fields.T == 2):
            raise self.device_entry.stop(Reason.BLOCKED, 0)

    def _read_roots(self) -> None:
        """Read the PASID entry, which lies in GPA where the second stage is nested."""
        if self.pasid is None:
            return
        context = self.device_fields
        if self.pasid >> (context.PTS + 5):
            raise self.device_entry.stop(Reason.PASID_RANGE, 0)
        second = self.second_stage() if context.NESTE else None
        place = self.place(Stage.PASID)
        self.entry = self.walk.fetch(place, context.PASIDPTR + 8 * self.pasid, 8, 0, second)
        self.fields = EXTENDED_PASID_ENTRY.parse(self.entry.contents)
        self._check_pasid_entry(self.entry, self.fields)

    def _check_pasid_entry(self, entry: Fetched, fields: Fields) -> None:
        if not fields.P:
            raise entry.stop(Reason.NOT_PRESENT, 0)
        bad_pointer = not self.device_fields.NESTE and self.unit.above_haw(fields.FLPTPTR)
        bad_levels = fields.FLPM and not self.unit.cap.FL5LP
        if EXTENDED_PASID_ENTRY.has_reserved_bits(fields) or bad_pointer or bad_levels:
            raise entry.stop(Reason.RESERVED, 0)

    def second_stage(self) -> SecondStage:
        """Make the second stage; with a PASID it lets execute where ERE does."""
        context = self.device_fields
        second = UnscaledSecondStage(self.unit, context.SLPTPTR, context.AW)
        if self.pasid is None:
            # Requests without PASID have the entry of legacy mode (3.4.4), and its code.
            second.bad_root = 0x3
        else:
            second.bad_root = 0x7
            second.executes = bool(context.ERE)
            second.slee = bool(context.SLEE)
        return second

    def transaction(self, walk: Walk, request: Request) -> ExtendedTransaction:
        """Let this requester ask for something."""
        return ExtendedTransaction(self, walk, request)


class ExtendedTransaction(VtdTransaction):
    """A request: with a PASID for the first stage, without for the second (2.x, 3.8)."""

    context: ExtendedContext

    def admit_in_mode(self) -> Stages | Translation:
        """Go by the context entry; with a PASID by its entry too."""
        self.enter(self.context.device)
        context = self.context.device_fields
        if self.request.at is not At.UNTRANSLATED and context.T not in (1, 5):
            raise self.context.device_entry.stop(Reason.BLOCKED, 0xD)
        if self.request.at is At.TRANSLATED:
            return self._translated()
        if self.request.pasid is not None:
            return self._with_pasid()
        if self.asks_for_messages():
            return self.messages_untranslated()
        if context.T in (0, 1):
            return Stages(None, self.context.second_stage(), self.data_access())
        return self.limited(context.AW)

    def _translated(self) -> Translation:
        """Let it through without PASID; with one it is of revision 5.0 (4.1.3 there)."""
        if self.request.pasid is not None:
            raise self.unsupported()
        return self.translated(0x4)

    def _with_pasid(self) -> Stages:
        context = self.context.device_fields
        self.enter(self.context.choice)
        if self.request.access is Access.EXEC and not context.ERE:
            raise self.context.device_entry.stop(Reason.BLOCKED, 0x19)
        self.enter(self.context.roots)
        entry = self.context.fields
        if self.request.priv and not (entry.SRE and self.unit.ecap.SRS):
            raise self.context.entry.stop(Reason.BLOCKED, 0x1A)
        second = self.context.second_stage() if context.NESTE else None
        first = FirstStage(entry.FLPTPTR, 4 + entry.FLPM, second)
        configured(first, self.unit, context, self.request.priv)
        return Stages(first, second, self.request.access)
