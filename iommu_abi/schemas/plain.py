"""The plain walk: what all formats share. Slow, readable, and in the order of docs/walk.md.

A format brings a :class:`Translator`, which reads device and PASID tables and chooses the
stages, and a :class:`Paging` for each kind of stage, which says what the bits of an entry
mean. The walk itself, nesting, A/D flags and the making of faults are here, once.

Adding a format: write ``schemas/X.py`` with a module-level ``FORMAT``, and add its kind to
``_MODULES`` below.

Nothing in a memory image can make this raise: what is wrong with tables is a
:class:`iommu_abi.terms.Fault`. Only a request or a register that makes no sense is a
ValueError.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.terms import Access, Fault, Purpose, Reason, Ref, Request, Stage, Translation

#: Kind of IOMMU -> the module of this package that has its ``FORMAT``.
_MODULES = {"vtd": "vtd", "amdvi": "amdvi", "smmuv3": "smmuv3", "riscv": "riscv"}

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
    """The walk ends here; never leaves :func:`translate`."""

    def __init__(
        self, reason: Reason, native: int, place: Place, entry: Fetched | None = None, recorded: bool = True
    ) -> None:
        super().__init__(reason)
        self.fault = Fault(
            reason=reason,
            stage=place.stage,
            level=place.level,
            native=native,
            input=place.input,
            entry_gpa=entry.gpa if entry else None,
            entry_hpa=entry.hpa if entry else None,
            raw=entry.raw if entry else None,
            purpose=place.purpose,
            for_level=place.for_level,
            recorded=recorded,
        )


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

        It is the last fault of a request: the walk goes on, and its translator raises ``Walk.forbidden`` if
        nothing else is wrong.
        """
        return None

    @abstractmethod
    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Return the vendor's code for a fault at an entry of ``level``."""


class Translator(ABC):
    """One request at one IOMMU: the vendor's part of a walk."""

    rid_last = 0xFFFF  # widest requester ID

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        self.walk = walk
        self.request = walk.request
        self.registers = registers

    @abstractmethod
    def translate(self) -> Translation:
        """Answer without references; raise Stop for a fault."""

    @abstractmethod
    def finish(self, fault: Fault) -> Fault:
        """Fill in what depends on the whole request: ``recorded`` and ``detail``."""

    def register(self, name: str, default: int | None = None) -> int:
        """Return the value of a register; raise ValueError if it is needed and was not given."""
        value = self.registers.get(name, default)
        if value is None:
            raise ValueError(f"register {name} is needed")
        if not 0 <= value <= ADDRESS_MASK:
            raise ValueError(f"register {name}: {value:#x} has more than 64 bits")
        return value

    def place(self, stage: Stage, level: int = 0) -> Place:
        """Name a device or PASID table; these are looked up for the IOVA."""
        return Place(stage, level, self.request.iova)

    def untranslated(self, access: Access = Access.READ | Access.WRITE) -> Translation:
        """Answer that output is input."""
        iova = self.request.iova
        return Translation(hpa=iova, gpa=iova, size_lg2=PAGE_LG2, access=access)


# ---------------------------------------------------------------- the walk


class Walk:
    """One translation under way: memory, the request, and the references made so far."""

    def __init__(self, read: Read, request: Request) -> None:
        self.read = read
        self.request = request
        self.refs: list[Ref] = []
        #: Width of physical addresses; beyond it there is no memory.
        self.address_lg2 = 64
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
            raise Stop(Reason.UNREADABLE, native, place, entry)
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
            raise Stop(Reason.INPUT_RANGE, paging.native(Reason.INPUT_RANGE, level, use), place)
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
            raise Stop(reason, paging.native(reason, entry.place.level, use), entry.place, entry)

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
            return Stop(Reason.UPDATE_DENIED, code, place, entry)
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
        return Stop(Reason.UPDATE_DENIED, second.native(Reason.UPDATE_DENIED, level, use), place, page.entry)

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

    def stages(self, first: Paging | None, second: Paging | None, access: Access) -> Translation:
        """Take the request's address through one stage or both; the rights of both are needed."""
        iova = self.request.iova
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


# ---------------------------------------------------------------- entries in words


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a decoded entry. Bits count from the start of the entry, inclusive."""

    name: str
    value: int
    remark: str
    high: int
    low: int

    def __str__(self) -> str:
        number = f"{self.value:#x}" if self.value > 9 else str(self.value)
        return f"{self.name}={number}" + (f" ({self.remark})" if self.remark else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded entry: its type in the vendor's words, and its fields from bit 0 up."""

    name: str
    fields: tuple[Field, ...]

    def __getitem__(self, name: str) -> Field:
        return next(each for each in self.fields if each.name == name)


#: A reference and all bytes of its entry.
Step = tuple[Ref, bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """What a vendor's module offers.

    ``describe(registers, before, ref, data)`` names the type of an entry and its layout;
    ``before`` are the references that came earlier, whose contents may decide it.
    """

    translator: Callable[[Mapping[str, int], Walk], Translator]
    describe: Callable[[Mapping[str, int], Sequence[Step], Ref, bytes], tuple[str, Layout]]


def _format(kind: str) -> Format:
    if kind not in _MODULES:
        raise ValueError(f"unknown kind of IOMMU {kind!r}")
    found: Format = importlib.import_module(f"{__package__}.{_MODULES[kind]}").FORMAT
    return found


def decode_entry(
    kind: str, registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> Entry:
    """One entry of a trace in words.

    ``data`` are the ``ref.len`` bytes of the entry; ``before`` are the references before it
    with their bytes, which may come from either ledger.
    """
    name, layout = _format(kind).describe(registers, before, ref, data)
    parsed = layout.parse(data)
    return Entry(name, tuple(_explained(each.name, layout, parsed) for each in layout.fields))


def _explained(name: str, layout: Layout, parsed: Fields) -> Field:
    each = next(one for one in layout.fields if one.name == name)
    value = parsed[name]
    if each.values:
        remark = each.values.get(value, "reserved")
    else:
        remark = each.doc if value else ""
    return Field(name, value, remark, each.high, each.low)


def explain(
    kind: str, registers: Mapping[str, int], refs: Sequence[Ref], read: Read
) -> tuple[tuple[Ref, Entry], ...]:
    """Put a whole trace into words: each reference with its entry, in order.

    The entries are read again; one that is gone by now is shown by its first eight bytes. Those of
    eight bytes the references have whole, as values, be they big-endian in memory or not.
    """
    steps: list[Step] = []
    explained = []
    for ref in refs:
        known = ref.raw.to_bytes(8, "little").ljust(ref.len, b"\0")[: ref.len]
        data = known if ref.len <= 8 else read(ref.hpa, ref.len) or known
        explained.append((ref, decode_entry(kind, registers, steps, ref, data)))
        steps.append((ref, data))
    return tuple(explained)


# ---------------------------------------------------------------- one request


def _check(request: Request) -> None:
    if request.access not in (Access.READ, Access.WRITE, Access.EXEC):
        raise ValueError("a request is one of read, write and exec")
    if request.pasid is not None and not 0 <= request.pasid < 1 << 20:
        raise ValueError(f"PASID {request.pasid:#x} has more than 20 bits")
    if not 0 <= request.iova <= ADDRESS_MASK:
        raise ValueError("iova has more than 64 bits")
    if not 0 <= request.rid < 1 << 32:
        raise ValueError("rid has more than 32 bits")


def translate(kind: str, registers: Mapping[str, int], read: Read, request: Request) -> Translation:
    """Where does this request go? ``refs`` of the answer are always filled.

    ``registers`` are looked up by the vendor's names; those that the walk does not need are
    ignored.
    """
    _check(request)
    walk = Walk(read, request)
    translator = _format(kind).translator(registers, walk)
    if request.rid > translator.rid_last:
        raise ValueError(f"rid: {request.rid:#x} is wider than the requester IDs of {kind}")
    try:
        answer = translator.translate()
    except Stop as stop:
        answer = Translation(fault=translator.finish(stop.fault))
    return replace(answer, refs=tuple(walk.refs))
