"""What devices can reach: their contexts, the PASIDs of each, and every mapping, in order.

Generators over ``iommu_abi/mappings.h``: C looks for thousands of ranges per call and joins
neighbours, so that memory stays constant and hostile tables can be interrupted at any time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from iommu_abi._core import ffi, lib
from iommu_abi.errors import UsageError
from iommu_abi.memory import Memory
from iommu_abi.terms import Access, Fault, Target
from iommu_abi.walk import Unit, fault_of

ROOM = 4096  # results of one call
STEPS = 1 << 16  # places that one call looks at: milliseconds

_ACCESS = tuple(Access(i) for i in range(8))
_TARGET = tuple(Target)


class State(enum.IntEnum):
    """What a context does with requests (enum iommu_abi_context_state)."""

    TRANSLATES = 0
    PASSES = 1
    REFUSES = 2
    BROKEN = 3


@dataclass(frozen=True, slots=True)
class Context:
    """The context of a device or a PASID (struct iommu_abi_context).

    ``first`` to ``last`` are rids or PASIDs. ``fault`` says how it refuses or what is broken.
    """

    first: int
    last: int
    state: State
    fault: Fault | None = None


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

    @property
    def size(self) -> int:
        """Bytes."""
        return self.last - self.first + 1

    @property
    def hpa_last(self) -> int:
        """The last address that is reached."""
        return self.hpa + self.last - self.first


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
    unit: Unit, memory: Memory, rid: int, pasid: int | None = None, *, priv: bool = False
) -> Iterator[Mapping]:
    """What a requester can reach, in ascending IOVA; neighbours that continue each other are joined.

    ``priv``: requests in privileged mode. UsageError for a requester that makes no sense.
    """
    who, table = _request(rid, pasid, priv), memory.table
    cursor = ffi.new("struct iommu_abi_mapping_cursor *")
    out = ffi.new("struct iommu_abi_mapping[]", ROOM)
    while not cursor.done or cursor.pending:
        n = lib.iommu_abi_mappings(unit.c, table.c, who, STEPS, cursor, out, ROOM)
        if n < 0:
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {rid:#x}, PASID {pasid}")
        for m in out[0:n]:
            yield Mapping(
                m.first,
                m.last,
                m.gpa,
                m.hpa,
                _ACCESS[m.access],
                m.s1_sizes,
                m.s2_sizes,
                _TARGET[m.target],
                m.detail,
            )


def _contexts(unit: Unit, memory: Memory, who: Any, first: int) -> Iterator[Context]:
    table = memory.table
    cursor = ffi.new("struct iommu_abi_context_cursor *", {"next": first})
    out = ffi.new("struct iommu_abi_context[]", ROOM)
    while not cursor.done:
        n = lib.iommu_abi_contexts(unit.c, table.c, who, STEPS, cursor, out, ROOM)
        if n < 0:
            raise UsageError(f"a requester that makes no sense to {unit.kind}: {who.rid:#x}")
        for c in out[0:n]:
            state = State(c.state)
            yield Context(c.first, c.last, state, fault_of(c.fault) if state >= State.REFUSES else None)


def contexts(unit: Unit, memory: Memory, first: int = 0) -> Iterator[Context]:
    """The devices from ``first`` on that have a context. Requests without PASID decide about the state."""
    return _contexts(unit, memory, _request(0, None, False), first)


def pasids(unit: Unit, memory: Memory, rid: int, first: int = 0) -> Iterator[Context]:
    """The PASIDs of a device, from ``first`` on, that have a context."""
    return _contexts(unit, memory, _request(rid, 0, False), first)


class Reach(NamedTuple):
    """One thing that a requester can reach, or with ``mapping`` None a context that lets nothing pass."""

    rid: int
    pasid: int | None
    context: Context
    mapping: Mapping | None


def _reach(unit: Unit, memory: Memory, rid: int, pasid: int | None, context: Context) -> Iterator[Reach]:
    if context.state >= State.REFUSES:
        yield Reach(rid, pasid, context, None)
        return
    for mapping in mappings(unit, memory, rid, pasid):
        yield Reach(rid, pasid, context, mapping)


def everything(
    unit: Unit, memory: Memory, rid: int | None = None, pasid: int | None = None
) -> Iterator[Reach]:
    """What all devices and their PASIDs can reach, or one device, or one PASID of each."""
    for device in contexts(unit, memory, rid or 0):
        if rid is not None and device.first > rid:
            return
        at = device.first if rid is None else rid
        if pasid is None:
            yield from _reach(unit, memory, at, None, device)
        for process in pasids(unit, memory, at, pasid or 0):
            if pasid is not None and process.first > pasid:
                break
            yield from _reach(unit, memory, at, process.first if pasid is None else pasid, process)


def reaching(found: Iterator[Reach], first: int, last: int) -> Iterator[Reach]:
    """Those whose mappings reach any of the host-physical addresses ``first`` to ``last``."""
    for each in found:
        if each.mapping and each.mapping.hpa <= last and first <= each.mapping.hpa_last:
            yield each
