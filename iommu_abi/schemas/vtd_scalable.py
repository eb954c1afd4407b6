"""Intel VT-d: scalable mode (revision 5.10, 3.4.3, 3.6 to 3.10, 4.2, 7.1.3, 9.2, 9.4 to 9.6)."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas.context import Stages
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import PAGE_LG2, X86_INTERRUPTS, Fetched, Paging, Walk, apart_lg2
from iommu_abi.schemas.vtd_context import VtdContext
from iommu_abi.schemas.vtd_entries import (
    FIRST,
    NESTED,
    PASID_DIRECTORY_ENTRY,
    PASS_THROUGH,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
    SECOND,
)
from iommu_abi.schemas.vtd_rules import pasid_entry_reserved, scalable_context_reserved
from iommu_abi.schemas.vtd_stages import ScalableFirstStage, ScalableSecondStage, configured
from iommu_abi.schemas.vtd_transaction import VtdTransaction
from iommu_abi.terms import Access, At, Reason, Request, Stage, Translation


class ScalableContext(VtdContext):
    """Root and context entry, PASID directory and PASID entry (3.4.3).

    ``device_entry`` and ``device_fields`` are the context entry; ``entry`` and ``fields`` the PASID entry,
    for requests without PASID that of RID_PASID.
    """

    device_entry: Fetched
    device_fields: Fields
    entry: Fetched
    fields: Fields

    def read_parts(self) -> None:
        """Read root, context, PASID directory and PASID entry."""
        self.registers = self.part(self.check_registers)
        self.device = self.part(self._read_device)
        self.choice = self.part(self._choose)
        self.roots = self.part(self._read_roots)

    # The context entry.

    def _read_device(self) -> None:
        """Read root and context entry."""
        root = self.root_half(absent=0x39, reserved_bits=0x3A, unreadable=0x38)
        entry = self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.rid & 0x7F), 32, 0x40)
        self.device_entry, self.device_fields = entry, SCALABLE_CONTEXT_ENTRY.parse(entry.contents)
        self._check_context(entry, self.device_fields)

    def _check_context(self, entry: Fetched, context: Fields) -> None:
        """SCT.2 to SCT.4.2: the entry by itself."""
        self.note_fpd(context)
        if not context.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x41)
        if scalable_context_reserved(self.unit, context):
            raise entry.stop(Reason.RESERVED, 0x42)
        if context.PRE and not context.DTE:
            raise entry.stop(Reason.INVALID, 0x43)
        if context.RID_PASID >> (context.PDTS + 13):
            raise entry.stop(Reason.PASID_RANGE, 0x43)

    def _choose(self) -> None:
        """SCT.7, SCT.9, SGN.10: a request's own PASID."""
        context, ecap = self.device_fields, self.unit.ecap
        if self.pasid is None:
            return
        if self.pasid >> (context.PDTS + 13):
            raise self.device_entry.stop(Reason.PASID_RANGE, 0x46)
        if self.unit.since(5, 0) and self.pasid == context.RID_PASID:
            raise self.device_entry.stop(Reason.BLOCKED, 0x48)
        if self.unit.since(5, 0) and ecap.PASID and self.pasid >> (ecap.PSS + 1):
            raise self.place(Stage.DEVICE).stop(Reason.PASID_RANGE, 0x89)

    # The PASID directory and table.

    def _read_roots(self) -> None:
        """Read PASID directory and PASID entry; RID_PASID is reserved and hence 0 where there is none."""
        pasid = self.device_fields.RID_PASID if self.pasid is None else self.pasid
        self.entry = self._pasid_entry(self.device_fields, pasid)
        self.fields = SCALABLE_PASID_ENTRY.parse(self.entry.contents)
        self._check_pasid_entry(self.entry, self.fields)

    def _pasid_entry(self, context: Fields, pasid: int) -> Fetched:
        address = context.PASIDDIRPTR + 8 * (pasid >> 6)
        entry = self.fetch(Stage.PASID, 1, address, 8, 0x50)
        directory = PASID_DIRECTORY_ENTRY.parse(entry.contents)
        self.note_fpd(directory)
        if not directory.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x51)
        if PASID_DIRECTORY_ENTRY.has_reserved_bits(directory) or self.unit.above_haw(directory.SMPTBLPTR):
            raise entry.stop(Reason.RESERVED, 0x52)
        return self.fetch(Stage.PASID, 0, directory.SMPTBLPTR + 64 * (pasid & 0x3F), 64, 0x58)

    def _check_pasid_entry(self, entry: Fetched, fields: Fields) -> None:
        """SPT.2 to SPT.4: the entry by itself."""
        self.note_fpd(fields)
        if not fields.P:
            raise entry.stop(Reason.NOT_PRESENT, 0x59)
        if pasid_entry_reserved(self.unit, fields):
            raise entry.stop(Reason.RESERVED, 0x5A)
        if not self._supported(fields) or self._tables_beyond_second_stage(fields):
            raise entry.stop(Reason.INVALID, 0x5B)

    def _supported(self, fields: Fields) -> bool:
        """SPT.4.1 to SPT.4.3; FSPM counts for every PGTT, AW only where it is used."""
        ecap = self.unit.ecap
        supported = {
            FIRST: ecap.FLTS,
            SECOND: ecap.SLTS,
            NESTED: ecap.NEST and ecap.FLTS and ecap.SLTS,
            PASS_THROUGH: ecap.PT,
        }
        if not supported.get(fields.PGTT, 0):
            return False
        if fields.FLPM > 1 or (fields.FLPM and not self.unit.cap.FL5LP):
            return False
        return fields.PGTT not in (SECOND, NESTED) or self.unit.width_supported(fields.AW)

    def _tables_beyond_second_stage(self, fields: Fields) -> bool:
        """SPT.4.4, in its words since 4.1; before, the second stage finds out."""
        if fields.PGTT != NESTED or not self.unit.since(4, 1):
            return False
        return bool(fields.FLPTPTR >> self.unit.second_stage_limit_lg2(fields.AW))

    def transaction(self, walk: Walk, request: Request) -> ScalableTransaction:
        """Let this requester ask for something."""
        return ScalableTransaction(self, walk, request)


class ScalableTransaction(VtdTransaction):
    """A request that goes where the PGTT of its PASID entry says (3.4.3)."""

    context: ScalableContext
    output_code = 0x87

    def admit_in_mode(self) -> Stages | Translation:
        """Go by context entry and PASID entry."""
        self._refuse_execution()
        self.enter(self.context.device)
        self._check_type(self.context.device_entry, self.context.device_fields)
        self.enter(self.context.choice)
        if self.request.at is At.TRANSLATED:
            return self._translated()
        if self.asks_for_messages():
            return self.messages_untranslated()
        self.enter(self.context.roots)
        fields = self.context.fields
        self._check_rights(fields)
        return self._pass_through(fields) if fields.PGTT == PASS_THROUGH else self._stages(fields)

    def _refuse_execution(self) -> None:
        """RTA.5: since 4.1 there are no such requests, and units of major version 8 say so at once."""
        if self._asks_to_execute() and self.unit.ver.MAX >= 8 and self.unit.since(4, 1):
            raise self.place(Stage.DEVICE).stop(Reason.BLOCKED, 0x34)

    def _check_type(self, entry: Fetched, context: Fields) -> None:
        """SCT.4.3, SCT.5, SCT.10, SCT.6: ATS requests, and those with PASID."""
        has_pasid, translated = self.request.pasid is not None, self.request.at is At.TRANSLATED
        if context.EPTR and not context.PASIDE and (not has_pasid or translated):
            raise entry.stop(Reason.INVALID, 0x43)
        if self.request.at is not At.UNTRANSLATED and not context.DTE:
            raise entry.stop(Reason.BLOCKED, 0x44)
        if translated and has_pasid and not context.EPTR:
            # Always an Unsupported Request before PASIDs in translated requests came (4.2.1).
            raise entry.stop(Reason.BLOCKED, 0x49) if self.unit.since(5, 0) else self.unsupported()
        if has_pasid and not translated and not context.PASIDE:
            raise entry.stop(Reason.BLOCKED, 0x45)

    def _translated(self) -> Translation:
        if self.context.device_fields.HPTE:
            # Host permission tables (4.2.4) are not modelled, so that nothing passes.
            raise self.context.device_entry.stop(Reason.BLOCKED, 0, recorded=False)
        return self.translated(0x83)

    # Execution: a right up to 4.0, and of requests with PASID only (9.4, RID_PASID).

    def _check_rights(self, fields: Fields) -> None:
        """SPT.5, SPT.6."""
        if self._asks_to_execute() and not self._may_execute(fields):
            raise self.context.entry.stop(Reason.BLOCKED, 0x5C)
        if self._is_privileged() and not fields.SRE:
            raise self.context.entry.stop(Reason.BLOCKED, 0x5D)

    def _asks_to_execute(self) -> bool:
        return self.request.access is Access.EXEC and self.request.pasid is not None

    def _may_execute(self, fields: Fields) -> bool:
        return bool(self.unit.ecap.ERS) if self.unit.since(4, 1) else bool(fields.ERE)

    def _executes(self, fields: Fields) -> bool:
        """Whether execution is a right of its own; later, with ERS, it is a read."""
        return bool(fields.ERE) and self.request.pasid is not None and not self.unit.since(4, 1)

    def _is_privileged(self) -> bool:
        """Whether the request is; without PASID RID_PRIV says it, which is 0 where the unit has none."""
        if self.request.pasid is not None:
            return self.request.priv
        return bool(self.context.device_fields.RID_PRIV)

    # The walk that the PASID entry asks for.

    def _pass_through(self, fields: Fields) -> Translation:
        self.host_address(0x83, Stage.PASID)
        answer = self.untranslated()
        if self._executes(fields):
            answer = replace(answer, access=answer.access | Access.EXEC)
        if self.request.at is At.TRANSLATION:
            answer = replace(answer, size_lg2=min(self._largest_page_lg2(), self.unit.haw))
        if answer.hpa in X86_INTERRUPTS:
            raise self.place(Stage.DEVICE).stop(Reason.INTERRUPT_RANGE, self.output_code)
        return self.apart(answer)

    def _largest_page_lg2(self) -> int:
        """Size of what a translation request gets where nothing is translated (4.2.3)."""
        cap = self.unit.cap
        if cap.SLLPS & 2 or cap.FL1GP:
            return 30
        return 21 if cap.SLLPS & 1 or self.unit.ecap.FLTS else PAGE_LG2

    def reaches_interrupts(self, answer: Translation) -> bool:
        """Judge the range that is returned, not the address, where a translation is asked for (SGN.8.2)."""
        by_range = self.request.at is At.TRANSLATION and self.unit.since(4, 1)
        if not by_range:
            return super().reaches_interrupts(answer)
        overlaps = apart_lg2(answer.hpa, X86_INTERRUPTS.start) < answer.size_lg2
        return overlaps or super().reaches_interrupts(answer)

    def _stages(self, fields: Fields) -> Stages:
        second = self._second_stage(fields) if fields.PGTT in (SECOND, NESTED) else None
        first = self._first_stage(fields, second) if fields.PGTT in (FIRST, NESTED) else None
        return Stages(first, second, self.request.access if self._executes(fields) else self.data_access())

    def _snooped(self, fields: Fields) -> bool:
        return bool(self.unit.ecap.SMPWCS and fields.PWSNP)

    def _second_stage(self, fields: Fields) -> ScalableSecondStage:
        unit = self.unit
        second = ScalableSecondStage(unit, fields.SLPTPTR, fields.AW)
        second.executes = self._executes(fields)
        second.slee = bool(fields.SLEE)
        second.slade = bool(fields.SLADE)
        second.snooped = self._snooped(fields)
        second.io_rights = bool(unit.ecap.SSIRWS and unit.rtaddr.SSIRWE)
        second.one_code = unit.since(5, 0)
        second.checks_entries = unit.since(4, 1)
        if fields.PGTT == NESTED:
            second.first_top = 3 + fields.FLPM
        return second

    def _first_stage(self, fields: Fields, second: Paging | None) -> ScalableFirstStage:
        first = ScalableFirstStage(fields.FLPTPTR, 4 + fields.FLPM, second)
        configured(first, self.unit, fields, self._is_privileged())
        first.snooped = self._snooped(fields)
        first.executes = self._executes(fields)
        first.no_execute = first.no_execute or self.unit.since(4, 1)  # XD is ignored, not reserved
        return first
