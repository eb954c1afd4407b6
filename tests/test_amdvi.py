"""The plain ledger's AMD-Vi walk against facts from outside: cases, counts, and docs/walk.md.

Event codes and flags are those of the AMD IOMMU specification, 2.5; where a comment says
"ours", the source is docs/walk.md.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from edits import nothing
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import ask_both

from iommu_abi.schemas import amdvi_entries, build, in_words, plain_walk, table_walk
from iommu_abi.schemas.amdvi_entries import (
    CONTROL,
    DEVICE_TABLE_ENTRY,
    DEVTAB_BASE,
    EXT_FEATURES,
    GCR3_ENTRY,
    V1_PAGE,
    V1_TABLE,
    V2,
)
from iommu_abi.schemas.amdvi_events import EventFlags
from iommu_abi.schemas.build import HUGE, LARGE, PAGE, READ, RW, RWX, WRITE
from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Request, Stage, Target, Translation

CASES = json.loads((Path(__file__).parent / "data" / "conformance_cases.json").read_text())["cases"]
EXEC = Access.EXEC
RID = 0x10
PASID = 5
IOVA = 0x12_3456_7000
MAX_REFS = 96  # IOMMU_ABI_MAX_REFS of walk.h
NOWHERE = 0x7F_FFFF_F000  # no memory is there

GN, NX, US, PR = EventFlags.GN, EventFlags.NX, EventFlags.US, EventFlags.PR
NONE = EventFlags(0)
PE, RZ, TR, WR = EventFlags.PE, EventFlags.RZ, EventFlags.TR, EventFlags.RW


# ---------------------------------------------------------------- worlds to ask in


@dataclass
class World:
    """Tables of one device, the page that IOVA reaches, and the registers."""

    host: build.Memory
    unit: build.AmdUnit
    dte: int = 0
    v1: Any = None
    v2: Any = None
    guest: Any = None
    gcr3: Any = None
    gcr3_entry: int = 0
    page: int = 0
    registers: dict[str, int] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    def ask(self, **changes: Any) -> Translation:
        request = Request(**{"rid": RID, "iova": IOVA | 0x123} | self.request | changes)
        return ask_both("amdvi", self.unit.registers | self.registers, self.host, request)

    def edit_dte(self, **fields: int) -> None:
        self.host.edit(DEVICE_TABLE_ENTRY, self.dte, **fields)

    def edit_v1(self, address: int, level: int, layout: Layout, **fields: int) -> None:
        self.host.edit(layout, self.v1.entry(address, level), **fields)

    def edit_v2(self, level: int, layout: Layout, **fields: int) -> None:
        self.v2.space.edit(layout, self.v2.entry(IOVA, level), **fields)

    def edit_table_page(self, level: int, **fields: int) -> None:
        """Change the v1 leaf that maps the v2 table of ``level``."""
        self.edit_v1(self.v2.entry(IOVA, level), 0, V1_PAGE, **fields)


def v1(
    mode: int = 4,
    access: Access = RW,
    page: int = PAGE,
    iova: int = IOVA,
    skip: tuple[int, ...] = (),
    **dte: int,
) -> World:
    """v1 tables alone."""
    host = build.Memory()
    tables = build.AmdV1(host, mode, skip)
    target = 0x40_0000_0000 if page > HUGE else host.page(align=page)
    tables.map(iova & -page, target, page=page, access=access)
    unit = build.AmdUnit(host)
    entry = unit.device(RID, tables, **dte)
    return World(host, unit, entry, v1=tables, page=target, request={"iova": iova | 0x123})


def v2(levels: int = 4, access: Access = RWX, page: int = PAGE, glx: int = 0, **dte: int) -> World:
    """v2 tables alone: GPA is SPA."""
    host = build.Memory()
    tables = build.AmdV2(host, levels)
    target = host.page(align=page)
    tables.map(IOVA & -page, target, page=page, access=access)
    gcr3 = build.Gcr3Table(host, glx)
    unit = build.AmdUnit(host)
    where = gcr3.set(PASID, tables)
    entry = unit.device(RID, gcr3=gcr3, **{"GuestPagingMode": levels - 4} | dte)
    return World(
        host, unit, entry, v2=tables, gcr3=gcr3, gcr3_entry=where, page=target, request={"pasid": PASID}
    )


def nested(mode: int = 4, levels: int = 4, glx: int = 0, accessed: bool = True, **dte: int) -> World:
    """v2 tables and the GCR3 table in guest memory, behind v1."""
    host = build.Memory()
    tables = build.AmdV1(host, mode)
    guest = build.Guest(host, tables)
    guest_tables = build.AmdV2(guest, levels, accessed=accessed)
    page = guest.page()
    guest_tables.map(IOVA, page)
    gcr3 = build.Gcr3Table(guest, glx)
    where = gcr3.set(PASID, guest_tables)
    unit = build.AmdUnit(host, EXT_FEATURES=amdvi_entries.DEFAULT_EXT_FEATURES | EXT_FEATURES.value(GATS=1))
    entry = unit.device(RID, tables, gcr3, **{"GuestPagingMode": levels - 4} | dte)
    return World(host, unit, entry, tables, guest_tables, guest, gcr3, where, page, request={"pasid": PASID})


# ---------------------------------------------------------------- how many references

# walk_algorithm.md, section 3: DTE 1, each GCR3 level m+1, the stages n(m+1)+m.
COUNTS = {
    "v1, 4 levels": (lambda: v1(4), 1 + 4),
    "v1, 6 levels": (lambda: v1(6), 1 + 6),
    "v1, 4 levels of which 3 and 2 are skipped": (lambda: v1(4, skip=(3, 2), iova=0x7000), 1 + 2),
    "v2, GLX 0": (lambda: v2(), 1 + 1 + 4),
    "v2, GLX 2": (lambda: v2(glx=2), 1 + 3 + 4),
    "nested 4x4, GLX 0": (lambda: nested(), 30),
    "nested 4x4, GLX 2": (lambda: nested(glx=2), 40),
    "nested 5x5, GLX 0": (lambda: nested(5, 5), 42),
    "nested 5x5, GLX 2": (lambda: nested(5, 5, 2), 54),
}


@pytest.mark.parametrize(("world", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_a_walk_reads_as_many_entries_as_arithmetic_says(world: Callable[[], World], count: int) -> None:
    answer = world().ask()

    assert answer.fault is None
    assert len(answer.refs) == count


def test_gcr3_levels_are_read_through_the_host_tables_from_the_top() -> None:
    refs = nested(glx=2).ask().refs

    gcr3 = [ref for ref in refs if ref.stage is Stage.PASID]
    assert [ref.level for ref in gcr3] == [2, 1, 0]
    assert [ref.for_level for ref in refs if ref.purpose is Purpose.PASID_ENTRY] == [2] * 4 + [1] * 4 + [
        0
    ] * 4


# ---------------------------------------------------------------- answers that pass


def test_a_nested_answer_has_both_addresses() -> None:
    world = nested()

    answer = world.ask()

    assert answer.gpa == world.page + 0x123
    assert answer.hpa == world.guest.hpa(world.page) + 0x123


# Sizes of NextLevel 7: the first 0 from bit 12 up is at bit k, the page has 2^(k+1) bytes.
@pytest.mark.parametrize(
    ("page", "level"),
    [
        (PAGE, 1),
        (8 << 10, 1),
        (16 << 10, 1),
        (1 << 20, 1),
        (LARGE, 2),
        (4 << 20, 2),
        (512 << 20, 2),
        (HUGE, 3),
        (2 << 30, 3),
        (256 << 30, 3),
    ],
)
def test_a_v1_page_has_the_size_of_its_level_or_the_encoded_one(page: int, level: int) -> None:
    world = v1(page=page, iova=0x40_0000_0000 + page - PAGE if page > PAGE else IOVA)

    answer = world.ask()

    assert answer.fault is None
    assert answer.page_size == page
    assert answer.hpa == world.page + (world.request["iova"] & (page - 1))
    assert answer.refs[-1].level == level - 1


def test_the_level_6_table_is_indexed_by_bits_63_to_57() -> None:
    world = v1(6, iova=0xFE00_0000_0000_7000)

    answer = world.ask()

    assert answer.hpa == world.page + 0x123
    assert answer.refs[1].hpa == world.v1.root + 8 * 0x7F


def test_low_address_bits_of_a_large_page_are_ignored() -> None:
    world = v1(page=LARGE)
    world.edit_v1(IOVA, 1, V1_PAGE, ADDR=world.page | 0x5000)  # ours

    assert world.ask().hpa == world.page + (IOVA | 0x123) % LARGE


PASSING: dict[str, tuple[Callable[[], World], dict[str, Any], Access]] = {
    "v1 has no execution": (lambda: v1(), {"access": EXEC}, RW),
    "v1 read-only": (lambda: v1(access=READ), {}, READ),
    "v1 write-only": (lambda: v1(access=WRITE), {"access": WRITE}, WRITE),
    "the DTE limits v1": (lambda: v1(IW=0), {}, READ),
    "mode 0 gives what the DTE gives": (lambda: v1(Mode=0, IR=0), {"access": WRITE}, WRITE),
    "v2 knows execution": (lambda: v2(), {"access": EXEC}, RWX),
    "v2 with XD": (lambda: v2(access=RW), {}, RW),
    "the DTE limits v2": (lambda: v2(IW=0), {}, READ | EXEC),
    "without DTE.IR nothing is fetched": (lambda: v2(IR=0), {"access": WRITE}, WRITE),
    "nested": (lambda: nested(), {}, RWX),
    "V=0": (lambda: v1(V=0, TV=0, IR=0, IW=0), {"access": WRITE}, RW),
    "translated request": (lambda: v1(I=1, IR=0), {"at": At.TRANSLATED}, RW),
}


@pytest.mark.parametrize(("world", "request_", "access"), PASSING.values(), ids=PASSING.keys())
def test_access_is_what_the_requester_may_do(
    world: Callable[[], World], request_: dict[str, Any], access: Access
) -> None:
    answer = world().ask(**request_)

    assert answer.fault is None
    assert answer.access == access


def test_without_nxsup_an_execute_request_is_a_read() -> None:
    world = v2()
    world.registers["EXT_FEATURES"] = amdvi_entries.DEFAULT_EXT_FEATURES & ~EXT_FEATURES.value(NXSup=1)

    assert world.ask(access=EXEC).access == RW


def test_a_pasmax_of_31_is_above_every_pasid() -> None:
    world = v2()
    world.registers["EXT_FEATURES"] = amdvi_entries.DEFAULT_EXT_FEATURES | EXT_FEATURES.value(PASmax=31)

    assert world.ask().fault is None


def test_the_supervisor_may_use_a_supervisors_page_if_it_has_a_pasid() -> None:
    world = v2(GIoV=1)
    world.gcr3.set(0, world.v2)
    world.edit_v2(0, V2.pages[0], US=0)

    assert world.ask(priv=True).fault is None
    assert world.ask(priv=True, pasid=None).fault.reason is Reason.PRIVILEGE  # type: ignore[union-attr]


def test_a_request_without_pasid_uses_v1_alone_unless_giov() -> None:
    world = nested()
    world.v1.map(IOVA, 0x1234_5000)

    assert world.ask(pasid=None).hpa == 0x1234_5123
    world.gcr3.set(0, world.v2)
    world.edit_dte(GIoV=1)
    assert world.ask(pasid=None).hpa == world.guest.hpa(world.page) + 0x123


def test_the_gcr3_root_is_an_spa_without_gcr3trpmode_and_what_it_points_to_a_gpa() -> None:
    world = nested()
    table = build.Gcr3Table(world.host)
    table.set(PASID, world.v2)
    world.edit_dte(**amdvi_entries.gcr3_pieces(table.address))
    world.registers["CONTROL"] = CONTROL.value(IommuEn=1, GTEn=1)

    answer = world.ask()

    assert answer.fault is None
    assert len(answer.refs) == 30 - 4


def test_pasid_0_is_not_sign_extended() -> None:
    world = v2()
    world.gcr3.set(0, world.v2)
    high = 0x8000_0000_0000
    world.v2.map(high, world.page)

    assert world.ask(pasid=0, iova=high).fault is None
    assert world.ask(pasid=PASID, iova=high).fault.reason is Reason.INPUT_RANGE  # type: ignore[union-attr]
    assert world.ask(pasid=PASID, iova=0xFFFF_8000_0000_0000).fault is None
    assert world.ask(pasid=0, iova=0xFFFF_8000_0000_0000).fault.level == 3  # type: ignore[union-attr]


def test_with_iommuen_0_nothing_is_read() -> None:
    world = v1()
    world.registers["CONTROL"] = 0

    answer = world.ask(iova=0xFEE0_0000)

    assert (answer.hpa, answer.access, answer.target, answer.refs) == (0xFEE0_0000, RW, Target.MEMORY, ())


def test_a_write_to_the_interrupt_range_reaches_the_interrupt_logic() -> None:
    answer = v1().ask(iova=0xFEE0_1234, access=WRITE)

    assert (answer.target, answer.hpa, answer.access) == (Target.INTERRUPT, 0xFEE0_1234, WRITE)


def test_a_read_of_the_interrupt_range_is_an_invalid_device_request() -> None:
    fault = v1().ask(iova=0xFEE0_1234).fault

    assert fault is not None
    assert (fault.reason, fault.native, fault.recorded) == (Reason.INTERRUPT_RANGE, 8, True)


# ---------------------------------------------------------------- accessed and dirty


@pytest.mark.parametrize(
    ("had", "changed"),
    [(0, [0, 0, 0, 0]), (1, [0x20] * 4), (3, [0x20, 0x20, 0x20, 0x60])],  # A is bit 5, D bit 6
)
def test_had_says_which_flags_the_host_tables_keep(had: int, changed: list[int]) -> None:
    refs = v1(HAD=had).ask(access=WRITE).refs

    assert [ref.raw ^ ref.updated for ref in refs[1:]] == changed


@pytest.mark.parametrize(
    ("control", "changed"),
    [({}, 0x60), ({"GAUpdateDis": 1}, 0x40), ({"GDUpdateDis": 1}, 0x20)],
)
def test_control_can_stop_the_flags_of_guest_tables(control: dict[str, int], changed: int) -> None:
    world = v2()
    world.registers["CONTROL"] = CONTROL.value(IommuEn=1, GTEn=1, GCR3TRPMode=1, **control)

    last = world.ask(access=WRITE).refs[-1]

    assert last.raw ^ last.updated == changed


def test_updating_a_guest_entry_dirties_the_host_leaf_it_lies_behind() -> None:
    refs = nested(accessed=False, HAD=3).ask().refs

    assert [ref.raw ^ ref.updated for ref in refs[6:11]] == [0x20, 0x20, 0x20, 0x60, 0x20]
    assert [ref.raw ^ ref.updated for ref in refs[1:6]] == [0x20, 0x20, 0x20, 0x20, 0]  # the GCR3 entry


# ---------------------------------------------------------------- faults

Edit = Callable[[World], object]


def dte(**fields: int) -> Edit:
    return lambda world: world.edit_dte(**fields)


def host_entry(level: int, layout: Layout, **fields: int) -> Edit:
    return lambda world: world.edit_v1(
        world.page if world.guest else world.request["iova"], level, layout, **fields
    )


def guest_entry(level: int, layout: Layout, **fields: int) -> Edit:
    return lambda world: world.edit_v2(level, layout, **fields)


def table_page(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_table_page(level, **fields)


def gcr3(**fields: int) -> Edit:
    return lambda world: world.gcr3.space.edit(GCR3_ENTRY, world.gcr3_entry, **fields)


def registers(**values: int) -> Edit:
    return lambda world: world.registers.update(values)


def without(**bits: int) -> Edit:
    """Take bits of EXT_FEATURES away."""
    return registers(EXT_FEATURES=amdvi_entries.DEFAULT_EXT_FEATURES & ~EXT_FEATURES.value(**bits))


def changed(world: World, edit: Edit) -> World:
    edit(world)
    return world


def words(fault: Fault) -> list[str]:
    """A fault as the facts below write it."""
    return [fault.reason.name, fault.stage.name, str(fault.level), str(fault.native)]


def table_of(size: int) -> Edit:
    """A device table of (Size + 1) * 4 KiB, 32 bytes a device (format notes, section 1)."""
    return lambda world: world.registers.update(
        DEVTAB_BASE=DEVTAB_BASE.value(DevTabBase=world.unit.device_table, Size=size)
    )


def test_pasmax_counts_the_bits_of_a_pasid_but_one() -> None:
    # 48882, EFR.PASmax: 2^(PASmax + 1) PASIDs.
    world = v2()
    world.registers["EXT_FEATURES"] = amdvi_entries.DEFAULT_EXT_FEATURES & ~EXT_FEATURES.value(
        PASmax=31
    ) | EXT_FEATURES.value(PASmax=2)
    world.gcr3.set(7, world.v2)

    assert world.ask(pasid=7).hpa == world.page + 0x123
    assert world.ask(pasid=8).fault is not None


@dataclass
class Fact:
    """A world, what is changed in it, what is asked, and where and why it stops."""

    world: Callable[[], World]
    edit: Edit
    stops: str  # reason, stage, level, code
    flags: EventFlags = NONE
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


DEVICE_FACTS = {
    "beyond the device table": Fact(
        v1, nothing, "RID_RANGE DEVICE 0 2", request={"rid": 256}, more={"entry_hpa": None}
    ),
    "beyond the smallest device table": Fact(
        v1, table_of(0), "RID_RANGE DEVICE 0 2", request={"rid": 128}, more={"entry_hpa": None}
    ),
    "beyond half of the largest device table": Fact(
        v1, table_of(255), "RID_RANGE DEVICE 0 2", request={"rid": 32768}, more={"entry_hpa": None}
    ),
    "the last of the largest device table, unreadable": Fact(
        v1, table_of(511), "UNREADABLE DEVICE 0 3", request={"rid": 65535}
    ),
    "DTE unreadable": Fact(v1, registers(DEVTAB_BASE=NOWHERE), "UNREADABLE DEVICE 0 3"),
    "DTE bit 63": Fact(v1, dte(rsvd_q0_63=1), "RESERVED DEVICE 0 1"),
    "DTE bit 2": Fact(v1, dte(rsvd_q0_6_2=1), "RESERVED DEVICE 0 1"),
    "reserved comes before TV": Fact(v1, dte(rsvd_q0_63=1, TV=0), "RESERVED DEVICE 0 1"),
    "TV 0": Fact(v1, dte(TV=0), "ABORTED DEVICE 0 2"),
    "translation request wants I": Fact(v1, nothing, "BLOCKED DEVICE 0 8", request={"at": At.TRANSLATION}),
    "translated request wants I": Fact(v1, nothing, "BLOCKED DEVICE 0 8", request={"at": At.TRANSLATED}),
    "IR 0": Fact(v1, dte(IR=0), "DENIED DEVICE 0 2", PR | PE),
    "IW 0": Fact(v1, dte(IW=0), "DENIED DEVICE 0 2", PR | PE | WR, {"access": WRITE}),
    "IR 0, translation request to execute": Fact(
        v1,
        dte(IR=0, I=1),
        "DENIED DEVICE 0 2",
        PR | PE | NX | TR,
        {"at": At.TRANSLATION, "access": EXEC},
        {"recorded": False},
    ),
    "mode 7": Fact(v1, dte(Mode=7), "INVALID DEVICE 0 2", PR),
    "mode above HATS": Fact(lambda: v1(5), without(HATS=3), "INVALID DEVICE 0 2", PR),
    "HATS 3 leaves mode 0 only": Fact(
        v1,
        registers(EXT_FEATURES=amdvi_entries.DEFAULT_EXT_FEATURES | EXT_FEATURES.value(HATS=3)),
        "INVALID DEVICE 0 2",
        PR,
    ),
    "the rights of the DTE come before its mode": Fact(v1, dte(IR=0, Mode=7), "DENIED DEVICE 0 2", PR | PE),
    "PASID with GV 0": Fact(v1, nothing, "BLOCKED DEVICE 0 8", request={"pasid": 1}),
    "GTEn 0": Fact(v2, registers(CONTROL=CONTROL.value(IommuEn=1)), "INVALID DEVICE 0 1"),
    "GLX 3": Fact(v2, dte(GLX=3), "INVALID DEVICE 0 1"),
    "GLX above GLXSup": Fact(lambda: v2(glx=1), without(GLXSup=3), "INVALID DEVICE 0 1"),
    "5 guest levels want GATS": Fact(v2, dte(GuestPagingMode=1), "INVALID DEVICE 0 1"),
    "guest paging mode 2": Fact(
        v2,
        lambda w: (
            dte(GuestPagingMode=2)(w),
            registers(EXT_FEATURES=amdvi_entries.DEFAULT_EXT_FEATURES | 1 << 12)(w),
        ),
        "INVALID DEVICE 0 1",
    ),
    "PASID beyond GLX": Fact(v2, nothing, "PASID_RANGE DEVICE 0 2", PR, {"pasid": 512}),
    "PASID beyond PASmax": Fact(v2, without(PASmax=0b11101), "PASID_RANGE DEVICE 0 2", PR, {"pasid": 8}),
}

HOST_FACTS = {
    "above the mode": Fact(
        v1,
        nothing,
        "INPUT_RANGE S2 3 2",
        request={"iova": 1 << 48},
        more={"entry_hpa": None, "input": 1 << 48},
    ),
    "root unreadable": Fact(v1, dte(HostPTRoot=NOWHERE), "UNREADABLE S2 3 4"),
    "PR 0": Fact(v1, host_entry(1, V1_TABLE, PR=0), "NOT_PRESENT S2 1 2"),
    "PR 0, write": Fact(v1, host_entry(0, V1_PAGE, PR=0), "NOT_PRESENT S2 0 2", WR, {"access": WRITE}),
    "NextLevel of its own level": Fact(v1, host_entry(2, V1_TABLE, NextLevel=3), "RESERVED S2 2 2", PR),
    "NextLevel above its own level": Fact(v1, host_entry(0, V1_TABLE, NextLevel=6), "RESERVED S2 0 2", PR),
    "no leaf at level 6": Fact(lambda: v1(6), host_entry(5, V1_TABLE, NextLevel=0), "RESERVED S2 5 2", PR),
    # Level 2's own size is 2 MiB: it must be above, and below level 3's.
    "encoded size of the level's own": Fact(
        lambda: v1(page=LARGE), host_entry(1, V1_PAGE, NextLevel=7, ADDR=0xFF000), "RESERVED S2 1 2", PR
    ),
    "encoded size of the next level's own": Fact(
        lambda: v1(page=LARGE),
        host_entry(1, V1_PAGE, NextLevel=7, ADDR=0x1FFF_F000),
        "RESERVED S2 1 2",
        PR,
    ),
    "bit 60 of a table entry": Fact(
        v1, host_entry(1, V1_TABLE, rsvd_60_52=1 << 8), "RESERVED S2 1 2", PR | RZ
    ),
    "bit 58 of a leaf": Fact(v1, host_entry(0, V1_PAGE, rsvd_58_52=1 << 6), "RESERVED S2 0 2", PR | RZ),
    "skipped bits": Fact(
        lambda: v1(4, skip=(3,), iova=0x7000), nothing, "INPUT_RANGE S2 3 2", PR, {"iova": 1 << 30}
    ),
    "rights accumulate, the leaf is named": Fact(v1, host_entry(3, V1_TABLE, IR=0), "DENIED S2 0 2", PR | PE),
    "write to a read-only page": Fact(
        lambda: v1(access=READ), nothing, "DENIED S2 0 2", PR | PE | WR, {"access": WRITE}
    ),
}

GUEST_FACTS = {
    "GCR3 unreadable": Fact(
        v2, lambda w: w.edit_dte(**amdvi_entries.gcr3_pieces(NOWHERE)), "UNREADABLE PASID 0 4"
    ),
    "GCR3 V 0": Fact(v2, gcr3(V=0), "NOT_PRESENT PASID 0 2", GN),
    "GCR3 bit 1": Fact(v2, gcr3(rsvd_11_1=1), "RESERVED PASID 0 2", GN | PR | RZ),
    "GCR3 bit 63": Fact(v2, gcr3(rsvd_63_52=1 << 11), "RESERVED PASID 0 2", GN | PR | RZ),
    "not canonical": Fact(
        v2, nothing, "INPUT_RANGE S1 3 2", GN, {"iova": 1 << 47}, {"entry_hpa": None, "input": 1 << 47}
    ),
    "root unreadable": Fact(v2, gcr3(ADDR=NOWHERE), "UNREADABLE S1 3 4"),
    "absent": Fact(v2, guest_entry(2, V2.table, P=0), "NOT_PRESENT S1 2 2", GN),
    "PS in a PML4E": Fact(v2, guest_entry(3, V2.top, rsvd_7=1), "RESERVED S1 3 2", GN | PR | RZ),
    "1 GiB page misaligned": Fact(
        lambda: v2(page=HUGE), guest_entry(2, V2.pages[2], rsvd_29_13=1), "RESERVED S1 2 2", GN | PR | RZ
    ),
    "XD of a table without NXSup": Fact(
        lambda: changed(v2(access=RW | EXEC), without(NXSup=1)),
        guest_entry(1, V2.table, XD=1),
        "RESERVED S1 1 2",
        GN | PR | RZ,
    ),
    "XD without NXSup": Fact(lambda: v2(access=RW), without(NXSup=1), "RESERVED S1 0 2", GN | PR | RZ),
    "a supervisor's page": Fact(v2, guest_entry(1, V2.table, US=0), "PRIVILEGE S1 0 2", GN | PR | PE | US),
    "XD": Fact(lambda: v2(access=RW), nothing, "DENIED S1 0 2", GN | PR | PE | NX, {"access": EXEC}),
    "the supervisor obeys RW": Fact(
        lambda: v2(access=READ), nothing, "DENIED S1 0 2", GN | PR | PE | WR, {"access": WRITE, "priv": True}
    ),
}


def for_entry(level: int, purpose: Purpose = Purpose.S1_ENTRY) -> dict[str, Any]:
    return {"purpose": purpose, "for_level": level}


NESTED_FACTS = {
    "GCR3 table not mapped": Fact(
        nested,
        lambda w: w.edit_dte(**amdvi_entries.gcr3_pieces(0x7000_0000)),
        "NOT_PRESENT S2 1 2",
        more=for_entry(0, Purpose.PASID_ENTRY) | {"input": 0x7000_0000 + 8 * PASID},
    ),
    "guest table not readable": Fact(
        nested, table_page(3, IR=0), "DENIED S2 0 2", PR | PE, more=for_entry(3)
    ),
    "guest table above the mode": Fact(nested, gcr3(ADDR=1 << 48), "INPUT_RANGE S2 3 2", more=for_entry(3)),
    "A cannot be set": Fact(
        lambda: nested(accessed=False),
        table_page(2, IW=0),
        "UPDATE_DENIED S2 0 2",
        PR | PE,
        more=for_entry(2, Purpose.S1_UPDATE),
    ),
    "no memory behind a guest table": Fact(
        nested, table_page(1, ADDR=NOWHERE), "UNREADABLE S1 1 4", more={"raw": None}
    ),
    "host table of a guest table unreadable": Fact(
        nested,
        lambda w: w.edit_v1(w.v2.root, 1, V1_TABLE, ADDR=NOWHERE),
        "UNREADABLE S2 0 4",
        more=for_entry(0, Purpose.PASID_ENTRY),  # the GCR3 table shares that host table
    ),
    "data not writable": Fact(
        nested,
        host_entry(0, V1_PAGE, IW=0),
        "DENIED S2 0 2",
        PR | PE | WR,
        {"access": WRITE},
        for_entry(0, Purpose.DATA),
    ),
}

FACTS = {
    f"{group}: {name}": fact
    for group, facts in {
        "device": DEVICE_FACTS,
        "host": HOST_FACTS,
        "guest": GUEST_FACTS,
        "nested": NESTED_FACTS,
    }.items()
    for name, fact in facts.items()
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_a_fault_names_reason_stage_level_event_and_flags(fact: Fact) -> None:
    world = fact.world()
    assert world.ask().fault is None  # the twin without the change passes
    fact.edit(world)

    fault = world.ask(**fact.request).fault

    assert fault is not None
    assert words(fault) == fact.stops.split()
    assert fault.detail == fact.flags
    assert {name: getattr(fault, name) for name in fact.more} == fact.more
    assert fault.recorded is fact.more.get("recorded", True)


def test_flags_have_the_bits_of_the_event() -> None:
    # AMD IOMMU specification, 2.5.3, IO_PAGE_FAULT: GN 48 NX 49 US 50 I 51 PR 52 RW 53 PE 54 RZ 55 TR 56.
    names = ["GN", "NX", "US", "I", "PR", "RW", "PE", "RZ", "TR"]

    assert [EventFlags[name] for name in names] == [1 << i for i in range(9)]


@pytest.mark.parametrize(
    ("fields", "edit", "recorded"),
    [
        ({"SE": 1}, dte(TV=0), True),  # the first fault of this device
        ({"SE": 1}, dte(rsvd_q0_63=1), True),
        ({"SA": 1}, dte(TV=0), False),
        ({"SA": 1}, dte(rsvd_q0_63=1), True),  # not an IO_PAGE_FAULT
        ({"SA": 1}, dte(HostPTRoot=NOWHERE), True),
    ],
)
def test_sa_suppresses_page_faults_and_se_those_after_the_first(
    fields: dict[str, int], edit: Edit, recorded: bool
) -> None:
    world = v1(**fields)
    edit(world)

    fault = world.ask().fault

    assert fault is not None
    assert fault.recorded is recorded


def test_an_update_that_is_denied_names_the_host_leaf() -> None:
    world = nested(accessed=False)
    world.edit_table_page(1, IW=0)

    fault = world.ask().fault

    entry = world.v2.entry(IOVA, 1)
    assert fault is not None
    assert fault.input == entry
    assert fault.entry_hpa == fault.entry_gpa == world.v1.entry(entry, 0)


def test_only_the_device_table_is_required_of_the_registers() -> None:
    with pytest.raises(ValueError, match="DEVTAB_BASE"):
        plain_walk.translate("amdvi", {}, lambda *_: None, Request(RID, IOVA))


# ---------------------------------------------------------------- hostile memory


def hostile(seed: int) -> table_walk.Read:
    """Memory in which every word is either noise or looks like a plausible entry."""

    def word(address: int) -> int:
        dice = random.Random(seed << 64 | address)
        kind = dice.randrange(8)
        if kind == 0:
            return dice.getrandbits(64)
        if kind == 1:
            return 0
        flags = dice.choice((1, 3, 7, 0x67, 0xE7)) | dice.randrange(8) << 9
        return dice.getrandbits(40) << 12 | flags | dice.getrandbits(2) << 61

    def read(address: int, length: int) -> bytes | None:
        if random.Random(~seed << 64 | address).randrange(50) == 0:
            return None
        return b"".join(word(address + i).to_bytes(8, "little") for i in range(0, length, 8))

    return read


requests = st.builds(
    Request,
    rid=st.integers(0, 0xFFFF),
    iova=st.integers(0, (1 << 64) - 1) | st.integers(0, (1 << 39) - 1) | st.just(0xFEE0_0000),
    pasid=st.none() | st.integers(0, (1 << 20) - 1) | st.integers(0, 31),
    access=st.sampled_from([READ, WRITE, EXEC]),
    priv=st.booleans(),
    at=st.sampled_from(At),
)
anything = st.integers(0, (1 << 64) - 1)


@settings(deadline=None, max_examples=300)
@given(
    seed=st.integers(0, (1 << 32) - 1),
    request_=requests,
    control=st.just(amdvi_entries.DEFAULT_CONTROL) | anything,
    features=st.just(amdvi_entries.DEFAULT_EXT_FEATURES) | anything,
)
def test_no_memory_makes_the_walk_raise_or_run_on(
    seed: int, request_: Request, control: int, features: int
) -> None:
    registers_ = {"DEVTAB_BASE": 0x1FF, "CONTROL": control, "EXT_FEATURES": features}

    answer = plain_walk.translate("amdvi", registers_, hostile(seed), request_)

    assert len(answer.refs) <= MAX_REFS
    assert answer.fault is None or answer.fault.reason is not Reason.OK
    in_words.explain("amdvi", registers_, answer.refs, hostile(seed))


@given(root=st.integers(0, (1 << 40) - 1).map(lambda page: page << 12))
def test_the_three_pieces_of_gcr3trp_make_the_root(root: int) -> None:
    entry = DEVICE_TABLE_ENTRY.parse(DEVICE_TABLE_ENTRY.build(**amdvi_entries.gcr3_pieces(root)))

    assert amdvi_entries.gcr3_root(entry) == root


# ---------------------------------------------------------------- entries in words


def test_a_trace_explains_itself_in_the_vendors_words() -> None:
    world = nested()
    refs = world.ask().refs

    explained = in_words.explain("amdvi", world.unit.registers, refs, world.host.read)

    assert [entry.name for _, entry in explained[:11]] == [
        "device table entry",
        "v1 PDE, level 4",
        "v1 PDE, level 3",
        "v1 PDE, level 2",
        "v1 PTE, level 1",
        "GCR3 entry, level 1",
        "v1 PDE, level 4",
        "v1 PDE, level 3",
        "v1 PDE, level 2",
        "v1 PTE, level 1",
        "v2 PML4E",
    ]
    assert str(explained[1][1]["NextLevel"]) == "NextLevel=3 (table of level 3)"


# ---------------------------------------------------------------- the builder


def test_an_encoded_size_is_repeated_in_all_slots_that_it_covers() -> None:
    memory = build.Memory()
    tables = build.AmdV1(memory)
    tables.map(0x4000, 0x8_0000, page=16 << 10)

    entries = [memory.load(tables.entry(0x4000 + offset, 0)) for offset in range(0, 16 << 10, PAGE)]

    # amd.md, NextLevel 7: 16 KiB is bit 12 = 1, bit 13 = 0.
    assert entries == [V1_PAGE.value(PR=1, IR=1, IW=1, NextLevel=7, ADDR=0x8_1000)] * 4


def test_skipped_levels_have_no_tables() -> None:
    memory = build.Memory()
    tables = build.AmdV1(memory, 4, skip=(3, 2))
    tables.map(0x7000, 0x8000)

    assert V1_TABLE.of(memory.load(tables.root)).NextLevel == 1
