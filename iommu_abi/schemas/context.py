"""Who asks, then where: what a requester has, and what a request of it may do.

A look-up reads the device and PASID tables for a requester and its PASID, whatever it will ask; what it
finds is a :class:`Context`. A request is a :class:`Transaction`: of an access, a privilege, an address
type and an IOVA. It is admitted or not, and then goes through the stages.

Hardware checks both in one order, and some checks of a request come before a table is read. So a look-up
has parts, and keeps of each the references and the fault at which it ended. A transaction *enters* one
part after the other where the vendor's text reads it, and makes its own checks between them: a table
behind a check that fails has not been read, and what is wrong in it does not matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from iommu_abi.schemas.table_walk import ADDRESS_MASK, PAGE_LG2, Paging, Place, Stop, Walk
from iommu_abi.terms import Access, Fault, Ref, Request, Stage, Translation


class Unit(ABC):
    """One IOMMU: its registers, by the vendor's names."""

    rid_last = 0xFFFF  # widest requester ID
    #: Width of physical addresses; beyond it there is no memory.
    address_lg2 = 64

    def __init__(self, registers: Mapping[str, int]) -> None:
        self.registers = registers

    def register(self, name: str, default: int | None = None) -> int:
        """Return the value of a register; raise ValueError if it is needed and was not given."""
        value = self.registers.get(name, default)
        if value is None:
            raise ValueError(f"register {name} is needed")
        if not 0 <= value <= ADDRESS_MASK:
            raise ValueError(f"register {name}: {value:#x} has more than 64 bits")
        return value

    @property
    @abstractmethod
    def reads_tables(self) -> bool:
        """Whether it looks at tables at all: it is on, and does not just let all pass."""

    @abstractmethod
    def context(self, walk: Walk, rid: int, pasid: int | None) -> Context:
        """Make the context of a requester, of which nothing is looked up yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a look-up: the entries that it read, and the fault at which it ended, None if it did not.

    ``suppressed``: an entry that was read by then says that faults are not recorded.
    """

    refs: tuple[Ref, ...] = ()
    refusal: Fault | None = None
    suppressed: bool = False


class Context(ABC):
    """What a requester has, ``pasid`` None if it sends none: constant until registers or tables change.

    The parts, in their order: ``registers``, what these alone decide; ``device``, the device tables, and
    the requester's own entry by itself; ``choice``, whether that entry has something for this PASID;
    ``roots``, the PASID tables. After a part that was refused come empty ones, as where a format has no
    such part.

    A vendor's context keeps what it reads as attributes; those of a part exist if nothing was refused
    before they were read.
    """

    def __init__(self, unit: Unit, walk: Walk, rid: int, pasid: int | None) -> None:
        self.unit = unit
        self.walk = walk
        self.rid = rid
        self.pasid = pasid
        #: Whether an entry that has been read says that faults are not recorded.
        self.suppressed = False
        self._refused = False
        self.registers = self.device = self.choice = self.roots = Part()

    def look_up(self) -> None:
        """Read the tables as far as they go."""
        if self.unit.reads_tables:
            self.read_parts()

    @abstractmethod
    def read_parts(self) -> None:
        """Read the parts that there are in this format, in the order of the vendor's text."""

    def part(self, read: Callable[[], None]) -> Part:
        """Read a part by a method, which raises Stop where it finds a fault."""
        if self._refused:
            return Part()
        before, refusal = len(self.walk.refs), None
        try:
            read()
        except Stop as stop:
            refusal = stop.fault
        self._refused = refusal is not None
        return Part(tuple(self.walk.refs[before:]), refusal, self.suppressed)

    @staticmethod
    def place(stage: Stage, level: int = 0) -> Place:
        """Name a device or PASID table; for which address it is read is the request's to say."""
        return Place(stage, level, 0)

    @abstractmethod
    def transaction(self, walk: Walk, request: Request) -> Transaction:
        """Let this requester ask for something."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Where an admitted request goes: the tables as it sees them, and the access that is judged."""

    first: Paging | None
    second: Paging | None
    access: Access


class Transaction(ABC):
    """One request of a requester: what is checked of it, in the order of the vendor's text."""

    def __init__(self, context: Context, walk: Walk, request: Request) -> None:
        self.context = context
        self.walk = walk
        self.request = request
        #: Whether an entry that was read says that faults are not recorded.
        self.suppressed = False

    def translate(self) -> Translation:
        """Admit the request, and take it through its stages."""
        try:
            admitted = self.admit()
            answer = self.through(admitted) if isinstance(admitted, Stages) else admitted
        except Stop as stop:
            answer = Translation(fault=self.finish(self._for_iova(stop.fault)))
        return replace(answer, refs=tuple(self.walk.refs))

    def _for_iova(self, fault: Fault) -> Fault:
        """Say that device and PASID tables were read for the IOVA, which a look-up does not know."""
        if fault.stage in (Stage.DEVICE, Stage.PASID):
            return replace(fault, input=self.request.iova)
        return fault

    @abstractmethod
    def admit(self) -> Stages | Translation:
        """Check the request against what the requester has; an answer if it needs no stage."""

    def through(self, stages: Stages) -> Translation:
        """Take the address through the stages."""
        return self.walk_as(stages, stages.access)

    def walk_as(self, stages: Stages, access: Access) -> Translation:
        """Walk the stages for an access, which need not be the one that was asked."""
        return self.walk.stages(self.request.iova, stages.first, stages.second, access)

    @abstractmethod
    def finish(self, fault: Fault) -> Fault:
        """Fill in what depends on the whole request: ``recorded``, ``detail``, a code by the access."""

    def enter(self, part: Part) -> None:
        """Go on to a part of the look-up: its entries have been read now, its refusal is the request's."""
        self.walk.refs += part.refs
        self.suppressed = part.suppressed
        if part.refusal is not None:
            raise Stop(part.refusal)

    def place(self, stage: Stage) -> Place:
        """Name the table that decides without an entry."""
        return Place(stage, 0, self.request.iova)

    def untranslated(self, access: Access = Access.READ | Access.WRITE) -> Translation:
        """Answer that output is input."""
        iova = self.request.iova
        return Translation(hpa=iova, gpa=iova, size_lg2=PAGE_LG2, access=access)
