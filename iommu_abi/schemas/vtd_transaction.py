"""Intel VT-d: requests, as far as legacy, extended and scalable mode have them in common.

Sources: revision 5.10, 3.1, 3.15 (interrupt addresses), 4.2 (ATS requests), 7.1 (faults, and what is
reported).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from iommu_abi.schemas.context import Stages, Transaction
from iommu_abi.schemas.table_walk import PAGE_LG2, X86_INTERRUPTS, Stop, without
from iommu_abi.schemas.vtd_context import VtdContext
from iommu_abi.schemas.vtd_unit import VtdUnit
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage, Target, Translation

#: Faults that FPD does not suppress (Table 30, "Qualified: No"; Table 15).
UNQUALIFIED = frozenset(
    (0x1, 0x8, 0x9, 0xA, 0x29, 0x30, 0x31, 0x33, 0x34, 0x38, 0x39, 0x3A, 0x40, 0x50, 0x58)
)  # fmt: skip
#: Faults of which a translation request is told by a completion without rights, and nobody else (Table 30).
RECOVERABLE = frozenset(
    (
        *(0x4, 0x5, 0x6),  # LGN.1.1, LGN.2, LGN.3
        *(0x19, 0x1A),  # ERE and SRE in extended mode: history of 2.5
        *(0x51, 0x59, 0x5C, 0x5D),  # SPD.2, SPT.2, SPT.5, SPT.6
        *(0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x90),  # SFS.1 to SFS.9
        0x79,  # SSS.2
        *(0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86),  # SGN.1 to SGN.7
    )
)


class VtdTransaction(Transaction):
    """One request, in the mode that RTADDR.TTM chooses."""

    context: VtdContext
    #: Code of an output among the interrupt addresses.
    output_code = 0xE

    @property
    def unit(self) -> VtdUnit:
        """The IOMMU."""
        return self.context.unit

    def admit(self) -> Stages | Translation:
        """Go by TES, then by the interrupt range, then by TTM."""
        if not self.unit.gsts.TES and self.request.at is not At.UNTRANSLATED:
            raise self.unsupported()  # 4.2.1
        if self._at_interrupts():
            return self._message()
        if not self.unit.gsts.TES:
            return self.untranslated()
        self.enter(self.context.registers)
        return self.admit_in_mode()

    @abstractmethod
    def admit_in_mode(self) -> Stages | Translation:
        """Go by the tables of the mode."""

    def _at_interrupts(self) -> bool:
        """Whether it goes to interrupt remapping (3.15); with remapping off a PASID is ignored (3.1)."""
        without_pasid = self.request.pasid is None or not self.unit.gsts.TES
        untranslated = self.request.at is At.UNTRANSLATED
        return without_pasid and untranslated and self.request.iova in X86_INTERRUPTS

    def _message(self) -> Translation:
        """Take writes; all else is no interrupt (3.15; Table 15)."""
        if self.request.access is not Access.WRITE:
            raise self.place(Stage.DEVICE).stop(Reason.INTERRUPT_RANGE, 0x29)
        return self.message()

    # What is recorded.

    def finish(self, fault: Fault) -> Fault:
        """Note what is not recorded: faults after FPD, and what a completion tells."""
        qualified = fault.native not in UNQUALIFIED
        if (self.suppressed and qualified) or self._told_by_completion(fault):
            return replace(fault, recorded=False)
        return fault

    def _told_by_completion(self, fault: Fault) -> bool:
        return self.request.at is At.TRANSLATION and fault.native in RECOVERABLE

    # Translation requests.

    @property
    def no_write(self) -> bool:
        """Whether the unit obeys NW, and NW is set: only a request for WRITE has it clear (4.2.3)."""
        translation = self.request.at is At.TRANSLATION
        return translation and bool(self.unit.ecap.NWFS) and self.request.access is not Access.WRITE

    def asks_for_messages(self) -> bool:
        """Whether this is a translation request for the addresses of interrupts (4.2.3)."""
        without_pasid = self.request.pasid is None and self.request.iova in X86_INTERRUPTS
        return without_pasid and self.request.at is At.TRANSLATION

    def messages_untranslated(self) -> Translation:
        """Complete such a request: writes, untranslated only (S.1 of Table 30); none with NW (S.2)."""
        if self.no_write:
            raise self.place(Stage.DEVICE).stop(Reason.INTERRUPT_RANGE, 0, recorded=False)
        return self.message()

    def message(self) -> Translation:
        """Answer that a write is an interrupt."""
        return replace(self.untranslated(Access.WRITE), target=Target.INTERRUPT)

    def unsupported(self) -> Stop:
        """Make the refusal of an Unsupported Request without a code, of which nothing is recorded."""
        return self.place(Stage.DEVICE).stop(Reason.BLOCKED, 0, recorded=False)

    # Where nothing is translated.

    def host_address(self, code: int, stage: Stage = Stage.DEVICE) -> None:
        """Refuse an address that no host has, where the input is the output."""
        if self.unit.above_haw(self.request.iova):
            raise self.place(stage).stop(Reason.INPUT_RANGE, code)

    def translated(self, code: int) -> Translation:
        """Let a translated request through, if its address is one of the host's (4.2.5)."""
        self.host_address(code)
        return self.checked(self.untranslated(), Stage.DEVICE)

    def limited(self, aw: int) -> Translation:
        """Pass through below the limits of second stage and host (LGN.1.1, LGN.1.3)."""
        limit_lg2 = self.unit.second_stage_limit_lg2(aw)
        if self.request.iova >> limit_lg2:
            raise self.place(Stage.DEVICE).stop(Reason.INPUT_RANGE, 0x4)
        self.host_address(0x4)
        answer = replace(self.untranslated(), size_lg2=min(PAGE_LG2, limit_lg2))
        return self.checked(answer, Stage.DEVICE)

    # Where the address goes through tables.

    def through(self, stages: Stages) -> Translation:
        """Take the address through one stage or both, and check the output."""
        is_translation = self.request.at is At.TRANSLATION
        answer = self._what_remains(stages) if is_translation else super().through(stages)
        answer = self.checked(answer, Stage.S2 if stages.second else Stage.S1)
        if self.walk.forbidden is not None:
            raise self.walk.forbidden
        return answer

    def _what_remains(self, stages: Stages) -> Translation:
        """Answer a translation request: any right will do (4.2.3; LGN.2, LGN.3, SGN.6, SGN.7).

        It counts as a write as far as writes are allowed (4.2.3.1), so that D is set, and as a read. Where
        it has no right at all, it fails as the access that was asked.
        """
        try:
            return self._with_rights(stages)
        except Stop as stop:
            stop.fault = _as_asked(stop.fault, stages.access)
            raise

    def _with_rights(self, stages: Stages) -> Translation:
        if self.no_write:
            return self._read_or_as_asked(stages)
        before = len(self.walk.refs)
        try:
            return self.walk_as(stages, Access.WRITE)
        except Stop as stop:
            if not _lacks_right(stop.fault):
                raise
        used = self._take_back(before)
        try:
            return self._read_or_as_asked(stages)
        finally:
            self._flag_again(before, used)

    def _read_or_as_asked(self, stages: Stages) -> Translation:
        """Walk as a read, and where that lacks the right as what was asked."""
        before = len(self.walk.refs)
        try:
            return self.walk_as(stages, Access.READ)
        except Stop as stop:
            if stages.access is Access.READ or not _lacks_right(stop.fault):
                raise
        self._take_back(before)
        return self.walk_as(stages, stages.access)

    def _take_back(self, before: int) -> list[Ref]:
        """Forget the references since ``before``, which will be made again."""
        used = self.walk.refs[before:]
        del self.walk.refs[before:]
        return used

    def _flag_again(self, before: int, used: list[Ref]) -> None:
        """Keep what was set in entries that allow writes, though a later one does not."""
        refs = self.walk.refs
        for i, earlier in enumerate(used[: len(refs) - before], before):
            refs[i] = replace(refs[i], updated=refs[i].updated | earlier.updated)

    def checked(self, answer: Translation, last: Stage) -> Translation:
        """Return the answer unless it leads to where writes are interrupts (LGN.4, SGN.8)."""
        if self.reaches_interrupts(answer):
            raise self.place(last).stop(Reason.INTERRUPT_RANGE, self.output_code)
        return self.apart(answer)

    def reaches_interrupts(self, answer: Translation) -> bool:
        """Whether the output is an interrupt address."""
        return answer.hpa in X86_INTERRUPTS

    def apart(self, answer: Translation) -> Translation:
        """Keep the interrupt addresses out of the range of an answer, and W from a request with NW."""
        answer = without(answer, answer.hpa, X86_INTERRUPTS.start)
        if self.request.pasid is None:
            answer = without(answer, self.request.iova, X86_INTERRUPTS.start)
        if self.no_write:
            answer = replace(answer, access=answer.access & ~Access.WRITE)
        return answer

    def data_access(self) -> Access:
        """Return the access where execution is no right: an execute request is a read."""
        return Access.READ if self.request.access is Access.EXEC else self.request.access


def _lacks_right(fault: Fault) -> bool:
    """Whether the address is mapped and only a right is missing."""
    return fault.purpose is Purpose.DATA and fault.reason is Reason.DENIED and fault.native != 0x79


def _as_asked(fault: Fault, asked: Access) -> Fault:
    """Give an entry without R and W the code of the access that was asked (LGN.2, LGN.3)."""
    absent = fault.reason is Reason.NOT_PRESENT and fault.purpose is Purpose.DATA
    if not absent or fault.native not in (0x5, 0x6):
        return fault
    return replace(fault, native=0x5 if asked is Access.WRITE else 0x6)
