"""What devices can reach: their contexts, the PASIDs of each, every mapping in order, and the tables behind.

Generators over ``iommu_abi/mappings.h``: C looks for thousands of ranges per call and joins
neighbours, so that memory stays constant and hostile tables can be interrupted at any time.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from iommu_abi._core import ffi, lib
from iommu_abi.errors import UsageError
from iommu_abi.mappings.budget import Budget, OutOfSteps
from iommu_abi.mappings.runs import joined
from iommu_abi.memory import Memory
from iommu_abi.terms import Access, Fault, Reason, Ref, Stage, Target, hex_repr
from iommu_abi.walk import Unit, fault_of, ref_of

ROOM = 4096  # results of one call

_ACCESS = tuple(Access(i) for i in range(8))
_TARGET = tuple(Target)


class ContextState(enum.IntEnum):
    """What a context does with requests (enum iommu_abi_context_state)."""

    TRANSLATES = 0
    PASSES = 1
    REFUSES = 2
    BROKEN = 3


_STATE = tuple(ContextState)
#: Makes a NamedTuple without a call of its constructor, which takes as long as all the rest.
_new = tuple.__new__
#: struct iommu_abi_mapping.
_MAPPING = struct.Struct("=7Q2B6x")


@dataclass(frozen=True, slots=True)
class ContextRun:
    """The context of a device or a PASID (struct iommu_abi_context_run).

    ``first`` to ``last`` are rids or PASIDs. ``fault`` says how it refuses or what is broken.
    """

    first: int
    last: int
    state: ContextState
    fault: Fault | None = None

    def __repr__(self) -> str:
        return hex_repr(self)

    def part(self, first: int, last: int) -> ContextRun:
        """The same for some of its IDs."""
        return replace(self, first=first, last=last)


class Mapping(NamedTuple):
    """IOVAs ``first`` to ``last`` lead to ``hpa`` and what follows it (struct iommu_abi_mapping).

    ``s1_sizes`` and ``s2_sizes``: bit k is set if pages of 2^k bytes take part; 0 where the stage is off.
    """

    first: int
    last: int
    gpa: int
    hpa: int
    access: Access
    s1_sizes: int
    s2_sizes: int
    target: Target = Target.MEMORY
    detail: int = 0

    def __repr__(self) -> str:
        return hex_repr(self)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.last - self.first + 1

    @property
    def hpa_last(self) -> int:
        """The last address that is reached."""
        return self.hpa + self.last - self.first

    def part(self, first: int, last: int) -> Mapping:
        """What some of its IOVAs reach. The page sizes are those of the whole."""
        up = first - self.first
        hpa = self.hpa + up if self.target is Target.MEMORY else self.hpa
        return self._replace(first=first, last=last, gpa=self.gpa + up, hpa=hpa)

    def joined(self, after: Mapping) -> Mapping | None:
        """Both as one, if ``after`` goes on where this ends, with the same rights; else None."""
        up = after.first - self.first
        if self.target is not Target.MEMORY or self.last + 1 != after.first:
            return None
        mine = self.gpa + up, self.hpa + up, self.access, self.target
        if mine != (after.gpa, after.hpa, after.access, after.target):
            return None
        sizes = self.s1_sizes | after.s1_sizes, self.s2_sizes | after.s2_sizes
        return self._replace(last=after.last, s1_sizes=sizes[0], s2_sizes=sizes[1])


class Table(NamedTuple):
    """A page that holds tables, or with ``fault`` an entry that no walk can use (struct iommu_abi_table).

    ``first`` to ``last`` are the IOVAs or IDs whose walks come there; ``ref`` is the first entry that was
    read in the page.
    """

    first: int
    last: int
    ref: Ref | None
    fault: Fault | None

    def __repr__(self) -> str:
        return hex_repr(self)


@lru_cache(256)
def page_sizes(sizes: int) -> tuple[int, ...]:
    """The page sizes of ``Mapping.s1_sizes``, smallest first."""
    return tuple(1 << k for k in range(64) if sizes >> k & 1)


def _request(rid: int, pasid: int | None, priv: bool) -> Any:
    flags = (0 if pasid is None else lib.IOMMU_ABI_HAS_PASID) | (lib.IOMMU_ABI_PRIV if priv else 0)
    try:
        return ffi.new("struct iommu_abi_request *", (0, rid, pasid or 0, 0, 0, flags))
    except OverflowError:
        raise UsageError(f"requester {rid:#x}, PASID {pasid}: out of range") from None


def mappings(
    unit: Unit,
    memory: Memory,
    rid: int,
    pasid: int | None = None,
    *,
    priv: bool = False,
    by_size: bool = False,
    budget: Budget | None = None,
) -> Iterator[Mapping]:
    """What a requester can reach, in ascending IOVA; neighbours that continue each other are joined.

    ``priv``: requests in privileged mode. ``by_size``: where page sizes change, a mapping ends.
    UsageError for a requester that makes no sense; OutOfSteps when ``budget`` is used up.
    """
    who, table = _request(rid, pasid, priv), memory.table
    cursor = ffi.new("struct iommu_abi_mapping_cursor *", {"by_size": by_size})
    out = ffi.new("struct iommu_abi_mapping[]", ROOM)
    budget = budget or Budget()
    calls = budget.calls()
    while not cursor.done or cursor.pending:
        try:
            steps = 1 if cursor.done else next(calls)
        except OutOfSteps:
            if cursor.pending and budget.count_ranges(1):  # as far as it was looked at
                yield from _mappings(ffi.addressof(cursor, "run"), 1)
            raise
        n = lib.iommu_abi_mappings(unit.c, table.c, who, steps, cursor, out, ROOM)
        if n < 0:
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {rid:#x}, PASID {pasid}")
        allowed = budget.count_ranges(n)
        yield from _mappings(out, allowed)
        if allowed < n:
            raise OutOfSteps


def _mappings(found: Any, n: int) -> Iterator[Mapping]:
    """Of C's structs, all at once: cffi would be asked for each member of each."""
    rows = _MAPPING.iter_unpack(ffi.buffer(found, n * _MAPPING.size))
    for first, last, gpa, hpa, detail, s1_sizes, s2_sizes, access, target in rows:
        rest = _ACCESS[access], s1_sizes, s2_sizes, _TARGET[target], detail
        yield _new(Mapping, (first, last, gpa, hpa, *rest))


def tables(
    unit: Unit,
    memory: Memory,
    of: Stage,
    rid: int = 0,
    pasid: int | None = None,
    *,
    priv: bool = False,
    budget: Budget | None = None,
) -> Iterator[Table]:
    """The pages that hold tables, as walks come to them; a page may come again.

    ``of``: DEVICE for the device tables of all requesters, PASID for the PASID tables of ``rid``, S1 for
    the page tables of both stages; those have broken entries among them. UsageError and OutOfSteps as
    for :func:`mappings`.
    """
    who = _request(rid, pasid or 0 if of is Stage.PASID else pasid, priv)
    table = memory.table
    cursor = ffi.new("struct iommu_abi_table_cursor *")
    out = ffi.new("struct iommu_abi_table[]", ROOM)
    calls = (budget or Budget()).calls()
    while not cursor.at.done:
        n = lib.iommu_abi_tables(unit.c, table.c, who, int(of), next(calls), cursor, out, ROOM)
        if n < 0:
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {rid:#x}, PASID {pasid}")
        for t in out[0:n]:
            broken = t.fault.reason != Reason.OK
            yield Table(
                t.first, t.last, None if broken else ref_of(t.ref), fault_of(t.fault) if broken else None
            )


def _contexts(
    unit: Unit, memory: Memory, who: Any, first: int, last: int | None, budget: Budget | None
) -> Iterator[ContextRun]:
    table = memory.table
    cursor = ffi.new("struct iommu_abi_context_cursor *", {"next": first})
    out = ffi.new("struct iommu_abi_context_run[]", ROOM)
    calls = (budget or Budget()).calls()
    while not cursor.done and (last is None or cursor.next <= last):
        steps = next(calls) if last is None else min(next(calls), last + 1 - cursor.next)
        n = lib.iommu_abi_contexts(unit.c, table.c, who, steps, cursor, out, ROOM)
        if n < 0:
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {who.rid:#x}")
        for c in out[0:n]:
            if last is not None and c.first > last:
                return
            state = _STATE[c.state]
            fault = fault_of(c.fault) if state >= ContextState.REFUSES else None
            yield ContextRun(c.first, c.last if last is None else min(c.last, last), state, fault)


def _longer(run: ContextRun, after: ContextRun) -> ContextRun | None:
    """Both as one, if the entries of neither can be read, as C joins those of one call."""
    a, b = run.fault, after.fault
    if not a or not b or a.reason is not Reason.UNREADABLE or run.last + 1 != after.first:
        return None
    alike = (run.state, a.reason, a.stage, a.level) == (after.state, b.reason, b.stage, b.level)
    return run.part(run.first, after.last) if alike else None


def contexts(
    unit: Unit, memory: Memory, first: int = 0, last: int | None = None, *, budget: Budget | None = None
) -> Iterator[ContextRun]:
    """The devices that have a context, of all or of some. Requests without PASID decide about the state."""
    found = _contexts(unit, memory, _request(0, None, False), first, last, budget)
    return joined(found, _longer)


def pasids(
    unit: Unit,
    memory: Memory,
    rid: int,
    first: int = 0,
    last: int | None = None,
    *,
    budget: Budget | None = None,
) -> Iterator[ContextRun]:
    """The PASIDs of a device that have a context, of all or of some."""
    return joined(_contexts(unit, memory, _request(rid, 0, False), first, last, budget), _longer)


def span(only: int | None) -> tuple[int, int | None]:
    """``first`` and ``last`` for one ID, or for all."""
    return (0, None) if only is None else (only, only)


def requesters(
    unit: Unit,
    memory: Memory,
    rid: int | None = None,
    pasid: int | None = None,
    budget: Budget | None = None,
) -> Iterator[tuple[int, int | None, ContextRun]]:
    """The contexts of all devices and their PASIDs in order, of one device, or of one PASID of each.

    OutOfSteps when ``budget`` is used up, as for all that follows.
    """
    budget = budget or Budget()
    for device in contexts(unit, memory, *span(rid), budget=budget):
        if pasid is None:
            budget.count_context()
            yield device.first, None, device
        for process in pasids(unit, memory, device.first, *span(pasid), budget=budget):
            budget.count_context()
            yield device.first, process.first, process


class Reach(NamedTuple):
    """What a requester can reach: ``mappings``, to be taken before the next one; none if it is refused."""

    rid: int
    pasid: int | None
    context: ContextRun
    mappings: Iterator[Mapping]


def everything(
    unit: Unit,
    memory: Memory,
    rid: int | None = None,
    pasid: int | None = None,
    budget: Budget | None = None,
) -> Iterator[Reach]:
    """What all :func:`requesters` can reach; each of them is there once."""
    for at, process, context in requesters(unit, memory, rid, pasid, budget):
        passes = context.state < ContextState.REFUSES
        found = mappings(unit, memory, at, process, budget=budget) if passes else iter(())
        yield Reach(at, process, context, found)


def reaching(found: Iterable[Mapping], first: int, last: int) -> Iterator[Mapping]:
    """Those that reach any of the host-physical addresses ``first`` to ``last``."""
    for each in found:
        if each.hpa <= last and first <= each.hpa_last:
            yield each


def _same_refusal(a: Reach, b: Reach) -> bool:
    """Is ``b`` the next device or PASID after ``a``, blocked by an entry that says the same?"""
    of_a, of_b = a.context.fault, b.context.fault
    if not of_a or not of_b:
        return False
    if a.context.last + 1 != b.context.first or (a.pasid is None) != (b.pasid is None):
        return False
    return (a.pasid is None or a.rid == b.rid) and replace(of_a, entry_gpa=None, entry_hpa=None) == replace(
        of_b, entry_gpa=None, entry_hpa=None
    )


def refusals_joined(found: Iterable[Reach]) -> Iterator[Reach]:
    """The same, with neighbours that are blocked alike as one; the fault is that of the first."""
    run: Reach | None = None
    for each in found:
        if run and _same_refusal(run, each):
            run = run._replace(context=run.context.part(run.context.first, each.context.last))
            continue
        if run:
            yield run
        run = each if each.context.fault else None
        if run is None:
            yield each
    if run:
        yield run
