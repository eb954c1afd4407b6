"""Intel VT-d: what legacy, extended and scalable mode have in common.

Sources: revision 5.10, 3.15 (interrupt addresses), 4.2 (ATS requests), 7.1 (faults), 9.1, 9.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.plain import PAGE_LG2, X86_INTERRUPTS, Fetched, Paging, Stop, without
from iommu_abi.schemas.vtd_entries import SCALABLE_ROOT_HALF
from iommu_abi.schemas.vtd_unit import Unit
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage, Translation


class Mode(ABC):
    """What RTADDR.TTM chooses."""

    #: Code of an output among the interrupt addresses.
    output_code = 0xE

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.walk = unit.walk
        self.request = unit.request

    @abstractmethod
    def translate(self) -> Translation:
        """Answer without references; raise Stop for a fault."""

    # Entries of device and PASID tables.

    def fetch(self, stage: Stage, level: int, address: int, length: int, native: int) -> Fetched:
        """Read an entry that lies in HPA."""
        return self.walk.fetch(self.unit.place(stage, level), address, length, native)

    def stop(self, reason: Reason, native: int, entry: Fetched) -> Stop:
        """Make the fault of an entry of a device or PASID table."""
        return Stop(reason, native, entry.place, entry)

    def unsupported(self) -> Stop:
        """Make the refusal of an Unsupported Request without a code, of which nothing is recorded."""
        return Stop(Reason.BLOCKED, 0, self.unit.place(Stage.DEVICE), recorded=False)

    def note_fpd(self, fields: Fields) -> None:
        """From the entry that has FPD on, itself included, faults are not recorded."""
        if fields.FPD:
            self.unit.suppressed = True

    def root_half(self, absent: int, reserved_bits: int, unreadable: int) -> Fields:
        """Read the half of an extended or scalable root entry that serves this requester."""
        bus, upper = self.request.rid >> 8, self.request.rid >> 7 & 1
        entry = self.fetch(Stage.DEVICE, 1, self.unit.rtaddr.RTA + 16 * bus + 8 * upper, 8, unreadable)
        root = SCALABLE_ROOT_HALF.parse(entry.contents)
        if not root.P:
            raise self.stop(Reason.NOT_PRESENT, absent, entry)
        if SCALABLE_ROOT_HALF.has_reserved_bits(root) or self.unit.above_haw(root.CTP):
            raise self.stop(Reason.RESERVED, reserved_bits, entry)
        return root

    # Where nothing is translated.

    def host_address(self, code: int, stage: Stage = Stage.DEVICE) -> None:
        """Refuse an address that no host has, where the input is the output."""
        if self.unit.above_haw(self.request.iova):
            raise Stop(Reason.INPUT_RANGE, code, self.unit.place(stage))

    def translated(self, code: int) -> Translation:
        """Let a translated request through, if its address is one of the host's (4.2.5)."""
        self.host_address(code)
        return self.checked(self.unit.untranslated(), Stage.DEVICE)

    def limited(self, aw: int) -> Translation:
        """Pass through below the limits of second stage and host (LGN.1.1, LGN.1.3)."""
        limit_lg2 = self.unit.second_stage_limit_lg2(aw)
        if self.request.iova >> limit_lg2:
            raise Stop(Reason.INPUT_RANGE, 0x4, self.unit.place(Stage.DEVICE))
        self.host_address(0x4)
        answer = replace(self.unit.untranslated(), size_lg2=min(PAGE_LG2, limit_lg2))
        return self.checked(answer, Stage.DEVICE)

    # Where the address goes through tables.

    def through(self, first: Paging | None, second: Paging | None, access: Access) -> Translation:
        """Take the address through one stage or both, and check the output."""
        if self.request.at is At.TRANSLATION:
            answer = self._what_remains(first, second, access)
        else:
            answer = self.walk.stages(first, second, access)
        answer = self.checked(answer, Stage.S2 if second else Stage.S1)
        if self.walk.forbidden is not None:
            raise self.walk.forbidden
        return answer

    def _what_remains(self, first: Paging | None, second: Paging | None, asked: Access) -> Translation:
        """Answer a translation request: any right will do (4.2.3; LGN.2, LGN.3, SGN.6, SGN.7).

        It counts as a write as far as writes are allowed (4.2.3.1), so that D is set, and as a read. Where
        it has no right at all, it fails as the access that was asked.
        """
        try:
            return self._with_rights(first, second, asked)
        except Stop as stop:
            stop.fault = _as_asked(stop.fault, asked)
            raise

    def _with_rights(self, first: Paging | None, second: Paging | None, asked: Access) -> Translation:
        if self.unit.no_write:
            return self._read_or(first, second, asked)
        before = len(self.walk.refs)
        try:
            return self.walk.stages(first, second, Access.WRITE)
        except Stop as stop:
            if not _lacks_right(stop.fault):
                raise
        used = self._take_back(before)
        try:
            return self._read_or(first, second, asked)
        finally:
            self._flag_again(before, used)

    def _read_or(self, first: Paging | None, second: Paging | None, asked: Access) -> Translation:
        """Walk as a read, and where that lacks the right as what was asked."""
        before = len(self.walk.refs)
        try:
            return self.walk.stages(first, second, Access.READ)
        except Stop as stop:
            if asked is Access.READ or not _lacks_right(stop.fault):
                raise
        self._take_back(before)
        return self.walk.stages(first, second, asked)

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
            raise Stop(Reason.INTERRUPT_RANGE, self.output_code, self.unit.place(last))
        return self.apart(answer)

    def reaches_interrupts(self, answer: Translation) -> bool:
        """Whether the output is an interrupt address."""
        return answer.hpa in X86_INTERRUPTS

    def apart(self, answer: Translation) -> Translation:
        """Keep the interrupt addresses out of the range of an answer, and W from a request with NW."""
        answer = without(answer, answer.hpa, X86_INTERRUPTS.start)
        if self.request.pasid is None:
            answer = without(answer, self.request.iova, X86_INTERRUPTS.start)
        if self.unit.no_write:
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
