"""The RISC-V IOMMU walk against facts from outside: cases, counts, and docs/walk_riscv.md.

Codes are the causes of the RISC-V IOMMU specification, 4.2; where a comment says "ours", the
source is docs/walk_riscv.md. Both ledgers are asked where the fast one knows the format.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from edits import both, nothing
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import ask_both

from iommu_abi.schemas import build, in_words, plain_walk, riscv_features, table_walk
from iommu_abi.schemas.build import HUGE, LARGE, PAGE, READ, RW, RWX, WRITE
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.riscv_entries import (
    CAPABILITIES,
    DDTE,
    DDTP,
    EXTENDED_DC,
    FCTL,
    MSI_BASIC,
    MSI_MRIF,
    PC,
    PDTE,
    PTE,
    extract,
)
from iommu_abi.terms import Access, At, Fault, Purpose, Reason, Ref, Request, Stage, Target, Translation

CASES = json.loads((Path(__file__).parent / "data" / "conformance_cases.json").read_text())["cases"]
EXEC = Access.EXEC
NONE = Access.NONE
DEVICE = 0x10
PROCESS = 5
IOVA = 0x12_3456_7000
MAX_REFS = 96  # IOMMU_ABI_MAX_REFS of walk.h
NOWHERE = 0x7F_FFFF_C000  # no memory is there
ACCESS = {EXEC: 1, READ: 5, WRITE: 7}
PAGE_FAULT = {EXEC: 12, READ: 13, WRITE: 15}
GUEST = {EXEC: 20, READ: 21, WRITE: 23}


def ask(registers: Mapping[str, int], host: build.Memory, request: Request) -> Translation:
    """The answer of both ledgers."""
    return ask_both("riscv", registers, host, request)


def capabilities(**fields: int) -> int:
    """The default's fields but for some."""
    parsed = CAPABILITIES.of(riscv_features.DEFAULT_CAPABILITIES)
    return CAPABILITIES.value(**{each.name: parsed[each.name] for each in CAPABILITIES.fields} | fields)


# ---------------------------------------------------------------- worlds to ask in


@dataclass
class World:
    """Tables of one device, the page that IOVA reaches, and the registers."""

    host: build.Memory
    unit: build.RiscvUnit
    dc: int
    first: Any = None
    second: Any = None
    guest: Any = None
    processes: Any = None
    pc: int = 0
    msi: Any = None
    page: int = 0
    registers: dict[str, int] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    def ask(self, **changes: Any) -> Translation:
        request = Request(**{"rid": DEVICE, "iova": IOVA | 0x123} | self.request | changes)
        return ask(self.unit.registers | self.registers, self.host, request)

    def edit_dc(self, **fields: int) -> None:
        self.host.edit(self.unit.context, self.dc, **fields)

    def edit_first(self, level: int, **fields: int) -> None:
        iova = self.request.get("iova", IOVA)
        self.first.space.edit(self.first.mode.layout, self.first.entry(iova, level), **fields)

    def edit_second(self, address: int, level: int, **fields: int) -> None:
        self.host.edit(self.second.mode.layout, self.second.entry(address, level), **fields)

    def edit_table_page(self, level: int, **fields: int) -> None:
        """Change the second-stage page that holds the first-stage table of ``level``."""
        self.edit_second(self.first.entry(self.request.get("iova", IOVA), level), 0, **fields)


def with_registers(world: World, **registers: int) -> World:
    world.registers.update(registers)
    return world


def first_only(
    mode: str = "Sv39",
    page: int = PAGE,
    access: Access = RWX,
    leaf: Mapping[str, int] | None = None,
    levels: int = 1,
    iova: int = IOVA,
    **dc: int,
) -> World:
    """PDTV=0, iohgatp Bare."""
    host = build.Memory()
    first = build.RiscvFirstStage(host, mode)
    iova = iova & 0xFFFF_F000 if mode == "Sv32" else iova
    target = host.page(page // PAGE if page <= LARGE else 1, align=page)
    first.map(iova & -page, target, page=page, access=access, **(leaf or {}))
    unit = build.RiscvUnit(host, levels)
    world = World(host, unit, unit.device(DEVICE, first, **dc), first, page=target)
    if mode == "Sv32":
        with_registers(world, GXL_WRITABLE=1)
    world.request["iova"] = iova | 0x123
    return world


def second_only(
    mode: str = "Sv39",
    page: int = PAGE,
    access: Access = RWX,
    leaf: Mapping[str, int] | None = None,
    **dc: int,
) -> World:
    """The second stage alone, the x4 variant of ``mode``."""
    host = build.Memory()
    second = build.RiscvSecondStage(host, mode)
    target = host.page(page // PAGE if page <= LARGE else 1, align=page)
    iova = IOVA & 0x3_FFFF_F000 if mode == "Sv32" else IOVA
    second.map(iova & -page, target, page=page, access=access, **(leaf or {}))
    narrow = mode == "Sv32"
    unit = build.RiscvUnit(host, 1, FCTL=FCTL.value(GXL=int(narrow)))
    dc_at = unit.device(DEVICE, second=second, **{"SXL": int(narrow)} | dc)
    return World(host, unit, dc_at, second=second, page=target, request={"iova": iova | 0x123})


def nested(
    first: str = "Sv48",
    second: str = "Sv48",
    levels: int = 1,
    bits: int | None = None,
    accessed: bool = True,
    guest_at: int = 0x4000_0000,
    **dc: int,
) -> World:
    """Both stages; with ``bits`` by a process directory in guest memory."""
    host = build.Memory()
    stage2 = build.RiscvSecondStage(host, second)
    guest = build.Guest(host, stage2, guest_at)
    stage1 = build.RiscvFirstStage(guest, first, accessed)
    page = guest.page()
    stage1.map(IOVA, page)
    unit = build.RiscvUnit(host, levels)
    if bits is None:
        return World(host, unit, unit.device(DEVICE, stage1, stage2, **dc), stage1, stage2, guest, page=page)
    processes = build.ProcessDirectory(guest, bits)
    pc = processes.set(PROCESS, stage1)
    dc_at = unit.device(DEVICE, None, stage2, processes, **dc)
    return World(
        host, unit, dc_at, stage1, stage2, guest, processes, pc, page=page, request={"pasid": PROCESS}
    )


def with_process(
    bits: int = 8, levels: int = 1, leaf: Mapping[str, int] | None = None, access: Access = RWX, **pc: int
) -> World:
    """PDTV=1, iohgatp Bare."""
    host = build.Memory()
    first = build.RiscvFirstStage(host)
    page = host.page()
    first.map(IOVA, page, access=access, **(leaf or {}))
    processes = build.ProcessDirectory(host, bits)
    where = processes.set(PROCESS, first, **pc)
    unit = build.RiscvUnit(host, levels)
    dc = unit.device(DEVICE, processes=processes)
    return World(host, unit, dc, first, processes=processes, pc=where, page=page, request={"pasid": PROCESS})


# Guest pages 0x28000 to 0x28003 and 0x28100 to 0x28103 are interrupt files.
MSI_MASK, MSI_PATTERN = 0x103, 0x28000
MSI_ADDRESS = 0x2810_2000
FILE = 0x5_6789_A000


def with_msi(stage1: bool = False, **dc: int) -> World:
    """A second stage with an MSI page table, and a first stage that leads there."""
    host = build.Memory()
    second = build.RiscvSecondStage(host)
    guest = build.Guest(host, second)
    table = build.MsiTable(host, MSI_MASK, MSI_PATTERN)
    table.basic(MSI_ADDRESS, FILE)
    unit = build.RiscvUnit(host, 1)
    first = None
    if stage1:
        first = build.RiscvFirstStage(guest)
        first.map(IOVA, MSI_ADDRESS)
    dc_at = unit.device(DEVICE, first, second, msi=table, **dc)
    iova = (IOVA if stage1 else MSI_ADDRESS) | 0x10
    return World(host, unit, dc_at, first, second, guest, msi=table, request={"iova": iova, "access": WRITE})


def narrow_msi() -> World:
    """The same for a guest of 32 bits."""
    host = build.Memory()
    second = build.RiscvSecondStage(host, "Sv32")
    table = build.MsiTable(host, MSI_MASK, MSI_PATTERN)
    table.basic(MSI_ADDRESS, FILE)
    unit = build.RiscvUnit(host, 1, FCTL=4)
    at = unit.device(DEVICE, None, second, msi=table, SXL=1)
    return World(host, unit, at, None, second, msi=table, request={"iova": MSI_ADDRESS, "access": WRITE})


# ---------------------------------------------------------------- how many references

# walk_algorithm.md, section 3: directories 1 to 3, each PDT level m+1, the stages n(m+1)+m.
COUNTS = {
    "Sv39 alone": (first_only, 1 + 3),
    "Sv32 alone": (lambda: first_only("Sv32"), 1 + 2),
    "Sv57 alone": (lambda: first_only("Sv57"), 1 + 5),
    "Sv48x4 alone": (lambda: second_only("Sv48"), 1 + 4),
    "Sv39, 3-level directory": (lambda: first_only(levels=3), 3 + 3),
    "process, PD8": (with_process, 1 + 1 + 3),
    "process, PD17": (lambda: with_process(17), 1 + 2 + 3),
    "process, PD20, 3-level directory": (lambda: with_process(20, 3), 3 + 3 + 3),
    "nested 4x4": (nested, 25),
    "nested 5x5": (lambda: nested("Sv57", "Sv57"), 36),
    "nested 3x3": (lambda: nested("Sv39", "Sv39"), 16),
    "nested 4x4, 3 levels, PD20": (lambda: nested(levels=3, bits=20), 42),
    "nested 5x5, 3 levels, PD20": (lambda: nested("Sv57", "Sv57", 3, 20), 56),
    "nested 3x3, 3 levels, PD20": (lambda: nested("Sv39", "Sv39", 3, 20), 30),
    "nested 5x4": (lambda: nested("Sv57", "Sv48"), 1 + 29),
    "nested 4x5": (lambda: nested("Sv48", "Sv57"), 1 + 29),
    # n(m+1) + 1 MSI PTE.
    "MSI, nested 3x3": (lambda: with_msi(stage1=True), 1 + 3 * 4 + 1),
    "MSI, second stage alone": (with_msi, 1 + 1),
}


@pytest.mark.parametrize(("world", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_a_walk_reads_as_many_entries_as_arithmetic_says(world: Callable[[], World], count: int) -> None:
    answer = world().ask()

    assert answer.fault is None
    assert len(answer.refs) == count


def test_a_nested_walk_reads_the_second_stage_before_each_entry_in_guest_memory() -> None:
    world = nested("Sv39", "Sv39", 3, 20)

    refs = world.ask().refs

    kinds = [(ref.stage, ref.level, ref.purpose, ref.for_level, ref.len) for ref in refs]
    data = Purpose.DATA
    assert kinds[:3] == [(Stage.DEVICE, i, data, 0, 64 if i == 0 else 8) for i in (2, 1, 0)]
    for step, level in enumerate((2, 1, 0)):
        group = kinds[3 + 4 * step : 7 + 4 * step]
        assert group[:3] == [(Stage.S2, i, Purpose.PASID_ENTRY, level, 8) for i in (2, 1, 0)]
        assert group[3] == (Stage.PASID, level, data, 0, 8 if level else 16)
    for step, level in enumerate((2, 1, 0)):
        group = kinds[15 + 4 * step : 19 + 4 * step]
        assert group[:3] == [(Stage.S2, i, Purpose.S1_ENTRY, level, 8) for i in (2, 1, 0)]
        assert group[3] == (Stage.S1, level, data, 0, 8)
    assert kinds[27:] == [(Stage.S2, i, data, 0, 8) for i in (2, 1, 0)]
    assert (refs[14].gpa, refs[14].hpa) == (world.pc, world.guest.hpa(world.pc))


def test_sv32_has_entries_of_4_bytes() -> None:
    refs = first_only("Sv32").ask().refs

    assert [ref.len for ref in refs[1:]] == [4, 4]
    assert all(ref.raw < 1 << 32 for ref in refs[1:])


# ---------------------------------------------------------------- directories

# format notes, section 1: the three parts of a device_id, without and with MSI_FLAT.
PARTS = {0: (7, 9, 8), 1: (6, 9, 9)}


@pytest.mark.parametrize("msi_flat", [0, 1])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_device_ids_are_split_by_the_size_of_the_context(msi_flat: int, levels: int) -> None:
    host = build.Memory()
    unit = build.RiscvUnit(host, levels, CAPABILITIES=capabilities(MSI_FLAT=msi_flat))
    width = sum(PARTS[msi_flat][:levels])
    last = (1 << width) - 1
    unit.device(last)

    refs = ask(unit.registers, host, Request(last, IOVA)).refs

    assert [ref.level for ref in refs] == list(reversed(range(levels)))
    assert [ref.hpa % PAGE for ref in refs[:-1]] == [
        8 * ((1 << PARTS[msi_flat][level]) - 1) for level in reversed(range(1, levels))
    ]
    assert refs[-1].hpa % PAGE == PAGE - (64 if msi_flat else 32)
    if levels < 3:
        fault = ask(unit.registers, host, Request(last + 1, IOVA)).fault
        assert fault is not None
        assert words(fault) == ["RID_RANGE", "DEVICE", "0", "260"]
        assert fault.entry_hpa is None


# format notes, section 3: the three parts of a process_id; the middle one is PDI[1].
@pytest.mark.parametrize(("bits", "parts"), [(8, (8,)), (17, (8, 9)), (20, (8, 9, 3))])
def test_process_ids_are_split_into_8_9_and_3_bits(bits: int, parts: tuple[int, ...]) -> None:
    world = with_process(bits)
    process = 0xA_5A5A & ((1 << bits) - 1)
    world.processes.set(process, world.first)

    refs = [ref for ref in world.ask(pasid=process).refs if ref.stage is Stage.PASID]

    shifts = [sum(parts[:level]) for level in range(len(parts))]
    indexes = [process >> shift & ((1 << part) - 1) for shift, part in zip(shifts, parts)]
    assert [ref.hpa % PAGE for ref in reversed(refs)] == [16 * indexes[0], *(8 * i for i in indexes[1:])]


# ---------------------------------------------------------------- answers that pass


@pytest.mark.parametrize("at", list(At))
def test_bare_mode_lets_untranslated_requests_through(at: At) -> None:
    host = build.Memory()

    answer = ask({"DDTP": 1}, host, Request(0xFF_FFFF, IOVA, 7, WRITE, at=at))

    if at is At.UNTRANSLATED:
        assert (answer.hpa, answer.size_lg2, answer.access, answer.refs) == (IOVA, 12, RWX, ())
    else:
        assert answer.fault is not None
        assert words(answer.fault) == ["BLOCKED", "DEVICE", "0", "260"]
        assert answer.fault.entry_hpa is None


def test_a_device_context_that_is_bare_lets_everything_through() -> None:
    # No width check where both stages are Bare; also beyond the physical address space.
    host = build.Memory()
    unit = build.RiscvUnit(host, 1)
    unit.device(DEVICE)

    answer = ask(unit.registers, host, Request(DEVICE, (1 << 64) - 1))

    assert (answer.hpa, answer.gpa, answer.size_lg2, answer.access) == ((1 << 64) - 1, (1 << 64) - 1, 12, RWX)


def test_a_nested_answer_has_both_addresses_and_the_rights_of_both_stages() -> None:
    world = nested()
    world.edit_second(world.page, 0, W=0)

    answer = world.ask()

    assert answer.gpa == world.page + 0x123
    assert answer.hpa == world.guest.hpa(world.page) + 0x123
    assert (answer.access, answer.size_lg2) == (READ | EXEC, 12)


# format notes, section 4: superpages; Svnapot.
SIZES = [
    ("Sv39", PAGE, 12),
    ("Sv39", 1 << 16, 16),
    ("Sv39", LARGE, 21),
    ("Sv39", HUGE, 30),
    ("Sv48", 1 << 39, 39),
    ("Sv57", 1 << 48, 48),
    ("Sv32", PAGE, 12),
    ("Sv32", 1 << 22, 22),
]


@pytest.mark.parametrize(("mode", "page", "size_lg2"), SIZES)
@pytest.mark.parametrize("world", [first_only, second_only])
def test_size_is_that_of_the_leaf(world: Callable[..., World], mode: str, page: int, size_lg2: int) -> None:
    made = world(mode, page=page)

    answer = made.ask()

    assert answer.size_lg2 == size_lg2
    assert answer.hpa == made.page + made.request["iova"] % page


def test_the_upper_canonical_half_is_taken() -> None:
    world = first_only(iova=(1 << 64) - 0x7000)

    assert world.ask().hpa == world.page + 0x123


def test_the_root_of_the_second_stage_has_four_times_the_entries() -> None:
    world = second_only()
    world.second.map(1 << 40, world.page)

    answer = world.ask(iova=1 << 40 | 0x123)

    assert answer.hpa == world.page + 0x123
    assert answer.refs[1].hpa == world.second.root + 8 * 1024


def test_sv32_reaches_34_bits() -> None:
    world = first_only("Sv32")
    world.edit_first(0, PPN=0x3_FFFF_F000)

    assert world.ask().hpa == 0x3_FFFF_F123


def test_sv32_may_lie_on_sv39x4() -> None:
    # format notes 2, section 8: SXL=1 with GXL=0 where GXL can be written.
    world = nested("Sv39", "Sv39")
    narrow = build.RiscvFirstStage(world.guest, "Sv32")
    narrow.map(0x1000, world.page)
    world.edit_dc(SXL=1, fsc_MODE=8, fsc_PPN=narrow.root)

    answer = with_registers(world, GXL_WRITABLE=1).ask(iova=0x1123)

    assert answer.hpa == world.guest.hpa(world.page) + 0x123
    assert len(answer.refs) == 1 + 2 * 4 + 3


def test_without_a_process_the_first_stage_is_off_or_with_dpe_that_of_process_0() -> None:
    # "Process to translate an IOVA", steps 11 and 12.
    world = with_process()
    off = world.ask(pasid=None, priv=True)
    assert (off.hpa, len(off.refs)) == (IOVA | 0x123, 1)

    world.processes.set(0, world.first, ENS=0)
    world.edit_dc(DPE=1)

    # priv counts only with a process_id.
    assert world.ask(pasid=None, priv=True).hpa == world.page + 0x123


def test_a_bare_process_directory_turns_the_first_stage_off_for_every_process() -> None:
    world = with_process()
    world.edit_dc(fsc_MODE=0)

    answer = world.ask(pasid=0xF_FFFF, priv=True)

    assert (answer.hpa, answer.access, len(answer.refs)) == (IOVA | 0x123, RWX, 1)


def test_a_bare_process_context_turns_the_first_stage_off() -> None:
    world = with_process(fsc_MODE=0)

    assert world.ask().hpa == IOVA | 0x123


def test_a_translated_request_is_a_spa_or_with_t2gpa_a_gpa() -> None:
    # Steps 8 and 9.
    world = nested(EN_ATS=1)
    spa = world.ask(at=At.TRANSLATED)
    assert (spa.hpa, spa.access, len(spa.refs)) == (IOVA | 0x123, RWX, 1)

    world.edit_dc(T2GPA=1)
    answer = world.ask(at=At.TRANSLATED, iova=world.page | 0x123)

    assert answer.hpa == world.guest.hpa(world.page) + 0x123
    assert len(answer.refs) == 1 + 4


def test_with_t2gpa_a_translation_request_is_answered_with_the_gpa() -> None:
    # format notes 2, section 5: both stages are walked for permission and size.
    world = nested(EN_ATS=1, T2GPA=1)
    world.edit_second(world.page, 0, W=0)

    answer = world.ask(at=At.TRANSLATION)

    assert answer.hpa == answer.gpa == world.page + 0x123
    assert (answer.access, len(answer.refs)) == (READ | EXEC, 25)


@pytest.mark.parametrize("access", [READ, WRITE, EXEC])
def test_a_translation_request_is_not_judged_by_r_w_and_x(access: Access) -> None:
    # format notes 2, section 9: success with the missing permission cleared.
    world = nested(EN_ATS=1)
    world.edit_first(0, W=0, X=0)
    world.edit_second(world.page, 0, X=0, D=0)

    answer = world.ask(at=At.TRANSLATION, access=access)

    if access is WRITE:  # the second stage has W without D, and does not set D
        assert answer.fault is not None
        assert answer.fault.reason is Reason.ACCESS_FLAG
    else:
        assert answer.access == READ


def test_a_translation_request_still_wants_to_read_tables() -> None:
    world = nested(EN_ATS=1)
    world.edit_table_page(0, R=0, W=0)

    fault = world.ask(at=At.TRANSLATION).fault

    assert fault is not None
    assert words(fault) == ["DENIED", "S2", "0", "21"]
    assert not fault.recorded


def test_a_completion_grants_execute_only_with_read() -> None:
    """By "PCIe ATS translation request handling": PCIe has no pages that can be executed only."""
    world = nested(EN_ATS=1)
    world.edit_first(0, R=0, W=0)

    for access in (READ, WRITE, EXEC):
        assert world.ask(at=At.TRANSLATION, access=access).access == NONE
    assert world.ask(access=EXEC).access == EXEC


# ---------------------------------------------------------------- what an answer claims


@pytest.mark.parametrize("world", [first_only, second_only])
def test_write_is_not_shown_where_d_is_clear_and_hardware_does_not_set_it(
    world: Callable[..., World],
) -> None:
    """tc.SADE, GADE: with 0 a store to a page with D=0 is a page fault."""
    clean = {"D": 0}
    for access in (READ, EXEC):
        assert world(leaf=clean).ask(access=access).access == READ | EXEC
        assert world(leaf=clean, SADE=1, GADE=1).ask(access=access).access == RWX
        assert world(leaf={"D": 1}).ask(access=access).access == RWX


@pytest.mark.parametrize(("fields", "gade", "access"), [
    ({"W": 0}, 1, READ | EXEC),
    ({"W": 0}, 0, READ | EXEC),
    ({"D": 0}, 0, READ | EXEC),
    ({"D": 0}, 1, RWX),
    ({}, 0, RWX),
])  # fmt: skip
def test_write_is_not_shown_where_hardware_cannot_set_d(
    fields: dict[str, int], gade: int, access: Access
) -> None:
    """SADE=1, and the page of the table is behind a second stage that lets no write through."""
    world = nested("Sv39", "Sv39", SADE=1, GADE=gade)
    world.edit_first(0, D=0)
    world.edit_table_page(0, **fields)

    assert world.ask().access == access
    assert (world.ask(access=WRITE).fault is None) is bool(access & WRITE)


@pytest.mark.parametrize("mode", ["Sv39", "Sv48", "Sv57"])
@pytest.mark.parametrize("at", [At.UNTRANSLATED, At.TRANSLATED])
def test_a_guest_of_32_bits_has_no_gpa_above_bit_33(mode: str, at: At) -> None:
    """tc.SXL, where GXL is 0 and can be written: a guest page fault, however wide the second stage is."""
    host = build.Memory()
    second = build.RiscvSecondStage(host, mode)
    second.map(0, 0, page=512 * HUGE if mode != "Sv39" else HUGE)
    if mode == "Sv39":
        second.map((1 << 34) - HUGE, 0, page=HUGE)
    unit = build.RiscvUnit(host, 1, GXL_WRITABLE=1)
    unit.device(DEVICE, None, second, SXL=1, EN_ATS=1, T2GPA=1)

    for gpa in (1 << 34, 1 << 39, (1 << 63) | 0x123):
        fault = ask(unit.registers, host, Request(DEVICE, gpa, at=at)).fault
        assert fault is not None
        assert (fault.reason, fault.stage, fault.native) == (Reason.INPUT_RANGE, Stage.S2, GUEST[READ])
        assert fault.detail == gpa & ~3
    low = ask(unit.registers, host, Request(DEVICE, (1 << 34) - 1, at=at))
    assert low.fault is None
    assert low.size_lg2 == (34 if mode != "Sv39" else 30)


def test_sxl_needs_a_gxl_that_can_be_written_and_no_sv32() -> None:
    """By "Device-context configuration checks": SXL may be 0 or 1 if fctl.GXL can be written."""
    host = build.Memory()
    second = build.RiscvSecondStage(host)
    second.map(0x5000, host.page())
    for writable, sv32, passes in ((1, 0, True), (1, 1, True), (0, 1, False)):
        unit = build.RiscvUnit(host, 1, GXL_WRITABLE=writable, CAPABILITIES=capabilities(Sv32=sv32))
        unit.device(DEVICE, None, second, SXL=1)
        answer = ask(unit.registers, host, Request(DEVICE, 0x5000))
        assert (answer.fault is None) is passes


def test_a_size_never_spans_an_interrupt_file() -> None:
    """A 1 GiB page of the second stage; files are its pages 0x28000 to 0x28003 and 0x28100 to 0x28103."""
    world = with_msi()
    world.second.map(0, 0, page=HUGE)
    files = [0x28000 + i + j for j in (0, 0x100) for i in range(4)]
    for page in (0x28004, 0x28010, 0x28104, 0x27FFF, 0x20000, 0x2A000, 0, 0x3FFFF):
        answer = world.ask(iova=page << 12)
        assert (answer.hpa, answer.fault) == (page << 12, None)
        pages_lg2 = answer.size_lg2 - 12
        assert not any(file >> pages_lg2 == page >> pages_lg2 for file in files)
        # and none larger would do
        assert any(file >> pages_lg2 + 1 == page >> pages_lg2 + 1 for file in files)


# ---------------------------------------------------------------- rights


def rights_of(world: World, **request: Any) -> Access:
    """What a requester may do, asked for one by one; the answers must say the same."""
    answers = {access: world.ask(access=access, **request) for access in (READ, WRITE, EXEC)}
    allowed = NONE
    for access, answer in answers.items():
        if answer.fault is None:
            allowed |= access
    assert {answer.access for answer in answers.values() if answer.fault is None} <= {allowed}
    return allowed


# format notes, section 4: leaf, ENS, SUM, priv -> rights.
MODES = [
    ({}, {}, False, RWX),
    ({"U": 0}, {}, False, NONE),
    ({"U": 0}, {"ENS": 1}, True, RWX),
    ({}, {"ENS": 1}, True, NONE),
    ({}, {"ENS": 1, "SUM": 1}, True, RW),
    ({}, {"SUM": 1}, False, RWX),
    ({"X": 0}, {}, False, RW),
    ({"W": 0}, {}, False, READ | EXEC),
    ({"R": 0, "W": 0}, {}, False, EXEC),  # execute-only
]


@pytest.mark.parametrize(("leaf", "pc", "priv", "access"), MODES)
def test_first_stage_rights(leaf: dict[str, int], pc: dict[str, int], priv: bool, access: Access) -> None:
    assert rights_of(with_process(leaf=leaf, **pc), priv=priv) == access


def test_the_second_stage_treats_all_requests_as_a_users() -> None:
    world = nested(bits=8)
    world.guest.edit(PC, world.pc, ENS=1, SUM=1)
    assert rights_of(world, priv=True) == RW

    world.edit_second(world.page, 0, U=0)

    assert rights_of(world, priv=True) == NONE


# ---------------------------------------------------------------- A and D

A, D = 1 << 6, 1 << 7


def changes(refs: tuple[Ref, ...], stage: Stage) -> list[int]:
    return [ref.raw ^ ref.updated for ref in refs if ref.stage is stage]


FLAGS = [
    (0, {"A": 0}, READ, None),
    (0, {"D": 0}, READ, 0),
    (0, {"D": 0}, EXEC, 0),
    (0, {"D": 0}, WRITE, None),
    (1, {"A": 0}, READ, A),
    (1, {"A": 0, "D": 0}, READ, A),
    (1, {"A": 0, "D": 0}, WRITE, A | D),
    (1, {"D": 0}, WRITE, D),
    (1, {}, WRITE, 0),
]


@pytest.mark.parametrize(("hardware", "leaf", "access", "changed"), FLAGS)
@pytest.mark.parametrize(
    ("world", "control", "stage", "codes"),
    [(first_only, "SADE", Stage.S1, PAGE_FAULT), (second_only, "GADE", Stage.S2, GUEST)],
)
def test_hardware_sets_a_and_d_or_wants_them_set(
    world: Callable[..., World],
    control: str,
    stage: Stage,
    codes: dict[Access, int],
    hardware: int,
    leaf: dict[str, int],
    access: Access,
    changed: int | None,
) -> None:
    # format notes 2, section 4.
    answer = world(leaf=leaf, **{control: hardware}).ask(access=access)

    if changed is None:
        assert answer.fault is not None
        assert (answer.fault.reason, answer.fault.native) == (Reason.ACCESS_FLAG, codes[access])
        assert answer.refs[-1].raw == answer.refs[-1].updated
    else:
        assert changes(answer.refs, stage) == [0, 0, changed]


def test_d_is_never_set_without_w() -> None:
    # Only a translation request gets this far (format notes 2, section 4).
    world = first_only(leaf={"D": 0, "W": 0}, EN_ATS=1, SADE=1)

    answer = world.ask(at=At.TRANSLATION, access=WRITE)

    assert answer.access == READ | EXEC
    assert changes(answer.refs, Stage.S1) == [0, 0, 0]


def test_setting_a_in_the_first_stage_dirties_the_second_stage_page_of_the_table() -> None:
    world = nested("Sv39", "Sv39", accessed=False, SADE=1, GADE=1)
    world.edit_table_page(0, A=0, D=0)

    answer = world.ask()

    for_leaf = [ref for ref in answer.refs if ref.purpose is Purpose.S1_ENTRY and ref.for_level == 0]
    assert [ref.raw ^ ref.updated for ref in for_leaf] == [0, 0, A | D]
    assert changes(answer.refs, Stage.S1) == [0, 0, A]


def test_reading_a_table_sets_only_a_in_the_second_stage() -> None:
    # ours: the reference model sets D early.
    world = nested("Sv39", "Sv39", SADE=1, GADE=1)
    world.edit_table_page(0, A=0, D=0)

    assert changes(world.ask(access=WRITE).refs, Stage.S2).count(A) == 1


@pytest.mark.parametrize(("fields", "gade"), [({"W": 0}, 1), ({"W": 0}, 0), ({"D": 0}, 0)])
def test_an_update_that_the_second_stage_does_not_let_through(fields: dict[str, int], gade: int) -> None:
    world = nested("Sv39", "Sv39", accessed=False, SADE=1, GADE=gade)
    world.edit_table_page(0, **fields)

    fault = world.ask(access=EXEC).fault

    entry = world.first.entry(IOVA, 0)
    assert fault is not None
    assert words(fault) == ["UPDATE_DENIED", "S2", "0", "20"]
    assert fault.detail == entry | 3  # iotval2: an implicit write
    assert (fault.input, fault.purpose, fault.for_level) == (entry, Purpose.S1_UPDATE, 0)
    assert fault.raw == world.host.load(world.second.entry(entry, 0))


def test_flags_that_are_set_need_no_write_right_of_the_second_stage() -> None:
    world = nested(SADE=1)
    for level in range(4):
        world.edit_table_page(level, W=0, D=0)

    assert world.ask(access=WRITE).fault is None


# ---------------------------------------------------------------- faults

Edit = Callable[[World], object]


def dc(**fields: int) -> Edit:
    return lambda world: world.edit_dc(**fields)


def ddte(**fields: int) -> Edit:
    return lambda world: world.host.edit(DDTE, world.unit.directory, **fields)


def pc(**fields: int) -> Edit:
    return lambda world: world.processes.space.edit(PC, world.pc, **fields)


def pdte(**fields: int) -> Edit:
    return lambda world: world.processes.space.edit(PDTE, world.processes.address, **fields)


def first(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_first(level, **fields)


def second(level: int, **fields: int) -> Edit:
    """Change the second-stage entry of ``level`` for the data."""
    return lambda world: world.edit_second(
        world.page if world.guest else world.request["iova"], level, **fields
    )


def table_page(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_table_page(level, **fields)


def pc_page(level: int = 0, **fields: int) -> Edit:
    """Change the second-stage entry of ``level`` for the process context."""
    return lambda world: world.edit_second(world.pc, level, **fields)


def msi(layout: Layout = MSI_BASIC, **fields: int) -> Edit:
    return lambda world: world.host.edit(layout, world.msi.entry(MSI_ADDRESS), **fields)


def registers(**each: int) -> Edit:
    return lambda world: with_registers(world, **each)


def lacks(*names: str) -> Edit:
    """Take capabilities away."""
    return registers(CAPABILITIES=capabilities(**dict.fromkeys(names, 0)))


def words(fault: Fault) -> list[str]:
    """A fault as the facts below write it."""
    return [fault.reason.name, fault.stage.name, str(fault.level), str(fault.native)]


@dataclass
class Fact:
    """A world, what is changed in it, what is asked, and where and why it stops."""

    world: Callable[[], World]
    edit: Edit
    stops: str  # reason, stage, level, cause
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


NO_ENTRY = {"entry_hpa": None, "raw": None}


def two_levels() -> World:
    return first_only(levels=2)


# format notes, section 5, steps 1 to 7.
DEVICE_FACTS = {
    "off": Fact(
        first_only, registers(DDTP=0), "ABORTED DEVICE 0 256", more=NO_ENTRY | {"recorded": True, "detail": 0}
    ),
    "bare, translation request": Fact(
        first_only, registers(DDTP=1), "BLOCKED DEVICE 0 260", {"at": At.TRANSLATION}, NO_ENTRY
    ),
    # ours: the register is WARL.
    "iommu_mode 5": Fact(first_only, registers(DDTP=5), "INVALID DEVICE 0 256", more=NO_ENTRY),
    "device_id too wide": Fact(first_only, nothing, "RID_RANGE DEVICE 0 260", {"rid": 64}, NO_ENTRY),
    "directory unreadable": Fact(
        two_levels, registers(DDTP=DDTP.value(iommu_mode=3, PPN=NOWHERE)), "UNREADABLE DEVICE 1 257"
    ),
    "directory absent": Fact(two_levels, ddte(V=0), "NOT_PRESENT DEVICE 1 258"),
    "directory reserved": Fact(two_levels, ddte(rsvd_9_1=1), "RESERVED DEVICE 1 259"),
    "absent comes before reserved": Fact(two_levels, ddte(V=0, rsvd_9_1=1), "NOT_PRESENT DEVICE 1 258"),
    "context unreadable": Fact(two_levels, ddte(PPN=NOWHERE), "UNREADABLE DEVICE 0 257", more={"raw": None}),
    "context beyond PAS": Fact(
        two_levels,
        lambda w: with_registers(w, CAPABILITIES=capabilities(PAS=w.unit.directory.bit_length() - 1)),
        "UNREADABLE DEVICE 1 257",
    ),
    "context absent": Fact(first_only, dc(V=0), "NOT_PRESENT DEVICE 0 258"),
    "context reserved": Fact(first_only, dc(rsvd_q3_59_44=1), "RESERVED DEVICE 0 259"),
    "reserved comes before the rest": Fact(
        first_only, dc(rsvd_q3_59_44=1, EN_PRI=1), "RESERVED DEVICE 0 259"
    ),
    "misconfigured comes before the request type": Fact(
        first_only, dc(EN_PRI=1), "INVALID DEVICE 0 259", {"at": At.TRANSLATED}
    ),
    "translated request without EN_ATS": Fact(
        first_only, nothing, "BLOCKED DEVICE 0 260", {"at": At.TRANSLATED}
    ),
    "translation request without EN_ATS": Fact(
        first_only, nothing, "BLOCKED DEVICE 0 260", {"at": At.TRANSLATION}, {"recorded": True}
    ),
    "process without PDTV": Fact(first_only, nothing, "BLOCKED DEVICE 0 260", {"pasid": 0}),
    "process beyond PD8": Fact(with_process, nothing, "PASID_RANGE DEVICE 0 260", {"pasid": 256}),
    "process beyond PD17": Fact(
        lambda: with_process(17), nothing, "PASID_RANGE DEVICE 0 260", {"pasid": 1 << 17}
    ),
    "EN_ATS comes before the process": Fact(
        with_process, nothing, "BLOCKED DEVICE 0 260", {"pasid": 256, "at": At.TRANSLATION}
    ),
}

PASID_FACTS = {
    # Steps 14 and 15.
    "context unreadable": Fact(with_process, dc(fsc_PPN=NOWHERE), "UNREADABLE PASID 0 265"),
    "context absent": Fact(with_process, pc(V=0), "NOT_PRESENT PASID 0 266"),
    "context reserved, ta": Fact(with_process, pc(rsvd_q0_11_3=1), "RESERVED PASID 0 267"),
    "context reserved, fsc": Fact(with_process, pc(rsvd_q1_59_44=1), "RESERVED PASID 0 267"),
    "mode that does not exist": Fact(with_process, pc(fsc_MODE=5), "INVALID PASID 0 267"),
    "mode that the unit lacks": Fact(
        with_process, both(pc(fsc_MODE=10), lacks("Sv57")), "INVALID PASID 0 267"
    ),
    "directory unreadable": Fact(lambda: with_process(17), dc(fsc_PPN=NOWHERE), "UNREADABLE PASID 1 265"),
    "directory absent": Fact(lambda: with_process(17), pdte(V=0), "NOT_PRESENT PASID 1 266"),
    "directory reserved": Fact(lambda: with_process(20), pdte(rsvd_63_54=1), "RESERVED PASID 2 267"),
    "context beyond PAS": Fact(
        lambda: with_process(17),
        both(pdte(PPN=1 << 50), registers(CAPABILITIES=capabilities(PAS=50))),
        "UNREADABLE PASID 0 265",
    ),
    "supervisor without ENS": Fact(with_process, nothing, "BLOCKED PASID 0 260", {"priv": True}),
    "the mode comes before ENS": Fact(with_process, pc(fsc_MODE=5), "INVALID PASID 0 267", {"priv": True}),
    "context not mapped": Fact(
        lambda: nested(bits=8),
        pc_page(V=0),
        "NOT_PRESENT S2 0 23",
        {"access": WRITE},
        {"purpose": Purpose.PASID_ENTRY, "for_level": 0},
    ),
    "context not a user's": Fact(lambda: nested(bits=8), pc_page(U=0), "PRIVILEGE S2 0 20", {"access": EXEC}),
    "context without A": Fact(lambda: nested(bits=8), pc_page(A=0), "ACCESS_FLAG S2 0 21"),
    "second stage of the context unreadable": Fact(
        lambda: nested(bits=8),
        pc_page(1, PPN=NOWHERE),
        "UNREADABLE S2 0 265",
        {"access": WRITE},
        {"detail": 0, "purpose": Purpose.PASID_ENTRY},
    ),
    "no memory behind the context": Fact(
        lambda: nested(bits=8), pc_page(PPN=NOWHERE), "UNREADABLE PASID 0 265"
    ),
    "context beyond the second stage": Fact(
        lambda: nested("Sv39", "Sv39", bits=8),
        dc(fsc_PPN=1 << 41),
        "INPUT_RANGE S2 2 21",
        more={"detail": 1 << 41 | 16 * PROCESS | 1, "for_level": 0},
    ),
}


def tables(stage: Stage) -> tuple[Callable[..., World], Callable[..., Edit], dict[Access, int]]:
    """World, edit and codes of a stage."""
    return (first_only, first, PAGE_FAULT) if stage is Stage.S1 else (second_only, second, GUEST)


def stage_facts(stage: Stage) -> dict[str, Fact]:
    """What both stages have alike: format notes 2, section 3."""
    world, edit, codes = tables(stage)
    name = stage.name
    root = "fsc_PPN" if stage is Stage.S1 else "iohgatp_PPN"
    fault = codes[READ]

    def reserved(**fields: int) -> Fact:
        return Fact(world, edit(0, **fields), f"RESERVED {name} 0 {fault}")

    return {
        "root unreadable": Fact(world, dc(**{root: NOWHERE}), f"UNREADABLE {name} 2 5", more={"detail": 0}),
        "root unreadable, write": Fact(
            world, dc(**{root: NOWHERE}), f"UNREADABLE {name} 2 7", {"access": WRITE}
        ),
        "root unreadable, fetch": Fact(
            world, dc(**{root: NOWHERE}), f"UNREADABLE {name} 2 1", {"access": EXEC}
        ),
        "table beyond PAS": Fact(
            world,
            both(edit(1, PPN=1 << 46), registers(CAPABILITIES=capabilities(PAS=46))),
            f"UNREADABLE {name} 0 5",
        ),
        "absent": Fact(world, edit(1, V=0), f"NOT_PRESENT {name} 1 {fault}"),
        "W without R": reserved(R=0),
        "W without R, X": reserved(R=0, X=0),
        "PBMT 3": reserved(PBMT=3),
        "PBMT without Svpbmt": Fact(
            world, both(edit(0, PBMT=1), lacks("Svpbmt")), f"RESERVED {name} 0 {fault}"
        ),
        "bits 58:54": reserved(rsvd_58_54=1),
        "bits 60:59 without Svrsw60t59b": Fact(
            world, both(edit(0, RSW60t59b=1), lacks("Svrsw60t59b")), f"RESERVED {name} 0 {fault}"
        ),
        "N above level 0": Fact(lambda: world(page=LARGE), edit(1, N=1), f"RESERVED {name} 1 {fault}"),
        "a table at level 0": reserved(R=0, W=0, X=0, U=0, A=0, D=0),
        "a table with A": Fact(world, edit(2, A=1), f"RESERVED {name} 2 {fault}"),
        "a table with D": Fact(world, edit(1, D=1), f"RESERVED {name} 1 {fault}"),
        "a table with U": Fact(world, edit(1, U=1), f"RESERVED {name} 1 {fault}"),
        "a table with N": Fact(world, edit(1, N=1), f"RESERVED {name} 1 {fault}"),
        "a table with PBMT": Fact(world, edit(1, PBMT=1), f"RESERVED {name} 1 {fault}"),
        "read denied": Fact(world, edit(0, R=0, W=0), f"DENIED {name} 0 {fault}"),
        "write denied": Fact(world, edit(0, W=0), f"DENIED {name} 0 {codes[WRITE]}", {"access": WRITE}),
        "fetch denied": Fact(world, edit(0, X=0), f"DENIED {name} 0 {codes[EXEC]}", {"access": EXEC}),
        "a supervisor's page": Fact(world, edit(0, U=0), f"PRIVILEGE {name} 0 {fault}"),
        "rights come before the mode": Fact(
            world, edit(0, W=0, U=0), f"DENIED {name} 0 {codes[WRITE]}", {"access": WRITE}
        ),
        "the mode comes before alignment": Fact(
            lambda: world(page=LARGE), edit(1, U=0, PPN=PAGE), f"PRIVILEGE {name} 1 {fault}"
        ),
        "2 MiB page misaligned": Fact(
            lambda: world(page=LARGE), edit(1, PPN=LARGE | PAGE), f"RESERVED {name} 1 {fault}"
        ),
        "1 GiB page misaligned": Fact(
            lambda: world(page=HUGE), edit(2, PPN=LARGE), f"RESERVED {name} 2 {fault}"
        ),
        "alignment comes before A": Fact(
            lambda: world(page=LARGE), edit(1, A=0, PPN=PAGE), f"RESERVED {name} 1 {fault}"
        ),
        "N with another PPN": Fact(world, edit(0, N=1, PPN=4 << 12), f"RESERVED {name} 0 {fault}"),
        "A": Fact(world, edit(0, A=0), f"ACCESS_FLAG {name} 0 {fault}"),
        "D": Fact(world, edit(0, D=0), f"ACCESS_FLAG {name} 0 {codes[WRITE]}", {"access": WRITE}),
    }


FIRST_STAGE_FACTS = stage_facts(Stage.S1) | {
    "not canonical": Fact(
        first_only, nothing, "INPUT_RANGE S1 2 13", {"iova": 1 << 38}, NO_ENTRY | {"input": 1 << 38}
    ),
    "not canonical, Sv48": Fact(
        lambda: first_only("Sv48"), nothing, "INPUT_RANGE S1 3 15", {"iova": 1 << 47, "access": WRITE}
    ),
    "not canonical, Sv57": Fact(
        lambda: first_only("Sv57"), nothing, "INPUT_RANGE S1 4 12", {"iova": 1 << 56, "access": EXEC}
    ),
    "Sv32 takes 32 bits": Fact(lambda: first_only("Sv32"), nothing, "INPUT_RANGE S1 1 13", {"iova": 1 << 32}),
    "Sv32 takes no sign": Fact(
        lambda: first_only("Sv32"), nothing, "INPUT_RANGE S1 1 13", {"iova": (1 << 64) - 1}
    ),
    "4 MiB page misaligned": Fact(
        lambda: first_only("Sv32", page=1 << 22), first(1, PPN=PAGE), "RESERVED S1 1 13"
    ),
    "a Sv32 table with A": Fact(lambda: first_only("Sv32"), first(1, A=1), "RESERVED S1 1 13"),
    "a user's page, supervisor": Fact(with_process, pc(ENS=1), "DENIED S1 0 13", {"priv": True}),
    "a user's page, supervisor's fetch with SUM": Fact(
        with_process, pc(ENS=1, SUM=1), "DENIED S1 0 12", {"priv": True, "access": EXEC}
    ),
}

SECOND_STAGE_FACTS = stage_facts(Stage.S2) | {
    "beyond Sv39x4": Fact(
        second_only,
        nothing,
        "INPUT_RANGE S2 2 21",
        {"iova": 1 << 41 | 7},
        NO_ENTRY | {"input": 1 << 41 | 7, "detail": 1 << 41 | 4},
    ),
    "beyond Sv48x4": Fact(
        lambda: second_only("Sv48"), nothing, "INPUT_RANGE S2 3 23", {"iova": 1 << 50, "access": WRITE}
    ),
    "beyond Sv57x4": Fact(lambda: second_only("Sv57"), nothing, "INPUT_RANGE S2 4 21", {"iova": 1 << 59}),
    "beyond Sv32x4": Fact(lambda: second_only("Sv32"), nothing, "INPUT_RANGE S2 1 21", {"iova": 1 << 34}),
    "iotval2 of data": Fact(
        second_only, second(0, V=0), "NOT_PRESENT S2 0 21", more={"detail": IOVA | 0x120}
    ),
}


def for_entry(level: int) -> dict[str, Any]:
    return {"purpose": Purpose.S1_ENTRY, "for_level": level}


NESTED_FACTS = {
    "table not mapped, write": Fact(
        nested, table_page(2, V=0), "NOT_PRESENT S2 0 23", {"access": WRITE}, for_entry(2)
    ),
    "table not readable, fetch": Fact(
        nested, table_page(1, R=0, W=0), "DENIED S2 0 20", {"access": EXEC}, for_entry(1)
    ),
    "table without A": Fact(nested, table_page(1, A=0), "ACCESS_FLAG S2 0 21", more=for_entry(1)),
    "second stage of a table unreadable": Fact(
        nested,
        lambda w: w.edit_second(w.first.entry(IOVA, 1), 1, PPN=NOWHERE),
        "UNREADABLE S2 0 7",
        {"access": WRITE},
        {"detail": 0},
    ),
    "no memory behind a table": Fact(
        nested, table_page(0, PPN=NOWHERE), "UNREADABLE S1 0 5", more={"raw": None, "detail": 0}
    ),
    "table beyond the second stage": Fact(
        lambda: nested("Sv39", "Sv39"),
        first(2, PPN=1 << 41),
        "INPUT_RANGE S2 2 21",
        more=for_entry(1) | {"detail": 1 << 41 | 8 * (IOVA >> 21 & 0x1FF) | 1},
    ),
    "data beyond the second stage": Fact(
        lambda: nested("Sv39", "Sv39"),
        first(0, PPN=1 << 41),
        "INPUT_RANGE S2 2 21",
        more={"detail": 1 << 41 | 0x120, "purpose": Purpose.DATA},
    ),
    "data not mapped": Fact(nested, second(0, V=0), "NOT_PRESENT S2 0 21"),
    "data not writable": Fact(nested, second(0, W=0), "DENIED S2 0 23", {"access": WRITE}),
    "the first stage comes first": Fact(
        nested, both(first(0, W=0), second(0, V=0)), "DENIED S1 0 15", {"access": WRITE}
    ),
}

# format notes, section 6, and riscv_more.md, section 6.
MSI_FACTS = {
    # The entry is read and judged before that: "Process to translate addresses of MSIs", last step.
    "fetch": Fact(
        with_msi, nothing, "DENIED S2 0 1", {"access": EXEC}, {"input": MSI_ADDRESS | 0x10, "detail": 0}
    ),
    "fetch, unreadable": Fact(
        with_msi, dc(msiptp_PPN=NOWHERE), "UNREADABLE S2 0 261", {"access": EXEC}, {"raw": None}
    ),
    "fetch, absent": Fact(with_msi, msi(V=0), "NOT_PRESENT S2 0 262", {"access": EXEC}),
    "fetch, M 2": Fact(with_msi, msi(M=2), "RESERVED S2 0 263", {"access": EXEC}),
    "fetch, M 1 without MSI_MRIF": Fact(
        with_msi, both(msi(M=1), lacks("MSI_MRIF")), "INVALID S2 0 263", {"access": EXEC}
    ),
    "fetch, translated": Fact(
        lambda: with_msi(EN_ATS=1, T2GPA=1),
        nothing,
        "DENIED S2 0 1",
        {"access": EXEC, "at": At.TRANSLATED},
        {"recorded": True},
    ),
    "unreadable": Fact(with_msi, dc(msiptp_PPN=NOWHERE), "UNREADABLE S2 0 261"),
    "beyond PAS": Fact(
        with_msi,
        both(dc(msiptp_PPN=1 << 46), registers(CAPABILITIES=capabilities(PAS=46))),
        "UNREADABLE S2 0 261",
    ),
    "absent": Fact(with_msi, msi(V=0), "NOT_PRESENT S2 0 262", more={"recorded": True}),
    "absent, nested": Fact(
        lambda: with_msi(stage1=True),
        msi(V=0),
        "NOT_PRESENT S2 0 262",
        more={"input": MSI_ADDRESS | 0x10, "purpose": Purpose.DATA},
    ),
    "M 0": Fact(with_msi, msi(M=0), "RESERVED S2 0 263"),
    "M 2": Fact(with_msi, msi(M=2), "RESERVED S2 0 263"),
    "C": Fact(with_msi, msi(C=1), "RESERVED S2 0 263"),
    "basic, bits 9:3": Fact(with_msi, msi(rsvd_q0_9_3=1), "RESERVED S2 0 263"),
    "basic, bits 62:54": Fact(with_msi, msi(rsvd_q0_62_54=1), "RESERVED S2 0 263"),
    "MRIF without MSI_MRIF": Fact(with_msi, both(msi(M=1), lacks("MSI_MRIF")), "INVALID S2 0 263"),
    "MRIF, bits 6:3": Fact(with_msi, msi(MSI_MRIF, M=1, rsvd_q0_6_3=1), "RESERVED S2 0 263"),
    "MRIF, bits 62:54": Fact(with_msi, msi(MSI_MRIF, M=1, rsvd_q0_62_54=1), "RESERVED S2 0 263"),
    "MRIF, second word 59:54": Fact(with_msi, msi(MSI_MRIF, M=1, rsvd_q1_59_54=1), "RESERVED S2 0 263"),
    "MRIF, second word 63:61": Fact(with_msi, msi(MSI_MRIF, M=1, rsvd_q1_63_61=1), "RESERVED S2 0 263"),
    "MRIF, C": Fact(with_msi, msi(MSI_MRIF, M=1, C=1), "RESERVED S2 0 263"),
}

FACTS = {
    f"{group}: {name}": fact
    for group, facts in {
        "device": DEVICE_FACTS,
        "process": PASID_FACTS,
        "first stage": FIRST_STAGE_FACTS,
        "second stage": SECOND_STAGE_FACTS,
        "nested": NESTED_FACTS,
        "MSI": MSI_FACTS,
    }.items()
    for name, fact in facts.items()
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_a_fault_names_reason_stage_level_and_cause(fact: Fact) -> None:
    world = fact.world()
    assert world.ask().fault is None  # the twin without the change passes
    fact.edit(world)

    answer = world.ask(**fact.request)

    fault = answer.fault
    assert fault is not None
    assert words(fault) == fact.stops.split()
    assert {name: getattr(fault, name) for name in fact.more} == fact.more
    assert (answer.hpa, answer.gpa, answer.size_lg2, answer.access) == (0, 0, 0, NONE)
    if fault.raw is not None:
        last = answer.refs[-1]
        assert (fault.entry_gpa, fault.entry_hpa, fault.raw) == (last.gpa, last.hpa, last.raw)
        assert last.updated == last.raw


@pytest.mark.parametrize("access", [READ, WRITE, EXEC])
def test_a_guest_page_fault_for_a_table_names_the_original_access_and_the_entry(access: Access) -> None:
    # format notes, section 4: iotval2 is GPA[63:2], bit 0 implicit.
    world = nested()
    world.edit_table_page(3, V=0)

    fault = world.ask(access=access).fault

    assert fault is not None
    assert fault.native == GUEST[access]
    assert fault.detail == world.first.entry(IOVA, 3) | 1


# ---------------------------------------------------------------- what a context may not ask for

# format notes, section 2 "Misconfigured DC"; docs/walk_riscv.md.
MISCONFIGURED: dict[str, tuple[Callable[[], World], Edit]] = {
    "EN_ATS wants ATS": (first_only, both(dc(EN_ATS=1), lacks("ATS"))),
    "EN_PRI wants EN_ATS": (first_only, dc(EN_PRI=1)),
    "T2GPA wants its capability": (nested, both(dc(EN_ATS=1, T2GPA=1), lacks("T2GPA"))),
    "T2GPA wants EN_ATS": (nested, dc(T2GPA=1)),
    "T2GPA wants a second stage": (first_only, dc(EN_ATS=1, T2GPA=1)),
    "PRPR wants EN_PRI": (first_only, dc(EN_ATS=1, PRPR=1)),
    "DPE wants PDTV": (first_only, dc(DPE=1)),
    "SADE wants AMO_HWAD": (first_only, both(dc(SADE=1), lacks("AMO_HWAD"))),
    "GADE wants AMO_HWAD": (first_only, both(dc(GADE=1), lacks("AMO_HWAD"))),
    "SBE": (first_only, dc(SBE=1)),
    "SXL without GXL": (lambda: first_only("Sv32"), registers(GXL_WRITABLE=0)),
    "SXL wants Sv32": (lambda: first_only("Sv32"), lacks("Sv32")),
    "GXL wants SXL": (first_only, registers(FCTL=FCTL.value(GXL=1))),
    "iohgatp mode 5": (second_only, dc(iohgatp_MODE=5)),
    "iohgatp mode that the unit lacks": (second_only, lacks("Sv39x4")),
    "Sv48x4 with GXL": (lambda: second_only("Sv32"), dc(iohgatp_MODE=9)),
    "iohgatp root not aligned to 16 KiB": (
        second_only,
        lambda w: w.edit_dc(iohgatp_PPN=w.second.root + PAGE),
    ),
    "iosatp mode 5": (first_only, dc(fsc_MODE=5)),
    "iosatp mode 1": (first_only, dc(fsc_MODE=1)),
    "iosatp mode that the unit lacks": (first_only, lacks("Sv39")),
    "Sv48 with SXL": (lambda: first_only("Sv32"), dc(fsc_MODE=9)),
    "pdtp mode 4": (with_process, dc(fsc_MODE=4)),
    "pdtp mode 8": (with_process, dc(fsc_MODE=8)),
    "pdtp mode that the unit lacks": (with_process, lacks("PD8")),
    "msiptp mode 2": (with_msi, dc(msiptp_MODE=2)),
    "msiptp wants a second stage": (first_only, dc(msiptp_MODE=1)),
}

CONFIGURED: dict[str, tuple[Callable[[], World], Edit]] = {
    "ATS, page requests and their responses": (first_only, dc(EN_ATS=1, EN_PRI=1, PRPR=1)),
    "T2GPA": (nested, dc(EN_ATS=1, T2GPA=1)),
    "custom bits": (first_only, dc(ign_q0_31_24=0xFF)),
    "a Bare iohgatp may be misaligned": (first_only, dc(iohgatp_PPN=PAGE)),
    "GXL and SXL": (
        lambda: first_only("Sv32"),
        registers(FCTL=FCTL.value(GXL=1), GXL_WRITABLE=0),
    ),
    # format notes 2, section 6: the reference model ignores them.
    "mask and pattern beyond the guest address width": (
        with_msi,
        dc(msi_addr_pattern=MSI_PATTERN | 1 << 40, msi_addr_mask=MSI_MASK | 1 << 40),
    ),
    "RCID and MCID with QOSID": (
        first_only,
        both(dc(RCID=1, MCID=1), registers(CAPABILITIES=capabilities(QOSID=1))),
    ),
    "bits 60:59 are software's": (first_only, first(0, RSW60t59b=3)),
    "PBMT 2": (first_only, first(0, PBMT=2)),
    "RSW and G": (first_only, both(first(1, RSW=3, G=1), first(0, RSW=3, G=1))),
}

RESERVED_DC = [
    {"rsvd_q0_23_12": 1},
    {"rsvd_q0_63_32": 1},
    {"rsvd_q2_11_0": 1},
    {"rsvd_q2_39_32": 1},
    {"RCID": 1},
    {"MCID": 1},
    {"rsvd_q3_59_44": 1},
    {"rsvd_q4_59_44": 1},
    {"rsvd_q5_63_52": 1},
    {"rsvd_q6_63_52": 1},
    {"rsvd_q7_63_0": 1},
]


@pytest.mark.parametrize(("world", "edit"), MISCONFIGURED.values(), ids=MISCONFIGURED.keys())
def test_a_misconfigured_device_context(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    assert made.ask().fault is None
    edit(made)

    fault = made.ask().fault

    assert fault is not None
    assert words(fault) == ["INVALID", "DEVICE", "0", "259"]
    assert (fault.entry_hpa, fault.recorded) == (made.dc, True)


@pytest.mark.parametrize(("world", "edit"), CONFIGURED.values(), ids=CONFIGURED.keys())
def test_a_device_context_that_is_fine(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    edit(made)

    assert made.ask().fault is None


@pytest.mark.parametrize("fields", RESERVED_DC, ids=lambda fields: next(iter(fields)))
def test_reserved_bits_of_a_device_context(fields: dict[str, int]) -> None:
    world = first_only()
    world.edit_dc(**fields)

    fault = world.ask().fault

    assert fault is not None
    assert words(fault) == ["RESERVED", "DEVICE", "0", "259"]


def test_without_msi_flat_a_device_context_has_32_bytes() -> None:
    host = build.Memory()
    first_tables = build.RiscvFirstStage(host)
    page = host.page()
    first_tables.map(IOVA, page)
    unit = build.RiscvUnit(host, 1, CAPABILITIES=capabilities(MSI_FLAT=0))
    where = unit.device(DEVICE, first_tables)
    host.write(where + 32, b"\xff" * 32)

    answer = ask(unit.registers, host, Request(DEVICE, IOVA))

    assert (answer.hpa, answer.refs[0].len) == (page, 32)


# ---------------------------------------------------------------- MSI page tables


def test_an_interrupt_file_is_found_by_the_bits_under_the_mask() -> None:
    # Mask 0x103: bits 0, 1 and 8 of the page number make the index.
    world = with_msi()

    answer = world.ask()

    assert answer.refs[-1].hpa == world.msi.address + 16 * 0b110
    assert (answer.refs[-1].stage, answer.refs[-1].level, answer.refs[-1].len) == (Stage.S2, 0, 16)
    assert (answer.hpa, answer.gpa) == (FILE | 0x10, MSI_ADDRESS | 0x10)
    assert (answer.target, answer.size_lg2, answer.access, answer.detail) == (Target.MEMORY, 12, RW, 0)


def test_reads_are_translated_like_writes_and_the_first_stage_limits_both() -> None:
    world = with_msi(stage1=True)
    world.edit_first(0, W=0)

    answer = world.ask(access=READ)

    assert (answer.hpa, answer.gpa, answer.access) == (FILE | 0x10, MSI_ADDRESS | 0x10, READ)


@pytest.mark.parametrize("gpa", [0x2800_4000, 0x2820_0000, 0x1_2810_2000, 0x400_0000_2810_2000])
def test_what_does_not_match_goes_to_the_second_stage(gpa: int) -> None:
    fault = with_msi().ask(iova=gpa).fault

    assert fault is not None
    assert (fault.stage, fault.native) == (Stage.S2, GUEST[WRITE])


@pytest.mark.parametrize("mrif", [False, True])
@pytest.mark.parametrize("t2gpa", [0, 1])
def test_a_translation_request_for_an_interrupt_file_lacks_execute_and_succeeds(
    mrif: bool, t2gpa: int
) -> None:
    """That step names untranslated and translated requests only; "PCIe ATS translation request handling"."""
    world = with_msi(EN_ATS=1, T2GPA=t2gpa)
    if mrif:
        world.msi.mrif(MSI_ADDRESS, 0x12_3456_7800, notice=0x9_8765_4000, data=0x5A3)

    for access in (READ, WRITE, EXEC):
        answer = world.ask(at=At.TRANSLATION, access=access)
        assert answer.fault is None
        assert (answer.access, answer.size_lg2) == (RW, 12)
        assert answer.target is (Target.MRIF if mrif else Target.MEMORY)


@pytest.mark.parametrize(("modes", "width"), [("Sv57x4", 59), ("Sv48x4", 50), ("Sv39x4", 41), ("Sv32x4", 34)])
def test_bits_of_a_page_number_above_mgpaw_do_not_name_an_interrupt_file(modes: str, width: int) -> None:
    """The section on msi_addr_mask has MGPAW; the reference model ignores what lies above, on both sides."""
    larger = ["Sv57x4", "Sv48x4", "Sv39x4", "Sv32x4"]
    lacks_larger = dict.fromkeys(larger[: larger.index(modes)], 0)
    world = with_msi() if modes != "Sv32x4" else narrow_msi()
    if modes == "Sv39x4":
        world.edit_dc(iohgatp_MODE=8)  # the tables of Sv48x4 are not read here
    with_registers(world, CAPABILITIES=capabilities(**lacks_larger))

    for bits in (0, 1 << width - 12, 1 << 51):
        world.edit_dc(msi_addr_pattern=MSI_PATTERN | bits, msi_addr_mask=MSI_MASK | bits)
        assert world.ask(iova=MSI_ADDRESS | 0x10).hpa == FILE | 0x10
        assert world.ask(iova=MSI_ADDRESS | 0x10 | bits << 12).hpa == FILE | 0x10
    world.edit_dc(msi_addr_pattern=MSI_PATTERN | 1 << width - 13, msi_addr_mask=MSI_MASK)
    fault = world.ask(iova=MSI_ADDRESS | 0x10).fault
    assert fault is not None  # this bit counts
    assert fault.native == GUEST[WRITE]


def test_the_entry_lies_at_m_or_16_i_where_the_table_is_not_aligned_to_its_size() -> None:
    """At m | (I x 16): what both have is not carried."""
    world = with_msi()
    world.edit_dc(msi_addr_mask=0x1FF, msi_addr_pattern=0)  # 512 entries, two pages; I is 0x102
    odd = world.host.page(4) | 0x1000
    odd = odd if odd & 0x1000 else odd + 0x1000
    world.edit_dc(msiptp_PPN=odd)
    world.host.write(odd | 16 * 0x102, MSI_BASIC.build(V=1, M=3, PPN=FILE))
    world.host.write((odd & ~0xFFF) + 16 * 0x102 + 0x1000, MSI_BASIC.build(V=0))

    answer = world.ask(iova=0x10_2010)

    assert answer.refs[-1].hpa == odd | 16 * 0x102
    assert answer.hpa == FILE | 0x10


def test_msiptp_off_and_units_without_msi_flat_have_no_interrupt_files() -> None:
    world = with_msi()
    world.guest.back(MSI_ADDRESS, PAGE)
    world.edit_dc(msiptp_MODE=0)

    assert world.ask().hpa == world.guest.hpa(MSI_ADDRESS) + 0x10


def test_a_memory_resident_interrupt_file_has_its_address_and_notice() -> None:
    # format notes 2, section 6: address field 55:9, NPPN, 11 bits of NID.
    world = with_msi()
    world.msi.mrif(MSI_ADDRESS, 0x12_3456_7800, notice=0x9_8765_4000, data=0x5A3)

    answer = world.ask()

    assert (answer.target, answer.hpa, answer.gpa) == (Target.MRIF, 0x12_3456_7800, MSI_ADDRESS | 0x10)
    assert answer.detail == 0x9_8765_45A3
    assert (answer.size_lg2, answer.access) == (12, RW)
    assert answer.ok


def test_the_second_word_of_a_basic_entry_is_ignored() -> None:
    world = with_msi()
    world.host.store(world.msi.entry(MSI_ADDRESS) + 8, (1 << 64) - 1)

    assert world.ask().hpa == FILE | 0x10


def test_translated_requests_with_t2gpa_reach_interrupt_files() -> None:
    # Steps 9 and 18.
    world = with_msi(EN_ATS=1, T2GPA=1)

    assert world.ask(at=At.TRANSLATED).hpa == FILE | 0x10
    assert world.ask(at=At.TRANSLATION).hpa == MSI_ADDRESS | 0x10  # answered with the GPA


# ---------------------------------------------------------------- recorded


@pytest.mark.parametrize(
    ("world", "edit", "request_", "recorded"),
    [
        # format notes, section 7: DTF leaves 256 to 259, 268, 272, 273.
        (first_only, first(0, V=0), {}, False),
        (first_only, dc(fsc_PPN=NOWHERE), {}, False),
        (first_only, nothing, {"pasid": 0}, False),
        (first_only, dc(EN_PRI=1), {}, True),
        (first_only, dc(rsvd_q3_59_44=1), {}, True),
        (first_only, dc(V=0), {}, True),
        (with_process, pc(V=0), {}, False),
        (with_msi, msi(V=0), {}, False),
    ],
)
def test_dtf_suppresses_the_records_of_most_faults(
    world: Callable[[], World], edit: Edit, request_: dict[str, Any], recorded: bool
) -> None:
    made = world()
    edit(made)
    plain_fault = made.ask(**request_).fault
    assert plain_fault is not None
    assert plain_fault.recorded

    made.edit_dc(DTF=1)
    fault = made.ask(**request_).fault

    assert fault is not None
    assert fault.native == plain_fault.native
    assert fault.recorded is recorded


@pytest.mark.parametrize(
    ("world", "edit", "cause", "recorded"),
    [
        # format notes 2, section 9.
        (lambda: first_only(EN_ATS=1), first(0, V=0), 13, False),
        (lambda: second_only(EN_ATS=1), second(0, V=0), 21, False),
        (lambda: with_msi(EN_ATS=1), msi(V=0), 262, False),
        (lambda: with_msi(EN_ATS=1), msi(M=0), 263, True),
        (lambda: first_only(EN_ATS=1), dc(fsc_PPN=NOWHERE), 5, True),
        (lambda: first_only(EN_ATS=1), dc(EN_ATS=0), 260, True),
    ],
)
def test_translation_requests_that_end_without_rights_are_not_recorded(
    world: Callable[[], World], edit: Edit, cause: int, recorded: bool
) -> None:
    made = world()
    edit(made)

    fault = made.ask(at=At.TRANSLATION, access=READ).fault

    assert fault is not None
    assert (fault.native, fault.recorded) == (cause, recorded)


def test_a_process_that_is_absent_is_not_recorded_for_a_translation_request() -> None:
    world = with_process()
    world.edit_dc(EN_ATS=1)
    world.host.edit(PC, world.pc, V=0)

    fault = world.ask(at=At.TRANSLATION).fault

    assert fault is not None
    assert (fault.native, fault.recorded) == (266, False)


# ---------------------------------------------------------------- registers


def test_only_ddtp_is_required_of_the_registers() -> None:
    world = nested()

    with pytest.raises(ValueError, match="DDTP"):
        plain_walk.translate("riscv", {}, world.host.read, Request(DEVICE, IOVA))
    with pytest.raises(ValueError, match="rid"):
        plain_walk.translate("riscv", world.unit.registers, world.host.read, Request(1 << 24, IOVA))


def test_what_is_assumed_of_capabilities_that_are_not_given() -> None:
    # docs/walk_riscv.md; bits from format notes 2, section 1.
    svx, svx4, features = (
        0xF << 8,
        0xF << 16,
        1 << 14 | 1 << 15 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26,
    )
    directories = 1 << 38 | 1 << 39 | 1 << 40
    assert 0x10 | svx | svx4 | features | 56 << 32 | directories == riscv_features.DEFAULT_CAPABILITIES


def test_big_endian_tables_are_not_modelled() -> None:
    with pytest.raises(ValueError, match="BE"):
        plain_walk.translate("riscv", {"DDTP": 0, "FCTL": 1}, lambda *_: None, Request(DEVICE, IOVA))


@pytest.mark.parametrize("world", [first_only, with_process, nested])
def test_a_big_endian_first_stage_is_refused_by_name_and_not_as_misconfigured(
    world: Callable[..., World],
) -> None:
    """With END, fctl.BE can be written and SBE may be 0 or 1 ("Device-context configuration checks")."""
    both_ends = with_registers(world(), CAPABILITIES=capabilities(END=1))
    both_ends.edit_dc(SBE=1)

    fault = both_ends.ask().fault

    assert fault is not None
    assert words(fault) == ["INVALID", "DEVICE", "0", "0"]
    assert not fault.recorded


def test_sbe_is_nothing_to_a_second_stage() -> None:
    """By "Endianness of in-memory data structures", SBE is of the process directory and the first stage."""
    both_ends = with_registers(second_only(SBE=1), CAPABILITIES=capabilities(END=1))

    assert both_ends.ask().hpa == second_only().ask().hpa
    assert both_ends.ask().fault is None


@pytest.mark.parametrize("name", ["CQB", "FQB", "PQB", "IPSR"])
def test_registers_without_influence(name: str) -> None:
    assert with_registers(nested(), **{name: 0xFFFF_FFFF}).ask() == nested().ask()


def test_a_final_address_beyond_pas_is_no_fault() -> None:
    world = with_registers(first_only(), CAPABILITIES=capabilities(PAS=46))
    world.edit_first(0, PPN=1 << 50)

    assert world.ask().hpa == 1 << 50 | 0x123


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
        flags = dice.choice((1, 1, 1, 0xD7, 0xDF, 0x57, 0x5F, 0x17))
        return dice.getrandbits(34) << 10 | flags | (dice.randrange(64) == 0) << 63

    def context(address: int) -> bytes:
        """A device context, more often legal than not."""
        dice = random.Random(seed << 64 | address)
        fields = {name: dice.randrange(2) for name in ("EN_ATS", "DTF", "SADE", "GADE")}
        fields |= {"V": 1, "PDTV": dice.randrange(2), "iohgatp_MODE": dice.choice((0, 8, 9, 10))}
        fields["fsc_MODE"] = dice.randrange(4) if fields["PDTV"] else dice.choice((0, 8, 9, 10))
        fields["msiptp_MODE"] = dice.randrange(2) if fields["iohgatp_MODE"] else 0
        pointers = {name: dice.getrandbits(30) << 14 for name in ("iohgatp_PPN", "fsc_PPN", "msiptp_PPN")}
        return EXTENDED_DC.build(**fields, **pointers, msi_addr_mask=dice.getrandbits(8))

    def read(address: int, length: int) -> bytes | None:
        dice = random.Random(~seed << 64 | address)
        if dice.randrange(50) == 0:
            return None
        if length == 64 and dice.randrange(8):
            return context(address)
        return b"".join(word(address + i).to_bytes(8, "little") for i in range(0, length, 8))[:length]

    return read


requests = st.builds(
    Request,
    rid=st.integers(0, 0xFF_FFFF) | st.integers(0, 63),
    iova=st.integers(0, (1 << 64) - 1) | st.integers(0, (1 << 38) - 1) | st.integers(0, 0xFFFFF),
    pasid=st.none() | st.integers(0, (1 << 20) - 1) | st.integers(0, 31),
    access=st.sampled_from([READ, WRITE, EXEC]),
    priv=st.booleans(),
    at=st.sampled_from(At),
)
anything = st.integers(0, (1 << 64) - 1)


@settings(deadline=None, max_examples=400)
@given(
    seed=st.integers(0, (1 << 32) - 1),
    request_=requests,
    mode=st.integers(0, 15) | st.integers(2, 4),
    capabilities_=st.just(riscv_features.DEFAULT_CAPABILITIES) | anything,
    fctl=st.sampled_from([0, 4]),
    writable=st.integers(0, 1),
)
def test_no_memory_makes_the_walk_raise_or_run_on(
    seed: int, request_: Request, mode: int, capabilities_: int, fctl: int, writable: int
) -> None:
    unit = {
        "DDTP": DDTP.value(iommu_mode=mode, PPN=0x10_0000),
        "CAPABILITIES": capabilities_,
        "FCTL": fctl,
        "GXL_WRITABLE": writable,
    }

    answer = plain_walk.translate("riscv", unit, hostile(seed), request_)

    assert len(answer.refs) <= MAX_REFS
    assert answer.fault is None or answer.fault.reason is not Reason.OK
    in_words.explain("riscv", unit, answer.refs, hostile(seed))
    in_words.explain("riscv", unit, answer.refs, hostile(seed + 1))  # memory that has changed since


@pytest.mark.parametrize(
    ("value", "mask", "extracted"),
    [
        # format notes, section 6: the bits of the value under the mask, moved together.
        (0b1010_1010, 0b1111_0000, 0b1010),
        (0b1010_1010, 0b0101_0101, 0),
        (0b1010_1010, 0b1010_1010, 0b1111),
        (0xFFFF_FFFF_FFFF, 0, 0),
        (1 << 51 | 1, 1 << 51 | 1, 3),
    ],
)
def test_extract_compresses_the_bits_under_a_mask(value: int, mask: int, extracted: int) -> None:
    assert extract(value, mask) == extracted


# ---------------------------------------------------------------- entries in words


def names(world: World, **request: Any) -> list[str]:
    registers_ = world.unit.registers | world.registers
    explained = in_words.explain("riscv", registers_, world.ask(**request).refs, world.host.read)
    return [entry.name for _, entry in explained]


def test_a_trace_explains_itself_in_the_vendors_words() -> None:
    found = names(nested("Sv39", "Sv39", 2, 17))

    assert found[:7] == [
        "non-leaf DDT entry",
        "extended device context",
        "second-stage level 2 non-leaf PTE",
        "second-stage level 1 non-leaf PTE",
        "second-stage level 0 leaf PTE",
        "non-leaf PDT entry",
        "second-stage level 2 non-leaf PTE",
    ]
    assert found[9] == "process context"
    assert found[13] == "first-stage level 2 non-leaf PTE"


def test_other_entries_have_their_own_names() -> None:
    assert names(first_only("Sv32"))[1:] == [
        "first-stage level 1 non-leaf Sv32 PTE",
        "first-stage level 0 leaf Sv32 PTE",
    ]
    assert names(with_msi())[-1] == "MSI PTE, basic"
    world = with_msi()
    world.msi.mrif(MSI_ADDRESS, 0x1000, 0, 0)
    assert names(world)[-1] == "MSI PTE, MRIF"


def test_an_entry_is_explained_field_by_field() -> None:
    world = nested()

    explained = in_words.explain("riscv", world.unit.registers, world.ask().refs, world.host.read)

    entry = explained[0][1]
    assert str(entry["iohgatp_MODE"]) == "iohgatp_MODE=9 (Sv48x4)"
    assert entry["fsc_PPN"].value == world.first.root


# ---------------------------------------------------------------- the builder


def test_a_page_of_64_kib_fills_sixteen_slots() -> None:
    host = build.Memory()
    tables_ = build.RiscvFirstStage(host)
    tables_.map(0x10_0000, 0x20_0000, page=1 << 16)

    slots = {host.load(tables_.entry(0x10_0000 + i * PAGE, 0)) for i in range(16)}

    assert len(slots) == 1
    assert PTE.of(slots.pop()).PPN == 0x20_8000
    assert not host.load(tables_.entry(0x11_0000, 0))


def test_tables_are_not_built_through_a_larger_page() -> None:
    tables_ = build.RiscvFirstStage(build.Memory())
    tables_.map(0, 0, page=LARGE)

    with pytest.raises(ValueError, match="larger page"):
        tables_.map(PAGE, 0)
    with pytest.raises(ValueError, match="no level"):
        tables_.map(0, 0, page=8192)
