"""Enumeration of tables: every entry that a walk reads lies in a page that is listed, and broken ones are."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator

import pytest
from ledgers import image

from iommu_abi._core import ffi, lib
from iommu_abi.errors import UsageError
from iommu_abi.mappings import ROOM, Table, mappings, tables
from iommu_abi.mappings.budget import Budget, OutOfSteps
from iommu_abi.memory import Memory
from iommu_abi.schemas import build
from iommu_abi.terms import At, Purpose, Reason, Stage
from iommu_abi.walk import Unit
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.image import Image

ENOUGH = 1 << 18
ABSENT = 0x8000_0000


def listed(found: Iterator[Table]) -> set[int]:
    """Pages; as many as a budget allows."""
    pages = set()
    with contextlib.suppress(OutOfSteps):
        for table in found:
            if table.ref:
                pages.add(table.ref.hpa >> 12)
    return pages


@pytest.mark.parametrize("name", FORMATS)
def test_every_entry_that_a_walk_reads_lies_in_a_listed_page(name: str) -> None:
    from test_mappings import world_of

    checked = 0
    for seed in range(12):
        world = world_of(name, f"tables/{seed}")
        unit, memory = Unit(world.kind, world.registers), Image(world.host.runs()).memory
        for q in world.requests[:3]:
            budget = Budget(4 * ENOUGH)
            pages = listed(tables(unit, memory, Stage.DEVICE, budget=budget))
            pages |= listed(tables(unit, memory, Stage.PASID, q.rid, budget=budget))
            pages |= listed(tables(unit, memory, Stage.S1, q.rid, q.pasid, priv=q.priv, budget=budget))
            if budget.places == budget.most_places or q.at is not At.UNTRANSLATED:
                continue
            refs = unit.translate(memory, q, trace=True).refs
            if q.pasid is None:  # those tables may have no entry that a request with PASID reads
                refs = tuple(r for r in refs if r.stage is not Stage.PASID)
                refs = tuple(r for r in refs if r.purpose is not Purpose.PASID_ENTRY)
            assert {ref.hpa >> 12 for ref in refs} <= pages
            checked += len(refs)

    assert checked > 20


def second_stage() -> tuple[build.Memory, build.VtdLegacy, build.VtdSecondStage]:
    host = build.Memory()
    unit, second = build.VtdLegacy(host), build.VtdSecondStage(host)
    unit.context(0x10, second)
    return host, unit, second


def test_pages_are_listed_in_the_order_of_the_walk_and_by_their_first_entry() -> None:
    host, made, second = second_stage()
    second.map(0x7000, host.page())
    second.map(0x40_0000_7000, host.page())
    unit = Unit("vtd", made.registers)

    found = list(tables(unit, image(host), Stage.S1, 0x10))

    first = [second.entry(0, level) for level in (3, 2, 1, 0)]
    again = [second.entry(0x40_0000_0000, level) for level in (1, 0)]
    assert [t.ref.hpa for t in found if t.ref] == [*first, *again]
    assert {t.fault for t in found} == {None}


def test_a_table_that_is_not_there_is_told_with_the_range_behind_it() -> None:
    host, made, second = second_stage()
    second.map(0x7000, host.page())
    where = second.entry(0x20_0000, 1)
    host.store(where, ABSENT | 3)

    faults = [t for t in tables(Unit("vtd", made.registers), image(host), Stage.S1, 0x10) if t.fault]

    assert {t.fault.reason for t in faults if t.fault} == {Reason.UNREADABLE}
    assert (faults[0].first, faults[-1].last) == (0x20_0000, 0x3F_FFFF)
    assert {t.fault.entry_hpa >> 12 for t in faults if t.fault and t.fault.entry_hpa} == {ABSENT >> 12}


def test_what_a_page_table_says_about_holes_and_rights_is_no_fault_of_an_entry() -> None:
    host, made, second = second_stage()
    second.map(0x7000, host.page(), access=build.READ)
    second.map(0x8000, host.page(), access=build.WRITE)

    assert [t for t in tables(Unit("vtd", made.registers), image(host), Stage.S1, 0x10) if t.fault] == []


def test_a_budget_ends_any_enumeration() -> None:
    from test_mappings import shared_tables

    unit, memory = shared_tables(entries_self=True)

    with pytest.raises(OutOfSteps, match="more than may be looked at"):
        for _ in mappings(unit, memory, 0, budget=Budget(10 * ROOM)):
            pass
    with pytest.raises(OutOfSteps):
        for _ in tables(unit, memory, Stage.S1, budget=Budget(10 * ROOM)):
            pass


def test_an_enumeration_goes_on_where_it_stopped_whatever_the_steps() -> None:
    host, made, second = second_stage()
    dice = random.Random(5)
    for _ in range(50):
        second.map(dice.randrange(1 << 36) & -4096, host.page())
    unit, memory = Unit("vtd", made.registers), image(host)
    whole = [t.ref.hpa for t in tables(unit, memory, Stage.S1, 0x10) if t.ref]

    cursor = ffi.new("struct iommu_abi_table_cursor *")
    out = ffi.new("struct iommu_abi_table[]", 97)
    who = ffi.new("struct iommu_abi_request *", {"rid": 0x10})
    pieces: list[int] = []
    while not cursor.at.done:
        n = lib.iommu_abi_tables(unit.c, memory.table.c, who, Stage.S1, 7, cursor, out, 97)
        pieces += [t.ref.hpa for t in out[0:n]]

    assert pieces == whole


@pytest.mark.parametrize(("of", "room"), [(Stage.S2, 97), (7, 97), (Stage.PASID, 97), (Stage.S1, 96)])
def test_nonsense_is_refused(of: int, room: int) -> None:
    """S2 belongs to S1; PASID tables want IOMMU_ABI_HAS_PASID; a walk may need 97 places."""
    unit, memory = Unit("vtd", {"RTADDR": 0}), Memory()
    cursor, out = ffi.new("struct iommu_abi_table_cursor *"), ffi.new("struct iommu_abi_table[]", room)
    who = ffi.new("struct iommu_abi_request *")

    assert lib.iommu_abi_tables(unit.c, memory.table.c, who, of, 1, cursor, out, room) == -22  # EINVAL


def test_a_requester_that_no_unit_has_is_an_error() -> None:
    with pytest.raises(UsageError, match="makes no sense to vtd: 0x10000"):
        list(itertools.islice(tables(Unit("vtd", {"RTADDR": 0}), Memory(), Stage.S1, 0x10000), 1))
