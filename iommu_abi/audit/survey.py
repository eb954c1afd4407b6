"""What an audit looks at: the contexts, the domains behind them, and the pages that hold tables.

A domain is what translates alike: contexts whose requests go through the same page tables to the same
memory with the same rights. Each is looked at once, however many devices use it.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from iommu_abi.audit.findings import Spot, Spots, Who
from iommu_abi.audit.pages import PAGE_LG2, Pages, TooMany
from iommu_abi.mappings import (
    ContextRun,
    ContextState,
    Mapping,
    contexts,
    mappings,
    pasids,
    requesters,
    tables,
)
from iommu_abi.mappings.budget import Budget, OutOfSteps, Stop, stop
from iommu_abi.memory import Memory
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Stage
from iommu_abi.walk import Unit

WX = int(Access.WRITE | Access.EXEC)  # operators of enums are slow
#: What makes two mappings the same.
_IDENTITY = struct.Struct("<3QB")
BROKEN_KEPT = 1000  # of a domain: those beyond are not counted
BROKEN_IN_ALL = 100_000  # of all domains


@dataclass(frozen=True, slots=True)
class TablePage:
    """A page that the IOMMU reads: ``ref`` is the first entry read there, by ``who`` at ``iova``.

    ``guest``: a page of the stage-2 root through which it is read, None where the host owns it.
    ``queue`` is set instead of ``who`` and ``ref`` for what registers point to.
    """

    who: Who | None = None
    iova: int = 0
    ref: Ref | None = None
    guest: int | None = None
    queue: str = ""


@dataclass(slots=True)
class Domain:
    """What its requesters reach. ``second`` are the pages of stage 2's root; some formats have several."""

    who: list[Who]
    pages: Pages = field(default_factory=Pages)
    executable: Spots = field(default_factory=Spots)
    broken: dict[tuple[object, ...], tuple[int, Fault]] = field(default_factory=dict)
    second: list[int] = field(default_factory=list)
    mappings: int = 0
    complete: bool = True

    def add_broken(self, iova: int, fault: Fault) -> bool:
        """An entry that no walk can use, met at ``iova``; is it new?

        All those of a table that is not there are one.
        """
        where = fault.entry_hpa or fault.input
        if fault.reason is not Reason.RESERVED:
            where >>= PAGE_LG2
        key = (fault.reason, fault.stage, fault.level, where)
        if key in self.broken or len(self.broken) >= BROKEN_KEPT:
            return False
        self.broken[key] = iova, fault
        return True


@dataclass(slots=True)
class Survey:
    """All of it. ``stopped`` is the requester at whom the budget ended, None if it did not.

    Tables may use up a budget of their own, for they are no ranges; and so may what is looked at twice.
    """

    unit: Unit
    memory: Memory
    budget: Budget
    for_tables: Budget
    once_more: Budget
    states: Counter[ContextState] = field(default_factory=Counter)
    devices: int = 0
    passing: list[tuple[Who, Ref | None]] = field(default_factory=list)
    trusted: list[tuple[Who, Ref]] = field(default_factory=list)
    broken: list[tuple[Who, Fault]] = field(default_factory=list)
    domains: dict[bytes, Domain] = field(default_factory=dict)
    tables: dict[int, TablePage] = field(default_factory=dict)
    bad_entries: int = 0
    stopped: Who | None = None
    stop: Stop | None = None

    def mappings(self, who: Who, budget: Budget) -> Iterator[Mapping]:
        """What the first of these requesters reaches."""
        return mappings(self.unit, self.memory, who.rid, who.pasid, priv=who.priv, budget=budget)

    def again(self, domain: Domain) -> Iterator[Mapping]:
        """The mappings of a domain that were looked at; fewer if that was done often."""
        with contextlib.suppress(OutOfSteps):
            yield from islice(self.mappings(domain.who[0], self.once_more), domain.mappings)

    def table_pages(self) -> Pages:
        """Where tables lie."""
        found = Pages()
        for page in self.tables:
            found.add_block(page >> 9, 1 << (page & 511))
        return found


def is_off(unit: Unit, memory: Memory) -> bool | None:
    """True if registers let everything pass, False if they refuse everything, None if tables decide."""
    answer = unit.translate(memory, Who(0, 0).request(), trace=True)
    if answer.refs or (answer.fault and answer.fault.entry_hpa is not None):
        return None
    return answer.fault is None


def survey(unit: Unit, memory: Memory, budget: Budget) -> Survey:
    """Look at everything, or at as much as the budget allows."""
    made = Survey(unit, memory, budget, budget.half(), budget.again())
    who = Who(0, 0)
    try:
        _device_tables(made)
        for who, context in _contexts(made):
            budget.count_context()
            made.states[context.state] += 1
            if context.state is ContextState.PASSES:
                made.passing.append((who, context_entry(unit, memory, who)))
            elif context.state is ContextState.BROKEN and context.fault is not None:
                made.broken.append((who, context.fault))
            elif context.state is ContextState.TRANSLATES:
                _domain(made, who)
                if who.pasid is None and (entry := _trusts(unit, memory, who)):
                    made.trusted.append((who, entry))
                if who.pasid is not None:
                    _domain(made, who._replace(priv=True))
    except OutOfSteps:
        made.stopped = who
        made.stop = stop(budget, lambda limits: requesters(unit, memory, budget=limits))
    return made


def _contexts(made: Survey) -> Iterator[tuple[Who, ContextRun]]:
    """All contexts, of devices and of their PASIDs; on the way, the pages of PASID tables."""
    unit, memory, budget = made.unit, made.memory, made.budget
    for device in contexts(unit, memory, budget=budget):
        who = Who(device.first, device.last)
        made.devices += 1
        yield who, device
        # requests without PASID may have an entry there although none with PASID may come
        _note_pasid_tables(
            made, ((who, ref) for ref in unit.translate(memory, who.request(), trace=True).refs)
        )
        found = tables(unit, memory, Stage.PASID, device.first, budget=budget)
        ids = ((who._replace(pasid=t.first, pasid_last=t.last), t.ref) for t in found)
        _note_pasid_tables(made, ((each, ref) for each, ref in ids if ref is not None))
        for process in pasids(unit, memory, device.first, budget=budget):
            yield who._replace(pasid=process.first, pasid_last=process.last), process


def context_entry(unit: Unit, memory: Memory, who: Who) -> Ref | None:
    """The entry that decides about a requester: the last of its device and PASID tables."""
    answer = unit.translate(memory, who.request(), trace=True)
    found = [ref for ref in answer.refs if ref.stage in (Stage.DEVICE, Stage.PASID)]
    return found[-1] if found else None


def _trusts(unit: Unit, memory: Memory, who: Who) -> Ref | None:
    """The device's context if with ATS it may use any address, as one that was translated; else None."""
    asked = unit.translate(memory, replace(who.request(), at=At.TRANSLATION), trace=True)
    if asked.fault is not None and asked.fault.stage in (Stage.DEVICE, Stage.PASID):
        return None
    uses = unit.translate(memory, replace(who.request(), at=At.TRANSLATED), trace=True)
    if uses.fault is not None or any(ref.stage in (Stage.S1, Stage.S2) for ref in uses.refs):
        return None
    return [ref for ref in asked.refs if ref.stage is Stage.DEVICE][-1]


# ---------------------------------------------------------------- tables


def _device_tables(made: Survey) -> None:
    for table in tables(made.unit, made.memory, Stage.DEVICE, budget=made.for_tables):
        if table.ref:
            who = Who(table.first, table.last)
            made.tables.setdefault(table.ref.hpa >> PAGE_LG2, TablePage(who, 0, table.ref))


def _note_pasid_tables(made: Survey, refs: Iterable[tuple[Who, Ref]]) -> None:
    guest = None  # whose tables come: known once stage 2 was walked for one
    for who, ref in refs:
        page = ref.hpa >> PAGE_LG2
        if ref.stage is Stage.S2 and ref.purpose is Purpose.PASID_ENTRY:
            guest = page if guest is None else guest
            made.tables.setdefault(page, TablePage(who, 0, ref))
        elif ref.stage is Stage.PASID:
            made.tables.setdefault(page, TablePage(who, 0, ref, guest))


# ---------------------------------------------------------------- domains


def _domain(made: Survey, who: Who) -> None:
    """Look at what a requester reaches; keep it if no other requester reaches the same in the same way.

    OutOfSteps if that is not all, and then it is kept as well.
    """
    domain, digest = Domain([who]), hashlib.blake2b()
    with contextlib.ExitStack() as at_last:
        at_last.callback(_keep, made, domain, digest)
        try:
            _walk_tables(made, domain, digest)
        finally:
            _walk_mappings(made, domain, digest)


def _walk_mappings(made: Survey, domain: Domain, digest: hashlib.blake2b) -> None:
    for m in made.mappings(domain.who[0], made.budget):
        digest.update(_IDENTITY.pack(m.first, m.last, m.hpa, m.access))
        domain.mappings += 1
        if int(m.access) & WX == WX:
            domain.executable.grow(Spot(m.first, m.hpa, m.size, m.access))
        if domain.complete:
            try:
                domain.pages.add_bytes(m.hpa, m.hpa_last)
            except TooMany:
                domain.complete = False


def _keep(made: Survey, domain: Domain, digest: hashlib.blake2b) -> None:
    who = domain.who[0]
    if who.priv and not domain.mappings:
        return  # privileged mode is refused
    known = made.domains.setdefault(digest.digest(), domain)
    if known is not domain and who._replace(priv=False) != known.who[-1]:  # privileged as unprivileged
        known.who.append(who)


def _walk_tables(made: Survey, domain: Domain, digest: hashlib.blake2b) -> None:
    who, nested, top = domain.who[0], False, None
    budget = made.for_tables
    found = tables(made.unit, made.memory, Stage.S1, who.rid, who.pasid, priv=who.priv, budget=budget)
    for table in found:
        if table.fault:
            if made.bad_entries < BROKEN_IN_ALL and domain.add_broken(table.first, table.fault):
                made.bad_entries += 1
                digest.update(struct.pack("<BQ", table.fault.reason, table.fault.entry_hpa or 0))
            continue
        ref = table.ref
        assert ref is not None
        page = ref.hpa >> PAGE_LG2
        digest.update(struct.pack("<BBQ", ref.stage, ref.level, page))
        if ref.stage is Stage.S2:
            top = ref.level if top is None else top  # a walk begins at the root
            nested |= ref.purpose is Purpose.S1_ENTRY
            if ref.level == top and page not in domain.second:
                domain.second.append(page)
        guest = domain.second[0] if ref.stage is Stage.S1 and nested else None
        made.tables.setdefault(page, TablePage(who, table.first, ref, guest))
