"""Intel VT-d: scalable mode (revision 5.10, 3.4.3, 3.6 to 3.10, 4.2, 7.1.3, 9.2, 9.4 to 9.6)."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.plain import PAGE_LG2, X86_INTERRUPTS, Fetched, Paging, Stop, apart_lg2
from iommu_abi.schemas.vtd_entries import (
    FIRST,
    NESTED,
    PASID_DIRECTORY_ENTRY,
    PASS_THROUGH,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
    SECOND,
)
from iommu_abi.schemas.vtd_mode import Mode
from iommu_abi.schemas.vtd_rules import pasid_entry_reserved, scalable_context_reserved
from iommu_abi.schemas.vtd_stages import ScalableFirstStage, ScalableSecondStage, configured
from iommu_abi.terms import Access, At, Reason, Stage, Translation


class ScalableMode(Mode):
    """Root, context, PASID directory, PASID entry, then by its PGTT (3.4.3)."""

    output_code = 0x87

    def translate(self) -> Translation:
        """Follow root, context, PASID directory and PASID entry."""
        context_entry = self._context_entry()
        context = SCALABLE_CONTEXT_ENTRY.parse(context_entry.contents)
        self._check_context(context_entry, context)
        self._check_type(context_entry, context)
        self._check_pasid(context_entry, context)
        if self.request.at is At.TRANSLATED:
            return self._translated(context_entry, context)
        if self.unit.asks_for_messages():
            return self.unit.messages_untranslated()
        pasid, privileged = self._identity(context)
        entry = self._pasid_entry(context, pasid)
        fields = SCALABLE_PASID_ENTRY.parse(entry.contents)
        self._check_pasid_entry(entry, fields, privileged)
        if fields.PGTT == PASS_THROUGH:
            return self._pass_through(fields)
        return self._walk(fields, privileged)

    # The context entry.

    def _context_entry(self) -> Fetched:
        root = self.root_half(absent=0x39, reserved_bits=0x3A, unreadable=0x38)
        return self.fetch(Stage.DEVICE, 0, root.CTP + 32 * (self.request.rid & 0x7F), 32, 0x40)

    def _check_context(self, entry: Fetched, context: Fields) -> None:
        """SCT.2 to SCT.4: the entry by itself."""
        self.note_fpd(context)
        if not context.P:
            raise self.stop(Reason.NOT_PRESENT, 0x41, entry)
        if scalable_context_reserved(self.unit, context):
            raise self.stop(Reason.RESERVED, 0x42, entry)
        if context.PRE and not context.DTE:
            raise self.stop(Reason.INVALID, 0x43, entry)
        if context.RID_PASID >> (context.PDTS + 13):
            raise self.stop(Reason.PASID_RANGE, 0x43, entry)
        translated = self.request.at is At.TRANSLATED
        if context.EPTR and not context.PASIDE and (self.request.pasid is None or translated):
            raise self.stop(Reason.INVALID, 0x43, entry)

    def _check_type(self, entry: Fetched, context: Fields) -> None:
        """SCT.5, SCT.10: ATS requests."""
        if self.request.at is not At.UNTRANSLATED and not context.DTE:
            raise self.stop(Reason.BLOCKED, 0x44, entry)
        if self.request.at is not At.TRANSLATED:
            return
        if self.request.pasid is not None and not context.EPTR:
            # Always an Unsupported Request before PASIDs in translated requests came (4.2.1).
            raise self.stop(Reason.BLOCKED, 0x49, entry) if self.unit.since(5, 0) else self.unsupported()

    def _check_pasid(self, entry: Fetched, context: Fields) -> None:
        """SCT.6, SCT.7, SCT.9, SGN.10: a request's own PASID."""
        pasid, ecap = self.request.pasid, self.unit.ecap
        if pasid is None:
            return
        if not context.PASIDE and self.request.at is not At.TRANSLATED:
            raise self.stop(Reason.BLOCKED, 0x45, entry)
        if pasid >> (context.PDTS + 13):
            raise self.stop(Reason.PASID_RANGE, 0x46, entry)
        if self.unit.since(5, 0) and pasid == context.RID_PASID:
            raise self.stop(Reason.BLOCKED, 0x48, entry)
        if self.unit.since(5, 0) and ecap.PASID and pasid >> (ecap.PSS + 1):
            raise Stop(Reason.PASID_RANGE, 0x89, self.unit.place(Stage.DEVICE))

    def _identity(self, context: Fields) -> tuple[int, bool]:
        """Return the PASID that is looked up, and whether the request is privileged.

        Where the unit has no RID_PASID and RID_PRIV, they are reserved and hence 0.
        """
        if self.request.pasid is not None:
            return self.request.pasid, self.request.priv
        return context.RID_PASID, bool(context.RID_PRIV)

    def _translated(self, entry: Fetched, context: Fields) -> Translation:
        if context.HPTE:  # host permission tables (4.2.4) are not modelled, so that nothing passes
            raise Stop(Reason.BLOCKED, 0, entry.place, entry, recorded=False)
        return self.translated(0x83)

    # The PASID directory and table.

    def _pasid_entry(self, context: Fields, pasid: int) -> Fetched:
        address = context.PASIDDIRPTR + 8 * (pasid >> 6)
        entry = self.fetch(Stage.PASID, 1, address, 8, 0x50)
        directory = PASID_DIRECTORY_ENTRY.parse(entry.contents)
        self.note_fpd(directory)
        if not directory.P:
            raise self.stop(Reason.NOT_PRESENT, 0x51, entry)
        if PASID_DIRECTORY_ENTRY.has_reserved_bits(directory) or self.unit.above_haw(directory.SMPTBLPTR):
            raise self.stop(Reason.RESERVED, 0x52, entry)
        return self.fetch(Stage.PASID, 0, directory.SMPTBLPTR + 64 * (pasid & 0x3F), 64, 0x58)

    def _check_pasid_entry(self, entry: Fetched, fields: Fields, privileged: bool) -> None:
        self.note_fpd(fields)
        if not fields.P:
            raise self.stop(Reason.NOT_PRESENT, 0x59, entry)
        if pasid_entry_reserved(self.unit, fields):
            raise self.stop(Reason.RESERVED, 0x5A, entry)
        if not self._supported(fields) or self._tables_beyond_second_stage(fields):
            raise self.stop(Reason.INVALID, 0x5B, entry)
        if self._asks_to_execute() and not self._may_execute(fields):
            raise self.stop(Reason.BLOCKED, 0x5C, entry)
        if privileged and not fields.SRE:
            raise self.stop(Reason.BLOCKED, 0x5D, entry)

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

    # Execution: a right up to 4.0, and of requests with PASID only (9.4, RID_PASID).

    def _asks_to_execute(self) -> bool:
        return self.request.access is Access.EXEC and self.request.pasid is not None

    def _may_execute(self, fields: Fields) -> bool:
        return bool(self.unit.ecap.ERS) if self.unit.since(4, 1) else bool(fields.ERE)

    def _executes(self, fields: Fields) -> bool:
        """Whether execution is a right of its own; later, with ERS, it is a read."""
        return bool(fields.ERE) and self.request.pasid is not None and not self.unit.since(4, 1)

    # The walk that the PASID entry asks for.

    def _pass_through(self, fields: Fields) -> Translation:
        self.host_address(0x83, Stage.PASID)
        answer = self.unit.untranslated()
        if self._executes(fields):
            answer = replace(answer, access=answer.access | Access.EXEC)
        if self.request.at is At.TRANSLATION:
            answer = replace(answer, size_lg2=min(self._largest_page_lg2(), self.unit.haw))
        if answer.hpa in X86_INTERRUPTS:
            raise Stop(Reason.INTERRUPT_RANGE, self.output_code, self.unit.place(Stage.DEVICE))
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

    def _walk(self, fields: Fields, privileged: bool) -> Translation:
        second = self._second_stage(fields) if fields.PGTT in (SECOND, NESTED) else None
        first = self._first_stage(fields, second, privileged) if fields.PGTT in (FIRST, NESTED) else None
        access = self.request.access if self._executes(fields) else self.data_access()
        return self.through(first, second, access)

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

    def _first_stage(self, fields: Fields, second: Paging | None, privileged: bool) -> ScalableFirstStage:
        first = ScalableFirstStage(fields.FLPTPTR, 4 + fields.FLPM, second)
        configured(first, self.unit, fields, privileged)
        first.snooped = self._snooped(fields)
        first.executes = self._executes(fields)
        first.no_execute = first.no_execute or self.unit.since(4, 1)  # XD is ignored, not reserved
        return first
