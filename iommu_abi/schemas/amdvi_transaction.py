"""AMD-Vi: one request of a device: what is checked of it, in what order, and where it goes.

Source: AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.1.2, 2.1.3.2, 2.2.2,
2.2.6; as ``amdvi`` says, where from; ``docs/walk.md`` where these are silent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from iommu_abi.schemas import x86
from iommu_abi.schemas.amdvi_events import (
    INVALID_DEVICE_REQUEST,
    IO_PAGE_FAULT,
    RECORDED_OF_TRANSLATIONS,
    event_flags,
)
from iommu_abi.schemas.amdvi_tables import GuestTables, HostTables, granted, host_rights
from iommu_abi.schemas.context import Stages, Transaction
from iommu_abi.schemas.table_walk import X86_INTERRUPTS, without
from iommu_abi.terms import Access, At, Fault, Reason, Stage, Target, Translation

if TYPE_CHECKING:
    from iommu_abi.schemas.amdvi_context import AmdviContext, AmdviUnit


class AmdviTransaction(Transaction):
    """One request of a device."""

    context: AmdviContext

    @property
    def unit(self) -> AmdviUnit:
        """The IOMMU."""
        return self.context.unit

    # Events.

    def finish(self, fault: Fault) -> Fault:
        """Note the flags of an IO_PAGE_FAULT, and whether it is recorded; other events always are."""
        if fault.native != IO_PAGE_FAULT:
            return fault
        recorded = not self.suppressed
        if self.request.at is At.TRANSLATION:
            recorded = recorded and fault.reason in RECORDED_OF_TRANSLATIONS
        return replace(fault, detail=int(event_flags(fault, self.request)), recorded=recorded)

    # The order of docs/walk.md.

    def admit(self) -> Stages | Translation:
        """Go by CONTROL, the device table entry, then what translates."""
        context = self.context
        if not self.unit.control.IommuEn:
            return self.untranslated()
        if self.request.pasid is None and self.request.iova in X86_INTERRUPTS:
            return self._interrupt()
        self.enter(context.device)
        self._check_ats()
        if not context.dte.V:
            return self.untranslated()
        if not context.dte.TV:
            raise context.entry.stop(Reason.ABORTED, IO_PAGE_FAULT)
        if self.request.at is At.TRANSLATED:
            return self.untranslated()
        self._check_access()
        self.enter(context.roots)
        host = context.host_tables()
        if context.guest_root is not None:
            return Stages(self._guest_tables(context.guest_root, host), host, self._guest_access())
        if host is not None:
            return Stages(None, host, self.request.access)
        return self.untranslated(self._grant() & ~Access.EXEC)

    def _interrupt(self) -> Translation:
        """Let messages pass; what is none is an illegal request of type 0 or 1 (illumos)."""
        if self.request.access is not Access.WRITE or self.request.at is At.TRANSLATION:
            raise self.place(Stage.DEVICE).stop(Reason.INTERRUPT_RANGE, INVALID_DEVICE_REQUEST)
        return replace(self.untranslated(Access.WRITE), target=Target.INTERRUPT)

    def _check_ats(self) -> None:
        """Refuse translation requests with I, V or TV 0, translated requests with I or V 0 (illumos)."""
        dte = self.context.dte
        needs = {
            At.UNTRANSLATED: True,
            At.TRANSLATION: dte.I and dte.V and dte.TV,
            At.TRANSLATED: dte.I and dte.V,
        }
        if not needs[self.request.at]:
            raise self.context.entry.stop(Reason.BLOCKED, INVALID_DEVICE_REQUEST)

    def _check_access(self) -> None:
        if self.request.access not in self._grant():
            raise self.context.entry.stop(Reason.DENIED, IO_PAGE_FAULT)

    def _grant(self) -> Access:
        """What IR and IW of the DTE leave."""
        return granted(host_rights(self.context.dte))

    # The stages.

    def _guest_access(self) -> Access:
        execute_is_read = self.request.access is Access.EXEC and not self.unit.features.NXSup
        return Access.READ if execute_is_read else self.request.access

    def _guest_tables(self, root: int, host: HostTables | None) -> GuestTables:
        control, pasid = self.unit.control, self.request.pasid or 0
        guest = GuestTables(root, 4 + self.context.dte.GuestPagingMode, host, signed=pasid != 0)
        guest.privileged = self.request.priv and self.request.pasid is not None
        guest.no_execute = guest.executes = bool(self.unit.features.NXSup)
        guest.sets_always = 0 if control.GAUpdateDis else x86.ACCESSED
        guest.sets_on_write = 0 if control.GDUpdateDis else x86.DIRTY
        return guest

    def through(self, stages: Stages) -> Translation:
        """Limit what the stages grant by the DTE; without a PASID the interrupt range is not translated."""
        answer = super().through(stages)
        answer = replace(answer, access=answer.access & self._grant())
        if stages.first is None:
            answer = replace(answer, access=answer.access & ~Access.EXEC)
        if self.request.pasid is None:
            answer = without(answer, self.request.iova, X86_INTERRUPTS.start)
        return answer
