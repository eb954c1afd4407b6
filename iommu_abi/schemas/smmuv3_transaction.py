"""Arm SMMUv3: one request of a stream: what is checked of it, in what order, and where it goes.

Source: Arm IHI 0070: 3.4 (address sizes), 3.9 and 13.6 (ATS), 5.2 (overrides), 5.4 (a CD's halves),
7.3.22 (order of events), 13.7 (rights without a PASID).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from iommu_abi.schemas.context import Stages, Transaction
from iommu_abi.schemas.smmuv3_ats import Completion
from iommu_abi.schemas.smmuv3_entries import BYPASS, DPT_ATS, FULL_ATS, NO_ATS, SPLIT_ATS
from iommu_abi.schemas.smmuv3_events import (
    F_BAD_ATS_TREQ,
    F_TRANSL_FORBIDDEN,
    NO_EVENT,
    Records,
    event_detail,
)
from iommu_abi.schemas.smmuv3_ste import Unmodelled, ats_mode, has_stage2, unmodelled_stage2
from iommu_abi.schemas.table_walk import ALL_ACCESS, Fetched, Walk
from iommu_abi.schemas.vmsa import F_ADDR_SIZE, F_TRANSLATION, Half, Stage1, Stage2
from iommu_abi.terms import Access, At, Fault, Reason, Request, Stage, Translation

if TYPE_CHECKING:
    from iommu_abi.schemas.smmuv3_context import Smmuv3, StreamContext

READ_WRITE = Access.READ | Access.WRITE
INST_DATA, INST_FETCH = 2, 3  # STE.INSTCFG


class Smmuv3Transaction(Transaction):
    """One request of a stream."""

    context: StreamContext

    def __init__(self, context: StreamContext, walk: Walk, request: Request) -> None:
        super().__init__(context, walk, request)
        self.records = Records(self.unit.cr0, self.unit.cr2, self.request.at)
        self.unmodelled = Unmodelled(0)
        self._take_request()

    @property
    def unit(self) -> Smmuv3:
        """The SMMU."""
        return self.context.unit

    def _take_request(self) -> None:
        """What the request says of itself; ATS without a PASID is data, unprivileged (3.9, 13.7)."""
        self.access, self.privileged = self.request.access, self.request.priv
        self.substream = self.request.pasid
        if self.request.at is At.TRANSLATED and not self.unit.features.idr3.PASIDTT:
            self.substream = None
        self.inst_config = 0
        if self.request.at is not At.UNTRANSLATED and self.substream is None:
            self.privileged = False
            if self.access is Access.EXEC:
                self.access = Access.READ

    # Events.

    def finish(self, fault: Fault) -> Fault:
        """Note S2 and CLASS, or what is not modelled, and whether the event is recorded."""
        detail = event_detail(fault) | int(self.unmodelled)
        return replace(fault, detail=detail, recorded=self.records.holds(fault))

    def _refuse(self, what: Unmodelled | None, entry: Fetched) -> None:
        """Stop at an entry that is legal and asks for what is not modelled."""
        if what is not None:
            self.unmodelled = what
            raise entry.stop(Reason.INVALID, NO_EVENT)

    # The order of 7.3.22.

    def admit(self) -> Stages | Translation:
        """Go by SMMUEN, the STE, then the CD."""
        if not self.unit.cr0.SMMUEN:
            return self._off()
        if self.request.at is At.TRANSLATED and not self.unit.cr0.ATSCHK:
            return self._unchecked()
        self._enter_stream()
        self._override()
        if self.request.at is At.TRANSLATED:
            return self._translated()
        if self.request.at is At.TRANSLATION and self._ats_mode() == NO_ATS:
            raise self.context.entry.stop(Reason.BLOCKED, F_BAD_ATS_TREQ)
        self.enter(self.context.choice)
        self._check_bypass(self.context.index)
        second = self._second_stage()
        if self.context.index is not None:
            return Stages(self._first_stage(second), second, self.access)
        if second is not None:
            return Stages(None, second, self.access)
        return self.untranslated(READ_WRITE) if self.request.at is At.TRANSLATION else self._cut(ALL_ACCESS)

    def _enter_stream(self) -> None:
        """Go on to the STE, whose S2R and S2S say what is recorded of stage 2."""
        self.enter(self.context.device)
        ste = self.context.ste
        if has_stage2(ste):
            self.records.gate(Stage.S2, ste.S2R, ste.S2S)

    def _enter_cd(self) -> None:
        """Go on to the CD, whose R and S say what is recorded of stage 1."""
        self.enter(self.context.roots)
        cd = self.context.regime.cd
        self.records.gate(Stage.S1, cd.R, cd.S)

    def _ats_mode(self) -> int:
        return ats_mode(self.unit.features, self.context.ste, self.unit.cr0.ATSCHK)

    def _off(self) -> Translation:
        blocked = {At.TRANSLATION: F_BAD_ATS_TREQ, At.TRANSLATED: F_TRANSL_FORBIDDEN}
        if self.request.at in blocked:
            raise self.place(Stage.DEVICE).stop(Reason.BLOCKED, blocked[self.request.at])
        if self.unit.gbpa.ABORT or self.request.iova >> self.unit.features.oas_lg2:
            raise self.place(Stage.DEVICE).stop(Reason.ABORTED, NO_EVENT)
        return self.untranslated(ALL_ACCESS)

    def _unchecked(self) -> Translation:
        """Pass a translated request without a look at its STE, unless there is no ATS at all."""
        if not self.unit.features.idr0.ATS:
            raise self.place(Stage.DEVICE).stop(Reason.BLOCKED, F_TRANSL_FORBIDDEN)
        return self._passed()

    def _passed(self) -> Translation:
        """Pass a translated request; execution is known of one with a SubstreamID alone."""
        return self._cut(READ_WRITE if self.substream is None else ALL_ACCESS)

    def _cut(self, access: Access) -> Translation:
        """Output is input, without the bits that the unit does not have (3.4, 3.9.1.1)."""
        answer = self.untranslated(access)
        return replace(answer, hpa=answer.hpa & ((1 << self.unit.features.oas_lg2) - 1))

    def _override(self) -> None:
        """Put the STE's privilege and instruction attributes in the place of the request's."""
        ste = self.context.ste
        if not self.unit.features.idr1.ATTR_PERMS_OVR:
            return
        if ste.PRIVCFG >= 2:
            self.privileged = ste.PRIVCFG == 3
        self.inst_config = ste.INSTCFG
        if self.access is not Access.WRITE:
            self.access = {INST_DATA: Access.READ, INST_FETCH: Access.EXEC}.get(ste.INSTCFG, self.access)

    def _translated(self) -> Stages | Translation:
        """Check a translated request; with split-stage ATS it is an IPA (3.9.1.3)."""
        ats, entry = self._ats_mode(), self.context.entry
        if ats == NO_ATS:
            raise entry.stop(Reason.BLOCKED, F_TRANSL_FORBIDDEN)
        if self.unit.features.idr3.PASIDTT:
            self.enter(self.context.choice)
            if self.substream is not None and self.context.index is not None:
                self._second_stage()  # what of it is not modelled is told before the CD is read
                self._enter_cd()
        self._refuse(Unmodelled.DPT if ats == DPT_ATS else None, entry)
        if ats == FULL_ATS:
            return self._passed()
        self._check_bypass(None)
        return Stages(None, self._second_stage(), self.access)

    def _check_bypass(self, index: int | None) -> None:
        """Test an address that stage 1 leaves alone: against OAS if stage 2 is off too by Config (3.4)."""
        features = self.unit.features
        width = features.oas_lg2 if self.context.ste.Config == BYPASS else features.ias_lg2
        if index is None and self.request.iova >> width:
            raise self.place(Stage.S1).stop(Reason.INPUT_RANGE, F_ADDR_SIZE)

    # The stages.

    def _second_stage(self) -> Stage2 | None:
        """Make the tables of stage 2; None if it is off."""
        second = self.context.second_stage()
        if second is not None:
            self._refuse(unmodelled_stage2(self.unit.features, self.context.ste), self.context.entry)
            second.privileged = self.privileged
        return second

    def _first_stage(self, second: Stage2 | None) -> Stage1:
        """Make the tables of the half that the address lies in."""
        self._enter_cd()
        regime, idr3 = self.context.regime, self.unit.features.idr3
        self._refuse(regime.unmodelled(), self.context.cd_entry)
        cd, half = regime.cd, self._half()
        first = Stage1(half, self.unit.features.output_lg2(cd.IPS), second)
        first.flag_controls(cd.AFFD, cd.HA, cd.HD, self.unit.features.haft(cd.HAFT))
        first.big_endian = bool(cd.ENDI)
        first.el2 = regime.el2
        first.privileged = self.privileged or regime.el2
        # DDI 0487 R_MJGNV: AIE takes bit 59 for memory types, and with it all hierarchical rights.
        first.hierarchical = not ((half.had and idr3.HAD) or (cd.AIE and idr3.AIE))
        first.wxn = bool(cd.WXN)
        first.pan = bool(cd.PAN)
        first.epan = bool(cd.EPAN and idr3.EPAN)
        if idr3.E0PD and half.e0pd and not first.privileged and first.takes(self.request.iova):
            raise self.place(Stage.S1).stop(Reason.PRIVILEGE, F_TRANSLATION)
        return first

    def _half(self) -> Half:
        """Return the half that bit 55 of the address names; it may be off."""
        upper = bool(self.request.iova >> 55 & 1)
        for half in self.context.regime.halves():
            if half.upper == upper:
                return half
        raise self.place(Stage.S1).stop(Reason.INPUT_RANGE, F_TRANSLATION)

    def through(self, stages: Stages) -> Translation:
        """Take the address through the stages; a translation request by what they grant (3.9.1.2, 13.6)."""
        if self.request.at is At.TRANSLATION:
            return self._shown(self._completion(stages))
        return self._shown(super().through(stages))

    def _completion(self, stages: Stages) -> Translation:
        """Return what a completion says; with split-stage ATS the address is an IPA."""
        read = Access.EXEC if self.inst_config == INST_FETCH else Access.READ
        completion = Completion(self.walk, self.request.iova, stages, read)
        answer = completion.answer(self.access is Access.WRITE)
        return replace(answer, hpa=answer.gpa) if self._ats_mode() == SPLIT_ATS else answer

    def _shown(self, answer: Translation) -> Translation:
        """Show the rights as the requester has them, after INSTCFG and without a SubstreamID (13.7.1)."""
        access = answer.access
        if self.inst_config == INST_FETCH:
            access = _as(access, Access.READ, Access.EXEC)
        if self.inst_config == INST_DATA:
            access = _as(access, Access.EXEC, Access.READ)
        if self.request.at is not At.UNTRANSLATED and (self.substream is None or Access.READ not in access):
            access &= ~Access.EXEC
        return replace(answer, access=access)


def _as(access: Access, shown: Access, judged: Access) -> Access:
    """Show one right as another one is."""
    return access | shown if judged in access else access & ~shown
