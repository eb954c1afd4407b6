"""RISC-V IOMMU: one request of a device: what is checked of it, in what order, and where it goes.

Source: RISC-V IOMMU Architecture Specification 1.0: chapter 3 (the process to translate an IOVA; 3.1.3.6
and 3.3.3 for MSI tables; 3.6 for ATS), 4.2 (fault queue).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.context import Stages, Transaction
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.riscv_causes import (
    GUEST_PAGE_FAULTS,
    IMPLICIT,
    INSTRUCTION_ACCESS_FAULT,
    MSI_LOAD,
    MSI_MISCONFIGURED,
    MSI_NOT_VALID,
    NO_RIGHTS,
    NOT_MODELLED,
    TYPE_DISALLOWED,
    UNSUPPRESSED,
    as_asked,
)
from iommu_abi.schemas.riscv_tables import FirstStage, SecondStage
from iommu_abi.schemas.table_walk import ALL_ACCESS, PAGE_LG2, Fetched, Paging, Place, Use, combine
from iommu_abi.terms import Access, At, Fault, Reason, Stage, Target, Translation

if TYPE_CHECKING:
    from iommu_abi.schemas.riscv_context import DeviceContext, Riscv


class RiscvTransaction(Transaction):
    """One request of a device."""

    context: DeviceContext

    @property
    def unit(self) -> Riscv:
        """The IOMMU."""
        return self.context.unit

    # Faults.

    def finish(self, fault: Fault) -> Fault:
        """Note the cause, iotval2, and whether the fault is recorded."""
        cause = as_asked(fault.native, self.request.access)
        detail = 0
        if cause in GUEST_PAGE_FAULTS.values():
            detail = fault.input & ~3 | IMPLICIT[fault.purpose]
        return replace(fault, native=cause, detail=detail, recorded=self._recorded(cause))

    def _recorded(self, cause: int) -> bool:
        if cause == NOT_MODELLED or (self.request.at is At.TRANSLATION and cause in NO_RIGHTS):
            return False
        return not self.suppressed or cause in UNSUPPRESSED

    # The process to translate an IOVA (chapter 3).

    def admit(self) -> Stages | Translation:
        """Go by ddtp, the device context, then the process context."""
        if self.unit.ddtp.iommu_mode == rv.BARE:
            return self._bare()
        context, translated = self.context, self.request.at is At.TRANSLATED
        self.enter(context.registers)
        self.enter(context.device)
        if self.request.at is not At.UNTRANSLATED and not context.dc.EN_ATS:
            raise context.entry.stop(Reason.BLOCKED, TYPE_DISALLOWED)
        self.enter(context.choice)
        if translated and not context.dc.T2GPA:
            return self.untranslated(ALL_ACCESS)
        second = self._second_stage()
        first = None if translated else self._first_stage(second)
        if first is None and second is None:
            return self.untranslated(ALL_ACCESS)
        return Stages(first, second, self.request.access)

    def _bare(self) -> Translation:
        if self.request.at is not At.UNTRANSLATED:
            raise self.place(Stage.DEVICE).stop(Reason.BLOCKED, TYPE_DISALLOWED)
        return self.untranslated(ALL_ACCESS)

    def _second_stage(self) -> SecondStage | None:
        second = self.context.second_stage()
        if second is not None:
            second.judged = self.request.at is not At.TRANSLATION
        return second

    def _first_stage(self, second: SecondStage | None) -> FirstStage | None:
        self.enter(self.context.roots)
        pc, privileged = self.context.pc, self.request.priv and self.request.pasid is not None
        if pc is not None and privileged and not pc.ENS:
            raise self.context.pc_entry.stop(Reason.BLOCKED, TYPE_DISALLOWED)
        first = self.context.first_stage(second)
        if first is not None:
            first.judged = self.request.at is not At.TRANSLATION
            first.supervisor = privileged
            first.sum = pc is not None and bool(pc.SUM)
        return first

    # The stages.

    def through(self, stages: Stages) -> Translation:
        """Take the address through the first stage, then the MSI page table or the second stage."""
        answer = self.walk.stages(self.request.iova, stages.first, None, stages.access)
        if stages.second is not None:
            answer = self._msi(answer) or self._second_answer(stages.second, answer)
        return self._completion(answer) if self.request.at is At.TRANSLATION else answer

    def _second_answer(self, second: Paging, answer: Translation) -> Translation:
        """Translate a GPA; the range of the answer holds no virtual interrupt file."""
        answer = combine(answer, self.walk.stage(second, answer.gpa, Use(self.request.access)))
        if not self._has_msi_table():
            return answer
        pages_lg2 = self._file_mismatch(answer.gpa).bit_length() - 1
        return replace(answer, size_lg2=min(answer.size_lg2, PAGE_LG2 + pages_lg2))

    def _completion(self, answer: Translation) -> Translation:
        """Return what a completion says: X only with R, and with T2GPA the GPA (3.6)."""
        if Access.READ not in answer.access:
            answer = replace(answer, access=answer.access & ~Access.EXEC)
        return replace(answer, hpa=answer.gpa) if self.context.dc.T2GPA else answer

    # The MSI page table (3.1.3.6 and 3.3.3).

    def _has_msi_table(self) -> bool:
        return bool(self.unit.capabilities.MSI_FLAT) and self.context.dc.msiptp_MODE == rv.MSI_FLAT

    def _file_mismatch(self, gpa: int) -> int:
        """Return the bits of the page number of ``gpa`` that no virtual interrupt file has; 0 for a file.

        Bits beyond the width of guest addresses do not count: software must set them to 0 in mask
        and pattern, and the reference model looks at none of them.
        """
        dc = self.context.dc
        differs = gpa >> PAGE_LG2 ^ dc.msi_addr_pattern
        return differs & ~dc.msi_addr_mask & self.unit.features.guest_page_bits

    def _msi(self, answer: Translation) -> Translation | None:
        """Answer a GPA that is a virtual interrupt file's; None for all others."""
        if not self._has_msi_table() or self._file_mismatch(answer.gpa):
            return None
        dc = self.context.dc
        number = rv.extract(answer.gpa >> PAGE_LG2, dc.msi_addr_mask & self.unit.features.guest_page_bits)
        place = Place(Stage.S2, 0, answer.gpa)
        entry = self.walk.fetch(place, dc.msiptp_PPN | 16 * number, 16, MSI_LOAD)
        found = self._mrif(entry) if rv.is_mrif(entry.contents) else self._basic(entry, answer.gpa)
        if self.request.access is Access.EXEC and self.request.at is not At.TRANSLATION:
            raise entry.stop(Reason.DENIED, INSTRUCTION_ACCESS_FAULT)
        access = answer.access & (Access.READ | Access.WRITE)
        return replace(found, gpa=answer.gpa, size_lg2=PAGE_LG2, access=access)

    def _basic(self, entry: Fetched, gpa: int) -> Translation:
        fields = rv.MSI_BASIC.parse(entry.contents)
        self._check_msi(entry, fields)
        if rv.MSI_BASIC.has_reserved_bits(fields):
            raise entry.stop(Reason.RESERVED, MSI_MISCONFIGURED)
        return Translation(hpa=fields.PPN | gpa & ((1 << PAGE_LG2) - 1))

    def _mrif(self, entry: Fetched) -> Translation:
        fields = rv.MSI_MRIF.parse(entry.contents)
        self._check_msi(entry, fields)
        if not self.unit.capabilities.MSI_MRIF:
            raise entry.stop(Reason.INVALID, MSI_MISCONFIGURED)
        if rv.MSI_MRIF.has_reserved_bits(fields):
            raise entry.stop(Reason.RESERVED, MSI_MISCONFIGURED)
        notice = fields.NPPN | fields.NID_10 << 10 | fields.NID
        return Translation(hpa=fields.MRIF, target=Target.MRIF, detail=notice)

    def _check_msi(self, entry: Fetched, fields: Fields) -> None:
        if not fields.V:
            raise entry.stop(Reason.NOT_PRESENT, MSI_NOT_VALID)
        if fields.C or fields.M not in (rv.MRIF, rv.BASIC):
            raise entry.stop(Reason.RESERVED, MSI_MISCONFIGURED)
