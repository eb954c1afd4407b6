"""The VT-d walk of both ledgers against facts from outside: cases, counts, and docs/walk.md.

Codes are the fault reasons of VT-d 4.x, chapter 7; where a comment says "ours", the source is
docs/walk.md.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from edits import both, nothing, words
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import ask_both, image

from iommu_abi.errors import AbiError
from iommu_abi.mappings import mappings
from iommu_abi.schemas import build, in_words, plain_walk, table_walk, vtd_entries
from iommu_abi.schemas.build import HUGE, LARGE, PAGE, READ, RW, RWX, WRITE
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.vtd_entries import (
    CAP,
    CONTEXT_ENTRY,
    ECAP,
    EXTENDED_CONTEXT_ENTRY,
    EXTENDED_PASID_ENTRY,
    FIRST_STAGE,
    GSTS,
    PASID_DIRECTORY_ENTRY,
    ROOT_ENTRY,
    RTADDR,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
    SCALABLE_ROOT_HALF,
    SECOND_STAGE_PAGES,
    SECOND_STAGE_TABLE,
    SECOND_STAGE_TOP,
)
from iommu_abi.terms import Access, At, Purpose, Reason, Request, Stage, Target, Translation
from iommu_abi.walk import Unit

CASES = json.loads((Path(__file__).parent / "data" / "conformance_cases.json").read_text())["cases"]
EXEC = Access.EXEC
RID = 0x10
PASID = 5
IOVA = 0x12_3456_7000
MAX_REFS = 96  # IOMMU_ABI_MAX_REFS of walk.h


# ---------------------------------------------------------------- worlds to ask in

CAP_WIDE = CAP.value(ND=6, MGAW=56, SAGAW=0b1110, SLLPS=3, FL1GP=1, FL5LP=1)
ECAP_ALL = ECAP.value(
    SC=1,
    DT=1,
    PT=1,
    ECS=1,
    NEST=1,
    SRS=1,
    ERS=1,
    PASID=1,
    SMTS=1,
    SLTS=1,
    FLTS=1,
    PSS=19,
    SMPWCS=1,
    EAFS=1,
    SLADS=1,
)


@dataclass
class World:
    """Tables of one device, the page that IOVA reaches, and the registers."""

    host: build.Memory
    unit: Any
    context: int
    first: Any = None
    second: Any = None
    guest: Any = None
    pasid_entry: int = 0
    page: int = 0
    registers: dict[str, int] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    def ask(self, **changes: Any) -> Translation:
        request = Request(**{"rid": RID, "iova": IOVA | 0x123} | self.request | changes)
        registers = {"CAP": CAP_WIDE, "ECAP": ECAP_ALL} | self.unit.registers | self.registers
        return ask_both("vtd", registers, self.host, request)

    def edit_first(self, level: int, layout: Layout, **fields: int) -> None:
        self.first.space.edit(layout, self.first.entry(IOVA, level), **fields)

    def edit_second(self, gpa: int, level: int, layout: Layout, **fields: int) -> None:
        self.host.edit(layout, self.second.entry(gpa, level), **fields)

    def edit_table_page(self, level: int, **fields: int) -> None:
        """Change the second-stage leaf that maps the first-stage table of ``level``."""
        self.edit_second(self.first.entry(IOVA, level), 0, SECOND_STAGE_PAGES[0], **fields)


def nested(first: int = 4, second: int = 4, accessed: bool = True, **fields: int) -> World:
    """Scalable mode, PGTT=3."""
    host = build.Memory()
    stage2 = build.VtdSecondStage(host, second)
    guest = build.Guest(host, stage2)
    stage1 = build.VtdFirstStage(guest, first, accessed=accessed)
    page = guest.page()
    stage1.map(IOVA, page)
    unit = build.VtdScalable(host)
    context = unit.context(RID)
    entry = unit.pasid(RID, PASID, stage1, stage2, **{"WPE": 1, "NXE": 1} | fields)
    return World(host, unit, context, stage1, stage2, guest, entry, page, request={"pasid": PASID})


def first_only(levels: int = 4, access: Access = RWX, page: int = PAGE, **fields: int) -> World:
    """Scalable mode, PGTT=1."""
    host = build.Memory()
    stage1 = build.VtdFirstStage(host, levels)
    target = host.page(align=page)
    stage1.map(IOVA & -page, target, page=page, access=access)
    unit = build.VtdScalable(host)
    context = unit.context(RID)
    entry = unit.pasid(RID, PASID, stage1, **{"WPE": 1, "NXE": 1} | fields)
    return World(host, unit, context, stage1, pasid_entry=entry, page=target, request={"pasid": PASID})


def second_only(levels: int = 4, access: Access = RWX, page: int = PAGE, **fields: int) -> World:
    """Scalable mode, PGTT=2."""
    host = build.Memory()
    stage2 = build.VtdSecondStage(host, levels)
    target = host.page(align=page)
    stage2.map(IOVA & -page, target, page=page, access=access)
    unit = build.VtdScalable(host)
    context = unit.context(RID)
    entry = unit.pasid(RID, PASID, second=stage2, **fields)
    return World(host, unit, context, second=stage2, pasid_entry=entry, page=target, request={"pasid": PASID})


def pass_through(**fields: int) -> World:
    """Scalable mode, PGTT=4."""
    host = build.Memory()
    unit = build.VtdScalable(host)
    context = unit.context(RID)
    entry = unit.pasid(RID, PASID, **fields)
    return World(host, unit, context, pasid_entry=entry, request={"pasid": PASID})


def legacy(levels: int = 4, access: Access = RWX, **fields: int) -> World:
    host = build.Memory()
    stage2 = build.VtdSecondStage(host, levels)
    target = host.page()
    stage2.map(IOVA, target, access=access)
    unit = build.VtdLegacy(host)
    return World(host, unit, unit.context(RID, stage2, **fields), second=stage2, page=target)


def extended(first: int = 4, second: int = 4, accessed: bool = True, **fields: int) -> World:
    """Extended mode, NESTE=1: the story of 2017."""
    host = build.Memory()
    stage2 = build.VtdSecondStage(host, second)
    guest = build.Guest(host, stage2)
    stage1 = build.VtdFirstStage(guest, first, accessed=accessed)
    page = guest.page()
    stage1.map(IOVA, page)
    table = build.ExtendedPasidTable(guest)
    entry = table.set(PASID, stage1)
    unit = build.VtdExtended(host)
    context = unit.context(RID, stage2, table, **{"WPE": 1, "NXE": 1} | fields)
    return World(host, unit, context, stage1, stage2, guest, entry, page, request={"pasid": PASID})


# ---------------------------------------------------------------- how many references

# walk_algorithm.md, section 3: n(m+1)+m for the stages, and what finds them.
COUNTS = {
    "legacy 3": (lambda: legacy(3), 5),
    "legacy 4": (lambda: legacy(4), 6),
    "legacy 5": (lambda: legacy(5), 7),
    "scalable, second stage alone": (lambda: second_only(4), 8),
    "scalable, first stage alone": (lambda: first_only(4), 8),
    "scalable nested 4x4": (lambda: nested(4, 4), 28),
    "scalable nested 5x5": (lambda: nested(5, 5), 39),
    "scalable nested 5x4": (lambda: nested(5, 4), 4 + 29),
    "scalable nested 4x5": (lambda: nested(4, 5), 4 + 29),
    "scalable nested 4x3": (lambda: nested(4, 3), 4 + 19),
    "extended nested 4x4": (lambda: extended(4, 4), 31),
    "extended nested 5x5": (lambda: extended(5, 5), 43),
}


@pytest.mark.parametrize(("world", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_a_walk_reads_as_many_entries_as_arithmetic_says(world: Callable[[], World], count: int) -> None:
    answer = world().ask()

    assert answer.fault is None
    assert len(answer.refs) == count


def test_a_2_mib_page_of_the_first_stage_saves_one_entry_and_its_nested_walk() -> None:
    world = nested()
    target = 0x8000_0000
    world.guest.back(target, LARGE)
    world.first.map(HUGE, target, page=LARGE)

    answer = world.ask(iova=HUGE | 0x1234)

    assert answer.hpa == world.guest.hpa(target + 0x1234)
    assert len(answer.refs) == 28 - 5
    assert answer.size_lg2 == 12


def test_every_2_mib_page_of_the_second_stage_saves_one_entry() -> None:
    world = nested(accessed=True)
    memory = 0x8000_0000
    world.guest.back(memory, LARGE, page=LARGE)
    world.first.map(HUGE, memory, page=LARGE)

    answer = world.ask(iova=HUGE | 0x1_2345)

    assert answer.hpa == world.guest.hpa(memory) + 0x1_2345
    assert len(answer.refs) == 28 - 5 - 1
    assert answer.size_lg2 == 21


def test_a_nested_walk_reads_second_stage_before_each_first_stage_entry() -> None:
    world = nested()

    refs = world.ask().refs

    assert [ref.stage for ref in refs[:4]] == [Stage.DEVICE, Stage.DEVICE, Stage.PASID, Stage.PASID]
    assert [ref.level for ref in refs[:4]] == [1, 0, 1, 0]
    for step, level in enumerate((3, 2, 1, 0)):
        group = refs[4 + 5 * step : 9 + 5 * step]
        assert [(ref.stage, ref.level) for ref in group] == [
            *((Stage.S2, i) for i in (3, 2, 1, 0)),
            (Stage.S1, level),
        ]
        assert {(ref.purpose, ref.for_level) for ref in group[:4]} == {(Purpose.S1_ENTRY, level)}
        assert group[4].gpa == world.first.entry(IOVA, level)
        assert group[4].hpa == world.guest.hpa(group[4].gpa)
    assert [(ref.stage, ref.purpose) for ref in refs[24:]] == [(Stage.S2, Purpose.DATA)] * 4


def test_the_pasid_entry_of_extended_mode_is_read_through_the_second_stage() -> None:
    refs = extended().ask().refs

    assert [(ref.stage, ref.purpose) for ref in refs[2:6]] == [(Stage.S2, Purpose.PASID_ENTRY)] * 4
    assert (refs[6].stage, refs[6].len) == (Stage.PASID, 8)


# ---------------------------------------------------------------- answers that pass


def test_a_nested_answer_has_both_addresses_and_the_rights_of_both_stages() -> None:
    world = nested(ERE=1)
    world.edit_second(world.page, 0, SECOND_STAGE_PAGES[0], W=0)

    answer = world.ask()

    assert answer.gpa == world.page + 0x123
    assert answer.hpa == world.guest.hpa(world.page) + 0x123
    assert answer.access == READ | EXEC
    assert answer.size_lg2 == 12
    assert answer.ok


def test_the_first_stage_alone_gives_gpa_and_hpa_alike() -> None:
    world = first_only()

    answer = world.ask()

    assert answer.gpa == answer.hpa == world.page + 0x123


def test_the_second_stage_alone_leaves_gpa_the_iova() -> None:
    answer = second_only().ask()

    assert answer.gpa == IOVA | 0x123


@pytest.mark.parametrize(("page", "size_lg2"), [(PAGE, 12), (LARGE, 21), (HUGE, 30)])
@pytest.mark.parametrize("world", [first_only, second_only])
def test_size_is_that_of_the_leaf(world: Callable[..., World], page: int, size_lg2: int) -> None:
    made = world(page=page)

    answer = made.ask()

    assert answer.size_lg2 == size_lg2
    assert answer.hpa == made.page + (IOVA | 0x123) % page


def passing() -> dict[str, tuple[Callable[[], World], dict[str, Any], Access]]:
    """Name -> world, request, and what the requester may do."""
    return {
        "no execution without ERE": (first_only, {}, RW),
        "execution with ERE": (lambda: first_only(ERE=1), {"access": EXEC}, RWX),
        "XD takes execution": (lambda: first_only(access=RW, ERE=1), {}, RW),
        "a read-only page": (lambda: first_only(access=READ), {}, READ),
        # The supervisor may write what it may read unless WPE (docs/walk.md, first stage, rights).
        "supervisor without WPE": (lambda: first_only(access=READ, SRE=1, WPE=0), {"priv": True}, RW),
        "supervisor with WPE": (lambda: first_only(access=READ, SRE=1), {"priv": True}, READ),
        "SMEP takes the supervisor's execution of a user page": (
            lambda: first_only(SRE=1, ERE=1, SMEP=1),
            {"priv": True},
            RW,
        ),
        "second stage: X without SLEE is not looked at": (
            lambda: second_only(access=RW, ERE=1),
            {"access": EXEC},
            RWX,
        ),
        "second stage: SLEE wants X": (lambda: second_only(access=RW, ERE=1, SLEE=1), {}, RW),
        "second stage: write-only page": (lambda: second_only(access=WRITE, ERE=1), {"access": WRITE}, WRITE),
        "legacy: execution is no right": (legacy, {"access": EXEC}, RW),
        "extended without PASID: execution is no right": (
            lambda: extended(ERE=1),
            {"pasid": None, "iova": 0x4000_0123, "access": EXEC},
            RW,
        ),
        "extended with PASID and ERE": (lambda: extended(ERE=1), {"access": EXEC}, RWX),
        "legacy pass-through": (lambda: legacy(TT=2, AW=3), {}, RW),
        "scalable pass-through": (pass_through, {}, RW),
        "legacy translated request": (lambda: legacy(TT=1), {"at": At.TRANSLATED}, RW),
        "extended pass-through": (lambda: extended(T=4), {"pasid": None}, RW),
    }


@pytest.mark.parametrize(("world", "request_", "access"), passing().values(), ids=passing().keys())
def test_access_is_what_the_requester_may_do(
    world: Callable[[], World], request_: dict[str, Any], access: Access
) -> None:
    answer = world().ask(**request_)

    assert answer.fault is None
    assert answer.access == access


@pytest.mark.parametrize(
    ("world", "at"),
    [
        (lambda: legacy(TT=2, AW=3), At.UNTRANSLATED),
        (lambda: legacy(TT=1), At.TRANSLATED),
        (pass_through, At.UNTRANSLATED),
    ],
)
def test_where_nothing_is_translated_output_is_input_in_pages_of_4_kib(
    world: Callable[[], World], at: At
) -> None:
    answer = world().ask(at=at)

    assert (answer.hpa, answer.gpa, answer.size_lg2) == (IOVA | 0x123, IOVA | 0x123, 12)


# VT-d 9.1 to 9.4: a root entry of 16 bytes for each bus, in scalable and extended mode a half of 8 bytes for
# each 128 functions of it; context entries of 16 and of 32 bytes.
@pytest.mark.parametrize("rid", [0x0000, 0x007F, 0x0080, 0x0100, 0x57F8, 0xFFFF])
@pytest.mark.parametrize(
    ("make", "small"),
    [(build.VtdLegacy, True), (build.VtdExtended, False), (build.VtdScalable, False)],
)
def test_bus_and_function_say_where_root_and_context_entry_lie(make: Any, small: bool, rid: int) -> None:
    host = build.Memory()
    unit = make(host)
    registers = {"ECAP": ECAP_ALL} | unit.registers
    bus, function = divmod(rid, 256)
    root = (registers["RTADDR"] & -4096) + 16 * bus + (0 if small else function // 128 * 8)
    table = host.page()
    host.store(root, table | 1)

    refs = ask_both("vtd", registers, host, Request(rid, IOVA)).refs

    context = table + (16 * function if small else 32 * (function % 128))
    assert [ref.hpa for ref in refs] == [root, context]


@pytest.mark.parametrize(
    ("aw", "mgaw", "bits"), [(1, 57, 39), (2, 57, 48), (3, 57, 52), (3, 50, 50), (3, 40, 40)]
)
def test_legacy_pass_through_ends_with_its_address_width(aw: int, mgaw: int, bits: int) -> None:
    # VT-d 9.3, AW; CAP.MGAW, which counts bits but one; LGN.1.3: HAW, 52 when nothing says it.
    # mappings() says the same, but for the interrupt range.
    world = legacy(TT=2, AW=aw)
    world.registers["CAP"] = CAP.value(MGAW=mgaw - 1, SAGAW=1 << aw)
    last = (1 << bits) - 1
    unit = Unit("vtd", world.unit.registers | world.registers)

    assert world.ask(iova=last).hpa == last
    assert world.ask(iova=last + 1).fault is not None
    assert [(m.first, m.last) for m in mappings(unit, image(world.host), RID)] == [
        (0, 0xFEDF_FFFF),
        (0xFEF0_0000, last),
    ]


@pytest.mark.parametrize("mode", ["extended", "scalable"])
def test_registers_that_are_not_given_have_what_the_mode_of_rtaddr_needs(mode: str) -> None:
    # docs/walk.md, Registers.
    world = {"extended": extended, "scalable": nested}[mode](4, 4)

    answer = ask_both("vtd", world.unit.registers, world.host, Request(RID, IOVA, PASID))

    assert set(world.unit.registers) == {"RTADDR"}
    assert (answer.fault, answer.hpa) == (None, world.guest.hpa(world.page))


# VT-d 2.x, 9.4, T: 0 and 1 (with a device-TLB) translate requests without PASID, 4 and 5 let them through.
@pytest.mark.parametrize("type_", [0, 1])
def test_without_pasid_types_0_and_1_of_an_extended_context_take_the_second_stage(type_: int) -> None:
    world = extended(T=type_)

    answer = world.ask(pasid=None, iova=0x4000_0123)

    assert (answer.fault, answer.hpa) == (None, world.guest.hpa(0x4000_0000) + 0x123)


@pytest.mark.parametrize("type_", [4, 5])
def test_without_pasid_types_4_and_5_of_an_extended_context_pass_through(type_: int) -> None:
    answer = extended(T=type_).ask(pasid=None, iova=0x4000_0123)

    assert (answer.fault, answer.hpa, answer.gpa) == (None, 0x4000_0123, 0x4000_0123)


def test_a_translated_request_is_let_through_after_the_scalable_context() -> None:
    world = nested()
    world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, DTE=1)

    answer = world.ask(pasid=None, at=At.TRANSLATED)

    assert answer.hpa == IOVA | 0x123
    assert len(answer.refs) == 2  # 4.2.5: no PASID look-up


def test_a_translated_request_with_pasid_is_refused_but_by_eptr_since_5_0() -> None:
    # 4.2.1, 4.2.5; revision history of 5.0; SCT.10
    world = nested()
    world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, DTE=1)
    before = world.ask(at=At.TRANSLATED).fault
    world.registers["REV"] = 0x500
    without = world.ask(at=At.TRANSLATED).fault
    world.registers["ECAP"] = ECAP_ALL | ECAP.value(PTRS=1)
    world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, EPTR=1)
    allowed = world.ask(at=At.TRANSLATED)

    assert before is not None
    assert (before.reason, before.native, before.recorded) == (Reason.BLOCKED, 0, False)
    assert without is not None
    assert (without.reason, without.native, without.recorded) == (Reason.BLOCKED, 0x49, True)
    assert (allowed.fault, allowed.hpa) == (None, IOVA | 0x123)


def test_requests_without_pasid_use_pasid_0_or_with_rps_the_rid_pasid() -> None:
    world = first_only()
    assert world.ask(pasid=None).fault.native == 0x59  # type: ignore[union-attr]

    world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, RID_PASID=PASID)
    world.registers["ECAP"] = ECAP_ALL | ECAP.value(RPS=1)

    assert world.ask(pasid=None).hpa == world.page + 0x123
    world.registers["ECAP"] = ECAP_ALL  # 9.4: then the field is reserved
    assert world.ask(pasid=None).fault.native == 0x42  # type: ignore[union-attr]


def test_rid_priv_makes_requests_without_pasid_privileged() -> None:
    world = first_only(SRE=0)
    world.unit.pasid(RID, 0, world.first)
    world.registers["ECAP"] = ECAP_ALL | ECAP.value(RPRIVS=1)
    assert world.ask(pasid=None).fault is None

    world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, RID_PRIV=1)

    assert world.ask(pasid=None).fault.native == 0x5D  # type: ignore[union-attr]
    world.registers["ECAP"] = ECAP_ALL  # 9.4: then the field is reserved
    assert world.ask(pasid=None).fault.native == 0x42  # type: ignore[union-attr]


def test_the_upper_half_of_the_root_serves_devfn_0x80_and_above() -> None:
    world = first_only()
    world.unit.pasid(0x2F0, PASID, world.first)

    answer = world.ask(rid=0x2F0)

    assert answer.hpa == world.page + 0x123
    assert answer.refs[0].hpa == world.unit.root + 16 * 2 + 8
    assert answer.refs[1].hpa % PAGE == 32 * 0x70


# ---------------------------------------------------------------- accessed and dirty


def test_hardware_sets_a_in_every_entry_used_and_d_in_the_leaf_of_a_write() -> None:
    world = first_only()

    changed = [ref.raw ^ ref.updated for ref in world.ask(access=WRITE).refs if ref.stage is Stage.S1]

    assert changed == [0x20, 0x20, 0x20, 0x60]  # VT-d 9.7: A is bit 5, D bit 6
    assert [ref.raw ^ ref.updated for ref in world.ask().refs][4:] == [0x20] * 4


def test_eafe_sets_the_extended_accessed_flag_too() -> None:
    refs = first_only(EAFE=1).ask().refs

    assert [ref.raw ^ ref.updated for ref in refs[4:]] == [0x420] * 4  # EA is bit 10


def test_slade_sets_a_and_d_in_the_second_stage() -> None:
    refs = second_only(SLADE=1).ask(access=WRITE).refs

    assert [ref.raw ^ ref.updated for ref in refs[4:]] == [0x100, 0x100, 0x100, 0x300]  # bits 8, 9


def test_without_slade_the_second_stage_keeps_no_flags() -> None:
    assert all(ref.raw == ref.updated for ref in second_only().ask(access=WRITE).refs)


def test_updating_a_first_stage_entry_dirties_the_second_stage_leaf_it_lies_behind() -> None:
    world = nested(accessed=False, SLADE=1)

    refs = world.ask().refs

    for_top = refs[4:9]
    assert [ref.raw ^ ref.updated for ref in for_top] == [0x100, 0x100, 0x100, 0x300, 0x20]
    assert [ref.raw ^ ref.updated for ref in refs[-4:]] == [0x100] * 4  # the data was only read


def test_updates_are_listed_up_to_the_entry_that_faults_and_not_in_it() -> None:
    world = first_only(access=READ)

    answer = world.ask(access=WRITE)

    assert answer.fault is not None
    assert [ref.raw ^ ref.updated for ref in answer.refs[4:]] == [0x20, 0x20, 0x20, 0]


def test_flags_that_are_set_need_no_write_right_of_the_second_stage() -> None:
    world = nested(accessed=True)
    for level in range(4):
        world.edit_table_page(level, W=0)

    assert world.ask(access=WRITE).fault is None


# ---------------------------------------------------------------- faults

Edit = Callable[[World], object]


def context(layout: Layout, **fields: int) -> Edit:
    return lambda world: world.host.edit(layout, world.context, **fields)


def pasid_entry(**fields: int) -> Edit:
    return lambda world: world.host.edit(SCALABLE_PASID_ENTRY, world.pasid_entry, **fields)


def directory(**fields: int) -> Edit:
    def change(world: World) -> None:
        table = world.host.load(world.context) & -PAGE
        world.host.edit(PASID_DIRECTORY_ENTRY, table, **fields)

    return change


def root(layout: Layout, **fields: int) -> Edit:
    return lambda world: world.host.edit(layout, world.unit.root, **fields)


def first(level: int, layout: Layout, **fields: int) -> Edit:
    return lambda world: world.edit_first(level, layout, **fields)


def second(level: int, layout: Layout, **fields: int) -> Edit:
    """Change the second-stage entry of ``level`` for the data."""
    return lambda world: world.edit_second(world.page if world.guest else IOVA, level, layout, **fields)


def table_page(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_table_page(level, **fields)


def registers(**values: int) -> Edit:
    return lambda world: world.registers.update(values)


def lacks(**capability: int) -> Edit:
    """Take bits of ECAP away."""
    return registers(ECAP=ECAP_ALL & ~ECAP.value(**capability))


@dataclass
class Fact:
    """A world, what is changed in it, what is asked, and where and why it stops."""

    world: Callable[[], World]
    edit: Edit
    stops: str  # reason, stage, level, code
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


NOWHERE = 0x7F_FFFF_F000  # no memory is there
ABOVE_46 = 1 << 46
HAW46 = registers(HAW=46)

DEVICE_FACTS = {
    # Registers: docs/walk.md.
    # RTA.4 and RTA.1.1, neither of which FPD suppresses.
    "TTM 3 aborts": Fact(
        legacy,
        lambda w: w.registers.update(RTADDR=w.unit.root | 3 << 10, ECAP=ECAP_ALL | ECAP.value(ADMS=1)),
        "ABORTED DEVICE 0 0x33",
        more={"recorded": True, "entry_hpa": None},
    ),
    "TTM 3 wants ECAP.ADMS": Fact(
        legacy,
        lambda w: w.registers.update(RTADDR=w.unit.root | 3 << 10),
        "INVALID DEVICE 0 0x30",
        more={"recorded": True, "entry_hpa": None},
    ),
    "TTM 1 wants ECAP.SMTS": Fact(first_only, lacks(SMTS=1), "INVALID DEVICE 0 0x30"),
    "TTM 2 wants ECAP.ECS": Fact(extended, lacks(ECS=1), "INVALID DEVICE 0 0x30"),
    "TES 0 refuses translation requests": Fact(
        legacy,
        registers(GSTS=0),
        "BLOCKED DEVICE 0 0x0",
        {"at": At.TRANSLATION},
        {"recorded": False, "entry_hpa": None},
    ),
    "legacy mode has no PASID": Fact(
        legacy, nothing, "BLOCKED DEVICE 0 0x31", {"pasid": 1}, {"entry_hpa": None}
    ),
    # Legacy: table 7, LRT and LCT.
    "legacy root unreadable": Fact(
        legacy, registers(RTADDR=NOWHERE), "UNREADABLE DEVICE 1 0x8", more={"raw": None}
    ),
    "legacy root absent": Fact(legacy, root(ROOT_ENTRY, P=0), "NOT_PRESENT DEVICE 1 0x1"),
    "legacy root reserved": Fact(legacy, root(ROOT_ENTRY, rsvd_q1_63_0=1), "RESERVED DEVICE 1 0xa"),
    "legacy context unreadable": Fact(legacy, root(ROOT_ENTRY, CTP=NOWHERE), "UNREADABLE DEVICE 0 0x9"),
    "legacy context absent": Fact(legacy, context(CONTEXT_ENTRY, P=0), "NOT_PRESENT DEVICE 0 0x2"),
    "legacy context reserved": Fact(legacy, context(CONTEXT_ENTRY, rsvd_q1_7=1), "RESERVED DEVICE 0 0xb"),
    "legacy SLPTPTR above HAW": Fact(
        legacy, both(HAW46, context(CONTEXT_ENTRY, SLPTPTR=ABOVE_46)), "RESERVED DEVICE 0 0xb"
    ),
    # 9.3 exempts TT 2 alone; reserved bits come first.
    "legacy TT 3 above HAW": Fact(
        legacy, both(HAW46, context(CONTEXT_ENTRY, TT=3, SLPTPTR=ABOVE_46)), "RESERVED DEVICE 0 0xb"
    ),
    "legacy TT 3": Fact(legacy, context(CONTEXT_ENTRY, TT=3), "INVALID DEVICE 0 0x3"),
    "legacy TT 1 wants ECAP.DT": Fact(lambda: legacy(TT=1), lacks(DT=1), "INVALID DEVICE 0 0x3"),
    "legacy pass-through wants the largest AW": Fact(
        lambda: legacy(TT=2, AW=2), nothing, "INVALID DEVICE 0 0x3"
    ),
    "legacy ATS wants TT 1": Fact(legacy, nothing, "BLOCKED DEVICE 0 0xd", {"at": At.TRANSLATED}),
    # Ours: stage DEVICE, no entry.
    "legacy pass-through has a limit": Fact(
        lambda: legacy(TT=2, AW=3),
        nothing,
        "INPUT_RANGE DEVICE 0 0x4",
        {"iova": 1 << 57},
        {"entry_hpa": None, "input": 1 << 57},
    ),
    # Scalable: SRT and SCT.
    "scalable root unreadable": Fact(
        first_only, registers(RTADDR=NOWHERE | 1 << 10), "UNREADABLE DEVICE 1 0x38"
    ),
    "scalable root absent": Fact(first_only, root(SCALABLE_ROOT_HALF, P=0), "NOT_PRESENT DEVICE 1 0x39"),
    "scalable root above HAW": Fact(
        first_only, both(HAW46, root(SCALABLE_ROOT_HALF, CTP=ABOVE_46)), "RESERVED DEVICE 1 0x3a"
    ),
    "scalable context unreadable": Fact(
        first_only, root(SCALABLE_ROOT_HALF, CTP=NOWHERE), "UNREADABLE DEVICE 0 0x40"
    ),
    "scalable context absent": Fact(
        first_only, context(SCALABLE_CONTEXT_ENTRY, P=0), "NOT_PRESENT DEVICE 0 0x41"
    ),
    "scalable context reserved": Fact(
        first_only, context(SCALABLE_CONTEXT_ENTRY, rsvd_q3_63_0=1), "RESERVED DEVICE 0 0x42"
    ),
    "scalable ATS wants DTE": Fact(first_only, nothing, "BLOCKED DEVICE 0 0x44", {"at": At.TRANSLATED}),
    "scalable PASID wants PASIDE": Fact(
        first_only, context(SCALABLE_CONTEXT_ENTRY, PASIDE=0), "BLOCKED DEVICE 0 0x45"
    ),
    "scalable PASID beyond the directory": Fact(
        first_only, nothing, "PASID_RANGE DEVICE 0 0x46", {"pasid": 1 << 13}
    ),
    "RID_PASID beyond the directory": Fact(
        first_only,
        both(
            registers(ECAP=ECAP_ALL | ECAP.value(RPS=1)), context(SCALABLE_CONTEXT_ENTRY, RID_PASID=1 << 13)
        ),
        "PASID_RANGE DEVICE 0 0x43",
        {"pasid": None},
    ),
    # Order in the context: the bound of RID_PASID comes before DTE.
    "RID_PASID is judged before the request type": Fact(
        first_only,
        both(
            registers(ECAP=ECAP_ALL | ECAP.value(RPS=1)), context(SCALABLE_CONTEXT_ENTRY, RID_PASID=1 << 13)
        ),
        "PASID_RANGE DEVICE 0 0x43",
        {"pasid": None, "at": At.TRANSLATION},
    ),
}

PASID_FACTS = {
    # SPD and SPT.
    "directory unreadable": Fact(
        first_only, context(SCALABLE_CONTEXT_ENTRY, PASIDDIRPTR=NOWHERE), "UNREADABLE PASID 1 0x50"
    ),
    "directory absent": Fact(first_only, directory(P=0), "NOT_PRESENT PASID 1 0x51"),
    "directory reserved": Fact(first_only, directory(rsvd_11_2=1), "RESERVED PASID 1 0x52"),
    "PASID entry unreadable": Fact(first_only, directory(SMPTBLPTR=NOWHERE), "UNREADABLE PASID 0 0x58"),
    "PASID entry absent": Fact(first_only, pasid_entry(P=0), "NOT_PRESENT PASID 0 0x59"),
    "PASID entry reserved": Fact(first_only, pasid_entry(rsvd_q7_63_0=1), "RESERVED PASID 0 0x5a"),
    "FLPTPTR is an HPA without nesting": Fact(
        first_only, both(HAW46, pasid_entry(FLPTPTR=ABOVE_46)), "RESERVED PASID 0 0x5a"
    ),
    "SLPTPTR above HAW": Fact(
        second_only, both(HAW46, pasid_entry(SLPTPTR=ABOVE_46)), "RESERVED PASID 0 0x5a"
    ),
    "reserved bits come before the type": Fact(
        first_only, pasid_entry(PGTT=5, rsvd_q0_11_10=1), "RESERVED PASID 0 0x5a"
    ),
    "PGTT 6": Fact(first_only, pasid_entry(PGTT=6), "INVALID PASID 0 0x5b"),
    "PGTT 1 wants FLTS": Fact(
        first_only, both(lacks(FLTS=1), pasid_entry(FLPTPTR=0, WPE=0)), "INVALID PASID 0 0x5b"
    ),
    # 9.6: and FSPTPTR, SSPTPTR are reserved then, whatever PGTT is
    "FLPTPTR wants FLTS": Fact(
        second_only, both(lacks(FLTS=1), pasid_entry(FLPTPTR=PAGE)), "RESERVED PASID 0 0x5a"
    ),
    "SLPTPTR wants SLTS": Fact(
        first_only, both(lacks(SLTS=1), pasid_entry(SLPTPTR=PAGE)), "RESERVED PASID 0 0x5a"
    ),
    "PGTT 2 wants SLTS": Fact(
        second_only, both(lacks(SLTS=1), pasid_entry(SLPTPTR=0)), "INVALID PASID 0 0x5b"
    ),
    "PGTT 3 wants NEST": Fact(nested, lacks(NEST=1), "INVALID PASID 0 0x5b"),
    "PGTT 4 wants PT": Fact(pass_through, lacks(PT=1), "INVALID PASID 0 0x5b"),
    "AW not in SAGAW": Fact(second_only, pasid_entry(AW=4), "INVALID PASID 0 0x5b"),
    "FLPM 2": Fact(first_only, pasid_entry(FLPM=2), "INVALID PASID 0 0x5b"),
    "FLPM 1 wants FL5LP": Fact(
        lambda: first_only(5), registers(CAP=CAP_WIDE & ~CAP.value(FL5LP=1)), "INVALID PASID 0 0x5b"
    ),
    "the type comes before ERE": Fact(
        first_only, pasid_entry(PGTT=5), "INVALID PASID 0 0x5b", {"access": EXEC}
    ),
    "ERE comes before SRE": Fact(first_only, nothing, "BLOCKED PASID 0 0x5c", {"access": EXEC, "priv": True}),
    "SRE": Fact(first_only, nothing, "BLOCKED PASID 0 0x5d", {"priv": True}),
    "pass-through above HAW": Fact(
        pass_through,
        HAW46,
        "INPUT_RANGE PASID 0 0x83",
        {"iova": ABOVE_46},
        {"entry_hpa": None, "input": ABOVE_46},
    ),
}

PDPE_1G = FIRST_STAGE.pages[2]
PDE_2M = FIRST_STAGE.pages[1]
PTE = FIRST_STAGE.pages[0]

FIRST_STAGE_FACTS = {
    # SFL and SGN.
    "root unreadable": Fact(first_only, pasid_entry(FLPTPTR=NOWHERE), "UNREADABLE S1 3 0x73"),
    "lower table unreadable": Fact(
        first_only, first(3, FIRST_STAGE.top, ADDR=NOWHERE), "UNREADABLE S1 2 0x70"
    ),
    "not canonical": Fact(
        first_only, nothing, "INPUT_RANGE S1 3 0x80", {"iova": 1 << 47}, {"entry_hpa": None, "input": 1 << 47}
    ),
    "not canonical in 5 levels": Fact(
        lambda: first_only(5), nothing, "INPUT_RANGE S1 4 0x80", {"iova": 1 << 56}
    ),
    "the upper canonical half is taken": Fact(
        first_only, nothing, "NOT_PRESENT S1 3 0x71", {"iova": 0xFFFF_8000_0000_0000}
    ),
    "absent": Fact(first_only, first(1, FIRST_STAGE.table, P=0), "NOT_PRESENT S1 1 0x71"),
    "absent comes before reserved": Fact(
        first_only, first(3, FIRST_STAGE.top, P=0, rsvd_7=1), "NOT_PRESENT S1 3 0x71"
    ),
    "PS in a PML4E": Fact(first_only, first(3, FIRST_STAGE.top, rsvd_7=1), "RESERVED S1 3 0x72"),
    "1 GiB pages want FL1GP": Fact(
        lambda: first_only(page=HUGE), registers(CAP=CAP_WIDE & ~CAP.value(FL1GP=1)), "RESERVED S1 2 0x72"
    ),
    "2 MiB page misaligned": Fact(
        lambda: first_only(page=LARGE), first(1, PDE_2M, rsvd_20_13=1), "RESERVED S1 1 0x72"
    ),
    "address above HAW": Fact(first_only, both(HAW46, first(0, PTE, ADDR=ABOVE_46)), "RESERVED S1 0 0x72"),
    "XD with NXE 0": Fact(lambda: first_only(NXE=0), first(2, FIRST_STAGE.table, XD=1), "RESERVED S1 2 0x72"),
    # Rights accumulate and are judged at the leaf, which the fault names (ours).
    "a supervisor's table": Fact(first_only, first(3, FIRST_STAGE.top, US=0), "PRIVILEGE S1 0 0x81"),
    "privilege comes before write": Fact(
        lambda: first_only(access=READ), first(0, PTE, US=0), "PRIVILEGE S1 0 0x81", {"access": WRITE}
    ),
    "a read-only table": Fact(
        first_only, first(2, FIRST_STAGE.table, RW=0), "DENIED S1 0 0x85", {"access": WRITE}
    ),
    "an XD table": Fact(
        lambda: first_only(ERE=1), first(1, FIRST_STAGE.table, XD=1), "DENIED S1 0 0x82", {"access": EXEC}
    ),
    "SMEP": Fact(
        lambda: first_only(ERE=1, SRE=1, SMEP=1), nothing, "DENIED S1 0 0x82", {"access": EXEC, "priv": True}
    ),
    "a reserved bit below comes before a right that is missing above": Fact(
        first_only,
        both(first(3, FIRST_STAGE.top, RW=0), first(0, PTE, P=0)),
        "NOT_PRESENT S1 0 0x71",
        {"access": WRITE},
    ),
    "output among the interrupts": Fact(
        first_only,
        first(0, PTE, ADDR=0xFEE0_0000),
        "INTERRUPT_RANGE S1 0 0x87",
        more={"entry_hpa": None, "input": IOVA | 0x123},
    ),
}

SS_PTE = SECOND_STAGE_PAGES[0]
ABSENT = {"R": 0, "W": 0}

SECOND_STAGE_FACTS = {
    # SSL and SGN.
    "root unreadable": Fact(second_only, pasid_entry(SLPTPTR=NOWHERE), "UNREADABLE S2 3 0x7b"),
    "lower table unreadable": Fact(
        second_only, second(3, SECOND_STAGE_TOP, ADDR=NOWHERE), "UNREADABLE S2 2 0x78"
    ),
    "above the limit": Fact(
        second_only,
        nothing,
        "INPUT_RANGE S2 3 0x84",
        {"iova": 1 << 48},
        {"entry_hpa": None, "input": 1 << 48},
    ),
    "above MGAW": Fact(second_only, registers(CAP=CAP.value(MGAW=35, SAGAW=0b1110)), "INPUT_RANGE S2 3 0x84"),
    "absent": Fact(second_only, second(1, SECOND_STAGE_TABLE, **ABSENT), "NOT_PRESENT S2 1 0x79"),
    "X does not make it present": Fact(
        second_only, second(0, SS_PTE, X=1, **ABSENT), "NOT_PRESENT S2 0 0x79"
    ),
    "PS in a PML4E": Fact(second_only, second(3, SECOND_STAGE_TOP, rsvd_7=1), "RESERVED S2 3 0x7a"),
    "2 MiB pages want SLLPS bit 0": Fact(
        lambda: second_only(page=LARGE), registers(CAP=CAP_WIDE & ~CAP.value(SLLPS=1)), "RESERVED S2 1 0x7a"
    ),
    "1 GiB pages want SLLPS bit 1": Fact(
        lambda: second_only(page=HUGE), registers(CAP=CAP_WIDE & ~CAP.value(SLLPS=2)), "RESERVED S2 2 0x7a"
    ),
    "1 GiB page misaligned": Fact(
        lambda: second_only(page=HUGE), second(2, SECOND_STAGE_PAGES[2], rsvd_29_12=1), "RESERVED S2 2 0x7a"
    ),
    "SNP in a table entry": Fact(second_only, second(2, SECOND_STAGE_TABLE, rsvd_11=1), "RESERVED S2 2 0x7a"),
    # 9.8: bit 62 is reserved since 3.2; before, it was TM in pages, where there are device TLBs
    "bit 62 of a table": Fact(second_only, second(2, SECOND_STAGE_TABLE, IW=1), "RESERVED S2 2 0x7a"),
    "bit 62 of a page": Fact(second_only, second(0, SS_PTE, IW=1), "RESERVED S2 0 0x7a"),
    "bit 62 of a page in 3.1 wants ECAP.DT": Fact(
        second_only,
        both(lambda w: w.registers.update(ECAP=ECAP_ALL & ~4, REV=0x301), second(0, SS_PTE, IW=1)),
        "RESERVED S2 0 0x7a",
    ),
    "read denied": Fact(lambda: second_only(access=WRITE), nothing, "DENIED S2 0 0x86"),
    "write denied above, judged at the leaf": Fact(
        second_only, second(3, SECOND_STAGE_TOP, W=0), "DENIED S2 0 0x85", {"access": WRITE}
    ),
    "execute denied by X with SLEE": Fact(
        lambda: second_only(access=RW, ERE=1, SLEE=1), nothing, "DENIED S2 0 0x82", {"access": EXEC}
    ),
    "execute denied by R": Fact(
        lambda: second_only(access=WRITE, ERE=1), nothing, "DENIED S2 0 0x82", {"access": EXEC}
    ),
    "output among the interrupts": Fact(
        second_only, second(0, SS_PTE, ADDR=0xFEE0_0000), "INTERRUPT_RANGE S2 0 0x87"
    ),
    # Legacy: LGN and LSL.
    "legacy root unreadable": Fact(legacy, context(CONTEXT_ENTRY, SLPTPTR=NOWHERE), "UNREADABLE S2 3 0x3"),
    "legacy lower table unreadable": Fact(
        legacy, second(1, SECOND_STAGE_TABLE, ADDR=NOWHERE), "UNREADABLE S2 0 0x7"
    ),
    "legacy absent, write": Fact(
        legacy, second(0, SS_PTE, **ABSENT), "NOT_PRESENT S2 0 0x5", {"access": WRITE}
    ),
    "legacy absent, execute is a read": Fact(
        legacy, second(0, SS_PTE, **ABSENT), "NOT_PRESENT S2 0 0x6", {"access": EXEC}
    ),
    "legacy limit": Fact(legacy, nothing, "INPUT_RANGE S2 3 0x4", {"iova": 1 << 48}),
    "legacy output among the interrupts": Fact(
        legacy, second(0, SS_PTE, ADDR=0xFEE0_0000), "INTERRUPT_RANGE S2 0 0xe"
    ),
}


def for_entry(level: int, purpose: Purpose = Purpose.S1_ENTRY) -> dict[str, Any]:
    return {"purpose": purpose, "for_level": level}


NESTED_FACTS = {
    # SFL.4 to SFL.8, the split by top level as in docs/walk.md.
    "root beyond the second stage": Fact(
        nested, pasid_entry(FLPTPTR=1 << 48), "INPUT_RANGE S2 3 0x73", more=for_entry(3)
    ),
    # 9.6: bits above HAW are apart from the field, GPA or not
    "HAW bounds a nested FLPTPTR too": Fact(
        nested, both(HAW46, pasid_entry(FLPTPTR=ABOVE_46)), "RESERVED PASID 0 0x5a"
    ),
    "lower table beyond the second stage": Fact(
        nested, first(3, FIRST_STAGE.top, ADDR=1 << 48), "INPUT_RANGE S2 3 0x74", more=for_entry(2)
    ),
    "data beyond the second stage": Fact(
        nested,
        first(0, PTE, ADDR=1 << 48),
        "INPUT_RANGE S2 3 0x84",
        more=for_entry(0, Purpose.DATA) | {"input": 1 << 48 | 0x123},
    ),
    "top table not readable": Fact(
        nested, table_page(3, R=0), "DENIED S2 0 0x75", {"access": WRITE}, for_entry(3)
    ),
    "lower table not readable": Fact(
        nested, table_page(1, R=0), "DENIED S2 0 0x76", {"access": WRITE}, for_entry(1)
    ),
    "table not mapped": Fact(nested, table_page(2, **ABSENT), "NOT_PRESENT S2 0 0x79", more=for_entry(2)),
    "no memory behind a table": Fact(
        nested, table_page(0, ADDR=NOWHERE), "UNREADABLE S1 0 0x70", more={"raw": None}
    ),
    "no memory behind the top table": Fact(nested, table_page(3, ADDR=NOWHERE), "UNREADABLE S1 3 0x73"),
    "A cannot be set": Fact(
        lambda: nested(accessed=False),
        table_page(2, W=0),
        "UPDATE_DENIED S2 0 0x77",
        more=for_entry(2, Purpose.S1_UPDATE),
    ),
    "D cannot be set": Fact(
        nested,
        both(first(0, PTE, D=0), table_page(0, W=0)),
        "UPDATE_DENIED S2 0 0x77",
        {"access": WRITE},
        for_entry(0, Purpose.S1_UPDATE),
    ),
    "rights of the first stage come before its flags": Fact(
        lambda: nested(accessed=False),
        both(
            first(0, PTE, RW=0, A=0), table_page(0, W=0), *(first(i, FIRST_STAGE.table, A=1) for i in (1, 2))
        ),
        "DENIED S1 0 0x85",
        {"access": WRITE},
    ),
    "data not readable": Fact(nested, second(0, SS_PTE, R=0), "DENIED S2 0 0x86"),
    "data not writable": Fact(nested, second(0, SS_PTE, W=0), "DENIED S2 0 0x85", {"access": WRITE}),
    "data not mapped": Fact(
        nested, second(0, SS_PTE, **ABSENT), "NOT_PRESENT S2 0 0x79", more=for_entry(0, Purpose.DATA)
    ),
}

EXTENDED_FACTS = {
    "root absent": Fact(extended, root(SCALABLE_ROOT_HALF, P=0), "NOT_PRESENT DEVICE 1 0x1"),
    "context absent": Fact(extended, context(EXTENDED_CONTEXT_ENTRY, P=0), "NOT_PRESENT DEVICE 0 0x2"),
    # 9.4 of 2.x: reserved without ECAP.MTS; with it the encodings 8 to 15 are, where PASIDE is set
    "PAT wants MTS": Fact(extended, context(EXTENDED_CONTEXT_ENTRY, PAT=6), "RESERVED DEVICE 0 0xb"),
    "top bit of a PAT field": Fact(
        extended,
        both(registers(ECAP=ECAP_ALL | ECAP.value(MTS=1)), context(EXTENDED_CONTEXT_ENTRY, PAT=1 << 31)),
        "RESERVED DEVICE 0 0xb",
    ),
    "EAFE wants EAFS": Fact(lambda: extended(EAFE=1), lacks(EAFS=1), "RESERVED DEVICE 0 0xb"),
    "ERE wants ERS": Fact(lambda: extended(ERE=1), lacks(ERS=1), "RESERVED DEVICE 0 0xb"),
    "T 3": Fact(extended, context(EXTENDED_CONTEXT_ENTRY, T=3), "INVALID DEVICE 0 0x3"),
    "NESTE wants ECAP.NEST": Fact(extended, lacks(NEST=1), "RESERVED DEVICE 0 0xb"),
    "T 1 wants ECAP.DT": Fact(lambda: extended(T=1), lacks(DT=1), "INVALID DEVICE 0 0x3"),
    "T 5 wants ECAP.DT": Fact(lambda: extended(T=5), lacks(DT=1), "INVALID DEVICE 0 0x3"),
    "T 2 wants ECAP.PT": Fact(
        extended, both(lacks(PT=1), context(EXTENDED_CONTEXT_ENTRY, T=2)), "INVALID DEVICE 0 0x3"
    ),
    "T 4 wants ECAP.PT": Fact(lambda: extended(T=4), lacks(PT=1), "INVALID DEVICE 0 0x3"),
    "T 5 wants ECAP.PT": Fact(lambda: extended(T=5), lacks(PT=1), "INVALID DEVICE 0 0x3"),
    "PASIDE wants ECAP.PASID": Fact(extended, lacks(PASID=1), "RESERVED DEVICE 0 0xb"),
    "ATS wants T 1 or 5": Fact(extended, nothing, "BLOCKED DEVICE 0 0xd", {"at": At.TRANSLATION}),
    "PASIDE 0": Fact(extended, context(EXTENDED_CONTEXT_ENTRY, PASIDE=0), "BLOCKED DEVICE 0 0x0"),
    "T 2 blocks every PASID": Fact(extended, context(EXTENDED_CONTEXT_ENTRY, T=2), "BLOCKED DEVICE 0 0x0"),
    # 19h and 1Ah: revision history of 2.5
    "ERE 0": Fact(extended, nothing, "BLOCKED DEVICE 0 0x19", {"access": EXEC}),
    "PASID beyond the table": Fact(extended, nothing, "PASID_RANGE DEVICE 0 0x0", {"pasid": 32}),
    "PASID table not mapped": Fact(
        extended,
        context(EXTENDED_CONTEXT_ENTRY, PASIDPTR=0x7000_0000),
        "NOT_PRESENT S2 1 0x6",
        {"access": WRITE},
        for_entry(0, Purpose.PASID_ENTRY) | {"input": 0x7000_0000 + 8 * PASID},
    ),
    "PASID entry absent": Fact(
        extended, lambda w: w.guest.edit(EXTENDED_PASID_ENTRY, w.pasid_entry, P=0), "NOT_PRESENT PASID 0 0x0"
    ),
    "FLPM wants FL5LP": Fact(
        lambda: extended(5), registers(CAP=CAP_WIDE & ~CAP.value(FL5LP=1)), "RESERVED PASID 0 0x0"
    ),
    "SRE 0": Fact(extended, nothing, "BLOCKED PASID 0 0x1a", {"priv": True}),
    "first stage absent": Fact(extended, first(0, PTE, P=0), "NOT_PRESENT S1 0 0x0"),
    "A cannot be set": Fact(
        lambda: extended(accessed=False),
        table_page(3, W=0),
        "UPDATE_DENIED S2 0 0x5",
        more=for_entry(3, Purpose.S1_UPDATE),
    ),
    "second-stage root unreadable": Fact(
        extended, context(EXTENDED_CONTEXT_ENTRY, SLPTPTR=NOWHERE), "UNREADABLE S2 3 0x7"
    ),
    "data not writable": Fact(extended, second(0, SS_PTE, W=0), "DENIED S2 0 0x5", {"access": WRITE}),
    "data not readable for execution": Fact(
        lambda: extended(ERE=1), second(0, SS_PTE, R=0), "DENIED S2 0 0x6", {"access": EXEC}
    ),
}

FACTS = {
    f"{group}: {name}": fact
    for group, facts in {
        "device": DEVICE_FACTS,
        "PASID": PASID_FACTS,
        "first stage": FIRST_STAGE_FACTS,
        "second stage": SECOND_STAGE_FACTS,
        "nested": NESTED_FACTS,
        "extended": EXTENDED_FACTS,
    }.items()
    for name, fact in facts.items()
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_a_fault_names_reason_stage_level_and_code(fact: Fact) -> None:
    world = fact.world()
    assert world.ask().fault is None or fact.edit is nothing  # the twin without the change passes
    fact.edit(world)

    answer = world.ask(**fact.request)

    fault = answer.fault
    assert fault is not None
    assert words(fault) == fact.stops.split()
    assert {name: getattr(fault, name) for name in fact.more} == fact.more
    assert (answer.hpa, answer.gpa, answer.size_lg2, answer.access) == (0, 0, 0, Access.NONE)


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_the_entry_of_a_fault_is_the_last_reference(fact: Fact) -> None:
    world = fact.world()
    fact.edit(world)

    answer = world.ask(**fact.request)

    fault = answer.fault
    assert fault is not None
    if fault.raw is not None and fault.reason is not Reason.UPDATE_DENIED:
        last = answer.refs[-1]
        assert (fault.entry_gpa, fault.entry_hpa, fault.raw) == (last.gpa, last.hpa, last.raw)
        assert last.updated == last.raw


def test_an_update_that_is_denied_names_the_second_stage_leaf() -> None:
    world = nested(accessed=False)
    world.edit_table_page(1, W=0)

    answer = world.ask()

    entry = world.first.entry(IOVA, 1)
    fault = answer.fault
    assert fault is not None
    assert fault.input == entry
    assert fault.entry_hpa == fault.entry_gpa == world.second.entry(entry, 0)
    assert fault.raw == world.host.load(world.second.entry(entry, 0))
    assert answer.refs[-1].updated == answer.refs[-1].raw


def test_an_unreadable_entry_has_both_of_its_addresses() -> None:
    world = nested()
    world.edit_table_page(0, ADDR=NOWHERE)

    fault = world.ask().fault

    assert fault is not None
    entry = world.first.entry(IOVA, 0)
    assert (fault.entry_gpa, fault.entry_hpa) == (entry, NOWHERE | entry % PAGE)


# ---------------------------------------------------------------- interrupts, TES, FPD


@pytest.mark.parametrize("enabled", [True, False])
def test_writes_to_the_interrupt_range_are_messages(enabled: bool) -> None:
    # 3.15
    world = nested()
    world.registers["GSTS"] = GSTS.value(TES=int(enabled))

    answer = world.ask(iova=0xFEE0_1004, pasid=None, access=WRITE)

    assert (answer.target, answer.hpa, answer.access) == (Target.INTERRUPT, 0xFEE0_1004, WRITE)
    assert not answer.ok
    assert answer.refs == ()


@pytest.mark.parametrize("access", [READ, EXEC])
@pytest.mark.parametrize("ttm", range(4))
def test_reads_of_the_interrupt_range_are_illegal(access: Access, ttm: int) -> None:
    # 3.15; 5.1.4.1, Table 15: 29h, not qualified. Whether a read has length 0 nobody says here.
    world = nested()
    world.registers["RTADDR"] = RTADDR.value(RTA=world.unit.root, TTM=ttm)

    fault = world.ask(iova=0xFEE0_1004, pasid=None, access=access).fault

    assert fault is not None
    assert (fault.reason, fault.native, fault.recorded) == (Reason.INTERRUPT_RANGE, 0x29, True)


@pytest.mark.parametrize(("world", "code"), [(nested, 0x44), (legacy, 0xD), (extended, 0xD)])
def test_a_translation_request_for_the_interrupt_range_is_judged_by_its_context(
    world: Callable[[], World], code: int
) -> None:
    # 4.2.3: S.1 is for requests that meet none of the conditions of Table 30
    fault = world().ask(iova=0xFEEF_FFFF, pasid=None, at=At.TRANSLATION).fault

    assert fault is not None
    assert (fault.reason, fault.native) == (Reason.BLOCKED, code)


@pytest.mark.parametrize("nwfs", [0, 1])
@pytest.mark.parametrize("mode", ["legacy", "extended", "scalable"])
def test_a_translation_request_for_the_interrupt_range_may_write_untranslated(mode: str, nwfs: int) -> None:
    # S.1: R=0, W=1; S.2: with NW, where the unit knows that flag, nothing, and no fault is reported
    world = {"legacy": lambda: legacy(TT=1), "extended": lambda: extended(T=1), "scalable": nested}[mode]()
    if mode == "scalable":
        world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, DTE=1)
    world.registers["ECAP"] = ECAP_ALL | ECAP.value(NWFS=nwfs)

    write = world.ask(iova=0xFEEF_F000, pasid=None, at=At.TRANSLATION, access=WRITE)
    read = world.ask(iova=0xFEEF_F000, pasid=None, at=At.TRANSLATION)

    assert (write.fault, write.target, write.access) == (None, Target.INTERRUPT, WRITE)
    if not nwfs:
        assert (read.fault, read.target, read.access) == (None, Target.INTERRUPT, WRITE)
    else:
        assert read.fault is not None
        assert (read.fault.reason, read.fault.recorded) == (Reason.INTERRUPT_RANGE, False)


def test_with_a_pasid_the_interrupt_range_is_an_address_like_others() -> None:
    world = first_only()
    world.first.map(0xFEE0_0000, world.page)

    assert world.ask(iova=0xFEE0_0123).hpa == world.page + 0x123


def test_a_pasid_may_not_pass_through_to_the_interrupt_range() -> None:
    fault = pass_through().ask(iova=0xFEE0_0000).fault

    assert fault is not None
    assert (fault.reason, fault.stage, fault.native) == (Reason.INTERRUPT_RANGE, Stage.DEVICE, 0x87)


def test_with_tes_0_nothing_is_read_and_a_pasid_is_ignored() -> None:
    world = first_only()
    world.registers["GSTS"] = 0

    answer = world.ask()

    assert (answer.hpa, answer.access, answer.refs) == (IOVA | 0x123, RW, ())


@pytest.mark.parametrize(
    ("world", "edit", "recorded"),
    [
        # VT-d 7.1.3: a fault is qualified from the entry with FPD on, itself included.
        (legacy, context(CONTEXT_ENTRY, FPD=1, P=0), False),
        (legacy, both(context(CONTEXT_ENTRY, FPD=1), second(0, SS_PTE, **ABSENT)), False),
        (legacy, root(ROOT_ENTRY, P=0), True),
        (first_only, both(directory(FPD=1), first(0, PTE, P=0)), False),
        (first_only, pasid_entry(FPD=1, PGTT=5), False),
        # 0x58 is never suppressed: the PASID entry could not be read.
        (first_only, both(context(SCALABLE_CONTEXT_ENTRY, FPD=1), directory(SMPTBLPTR=NOWHERE)), True),
        (extended, both(context(EXTENDED_CONTEXT_ENTRY, FPD=1), first(0, PTE, P=0)), False),
    ],
)
def test_fpd_suppresses_the_records_of_qualified_faults(
    world: Callable[[], World], edit: Edit, recorded: bool
) -> None:
    made = world()
    edit(made)

    fault = made.ask().fault

    assert fault is not None
    assert fault.recorded is recorded


def test_only_rtaddr_is_required_of_the_registers() -> None:
    world = nested()

    answer = ask_both("vtd", world.unit.registers, world.host, Request(RID, IOVA, pasid=PASID))

    assert answer.fault is None
    with pytest.raises(ValueError, match="RTADDR"):
        plain_walk.translate("vtd", {}, world.host.read, Request(RID, IOVA))


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
        return dice.getrandbits(40) << 12 & (1 << 46) - 1 | dice.choice((1, 3, 7, 0x67, 0xE7, 0xC1, 0x83))

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
    ttm=st.integers(0, 3),
    cap=st.sampled_from([CAP_WIDE, vtd_entries.CAP.value(MGAW=63, SAGAW=0b11111, SLLPS=15)]) | anything,
    ecap=st.just(ECAP_ALL) | anything,
    haw=st.integers(12, 52),
)
def test_no_memory_makes_the_walk_raise_or_run_on(
    seed: int, request_: Request, ttm: int, cap: int, ecap: int, haw: int
) -> None:
    registers_ = {"RTADDR": 0x1000 | ttm << 10, "CAP": cap, "ECAP": ecap, "HAW": haw}

    answer = plain_walk.translate("vtd", registers_, hostile(seed), request_)

    assert len(answer.refs) <= MAX_REFS
    assert answer.fault is None or answer.fault.reason is not Reason.OK
    in_words.explain("vtd", registers_, answer.refs, hostile(seed))


@pytest.mark.parametrize("mode", [build.VtdLegacy, build.VtdExtended, build.VtdScalable])
def test_memory_of_random_bytes_is_a_fault_at_worst(mode: type[Any]) -> None:
    dice = random.Random(1)

    for _ in range(300):
        unit = mode(build.Memory())
        request_ = Request(
            dice.getrandbits(16), dice.getrandbits(64), access=dice.choice((READ, WRITE, EXEC))
        )
        answer = plain_walk.translate(
            "vtd", unit.registers, lambda _, length: dice.randbytes(length), request_
        )
        assert len(answer.refs) <= MAX_REFS


def test_a_layout_with_a_hole_or_an_overlap_cannot_be_made() -> None:
    from iommu_abi.schemas.entries import bit, ignored

    with pytest.raises(ValueError, match="should begin at bit 1"):
        Layout("hole", 8, bit(0, "P"), ignored(63, 2))
    with pytest.raises(ValueError, match="should begin at bit 1"):
        Layout("overlap", 8, bit(0, "P"), ignored(63, 0))
    with pytest.raises(ValueError, match="63 bits in 8 bytes"):
        Layout("short", 8, bit(0, "P"), ignored(62, 1))


def test_values_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="PGTT=0x8 does not fit 3 bits"):
        SCALABLE_PASID_ENTRY.build(PGTT=8)
    with pytest.raises(ValueError, match="not aligned"):
        SCALABLE_PASID_ENTRY.build(FLPTPTR=0x1001)
    with pytest.raises(ValueError, match="no field PGT"):
        SCALABLE_PASID_ENTRY.build(PGT=1)


# ---------------------------------------------------------------- entries in words


def test_a_trace_explains_itself_in_the_vendors_words() -> None:
    world = nested()
    refs = world.ask().refs

    explained = in_words.explain("vtd", world.unit.registers, refs, world.host.read)

    assert [entry.name for _, entry in explained[:9]] == [
        "scalable-mode root entry, lower half",
        "scalable-mode context entry",
        "PASID directory entry",
        "scalable-mode PASID entry",
        "second-stage PML4E",
        "second-stage PDPE",
        "second-stage PDE",
        "second-stage PTE",
        "first-stage PML4E",
    ]
    assert str(explained[3][1]["PGTT"]) == "PGTT=3 (nested)"
    assert explained[3][1]["FLPTPTR"].value == world.first.root


def test_an_entry_of_extended_mode_is_told_from_one_of_scalable_mode() -> None:
    world = extended()
    refs = world.ask().refs

    names = [entry.name for _, entry in in_words.explain("vtd", world.unit.registers, refs, world.host.read)]

    assert names[:2] == ["extended root entry, lower half", "extended context entry"]
    assert names[6] == "PASID entry"


# ---------------------------------------------------------------- the builder


def test_runs_of_pages_are_what_was_written() -> None:
    memory = build.Memory()
    memory.write(0x5FFE, b"abcd")
    memory.write(0x9000, b"e")

    runs = [(address, bytes(data)) for address, data in memory.runs()]

    assert [(address, len(data)) for address, data in runs] == [(0x5000, 2 * PAGE), (0x9000, PAGE)]
    assert runs[0][1][0xFFE:0x1002] == b"abcd"
    assert memory.read(0x5FFE, 4) == b"abcd"
    assert memory.read(0x6FFF, 2) is None


def test_guest_pages_are_where_the_second_stage_says() -> None:
    host = build.Memory()
    second_stage = build.VtdSecondStage(host)
    guest = build.Guest(host, second_stage)

    gpa = guest.page(2)
    guest.write(gpa + PAGE - 1, b"xy")

    assert guest.read(gpa + PAGE - 1, 2) == b"xy"
    assert host.read(guest.hpa(gpa + PAGE), 1) == b"y"
    assert host.load(second_stage.entry(gpa, 0)) & -PAGE == guest.hpa(gpa)


def test_tables_are_not_built_through_a_larger_page() -> None:
    tables = build.VtdFirstStage(build.Memory())
    tables.map(0, 0, page=LARGE)

    with pytest.raises(ValueError, match="larger page"):
        tables.map(PAGE, 0)
    with pytest.raises(ValueError, match="no level"):
        tables.map(0, 0, page=8192)


def test_a_pasid_table_of_extended_mode_has_the_ptr_and_size_of_the_patch() -> None:
    # size is in bytes, 8 per entry; PTS names 2^(PTS+5) entries.
    for entries, pts in ((32, 0), (512, 4), (1 << 20, 15)):
        table = build.ExtendedPasidTable(build.Memory(), entries)
        assert (table.length, table.pts) == (8 * entries, pts)
        assert table.address % PAGE == 0


@pytest.mark.parametrize("haw", [0, 11, 53, 0x3F00000000000034])
def test_both_ledgers_refuse_a_host_address_width_that_no_host_has(haw):
    """DMAR table: HAW is 12 to 52 bits (docs/walk.md). Found by fuzzing: the plain ledger took any."""
    given = {"RTADDR": 0x1000, "HAW": haw}

    with pytest.raises(AbiError, match=r"vtd\.HAW.*12 to 52 bits"):
        Unit("vtd", given)
    with pytest.raises(ValueError, match="HAW"):
        plain_walk.translate("vtd", given, build.Memory().read, Request(0, 0))


@pytest.mark.parametrize("haw", [11, 53, 64, 0x3F00_0000_0000_0034])
def test_no_host_has_addresses_of_other_than_12_to_52_bits(haw):
    """52 bits: the address fields of all entries end at bit 51 (VT-d 9.1)."""
    with pytest.raises(ValueError, match="HAW"):
        plain_walk.translate("vtd", {"RTADDR": 0x1000, "HAW": haw}, hostile(0), Request(0, 0))
