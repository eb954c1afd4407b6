"""The plain walk of page tables: what the stages of all formats share, in the order of docs/walk.md.

A format brings a :class:`Paging` for each kind of stage, which says what the bits of an entry mean. The
walk itself, nesting, A/D flags and the making of faults are here, once. Who asks is not known here: what
a requester has, and what it may ask, is in ``context``.

Nothing in a memory image can make this raise: what is wrong with tables is a
:class:`iommu_abi.terms.Fault`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from iommu_abi.schemas.entries import Fields
from iommu_abi.terms import Access, Fault, Purpose, Reason, Ref, Stage, Translation

#: Reads bytes of host-physical memory: all ``length`` of them, or None.
Read = Callable[[int, int], "bytes | None"]

PAGE_LG2 = 12
ADDRESS_MASK = (1 << 64) - 1
ALL_ACCESS = Access.READ | Access.WRITE | Access.EXEC

#: Where writes are interrupts on x86: 0xFEE0_0000 to 0xFEEF_FFFF.
X86_INTERRUPTS = range(0xFEE0_0000, 0xFEF0_0000)


# ---------------------------------------------------------------- what a walk is made of


@dataclass(frozen=True, slots=True)
class Use:
    """What a stage is walked for: an access, and what it serves (see terms.Purpose)."""

    access: Access
    purpose: Purpose = Purpose.DATA
    for_level: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """The table at which a walk is: all of a fault but the reason and the entry.

    ``input`` is the address that this stage translates.
    """

    stage: Stage
    level: int
    input: int
    purpose: Purpose = Purpose.DATA
    for_level: int = 0

    def stop(self, reason: Reason, native: int, entry: Fetched | None = None, recorded: bool = True) -> Stop:
        """Make the fault that ends a walk here, at an entry of this table if there is one."""
        fault = Fault(
            reason=reason,
            stage=self.stage,
            level=self.level,
            native=native,
            input=self.input,
            entry_gpa=entry.gpa if entry else None,
            entry_hpa=entry.hpa if entry else None,
            raw=entry.raw if entry else None,
            purpose=self.purpose,
            for_level=self.for_level,
            recorded=recorded,
        )
        return Stop(fault)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An entry where it lies. ``data`` is None if there is no memory.

    ``page`` is what stage 2 said about the page that holds the entry, None where stage 2
    does not cover it; ``ref`` is the index of the reference.
    """

    place: Place
    gpa: int
    hpa: int
    data: bytes | None
    page: Found | None = None
    ref: int = -1

    @property
    def contents(self) -> bytes:
        """The entry's bytes; only for one that could be read."""
        assert self.data is not None
        return self.data

    @property
    def raw(self) -> int | None:
        """The first eight bytes as a number."""
        return None if self.data is None else int.from_bytes(self.data[:8], "little")

    def stop(self, reason: Reason, native: int, recorded: bool = True) -> Stop:
        """Make the fault that ends a walk at this entry."""
        return self.place.stop(reason, native, self, recorded)


@dataclass(frozen=True, slots=True)
class Next:
    """An entry that points to a table at ``table``, of level ``level``."""

    table: int
    level: int


@dataclass(frozen=True, slots=True)
class Page:
    """An entry that maps the input to ``output``; the page has 2^size_lg2 bytes."""

    output: int
    size_lg2: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a stage answers: output, size, what the requester may do, and the leaf itself."""

    output: int
    size_lg2: int
    grants: Access
    entry: Fetched
    fields: Fields


class Stop(Exception):
    """A walk ends here; never leaves the plain ledger."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


# ---------------------------------------------------------------- what a format says


class Paging(ABC):
    """The tables of one stage, as one request sees them.

    Made for each request, so that whatever varies per context, requester or privilege is a
    plain attribute. ``Rights`` are an integer of the format's own making, of which the walk
    knows only that they are ANDed over the levels.
    """

    stage: Stage
    #: Bytes of an entry.
    entry_len = 8
    #: Entries are big-endian in memory; what is read, and the references, are the values.
    big_endian = False
    #: Rights before the first entry is read.
    all_rights: int
    #: Stage 2, if these tables lie in GPA.
    through: Paging | None = None

    @abstractmethod
    def start(self, address: int) -> tuple[int, int]:
        """Address and level of the table in which the walk for ``address`` begins."""

    @abstractmethod
    def takes(self, address: int) -> bool:
        """Whether ``address`` is inside the input range."""

    @abstractmethod
    def entry_address(self, table: int, level: int, address: int) -> int:
        """Where the entry for ``address`` lies in a table."""

    @abstractmethod
    def decode(self, data: bytes, level: int) -> Fields:
        """Return the fields of an entry."""

    @abstractmethod
    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Not present, then reserved bits and encodings, then the range of the output."""

    @abstractmethod
    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Where an entry without a problem leads."""

    @abstractmethod
    def rights(self, fields: Fields, leaf: bool) -> int:
        """Return the rights that an entry leaves."""

    @abstractmethod
    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Why a leaf does not allow a use with the rights of all levels; None if it does.

        Asked for the request's own access, and then for the others: what is refused here is not
        shown in ``access`` of the answer.
        """

    @abstractmethod
    def grants(self, rights: int) -> Access:
        """Every access that the rights of all levels cover.

        The walk leaves out of it what ``refuses`` refuses, and what needs flags that cannot be set.
        """

    @abstractmethod
    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Return the A/D bits that hardware wants to find set in an entry that it has used."""

    def clears(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Return the bits that it wants to find clear; most formats have none."""
        return 0

    def lets_update(self, page: Found) -> bool:
        """Whether this stage lets hardware set flags in an entry of stage 1 that lies in ``page``."""
        return Access.WRITE in page.grants

    def forbids_updates(self, level: int, use: Use) -> int | None:
        """Return the code of the fault, if hardware may write no flags in the entries of this stage.

        It is the last fault of a request: the walk goes on, and who asked raises ``Walk.forbidden`` if
        nothing else is wrong.
        """
        return None

    @abstractmethod
    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Return the vendor's code for a fault at an entry of ``level``."""


# ---------------------------------------------------------------- the walk


class Walk:
    """One look-up or translation under way: memory, and the references made so far.

    ``address_lg2`` is the width of physical addresses; beyond it there is no memory.
    """

    def __init__(self, read: Read, address_lg2: int) -> None:
        self.read = read
        self.address_lg2 = address_lg2
        self.refs: list[Ref] = []
        #: The first update of flags that was needed and that ``forbids_updates`` forbids.
        self.forbidden: Stop | None = None

    def fetch(
        self,
        place: Place,
        address: int,
        length: int,
        native: int,
        through: Paging | None = None,
        big_endian: bool = False,
    ) -> Fetched:
        """Read an entry of ``length`` bytes, through stage 2 if ``address`` is a GPA.

        ``native`` is the code for an entry that no memory holds.
        """
        page = None
        hpa = address = address & ADDRESS_MASK
        if through is not None:
            page = self.stage(through, address, self._use_for_entry(place))
            hpa = page.output
        data = None if hpa >> self.address_lg2 else self.read(hpa, length)
        if data is not None and big_endian:
            data = data[::-1]
        entry = Fetched(place, address, hpa, data, page, len(self.refs))
        if data is None:
            raise entry.stop(Reason.UNREADABLE, native)
        raw = int.from_bytes(data[:8], "little")
        self.refs.append(
            Ref(place.stage, place.level, address, hpa, raw, raw, length, place.purpose, place.for_level)
        )
        return entry

    @staticmethod
    def _use_for_entry(place: Place) -> Use:
        purpose = Purpose.PASID_ENTRY if place.stage is Stage.PASID else Purpose.S1_ENTRY
        return Use(Access.READ, purpose, place.level)

    def stage(self, paging: Paging, address: int, use: Use) -> Found:
        """Translate ``address`` by one stage."""
        table, level = paging.start(address)
        place = Place(paging.stage, level, address, use.purpose, use.for_level)
        if not paging.takes(address):
            raise place.stop(Reason.INPUT_RANGE, paging.native(Reason.INPUT_RANGE, level, use))
        rights = paging.all_rights
        while True:
            where = paging.entry_address(table, level, address)
            unreadable = paging.native(Reason.UNREADABLE, level, use)
            entry = self.fetch(place, where, paging.entry_len, unreadable, paging.through, paging.big_endian)
            fields = paging.decode(entry.contents, level)
            self._stop_if(paging.problem(fields, level, address), paging, entry, use)
            step = paging.step(fields, level, address)
            rights &= paging.rights(fields, leaf=isinstance(step, Page))
            if isinstance(step, Page):
                break
            self._update(paging, entry, fields, use, leaf=False)
            table, level = step.table, step.level
            place = replace(place, level=level)
        self._stop_if(paging.refuses(fields, level, rights, use), paging, entry, use)
        self._update(paging, entry, fields, use, leaf=True)
        grants = self._granted(paging, entry, fields, rights, use)
        return Found(step.output, cut_lg2(step.size_lg2, address, paging.takes), grants, entry, fields)

    @staticmethod
    def _stop_if(reason: Reason | None, paging: Paging, entry: Fetched, use: Use) -> None:
        if reason is not None:
            raise entry.stop(reason, paging.native(reason, entry.place.level, use))

    def _granted(self, paging: Paging, entry: Fetched, fields: Fields, rights: int, use: Use) -> Access:
        """Every access that would be granted if it were asked for: flags count too."""
        granted = Access.NONE
        for access in (Access.READ, Access.WRITE, Access.EXEC):
            other = replace(use, access=access)
            if access not in paging.grants(rights) or paging.refuses(
                fields, entry.place.level, rights, other
            ):
                continue
            if self._update_refused(paging, entry, fields, other, leaf=True) is None:
                granted |= access
        return granted

    # Flags of the entries used.

    def _update(self, paging: Paging, entry: Fetched, fields: Fields, use: Use, leaf: bool) -> None:
        """Note what hardware changes in an entry that it has used; stage 2 must let it write there."""
        if self._changes(paging, entry, fields, use.access, leaf) == (0, 0):
            return
        denied = self._write_denied(paging, entry)
        if denied is not None:
            raise denied
        refused = self._update_refused(paging, entry, fields, use, leaf)
        if refused is None:
            self._note_update(paging, entry, fields, use.access, leaf)
        else:
            self.forbidden = self.forbidden or refused

    def _changes(
        self, paging: Paging, entry: Fetched, fields: Fields, access: Access, leaf: bool
    ) -> tuple[int, int]:
        """Return the flags that are to be set and cleared; 0, 0 if all of them are as wanted."""
        raw = self.refs[entry.ref].raw
        sets, clears = paging.flags(fields, access, leaf), paging.clears(fields, access, leaf)
        return (sets, clears) if sets & ~raw or clears & raw else (0, 0)

    def _update_refused(
        self, paging: Paging, entry: Fetched, fields: Fields, use: Use, leaf: bool
    ) -> Stop | None:
        """Return the fault of an update; None where it is allowed or there is none to make."""
        if self._changes(paging, entry, fields, use.access, leaf) == (0, 0):
            return None
        denied = self._write_denied(paging, entry)
        if denied is not None:
            return denied
        code = paging.forbids_updates(entry.place.level, use)
        if code is not None:
            place = replace(entry.place, purpose=use.purpose, for_level=use.for_level)
            return place.stop(Reason.UPDATE_DENIED, code, entry)
        if entry.page is None or paging.through is None:
            return None
        write = Use(Access.WRITE, Purpose.S1_UPDATE, entry.place.level)
        return self._update_refused(paging.through, entry.page.entry, entry.page.fields, write, leaf=True)

    @staticmethod
    def _write_denied(paging: Paging, entry: Fetched) -> Stop | None:
        """Let stage 2 judge the update of a stage-1 entry: a write to the page that holds it."""
        second, page = paging.through, entry.page
        if second is None or page is None or second.lets_update(page):
            return None
        level = page.entry.place.level
        use = Use(Access.WRITE, Purpose.S1_UPDATE, entry.place.level)
        place = Place(second.stage, level, entry.gpa, use.purpose, use.for_level)
        return place.stop(Reason.UPDATE_DENIED, second.native(Reason.UPDATE_DENIED, level, use), page.entry)

    def _note_update(
        self, paging: Paging, entry: Fetched, fields: Fields, access: Access, leaf: bool
    ) -> None:
        """Change ``updated`` of the reference, and of the stage-2 leaf through which it is written."""
        sets, clears = self._changes(paging, entry, fields, access, leaf)
        if not sets and not clears:
            return
        if entry.page is not None and paging.through is not None:
            page = entry.page
            self._note_update(paging.through, page.entry, page.fields, Access.WRITE, leaf=True)
        ref = self.refs[entry.ref]
        self.refs[entry.ref] = replace(ref, updated=(ref.updated | sets) & ~clears)

    def stages(self, iova: int, first: Paging | None, second: Paging | None, access: Access) -> Translation:
        """Take an address through one stage or both; the rights of both are needed."""
        answer = Translation(hpa=iova, gpa=iova, size_lg2=63, access=ALL_ACCESS)
        if first is not None:
            found = self.stage(first, iova, Use(access))
            answer = combine(replace(answer, gpa=found.output), found)
        if second is not None:
            found = self.stage(second, answer.gpa, Use(access))
            answer = combine(answer, found)
        return answer


def cut_lg2(size_lg2: int, address: int, same: Callable[[int], bool]) -> int:
    """log2 of the largest aligned range around ``address``, at most ``size_lg2``, with both ends ``same``."""
    while size_lg2:
        first = address & -(1 << size_lg2)
        if same(first) and same(first + (1 << size_lg2) - 1):
            break
        size_lg2 -= 1
    return size_lg2


def apart_lg2(address: int, other: int) -> int:
    """log2 of the largest aligned range around ``address`` without ``other``.

    If ``other`` is the first address of an aligned window outside of which ``address`` lies, the range
    has nothing of the window.
    """
    return max((address ^ other).bit_length() - 1, 0)


def without(answer: Translation, address: int, other: int) -> Translation:
    """Cut the size of an answer: the range around ``address``, an IOVA, GPA or HPA, spares ``other``."""
    return replace(answer, size_lg2=min(answer.size_lg2, apart_lg2(address, other)))


def combine(answer: Translation, found: Found) -> Translation:
    """Take an answer through one more stage: its output, the smaller page, the rights of both."""
    return replace(
        answer,
        hpa=found.output,
        size_lg2=min(answer.size_lg2, found.size_lg2),
        access=answer.access & found.grants,
    )
