"""The SMMUv3 walk against facts from outside: cases, counts, and docs/walk_smmuv3.md.

Codes are the event numbers of Arm IHI 0070, 7.3; where a comment says "ours", the source is
docs/walk_smmuv3.md. Both ledgers are asked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from edits import both, nothing, words
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import Remembered, ask_both
from smmuv3_worlds import (
    CD_CLASS,
    EXEC,
    IN_CLASS,
    IOVA,
    K4,
    K16,
    K64,
    MAX_REFS,
    NONE,
    NOWHERE,
    SID,
    SSID,
    TT_CLASS,
    WIDE,
    Edit,
    World,
    ask,
    bypass,
    cd,
    cd_page,
    el2,
    first,
    idr,
    l1cd,
    l1std,
    nested,
    registers,
    second,
    stage1,
    stage2,
    ste,
    table_page,
    with_registers,
)

from iommu_abi.schemas import build, in_words, plain_walk, smmuv3_features, table_walk
from iommu_abi.schemas.build import HUGE, LARGE, PAGE, READ, RW, RWX, WRITE
from iommu_abi.schemas.smmuv3_entries import (
    CD,
    STE,
    STRTAB_BASE_CFG,
)
from iommu_abi.schemas.vmsa_entries import Granule
from iommu_abi.terms import Access, At, Purpose, Reason, Ref, Request, Stage

CASES = json.loads((Path(__file__).parent / "data" / "conformance_cases.json").read_text())["cases"]
# ---------------------------------------------------------------- how many references

# walk_algorithm.md, section 3: STE 1 or 2, each CD level m+1, the stages n(m+1)+m.
COUNTS = {
    "bypass": (bypass, 1),
    "stage 1 alone": (stage1, 1 + 1 + 4),
    "stage 1 alone, two-level stream table": (lambda: stage1(split=6), 2 + 1 + 4),
    "stage 1 alone, 16 KiB": (lambda: stage1(K16), 1 + 1 + 4),
    "stage 1 alone, 64 KiB": (lambda: stage1(K64), 1 + 1 + 3),
    "stage 1 alone, 39 bits": (lambda: stage1(tsz=25), 1 + 1 + 3),
    "stage 2 alone": (stage2, 1 + 4),
    "stage 2 alone, concatenated": (lambda: stage2(tsz=24, start=1), 1 + 3),
    "nested 4x4, linear": (nested, 30),
    "nested 4x4, two-level": (lambda: nested(split=6, fmt=1, cdmax=8), 36),
    "nested 4x4, two-level, 64 KiB of CDs": (lambda: nested(split=8, fmt=2, cdmax=11), 36),
    "nested 3x3, linear": (lambda: nested(tsz=25, s2tsz=25), 20),
    "nested 3x3, two-level": (lambda: nested(tsz=25, s2tsz=25, split=6, fmt=1, cdmax=8), 25),
    "nested 4x3, 16 KiB": (lambda: nested(K16), 1 + 4 + 19),
    # Concatenated start tables count as one level; 64 KiB has 3 levels.
    "nested 4x3, concatenated": (lambda: nested(s2tsz=24, start=1), 1 + 4 + 19),
    "nested 3x3, 64 KiB": (lambda: nested(K64), 20),
}


@pytest.mark.parametrize(("world", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_a_walk_reads_as_many_entries_as_arithmetic_says(world: Callable[[], World], count: int) -> None:
    answer = world().ask()

    assert answer.fault is None
    assert len(answer.refs) == count


def test_a_nested_walk_reads_stage_2_before_the_cd_and_before_each_stage_1_descriptor() -> None:
    world = nested(fmt=1, cdmax=8)

    refs = world.ask().refs

    kinds = [(ref.stage, ref.level, ref.purpose, ref.for_level, ref.len) for ref in refs]
    assert kinds[0] == (Stage.DEVICE, 0, Purpose.DATA, 0, 64)
    for step, level in enumerate((1, 0)):
        group = kinds[1 + 5 * step : 6 + 5 * step]
        assert group[:4] == [(Stage.S2, i, Purpose.PASID_ENTRY, level, 8) for i in (3, 2, 1, 0)]
        assert group[4] == (Stage.PASID, level, Purpose.DATA, 0, 8 if level else 64)
    for step, level in enumerate((3, 2, 1, 0)):
        group = kinds[11 + 5 * step : 16 + 5 * step]
        assert group[:4] == [(Stage.S2, i, Purpose.S1_ENTRY, level, 8) for i in (3, 2, 1, 0)]
        assert group[4] == (Stage.S1, level, Purpose.DATA, 0, 8)
    assert kinds[31:] == [(Stage.S2, i, Purpose.DATA, 0, 8) for i in (3, 2, 1, 0)]
    assert refs[10].gpa == world.cd
    assert refs[10].hpa == world.guest.hpa(world.cd)


def mixed() -> World:
    """Nested, 64 KiB in stage 1 over 4 KiB in stage 2."""
    host = build.Memory()
    second = build.SmmuStage2(host)
    guest = build.Guest(host, second)
    guest.back(0x4000_0000, 8 * K64)
    first = build.SmmuStage1(guest, K64)
    page = guest.page(16, align=K64)
    first.map(IOVA, page)
    cds = build.CdTable(guest)
    where = cds.set(0, first)
    unit = build.SmmuUnit(host)
    return World(host, unit, unit.device(SID, cds, second), cds, where, first, second, guest, page)


def test_tables_larger_than_a_page_of_stage_2_are_translated_entry_by_entry() -> None:
    # format notes, section 9: each 8-byte read is translated by itself.
    world = mixed()
    high = 0x3FFF << 29  # the end of the top table
    world.first.map(high, world.page)
    entry = world.first.entry(high, 1)
    world.host.page(3)
    elsewhere = world.host.page()
    world.host.write(elsewhere, world.guest.read(entry & -PAGE, PAGE) or b"")
    world.edit_second(entry, 0, ADDR=elsewhere)

    answer = world.ask(iova=high | 0x5123)

    assert answer.hpa == world.guest.hpa(world.page + 0x5000) + 0x123
    assert (answer.gpa, answer.size_lg2) == (world.page + 0x5123, 12)
    assert len(answer.refs) == 1 + 5 + 3 * 5 + 4
    assert elsewhere | entry % PAGE in [ref.hpa for ref in answer.refs]


# ---------------------------------------------------------------- answers that pass


def test_a_nested_answer_has_both_addresses_and_the_rights_of_both_stages() -> None:
    world = nested()
    world.edit_second(world.page, 0, S2AP=1)

    answer = world.ask()

    assert answer.gpa == world.page + 0x123
    assert answer.hpa == world.guest.hpa(world.page) + 0x123
    assert answer.access == READ | EXEC
    assert answer.size_lg2 == 12


# format notes, section 4: granules and block sizes.
SIZES = [
    (K4, K4, 12),
    (K4, LARGE, 21),
    (K4, HUGE, 30),
    (K16, K16, 14),
    (K16, 1 << 25, 25),
    (K64, K64, 16),
    (K64, 1 << 29, 29),
]


@pytest.mark.parametrize(("granule", "page", "size_lg2"), SIZES)
@pytest.mark.parametrize("world", [stage1, stage2])
def test_size_is_that_of_the_leaf(
    world: Callable[..., World], granule: int, page: int, size_lg2: int
) -> None:
    made = world(granule, page=page)

    answer = made.ask()

    assert answer.size_lg2 == size_lg2
    assert answer.hpa == made.page + (IOVA | 0x123) % page


def test_the_lower_address_bits_of_a_block_and_the_contiguous_bit_are_ignored() -> None:
    world = stage1(page=LARGE, leaf={"ign_20_12": 1, "Contiguous": 1})

    answer = world.ask()

    assert (answer.hpa, answer.size_lg2) == (world.page + (IOVA | 0x123) % LARGE, 21)


@pytest.mark.parametrize(("page", "size_lg2"), [(K64, 16), (1 << 29, 29), (1 << 42, 42)])
@pytest.mark.parametrize("world", [stage1, stage2])
def test_52_bit_addresses_have_bits_51_48_in_bits_15_12(
    world: Callable[..., World], page: int, size_lg2: int
) -> None:
    # format notes, section 4; blocks of 4 TiB only with 52-bit addresses.
    sizes: dict[str, Any] = {"cd": {"IPS": 6}} if world is stage1 else {"S2PS": 6}
    made = with_registers(world(K64, wide=True, page=page, **sizes), WIDE)
    tables = made.first or made.second
    far = 0xA << 48 | 1 << 42
    tables.map(0x4000_0000_0000, far, page=page)

    answer = made.ask(iova=0x4000_0000_0123)

    assert (answer.hpa, answer.size_lg2) == (far | 0x123, size_lg2)


@pytest.mark.parametrize("world", [stage1, stage2])
def test_the_lower_address_bits_of_a_4_tib_block_do_not_make_its_address_too_large(
    world: Callable[..., World],
) -> None:
    # format notes, section 4: below the size of a block its descriptor has no address; 40 bits of output.
    sizes: dict[str, Any] = {"cd": {"IPS": 2}} if world is stage1 else {"S2PS": 2}
    made = with_registers(world(K64, wide=True, page=1 << 42, leaf={"ign_41_16": 1 << 25}, **sizes), WIDE)
    tables = made.first or made.second
    tables.map(0x4000_0000_0000, 0, page=1 << 42, ign_41_16=1 << 25)

    answer = made.ask(iova=0x4000_0000_0123)

    assert (answer.hpa, answer.size_lg2) == (0x123, 42)


def test_input_may_have_52_bits_with_64_kib_granules() -> None:
    world = with_registers(stage1(K64, tsz=12, wide=True, cd={"IPS": 6}), WIDE)
    high = 0xF << 48 | IOVA
    world.first.map(high, world.page)

    answer = world.ask(iova=high | 0x123)

    assert answer.hpa == world.page + 0x123
    assert len(answer.refs) == 1 + 1 + 3


def test_stage_2_alone_leaves_gpa_the_iova() -> None:
    assert stage2().ask().gpa == IOVA | 0x123


def test_bypass_gives_output_is_input_and_all_rights() -> None:
    answer = bypass().ask()

    assert (answer.hpa, answer.gpa, answer.size_lg2, answer.access) == (IOVA | 0x123, IOVA | 0x123, 12, RWX)


#: IAS is 40 bits where AArch32 tables exist, OAS 36 (Arm IHI 0070, 3.4).
NARROW = idr("IDR0", TTF=3) | idr("IDR5", OAS=1)


def test_an_ipa_that_no_stage_translates_is_cut_to_the_output_width() -> None:
    # 3.4: stage 1 bypassed by S1DSS, stage 2 off.
    world = with_registers(stage1(S1CDMax=1, S1DSS=1), NARROW)

    answer = world.ask(iova=0x80_0000_0123)

    assert (answer.hpa, answer.access) == (0x123, RWX)


def test_a_translated_request_is_cut_to_the_output_width() -> None:
    # 3.9.1.1 allows that, or an abort.
    world = with_registers(bypass(), NARROW)

    answer = world.ask(iova=0xFFFF_0000_0000_0123, at=At.TRANSLATED)

    assert (answer.hpa, answer.access, answer.refs) == (0x123, RW, ())


@pytest.mark.parametrize("pasid", [None, 7])
def test_a_unit_that_is_off_lets_pass_what_its_output_width_holds(pasid: int | None) -> None:
    # 3.4 and 6.3.9.6: beyond OAS an abort without event.
    world = with_registers(bypass(), NARROW, idr("CR0", SMMUEN=0))
    answer = world.ask(iova=0xF_FFFF_F123, pasid=pasid)
    assert (answer.hpa, answer.access, answer.refs) == (0xF_FFFF_F123, RWX, ())

    fault = world.ask(iova=0x10_0000_0123, pasid=pasid).fault

    assert fault is not None
    assert (fault.reason, fault.native, fault.recorded, fault.raw) == (Reason.ABORTED, 0, False, None)


def test_with_atschk_a_translated_request_passes_after_the_ste() -> None:
    world = with_registers(stage1(EATS=1), idr("CR0", ATSCHK=1))

    answer = world.ask(at=At.TRANSLATED)

    assert (answer.hpa, answer.access, len(answer.refs)) == (IOVA | 0x123, RW, 1)


def test_a_translation_request_is_translated_with_full_ats() -> None:
    world = stage1(EATS=1)

    assert world.ask(at=At.TRANSLATION).hpa == world.page + 0x123


def test_a_stream_id_may_have_more_than_16_bits() -> None:
    host = build.Memory()
    unit = build.SmmuUnit(host, log2size=20, split=8)
    unit.device(0xABCDE)

    answer = ask(unit.registers, host, Request(0xABCDE, IOVA))

    assert [ref.hpa for ref in answer.refs] == [unit.stream_table + 8 * 0xABC, unit.where(0xABCDE)]


@pytest.mark.parametrize(("fmt", "split", "level"), [(0, 6, 0), (2, 6, 0), (3, 6, 0), (1, 7, 1), (1, 0, 1)])
def test_formats_and_splits_that_do_not_exist_count_as_linear_and_6(fmt: int, split: int, level: int) -> None:
    # format notes 2, section 1: FMT 2 and 3 behave as 0, other SPLITs as 6.
    world = stage1(split=6 if level else None)
    config = STRTAB_BASE_CFG.value(LOG2SIZE=8, FMT=fmt, SPLIT=split)

    answer = with_registers(world, {"STRTAB_BASE_CFG": config}).ask()

    assert answer.hpa == world.page + 0x123
    assert answer.refs[0].level == level


@pytest.mark.parametrize("split", [0, 7, 9, 16, 22, 24, 26, 31])
def test_all_bits_of_split_count(split: int) -> None:
    # IHI 0070, SMMU_STRTAB_BASE_CFG.SPLIT, bits 10:6: whatever is not 6, 8 or 10 behaves as 6.
    host = build.Memory()
    unit = build.SmmuUnit(host, log2size=8, split=6)
    unit.device(0x45)
    config = STRTAB_BASE_CFG.value(LOG2SIZE=8, FMT=1, SPLIT=split)

    answer = ask(unit.registers | {"STRTAB_BASE_CFG": config}, host, Request(0x45, IOVA))

    assert [ref.hpa for ref in answer.refs] == [unit.stream_table + 8, unit.where(0x45)]


def test_without_st_level_every_stream_table_is_linear() -> None:
    world = stage1()
    config = {"STRTAB_BASE_CFG": STRTAB_BASE_CFG.value(LOG2SIZE=8, FMT=1, SPLIT=6)}

    answer = with_registers(world, config, idr("IDR0", ST_LEVEL=0)).ask()

    assert answer.hpa == world.page + 0x123


@pytest.mark.parametrize("split", [None, 6])
def test_the_stream_table_is_aligned_to_its_size(split: int | None) -> None:
    # Arm IHI 0070, 6.3.24: the unit ignores the lower bits of ADDR.
    world = stage1(split=split)
    base = world.unit.registers["STRTAB_BASE"]

    answer = with_registers(world, {"STRTAB_BASE": base | (0x40 if split is None else 0)}).ask()

    assert answer.hpa == world.page + 0x123


# ---------------------------------------------------------------- halves, TBI


def halved(cd: Mapping[str, int] | None = None, **ste: int) -> World:
    """Both halves: TTB0 with 4 KiB and 39 bits, TTB1 with 64 KiB and 42."""
    host = build.Memory()
    lower, upper = build.SmmuStage1(host, K4, 25), build.SmmuStage1(host, K64, 22)
    page = host.page(16, align=K64)
    lower.map(0x1000, page)
    upper.map(0xFFFF_FFFF_0000_0000, page)
    cds = build.CdTable(host)
    where = cds.set(0, lower, upper, **(cd or {}))
    unit = build.SmmuUnit(host)
    return World(host, unit, unit.device(SID, cds, **ste), cds, where, lower, page=page)


UPPER = 0xFFFF_FFFF_0000_0123


def test_each_half_has_its_own_size_and_granule() -> None:
    world = halved()

    lower, upper = world.ask(iova=0x1123), world.ask(iova=UPPER)

    assert (lower.hpa, lower.size_lg2, len(lower.refs)) == (world.page + 0x123, 12, 2 + 3)
    assert (upper.hpa, upper.size_lg2, len(upper.refs)) == (world.page + 0x123, 16, 2 + 2)


@pytest.mark.parametrize(
    ("cd", "iova", "passes"),
    [
        ({}, 0x55 << 56 | 0x1123, False),
        ({"TBI0": 1}, 0x55 << 56 | 0x1123, True),
        ({"TBI1": 1}, 0x55 << 56 | 0x1123, False),
        ({"TBI0": 1}, 1 << 54 | 0x1123, False),  # only the top byte is ignored
        ({"TBI1": 1}, 0x55 << 56 | UPPER & (1 << 56) - 1, True),
        ({"TBI0": 1}, 0x55 << 56 | UPPER & (1 << 56) - 1, False),
        ({"TBI0": 1}, UPPER, True),
        ({}, 1 << 39, False),
        ({}, (1 << 64) - (1 << 43), False),
    ],
)
def test_tbi_drops_the_top_byte_of_its_half(cd: dict[str, int], iova: int, passes: bool) -> None:
    answer = halved(cd).ask(iova=iova)

    if passes:
        assert answer.fault is None
    else:
        assert answer.fault is not None
        assert (answer.fault.reason, answer.fault.native) == (Reason.INPUT_RANGE, 0x10)
        assert answer.fault.input == iova


@pytest.mark.parametrize(
    ("iova", "cd", "level"),
    [
        (1 << 39, {}, 2),  # 39 bits of 4 KiB: three levels
        (1 << 63 | 1 << 55, {}, 1),  # 42 bits of 64 KiB: two
        (0x1000, {"EPD0": 1}, 0),
        (UPPER, {"EPD1": 1}, 0),
        (UPPER, {"EPD1": 1, "T1SZ": 0, "TG1": 0}, 0),  # what is disabled is not looked at
    ],
)
def test_an_input_out_of_range_names_the_top_level_of_its_half(
    iova: int, cd: dict[str, int], level: int
) -> None:
    fault = halved(cd).ask(iova=iova).fault

    assert fault is not None
    assert (fault.reason, fault.stage, fault.level, fault.native) == (
        Reason.INPUT_RANGE,
        Stage.S1,
        level,
        0x10,
    )
    assert (fault.entry_hpa, fault.detail) == (None, IN_CLASS << 1)


@pytest.mark.parametrize(
    ("cd", "registers", "request_", "refused"),
    [
        ({"E0PD0": 1}, {"E0PD": 1}, {"iova": 0x1123}, True),
        ({"E0PD0": 1}, {"E0PD": 1}, {"iova": UPPER}, False),
        ({"E0PD1": 1}, {"E0PD": 1}, {"iova": UPPER}, True),
        ({"E0PD0": 1}, {"E0PD": 1}, {"iova": 0x1123, "priv": True}, False),
        ({"E0PD0": 1}, {}, {"iova": 0x1123}, False),
    ],
)
def test_e0pd_keeps_the_unprivileged_out_of_a_half(
    cd: dict[str, int], registers: dict[str, int], request_: dict[str, Any], refused: bool
) -> None:
    fault = with_registers(halved(cd), idr("IDR3", **registers)).ask(**request_).fault

    assert (fault is not None) is refused
    if fault is not None:
        assert words(fault) == ["PRIVILEGE", "S1", "0", "0x10"]
        assert (fault.entry_hpa, fault.detail) == (None, IN_CLASS << 1)


def test_the_range_of_the_input_comes_before_e0pd() -> None:
    fault = with_registers(halved({"E0PD0": 1}), idr("IDR3", E0PD=1)).ask(iova=1 << 39).fault

    assert fault is not None
    assert words(fault) == ["INPUT_RANGE", "S1", "2", "0x10"]


# ---------------------------------------------------------------- SubstreamID


# format notes, section 3, decision table: stage 1, S1CDMax, SubstreamID, S1DSS -> result.
SUBSTREAMS = [
    ("bypass", 0, 0, 0, 0x08),
    ("stage 2", 0, 0, 0, 0x08),
    ("bypass", 0, None, 0, "off"),
    ("stage 2", 0, None, 0, "off"),
    ("on", 0, None, 0, 0),
    ("on", 0, None, 3, 0),
    ("on", 0, 0, 0, 0x08),
    ("on", 2, 4, 0, 0x08),
    ("on", 2, 0, 2, 0x06),
    ("on", 2, 0, 0, 0),
    ("on", 2, 3, 0, 3),
    ("on", 2, 3, 2, 3),
    ("on", 2, 3, 1, 3),
    ("on", 2, None, 0, 0x06),
    ("on", 2, None, 3, 0x06),
    ("on", 2, None, 1, "off"),
    ("on", 2, None, 2, 0),
]


@pytest.mark.parametrize(("kind", "cdmax", "ssid", "dss", "result"), SUBSTREAMS)
def test_substreams(kind: str, cdmax: int, ssid: int | None, dss: int, result: int | str) -> None:
    host = build.Memory()
    first, second = build.SmmuStage1(host), build.SmmuStage2(host)
    first.map(IOVA, IOVA)
    second.map(IOVA, IOVA)
    cds = build.CdTable(host, cdmax)
    for each in range(1 << cdmax):
        cds.set(each, first)
    unit = build.SmmuUnit(host)
    ste = unit.device(
        SID, cds if kind == "on" else None, second if kind == "stage 2" else None, S1DSS=dss, S1CDMax=cdmax
    )

    answer = ask(unit.registers, host, Request(SID, IOVA, ssid))

    cd = [ref.hpa for ref in answer.refs if ref.stage is Stage.PASID]
    if answer.fault is None:
        assert cd == ([] if result == "off" else [cds.address + 64 * int(result)])
        return
    assert answer.fault.native == result
    assert answer.fault.reason is (Reason.PASID_RANGE if ssid == 4 else Reason.BLOCKED)
    assert (answer.fault.stage, answer.fault.entry_hpa, answer.fault.recorded) == (Stage.DEVICE, ste, True)


def test_without_ssidsize_s1cdmax_and_s1fmt_are_ignored() -> None:
    world = with_registers(stage1(S1CDMax=31, S1Fmt=1, S1DSS=0), idr("IDR1", SSIDSIZE=0))

    assert world.ask().hpa == world.page + 0x123
    fault = world.ask(pasid=0).fault
    assert fault is not None
    assert (fault.reason, fault.native) == (Reason.BLOCKED, 0x08)


def test_s1fmt_3_is_linear() -> None:
    world = nested(S1Fmt=3)

    assert world.ask().fault is None


@pytest.mark.parametrize(("fmt", "ssid"), [(1, 64), (1, 127), (2, 1024), (2, 2047), (2, 5)])
def test_two_level_cd_tables_split_the_substream_after_6_or_10_bits(fmt: int, ssid: int) -> None:
    host = build.Memory()
    first = build.SmmuStage1(host)
    first.map(IOVA, IOVA)
    cds = build.CdTable(host, 11, fmt)
    where = cds.set(ssid, first)
    unit = build.SmmuUnit(host)
    unit.device(SID, cds)

    refs = ask(unit.registers, host, Request(SID, IOVA, ssid)).refs

    lg2 = {1: 6, 2: 10}[fmt]
    assert [(ref.level, ref.hpa) for ref in refs[1:3]] == [(1, cds.address + 8 * (ssid >> lg2)), (0, where)]
    assert where % (64 << lg2) == 64 * (ssid % (1 << lg2))


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


# format notes 2, section 5: AP[2:1], privileged, unprivileged, without PXN and UXN.
AP = [(0, RWX, EXEC), (1, RW, RWX), (2, READ | EXEC, EXEC), (3, READ | EXEC, READ | EXEC)]


@pytest.mark.parametrize(("ap", "privileged", "unprivileged"), AP)
@pytest.mark.parametrize("pasid", [None, SSID])
def test_stage_1_rights_by_ap(ap: int, privileged: Access, unprivileged: Access, pasid: int | None) -> None:
    # PnU counts with and without a SubstreamID.
    world = stage1(leaf={"AP1": ap & 1, "AP2": ap >> 1}) if pasid is None else nested()
    if pasid is not None:
        world.edit_first(0, AP1=ap & 1, AP2=ap >> 1)

    assert rights_of(world, priv=True) == privileged
    assert rights_of(world, priv=False) == unprivileged


def table(level: int, **fields: int) -> Callable[[World], None]:
    return lambda world: world.edit_first(level, **fields)


# format notes 2, section 5, modifiers: CD, leaf, edit -> privileged, unprivileged.
MODIFIERS: dict[str, tuple[dict[str, int], dict[str, int], Any, Access, Access]] = {
    "PXN": ({}, {"AP1": 0, "PXN": 1}, None, RW, EXEC),
    "UXN": ({}, {"UXN": 1}, None, RW, RW),
    "WXN": ({"WXN": 1}, {}, None, RW, RW),
    "WXN takes execution only from who may write": ({"WXN": 1}, {"AP1": 0}, None, RW, EXEC),
    "WXN spares what is read-only": ({"WXN": 1}, {"AP2": 1}, None, READ | EXEC, READ | EXEC),
    "UWXN is ignored": ({"UWXN": 1}, {"AP2": 1}, None, READ | EXEC, READ | EXEC),
    "PAN": ({"PAN": 1}, {}, None, NONE, RWX),
    "PAN leaves execution": ({"PAN": 1}, {"AP2": 1}, None, EXEC, READ | EXEC),
    "PAN spares the privileged's own pages": ({"PAN": 1}, {"AP1": 0}, None, RWX, EXEC),
    "APTable[0] takes the unprivileged's access": ({}, {}, table(3, APTable0=1), RWX, EXEC),
    "APTable[0] takes PAN's reason": ({"PAN": 1}, {}, table(1, APTable0=1), RWX, EXEC),
    "APTable[1] takes writes": ({}, {}, table(2, APTable1=1), READ | EXEC, READ | EXEC),
    "PXNTable": ({}, {"AP2": 1}, table(2, PXNTable=1), READ, READ | EXEC),
    "UXNTable": ({}, {"AP2": 1}, table(1, UXNTable=1), READ | EXEC, READ),
    "HAD ignores them": (
        {"HAD0": 1},
        {"AP2": 1},
        table(1, APTable0=1, APTable1=1, PXNTable=1, UXNTable=1),
        READ | EXEC,
        READ | EXEC,
    ),
    "HAD1 is not the lower half's": ({"HAD1": 1}, {}, table(1, APTable1=1), READ | EXEC, READ | EXEC),
    "DBM without HD": ({}, {"AP2": 1, "DBM": 1}, None, READ | EXEC, READ | EXEC),
}


@pytest.mark.parametrize(
    ("cd", "leaf", "edit", "privileged", "unprivileged"), MODIFIERS.values(), ids=MODIFIERS.keys()
)
def test_what_modifies_stage_1_rights(
    cd: dict[str, int], leaf: dict[str, int], edit: Any, privileged: Access, unprivileged: Access
) -> None:
    world = stage1(cd=cd, leaf=leaf)
    if edit:
        edit(world)

    assert rights_of(world, priv=True) == privileged
    assert rights_of(world, priv=False) == unprivileged


def test_without_idr3_had_table_attributes_count() -> None:
    # 6.3.4: optional in v3.0 alone.
    world = with_registers(stage1(cd={"HAD0": 1}), idr("IDR3", HAD=0), {"AIDR": 0})
    world.edit_first(2, APTable1=1)

    assert rights_of(world) == READ | EXEC


# format notes 2, section 5, stage 2: XN -> privileged, unprivileged, without XNX.
XN = [(0, True, True, True), (1, False, True, True), (2, False, False, False), (3, True, False, False)]


@pytest.mark.parametrize(("xn", "privileged", "unprivileged", "plain_xn"), XN)
def test_stage_2_execution_by_xn(xn: int, privileged: bool, unprivileged: bool, plain_xn: bool) -> None:
    # 6.3.4: XNX is absent from v3.0 and there from v3.1.
    world = with_registers(stage2(leaf={"XN": xn, "S2AP": 3}), {"AIDR": 0})

    assert (EXEC in rights_of(world, priv=True), EXEC in rights_of(world)) == (plain_xn, plain_xn)
    with_registers(world, {"AIDR": 1})
    assert (EXEC in rights_of(world, priv=True), EXEC in rights_of(world)) == (privileged, unprivileged)


@pytest.mark.parametrize(("s2ap", "access"), [(0, EXEC), (1, READ | EXEC), (2, WRITE | EXEC), (3, RWX)])
def test_stage_2_rights_by_s2ap(s2ap: int, access: Access) -> None:
    assert rights_of(stage2(leaf={"S2AP": s2ap})) == access


# format notes 2, section 5, StreamWorld.
EL2_RIGHTS = [
    ({}, {}, RWX),
    ({}, {"AP1": 0}, RWX),
    ({}, {"AP2": 1}, READ | EXEC),
    ({}, {"PXN": 1}, RWX),
    ({}, {"UXN": 1}, RW),
    ({"PAN": 1}, {}, RWX),
    ({"WXN": 1}, {}, RW),
]


@pytest.mark.parametrize(("cd", "leaf", "access"), EL2_RIGHTS)
def test_in_el2_all_are_privileged_and_ap1_and_pxn_do_not_count(
    cd: dict[str, int], leaf: dict[str, int], access: Access
) -> None:
    world = el2(cd, leaf)

    assert rights_of(world) == rights_of(world, priv=True) == access


def test_in_el2_nothing_is_a_matter_of_privilege() -> None:
    # PAN, AP[1] and E0PD are any-EL2's to ignore (Arm IHI 0070, 5.4).
    world = el2({"E0PD0": 1}, {"AP1": 0, "AP2": 1})
    with_registers(world, idr("IDR3", E0PD=1))
    assert world.ask().fault is None

    fault = world.ask(access=WRITE).fault

    assert fault is not None
    assert words(fault) == ["DENIED", "S1", "0", "0x13"]


def test_el2_has_one_half_whatever_epd_says() -> None:
    # Arm IHI 0070, 5.4, EPD0: EPDx are ignored and count as 0; ASID is ignored too.
    world = el2({"EPD0": 1, "EPD1": 0, "TG1": 0, "ASID": 0xFFFF})
    with_registers(world, idr("IDR0", HYP=1, ASID16=0))
    assert world.ask().fault is None

    fault = world.ask(iova=0xFFFF_FFFF_FFFF_0000).fault

    assert fault is not None
    assert words(fault) == ["INPUT_RANGE", "S1", "0", "0x10"]


@pytest.mark.parametrize(
    ("registers", "config", "priv_only"),
    [
        ([idr("IDR0", HYP=1), idr("CR2", E2H=1)], {}, True),  # EL2-E2H is as EL1
        ([idr("IDR0", HYP=0)], {}, True),  # STRW does not count
        ([idr("IDR0", HYP=1)], {"STRW": 0}, True),
        ([idr("IDR0", HYP=1)], {}, False),
    ],
)
def test_strw_counts_with_hyp_and_without_e2h(
    registers: list[dict[str, int]], config: dict[str, int], priv_only: bool
) -> None:
    world = with_registers(stage1(leaf={"AP1": 0}, **{"STRW": 2} | config), *registers)

    assert (world.ask().fault is not None) is priv_only


# format notes 2, section 5, overrides.
OVERRIDES = [
    ({"PRIVCFG": 0}, {}, False),
    ({"PRIVCFG": 1}, {}, False),
    ({"PRIVCFG": 3}, {}, True),
    ({"PRIVCFG": 2}, {"priv": True}, False),
    ({"PRIVCFG": 1}, {"priv": True}, True),
]


@pytest.mark.parametrize(("ste", "request_", "passes"), OVERRIDES)
def test_privcfg_replaces_the_requests_privilege(
    ste: dict[str, int], request_: dict[str, Any], passes: bool
) -> None:
    world = stage1(leaf={"AP1": 0}, **ste)
    assert (world.ask(**request_).fault is None) is request_.get("priv", False)

    with_registers(world, idr("IDR1", ATTR_PERMS_OVR=1))

    assert (world.ask(**request_).fault is None) is passes


@pytest.mark.parametrize(
    ("instcfg", "leaf", "access", "passes"),
    [
        (0, {"UXN": 1}, EXEC, False),
        (1, {"UXN": 1}, EXEC, False),
        (2, {"UXN": 1}, EXEC, True),
        (3, {"UXN": 1}, READ, False),
        (3, {"AP1": 0}, READ, True),  # execute-only
        (3, {"UXN": 1}, WRITE, True),  # a write is data
    ],
)
def test_instcfg_replaces_instruction_or_data_of_reads(
    instcfg: int, leaf: dict[str, int], access: Access, passes: bool
) -> None:
    world = with_registers(stage1(leaf=leaf, INSTCFG=instcfg), idr("IDR1", ATTR_PERMS_OVR=1))

    assert (world.ask(access=access).fault is None) is passes


# ---------------------------------------------------------------- access flag and dirty state (3.13)

HTTU = idr("IDR0", HTTU=2)
AF, READ_ONLY, S2_WRITE = 1 << 10, 1 << 7, 1 << 7


def changes(refs: tuple[Ref, ...], stage: Stage) -> list[int]:
    return [ref.raw ^ ref.updated for ref in refs if ref.stage is stage]


@pytest.mark.parametrize(
    ("cd", "leaf", "access", "result"),
    [
        ({}, {"AF": 0}, READ, 0x12),
        ({"AFFD": 1}, {"AF": 0}, READ, 0),
        ({"HA": 1}, {"AF": 0}, READ, AF),
        ({"HA": 1, "AFFD": 1}, {"AF": 0}, READ, AF),  # HA: AFFD is ignored
        ({"HA": 1}, {}, WRITE, 0),
        ({"HA": 1}, {"AP2": 1, "DBM": 1}, WRITE, 0x13),
        ({"HA": 1, "HD": 1}, {"AP2": 1}, WRITE, 0x13),
        ({"HA": 1, "HD": 1}, {"AP2": 1, "DBM": 1}, READ, 0),
        ({"HA": 1, "HD": 1}, {"AP2": 1, "DBM": 1}, WRITE, READ_ONLY),
        ({"HA": 1, "HD": 1}, {"AP2": 1, "DBM": 1, "AF": 0}, WRITE, READ_ONLY | AF),
        ({"HA": 1, "HD": 1}, {"DBM": 1}, WRITE, 0),
        # {HD,HA} = 10 behaves as 00.
        ({"HD": 1}, {"AP2": 1, "DBM": 1}, WRITE, 0x13),
        ({"HD": 1}, {"AF": 0}, READ, 0x12),
    ],
)
def test_stage_1_flags(cd: dict[str, int], leaf: dict[str, int], access: Access, result: int) -> None:
    # format notes 2, section 5, HTTU.
    answer = with_registers(stage1(cd=cd, leaf=leaf), HTTU).ask(access=access)

    if answer.fault is not None:
        assert answer.fault.native == result
        assert answer.refs[-1].raw == answer.refs[-1].updated
    else:
        assert changes(answer.refs, Stage.S1) == [0, 0, 0, result]


@pytest.mark.parametrize(
    ("ste", "leaf", "access", "result"),
    [
        ({}, {"AF": 0}, READ, 0x12),
        ({"S2AFFD": 1}, {"AF": 0}, READ, 0),
        ({"S2HA": 1}, {"AF": 0}, READ, AF),
        ({"S2HA": 1, "S2HD": 1}, {"S2AP": 1}, WRITE, 0x13),
        ({"S2HA": 1, "S2HD": 1}, {"S2AP": 1, "DBM": 1}, WRITE, S2_WRITE),
        ({"S2HA": 1, "S2HD": 1}, {"S2AP": 1, "DBM": 1}, READ, 0),
        ({"S2HD": 1}, {"S2AP": 1, "DBM": 1}, WRITE, 0x13),
    ],
)
def test_stage_2_flags(ste: dict[str, int], leaf: dict[str, int], access: Access, result: int) -> None:
    answer = with_registers(stage2(leaf=leaf, **ste), HTTU).ask(access=access)

    if answer.fault is not None:
        assert (answer.fault.native, answer.fault.detail) == (result, 1 | IN_CLASS << 1)
    else:
        assert changes(answer.refs, Stage.S2) == [0, 0, 0, result]


def test_what_aptable_or_pan_forbid_is_not_made_dirty() -> None:
    world = with_registers(stage1(cd={"HA": 1, "HD": 1}, leaf={"AP2": 1, "DBM": 1}), HTTU)
    world.edit_first(1, APTable1=1)

    fault = world.ask(access=WRITE).fault

    assert fault is not None
    assert words(fault) == ["DENIED", "S1", "0", "0x13"]


def test_a_writable_clean_page_counts_as_writable() -> None:
    # ours: also for what keeps execution from it.
    world = with_registers(stage1(cd={"HA": 1, "HD": 1, "WXN": 1}, leaf={"AP2": 1, "DBM": 1}), HTTU)

    assert rights_of(world) == rights_of(world, priv=True) == RW


def flagless(cd: Mapping[str, int] | None = None, **ste: int) -> World:
    """Nested with hardware flags, and a stage-1 page without AF."""
    world = with_registers(nested(cd={"HA": 1, "HD": 1} | dict(cd or {}), **ste), HTTU)
    world.edit_first(0, AF=0)
    return world


def test_setting_af_dirties_the_stage_2_page_of_the_stage_1_table() -> None:
    world = flagless(S2HA=1, S2HD=1)
    world.edit_table_page(0, S2AP=1, DBM=1)

    answer = world.ask()

    assert answer.fault is None
    for_leaf = [ref for ref in answer.refs if ref.purpose is Purpose.S1_ENTRY and ref.for_level == 0]
    assert [ref.raw ^ ref.updated for ref in for_leaf] == [0, 0, 0, S2_WRITE]
    assert changes(answer.refs, Stage.S1) == [0, 0, 0, AF]


def test_reading_a_cd_sets_af_of_stage_2_and_never_s2ap() -> None:
    # format notes 2, section 5: a CD fetch may set stage-2 AF, never S2AP[1].
    world = with_registers(nested(S2HA=1, S2HD=1), HTTU)
    world.edit_second(world.cd, 0, S2AP=1, DBM=1, AF=0)

    answer = world.ask(access=WRITE)

    for_cd = [ref for ref in answer.refs if ref.purpose is Purpose.PASID_ENTRY]
    assert [ref.raw ^ ref.updated for ref in for_cd] == [0, 0, 0, AF]


def test_an_update_that_is_denied_names_the_stage_2_page() -> None:
    world = flagless()
    world.edit_table_page(0, S2AP=1)

    fault = world.ask().fault

    entry = world.first.entry(IOVA, 0)
    assert fault is not None
    assert words(fault) == ["UPDATE_DENIED", "S2", "0", "0x13"]
    assert fault.detail == 1 | TT_CLASS << 1
    assert (fault.input, fault.purpose, fault.for_level) == (entry, Purpose.S1_UPDATE, 0)
    assert fault.raw == world.host.load(world.second.entry(entry, 0))


def test_flags_that_are_set_need_no_write_right_of_stage_2() -> None:
    world = with_registers(nested(cd={"HA": 1, "HD": 1}), HTTU)
    for level in range(4):
        world.edit_table_page(level, S2AP=1)

    assert world.ask(access=WRITE).fault is None


# ---------------------------------------------------------------- faults


@dataclass
class Fact:
    """A world, what is changed in it, what is asked, and where and why it stops."""

    world: Callable[[], World]
    edit: Edit
    stops: str  # reason, stage, level, code
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


UNRECORDED = {"recorded": False}
NO_ENTRY = {"entry_hpa": None, "raw": None}


def two_level() -> World:
    return stage1(split=6)


# format notes 2, section 2, rows 1 to 8; docs/walk_smmuv3.md.
DEVICE_FACTS = {
    "GBPA.ABORT": Fact(
        stage1,
        registers(idr("CR0", SMMUEN=0), idr("GBPA", ABORT=1)),
        "ABORTED DEVICE 0 0x0",
        more=UNRECORDED | NO_ENTRY,
    ),
    "SMMUEN 0, translation request": Fact(
        stage1,
        registers(idr("CR0", SMMUEN=0), idr("GBPA", ABORT=1)),
        "BLOCKED DEVICE 0 0x5",
        {"at": At.TRANSLATION},
        NO_ENTRY | {"recorded": True},
    ),
    "SMMUEN 0, translated request": Fact(
        stage1,
        registers(idr("CR0", SMMUEN=0), idr("GBPA", ABORT=1)),
        "BLOCKED DEVICE 0 0x7",
        {"at": At.TRANSLATED},
        NO_ENTRY,
    ),
    "StreamID beyond LOG2SIZE": Fact(
        stage1, nothing, "RID_RANGE DEVICE 0 0x2", {"rid": 256}, NO_ENTRY | {"recorded": True}
    ),
    "StreamID beyond SIDSIZE": Fact(stage1, registers(idr("IDR1", SIDSIZE=4)), "RID_RANGE DEVICE 0 0x2"),
    "C_BAD_STREAMID without RECINVSID": Fact(
        stage1, registers(idr("CR2", RECINVSID=0)), "RID_RANGE DEVICE 0 0x2", {"rid": 256}, UNRECORDED
    ),
    "L1STD unreadable": Fact(
        two_level, registers({"STRTAB_BASE": NOWHERE}), "UNREADABLE DEVICE 1 0x3", more={"raw": None}
    ),
    "Span 0": Fact(two_level, l1std(Span=0), "NOT_PRESENT DEVICE 1 0x2"),
    "Span 12": Fact(two_level, l1std(Span=12), "NOT_PRESENT DEVICE 1 0x2"),
    "Span above SPLIT + 1": Fact(two_level, l1std(Span=8), "RESERVED DEVICE 1 0x2"),
    "index beyond Span": Fact(two_level, l1std(Span=5), "RID_RANGE DEVICE 1 0x2"),
    "Span without RECINVSID": Fact(
        two_level,
        both(l1std(Span=0), registers(idr("CR2", RECINVSID=0))),
        "NOT_PRESENT DEVICE 1 0x2",
        more=UNRECORDED,
    ),
    "STE unreadable": Fact(stage1, registers({"STRTAB_BASE": NOWHERE}), "UNREADABLE DEVICE 0 0x3"),
    "STE unreadable, two-level": Fact(two_level, l1std(L2Ptr=NOWHERE), "UNREADABLE DEVICE 0 0x3"),
    "V 0": Fact(stage1, ste(V=0), "NOT_PRESENT DEVICE 0 0x4", more={"recorded": True}),
    "V comes before Config": Fact(stage1, ste(V=0, Config=0), "NOT_PRESENT DEVICE 0 0x4"),
    "Config 0": Fact(stage1, ste(Config=0), "ABORTED DEVICE 0 0x0", more=UNRECORDED),
    "Config 3 comes before what is illegal": Fact(
        stage1, ste(Config=3, EATS=3), "ABORTED DEVICE 0 0x0", more=UNRECORDED
    ),
    "translation request without ATS": Fact(
        stage1, nothing, "BLOCKED DEVICE 0 0x5", {"at": At.TRANSLATION}, {"recorded": True}
    ),
    "translation request with split-stage ATS": Fact(
        nested, ste(EATS=2), "BLOCKED DEVICE 0 0x5", {"at": At.TRANSLATION}
    ),
    "translation request in bypass": Fact(
        bypass, ste(EATS=1), "BLOCKED DEVICE 0 0x5", {"at": At.TRANSLATION}
    ),
    "translated request without ATS": Fact(
        stage1,
        registers(idr("CR0", ATSCHK=1)),
        "BLOCKED DEVICE 0 0x7",
        {"at": At.TRANSLATED},
        {"recorded": True},
    ),
    # Arm IHI 0070, 5.2, Config: in bypass EATS counts as 0.
    "translated request in bypass": Fact(
        bypass,
        both(ste(EATS=1), registers(idr("CR0", ATSCHK=1))),
        "BLOCKED DEVICE 0 0x7",
        {"at": At.TRANSLATED},
    ),
    "an illegal STE comes before ATS": Fact(
        stage1, ste(S1CDMax=21), "INVALID DEVICE 0 0x4", {"at": At.TRANSLATION}, UNRECORDED
    ),
    "SubstreamID beyond S1CDMax": Fact(nested, nothing, "PASID_RANGE DEVICE 0 0x8", {"pasid": 16}),
    # 3.4: Config 100 is tested against OAS, stage-1 bypass against IAS; both are recorded.
    "bypass beyond OAS": Fact(
        bypass,
        registers(idr("IDR0", TTF=3), idr("IDR5", OAS=1)),
        "INPUT_RANGE S1 0 0x11",
        {"iova": 1 << 36},
        NO_ENTRY | {"recorded": True, "detail": IN_CLASS << 1, "input": 1 << 36},
    ),
    "stage 2 alone, beyond IAS": Fact(
        stage2, nothing, "INPUT_RANGE S1 0 0x11", {"iova": 1 << 48}, {"detail": IN_CLASS << 1}
    ),
    "S1DSS 1, beyond IAS": Fact(
        nested,
        ste(S1DSS=1),
        "INPUT_RANGE S1 0 0x11",
        {"pasid": None, "iova": 1 << 48},
        {"recorded": True},
    ),
}

PASID_FACTS = {
    # Rows 13 to 18.
    "CD unreadable": Fact(
        stage1, ste(S1ContextPtr=NOWHERE), "UNREADABLE PASID 0 0x9", more={"detail": 0, "recorded": True}
    ),
    "CD absent": Fact(stage1, cd(V=0), "NOT_PRESENT PASID 0 0xa"),
    "L1CD unreadable": Fact(
        lambda: nested(fmt=1, cdmax=8),
        lambda w: w.edit_second(w.cds.address, 0, ADDR=NOWHERE & -PAGE),
        "UNREADABLE PASID 1 0x9",
    ),
    "L1CD absent": Fact(lambda: nested(fmt=1, cdmax=8), l1cd(V=0), "NOT_PRESENT PASID 1 0x8"),
    "CD beyond stage 2": Fact(
        nested,
        ste(S1ContextPtr=1 << 48),
        "INPUT_RANGE S2 3 0x10",
        more={"purpose": Purpose.PASID_ENTRY, "detail": 1 | CD_CLASS << 1, "input": (1 << 48) + 64 * SSID},
    ),
    "CD not mapped": Fact(
        nested,
        cd_page(VALID=0),
        "NOT_PRESENT S2 0 0x10",
        {"access": WRITE},
        {"purpose": Purpose.PASID_ENTRY, "for_level": 0, "detail": 1 | CD_CLASS << 1},
    ),
    "L1CD not mapped": Fact(
        lambda: nested(fmt=1, cdmax=8),
        lambda w: w.edit_second(w.cds.address, 0, VALID=0),
        "NOT_PRESENT S2 0 0x10",
        more={"purpose": Purpose.PASID_ENTRY, "for_level": 1, "detail": 1 | CD_CLASS << 1},
    ),
    "leaf table of CDs beyond stage 2": Fact(
        lambda: nested(fmt=1, cdmax=8), l1cd(L2Ptr=1 << 48), "INPUT_RANGE S2 3 0x10", more={"for_level": 0}
    ),
    "CD not readable": Fact(
        nested, cd_page(S2AP=2), "DENIED S2 0 0x13", {"access": WRITE}, {"detail": 1 | CD_CLASS << 1}
    ),
    "S2PTW keeps CDs out of Device memory": Fact(
        nested, both(cd_page(MemAttr=3), ste(S2PTW=1)), "DENIED S2 0 0x13", more={"detail": 1 | CD_CLASS << 1}
    ),
}


def l1cd_beyond_oas() -> World:
    """A two-level CD table in host memory."""
    host = build.Memory()
    first = build.SmmuStage1(host)
    first.map(IOVA, host.page())
    cds = build.CdTable(host, 8, 1)
    where = cds.set(SSID, first)
    unit = build.SmmuUnit(host)
    return World(host, unit, unit.device(SID, cds), cds, where, first, request={"pasid": SSID})


PASID_FACTS["L2Ptr beyond OAS"] = Fact(
    l1cd_beyond_oas, l1cd(L2Ptr=1 << 48), "OUTPUT_RANGE PASID 1 0x8", more={"recorded": True}
)

STAGE1_FACTS = {
    # Rows 19 to 21, format notes 4 and 5.
    "top table unreadable": Fact(
        stage1,
        cd(TTB0=NOWHERE),
        "UNREADABLE S1 3 0xb",
        more={"detail": TT_CLASS << 1, "recorded": True, "raw": None},
    ),
    "lower table unreadable": Fact(stage1, first(3, ADDR=NOWHERE), "UNREADABLE S1 2 0xb"),
    "invalid": Fact(
        stage1, first(2, VALID=0), "NOT_PRESENT S1 2 0x10", more={"detail": IN_CLASS << 1, "recorded": True}
    ),
    "a block at the last level": Fact(stage1, first(0, TYPE=0), "NOT_PRESENT S1 0 0x10"),
    "a block at the vendor's level 0": Fact(stage1, first(3, TYPE=0), "NOT_PRESENT S1 3 0x10"),
    "a 16 KiB block at the vendor's level 1": Fact(
        lambda: stage1(K16), first(2, TYPE=0), "NOT_PRESENT S1 2 0x10"
    ),
    "a 64 KiB block at the vendor's level 1": Fact(
        lambda: stage1(K64), first(2, TYPE=0), "NOT_PRESENT S1 2 0x10"
    ),
    "page beyond IPS": Fact(stage1, both(first(0, ADDR=1 << 40), cd(IPS=2)), "OUTPUT_RANGE S1 0 0x11"),
    "table beyond IPS": Fact(
        stage1,
        both(first(2, ADDR=1 << 40), cd(IPS=2)),
        "OUTPUT_RANGE S1 2 0x11",
        more={"detail": IN_CLASS << 1},
    ),
    "page beyond OAS": Fact(
        stage1, both(first(0, ADDR=1 << 44), registers(idr("IDR5", OAS=4))), "OUTPUT_RANGE S1 0 0x11"
    ),
    "52-bit page beyond IPS": Fact(
        lambda: with_registers(stage1(K64, wide=True), WIDE),
        first(0, ADDR_51_48=1),
        "OUTPUT_RANGE S1 0 0x11",
    ),
    "absent comes before the address": Fact(
        stage1, both(first(0, ADDR=1 << 40, VALID=0), cd(IPS=2)), "NOT_PRESENT S1 0 0x10"
    ),
    "the address comes before AF": Fact(
        stage1, both(first(0, ADDR=1 << 40, AF=0), cd(IPS=2)), "OUTPUT_RANGE S1 0 0x11"
    ),
    "AF": Fact(stage1, first(0, AF=0), "ACCESS_FLAG S1 0 0x12", more={"detail": IN_CLASS << 1}),
    "AF comes before the rights": Fact(
        stage1, first(0, AF=0, AP2=1), "ACCESS_FLAG S1 0 0x12", {"access": WRITE}
    ),
    "unprivileged read": Fact(stage1, first(0, AP1=0), "PRIVILEGE S1 0 0x13"),
    "unprivileged write of a privileged read-only page": Fact(
        stage1, first(0, AP1=0, AP2=1), "PRIVILEGE S1 0 0x13", {"access": WRITE}
    ),
    "unprivileged write of a read-only page": Fact(
        stage1, first(0, AP2=1), "DENIED S1 0 0x13", {"access": WRITE}
    ),
    "unprivileged execution": Fact(stage1, first(0, AP1=0, UXN=1), "DENIED S1 0 0x13", {"access": EXEC}),
    "PAN": Fact(stage1, cd(PAN=1), "DENIED S1 0 0x13", {"priv": True}),
    # Rights accumulate and are judged at the leaf, which the fault names (ours; SMMU 3.4 too).
    "APTable[1], judged at the leaf": Fact(
        stage1, first(3, APTable1=1), "DENIED S1 0 0x13", {"access": WRITE}
    ),
    "APTable[0], judged at the leaf": Fact(stage1, first(2, APTable0=1), "PRIVILEGE S1 0 0x13"),
    "an invalid page comes before a right that a table lacks": Fact(
        stage1, both(first(3, APTable1=1), first(0, VALID=0)), "NOT_PRESENT S1 0 0x10", {"access": WRITE}
    ),
    "CD.R 0": Fact(stage1, both(cd(R=0), first(0, VALID=0)), "NOT_PRESENT S1 0 0x10", more=UNRECORDED),
    "CD.R does not gate F_WALK_EABT": Fact(
        stage1, both(cd(R=0), first(3, ADDR=NOWHERE)), "UNREADABLE S1 2 0xb", more={"recorded": True}
    ),
    "nothing of a translation request is recorded": Fact(
        lambda: stage1(EATS=1), first(0, VALID=0), "NOT_PRESENT S1 0 0x10", {"at": At.TRANSLATION}, UNRECORDED
    ),
}

S2_IN = 1 | IN_CLASS << 1

STAGE2_FACTS = {
    # Row 22.
    "top table unreadable": Fact(
        stage2, ste(S2TTB=NOWHERE), "UNREADABLE S2 3 0xb", more={"detail": S2_IN, "recorded": True}
    ),
    "lower table unreadable": Fact(stage2, second(1, ADDR=NOWHERE), "UNREADABLE S2 0 0xb"),
    "input beyond 64 - S2T0SZ": Fact(
        lambda: stage2(tsz=24, start=1),
        nothing,
        "INPUT_RANGE S2 2 0x10",
        {"iova": 1 << 40},
        NO_ENTRY | {"detail": S2_IN, "input": 1 << 40},
    ),
    "invalid": Fact(stage2, second(1, VALID=0), "NOT_PRESENT S2 1 0x10", more={"detail": S2_IN}),
    "table beyond S2PS": Fact(stage2, both(second(2, ADDR=1 << 36), ste(S2PS=1)), "OUTPUT_RANGE S2 2 0x11"),
    "page beyond OAS": Fact(
        lambda: stage2(tsz=24, start=1),
        both(second(0, ADDR=1 << 44), registers(idr("IDR5", OAS=4))),
        "OUTPUT_RANGE S2 0 0x11",
    ),
    "AF": Fact(stage2, second(0, AF=0), "ACCESS_FLAG S2 0 0x12", more={"detail": S2_IN}),
    "read denied": Fact(lambda: stage2(access=WRITE), nothing, "DENIED S2 0 0x13", more={"detail": S2_IN}),
    "write denied": Fact(lambda: stage2(access=READ), nothing, "DENIED S2 0 0x13", {"access": WRITE}),
    "execution denied": Fact(lambda: stage2(access=RW), nothing, "DENIED S2 0 0x13", {"access": EXEC}),
    "S2R 0": Fact(stage2, both(ste(S2R=0), second(0, VALID=0)), "NOT_PRESENT S2 0 0x10", more=UNRECORDED),
    "S2R does not gate F_WALK_EABT": Fact(
        stage2, both(ste(S2R=0), second(1, ADDR=NOWHERE)), "UNREADABLE S2 0 0xb", more={"recorded": True}
    ),
}


def for_entry(level: int, purpose: Purpose = Purpose.S1_ENTRY) -> dict[str, Any]:
    return {"purpose": purpose, "for_level": level, "detail": 1 | TT_CLASS << 1}


NESTED_FACTS = {
    # Rows 20 and 22.
    "table beyond stage 2": Fact(
        lambda: nested(s2tsz=24, start=1, S2PS=5),
        first(3, ADDR=1 << 40),
        "INPUT_RANGE S2 2 0x10",
        more=for_entry(2),
    ),
    "TTB beyond stage 2": Fact(
        lambda: nested(s2tsz=24, start=1), cd(TTB0=1 << 40), "INPUT_RANGE S2 2 0x10", more=for_entry(3)
    ),
    "table not mapped": Fact(nested, table_page(2, VALID=0), "NOT_PRESENT S2 0 0x10", more=for_entry(2)),
    "table not readable": Fact(
        nested, table_page(1, S2AP=2), "DENIED S2 0 0x13", {"access": WRITE}, for_entry(1)
    ),
    "table without AF": Fact(nested, table_page(1, AF=0), "ACCESS_FLAG S2 0 0x12", more=for_entry(1)),
    "table beyond S2PS": Fact(
        nested, both(table_page(1, ADDR=1 << 40), ste(S2PS=2)), "OUTPUT_RANGE S2 0 0x11", more=for_entry(1)
    ),
    "S2PTW keeps walks out of Device memory": Fact(
        nested, both(table_page(0, MemAttr=0), ste(S2PTW=1)), "DENIED S2 0 0x13", more=for_entry(0)
    ),
    "no memory behind a table": Fact(
        nested,
        table_page(0, ADDR=NOWHERE),
        "UNREADABLE S1 0 0xb",
        more={"raw": None, "detail": TT_CLASS << 1},
    ),
    "no memory behind the CD": Fact(nested, cd_page(ADDR=NOWHERE), "UNREADABLE PASID 0 0x9"),
    "data beyond stage 2": Fact(
        lambda: nested(s2tsz=24, start=1),
        first(0, ADDR=1 << 40),
        "INPUT_RANGE S2 2 0x10",
        more={"detail": S2_IN, "input": 1 << 40 | 0x123},
    ),
    "data not mapped": Fact(nested, second(0, VALID=0), "NOT_PRESENT S2 0 0x10", more={"detail": S2_IN}),
    "data not writable": Fact(nested, second(0, S2AP=1), "DENIED S2 0 0x13", {"access": WRITE}),
    "the output of stage 1 obeys IPS": Fact(
        nested, both(first(0, ADDR=1 << 40), cd(IPS=2)), "OUTPUT_RANGE S1 0 0x11"
    ),
    "stage 1 rights come before stage 2 of the data": Fact(
        nested, both(first(0, AP2=1), second(0, VALID=0)), "DENIED S1 0 0x13", {"access": WRITE}
    ),
    "CD.R gates stage 1 alone": Fact(
        nested, both(cd(R=0), second(0, VALID=0)), "NOT_PRESENT S2 0 0x10", more={"recorded": True}
    ),
    "S2R gates stage 2 for table entries": Fact(
        nested, both(ste(S2R=0), table_page(0, VALID=0)), "NOT_PRESENT S2 0 0x10", more=UNRECORDED
    ),
    "S2PTW lets data be in Device memory": Fact(
        nested,
        both(second(0, MemAttr=0), ste(S2PTW=1), first(0, AP2=1)),
        "DENIED S1 0 0x13",
        {"access": WRITE},
    ),
}

FACTS = {
    f"{group}: {name}": fact
    for group, facts in {
        "device": DEVICE_FACTS,
        "CD": PASID_FACTS,
        "stage 1": STAGE1_FACTS,
        "stage 2": STAGE2_FACTS,
        "nested": NESTED_FACTS,
    }.items()
    for name, fact in facts.items()
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS.keys())
def test_a_fault_names_reason_stage_level_and_event(fact: Fact) -> None:
    world = fact.world()
    assert world.ask().fault is None or fact.edit is nothing  # the twin without the change passes
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


# ---------------------------------------------------------------- what is illegal


def without(name: str, **fields: int) -> Edit:
    return registers(idr(name, **fields))


def with_0(**fields: int) -> Edit:
    return without("IDR0", **fields)


# docs/walk_smmuv3.md "STE illegal"; format notes, section 2; Arm IHI 0070, 5.2.2.
ILLEGAL_STES: dict[str, tuple[Callable[[], World], Edit]] = {
    # Arm IHI 0070, 5.5: stage 1 on, "STALL_MODEL != 0b00 and STE.S1STALLD == 1"
    "S1STALLD with STALL_MODEL 1": (stage1, both(ste(S1STALLD=1), with_0(STALL_MODEL=1))),
    "S1STALLD with STALL_MODEL 2": (stage1, both(both(ste(S1STALLD=1), cd(S=1)), with_0(STALL_MODEL=2))),
    "stage 1 wants S1P": (stage1, with_0(S1P=0)),
    "nested wants S1P": (nested, with_0(S1P=0)),
    "S1CDMax above SSIDSIZE": (nested, without("IDR1", SSIDSIZE=3)),
    "S1Fmt 1 wants CD2L": (lambda: nested(fmt=1, cdmax=8), with_0(CD2L=0)),
    "S1Fmt 2 wants CD2L": (lambda: nested(fmt=2, cdmax=11), with_0(CD2L=0)),
    "S1ContextPtr beyond OAS": (stage1, ste(S1ContextPtr=1 << 48)),
    "STRW 1 with HYP": (stage1, both(ste(STRW=1), with_0(HYP=1))),
    "STRW 3 with HYP": (stage1, both(ste(STRW=3), with_0(HYP=1))),
    "stage 2 wants S2P": (stage2, with_0(S2P=0)),
    "nested wants S2P": (nested, with_0(S2P=0)),
    "S2AA64 0": (stage2, ste(S2AA64=0)),
    "S2TG 3": (stage2, ste(S2TG=3)),
    "S2TG that is not there": (stage2, without("IDR5", GRAN4K=0)),
    "S2TTB beyond S2PS": (stage2, ste(S2TTB=1 << 40, S2PS=2)),
    "S2TTB beyond 48 bits": (stage2, both(ste(S2TTB=1 << 48, S2PS=6), registers(WIDE))),
    "S2ENDI 1, little-endian": (stage2, ste(S2ENDI=1)),
    "S2ENDI 0, big-endian": (stage2, with_0(TTENDIAN=3)),
    "S2VMID of 9 bits": (stage2, both(ste(S2VMID=256), with_0(VMID16=0))),
    "S2HA wants HTTU": (stage2, ste(S2HA=1)),
    "S2HD wants HTTU 2": (stage2, both(ste(S2HD=1, S2HA=1), with_0(HTTU=1))),
    "S2S with STALL_MODEL 1": (stage2, both(ste(S2S=1), with_0(STALL_MODEL=1))),
    "S2S 0 with STALL_MODEL 2": (stage2, with_0(STALL_MODEL=2)),
    "S2S with full ATS": (stage2, ste(S2S=1, EATS=1)),
    "split-stage ATS, stage 1": (stage1, ste(EATS=2)),
    "split-stage ATS, stage 2": (stage2, ste(EATS=2)),
}

LEGAL_STES: dict[str, tuple[Callable[[], World], Edit]] = {
    "bypass ignores all fields": (bypass, both(ste(EATS=3, S2S=1, S2TG=3, STRW=3), with_0(S1P=0, S2P=0))),
    "stage 2 ignores stage 1's": (stage2, both(ste(S1CDMax=31, S1Fmt=1), with_0(CD2L=0, S1P=0))),
    "stage 1 ignores stage 2's": (stage1, both(ste(S2TG=3, S2ENDI=1, S2HA=1), with_0(S2P=0))),
    "S1CDMax 0 ignores S1Fmt": (stage1, both(ste(S1Fmt=1), with_0(CD2L=0))),
    "S1Fmt 3 is linear": (nested, both(ste(S1Fmt=3), with_0(CD2L=0))),
    "nested ignores STRW": (nested, both(ste(STRW=3), with_0(HYP=1))),
    "STRW without HYP": (stage1, ste(STRW=3)),
    "S2VMID of 8 bits": (stage2, both(ste(S2VMID=255), with_0(VMID16=0))),
    "S2ENDI with either endianness": (stage2, with_0(TTENDIAN=0)),
    "S2S": (stage2, ste(S2S=1)),
    "S2S forced": (stage2, both(ste(S2S=1), with_0(STALL_MODEL=2))),
    "full ATS without S2S": (stage2, ste(EATS=1)),
    "S1ContextPtr of 48 bits": (stage1, without("IDR5", OAS=5)),
}


@pytest.mark.parametrize(("world", "edit"), ILLEGAL_STES.values(), ids=ILLEGAL_STES.keys())
def test_an_illegal_ste(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    assert made.ask().fault is None
    edit(made)

    fault = made.ask().fault

    assert fault is not None
    assert words(fault) == ["INVALID", "DEVICE", "0", "0x4"]
    assert (fault.entry_hpa, fault.recorded, fault.detail) == (made.ste, True, 0)


@pytest.mark.parametrize(("world", "edit"), LEGAL_STES.values(), ids=LEGAL_STES.keys())
def test_a_legal_ste(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    edit(made)

    assert made.ask().fault is None


# docs/walk_smmuv3.md "CD illegal"; format notes, section 3; Arm IHI 0070, 5.4.2.
ILLEGAL_CDS: dict[str, tuple[Callable[[], World], Edit]] = {
    "AA64 0": (stage1, cd(AA64=0)),
    "ENDI 1, little-endian": (stage1, cd(ENDI=1)),
    "ENDI 0, big-endian": (stage1, with_0(TTENDIAN=3)),
    "HA wants HTTU": (stage1, cd(HA=1)),
    "HD wants HTTU 2": (stage1, both(cd(HD=1, HA=1), with_0(HTTU=1))),
    "HAFT wants HA": (stage1, both(cd(HAFT=1), with_0(HTTU=3))),
    "S with STALL_MODEL 1": (stage1, both(cd(S=1), with_0(STALL_MODEL=1))),
    "S 0 with STALL_MODEL 2": (stage1, with_0(STALL_MODEL=2)),
    "S with S1STALLD": (stage1, both(cd(S=1), ste(S1STALLD=1))),
    "A 0 with TERM_MODEL": (stage1, both(cd(A=0), with_0(TERM_MODEL=1))),
    "ASID of 9 bits": (stage1, both(cd(ASID=256), with_0(ASID16=0))),
    "TG0 3": (stage1, cd(TG0=3)),
    "TG1 0": (halved, cd(TG1=0)),
    "TG0 that is not there": (stage1, without("IDR5", GRAN4K=0)),
    "T0SZ 40": (stage1, cd(T0SZ=40)),
    "T0SZ 15": (stage1, cd(T0SZ=15)),
    "T1SZ 15 for an address of the lower half": (halved, cd(T1SZ=15)),
    "T0SZ 12 without 52-bit addresses": (lambda: stage1(K64), cd(T0SZ=12)),
    "T0SZ 11": (lambda: with_registers(stage1(K64, wide=True), WIDE), cd(T0SZ=11)),
    "T0SZ 12 with 4 KiB": (lambda: with_registers(stage1(), WIDE), cd(T0SZ=12)),
    "T0SZ 49 with STT": (stage1, both(cd(T0SZ=49), without("IDR3", STT=1))),
    "T0SZ 48 with 64 KiB": (lambda: stage1(K64), both(cd(T0SZ=48), without("IDR3", STT=1))),
    "TTB0 beyond IPS": (stage1, cd(TTB0=1 << 40, IPS=2)),
    "TTB0 beyond OAS": (stage1, both(cd(TTB0=1 << 44, IPS=5), without("IDR5", OAS=4))),
    "TTB0 beyond 48 bits": (lambda: with_registers(stage1(), WIDE), cd(TTB0=1 << 48, IPS=6)),
    "TTB1 beyond IPS": (halved, cd(TTB1=1 << 40, IPS=2)),
}

LEGAL_CDS: dict[str, tuple[Callable[[], World], Edit]] = {
    "a half that is disabled is not looked at": (halved, cd(EPD1=1, T1SZ=0, TG1=0, TTB1=1 << 51)),
    "S": (stage1, cd(S=1)),
    "S forced": (stage1, both(cd(S=1), with_0(STALL_MODEL=2))),
    "A 0": (stage1, cd(A=0)),
    "ENDI with either endianness": (stage1, with_0(TTENDIAN=0)),
    "HAFT without HTTU 3": (stage1, cd(HAFT=1)),
    "T0SZ 39": (lambda: stage1(tsz=39), lambda w: w.request.update(iova=0)),
}


def small(world: World) -> None:
    """Make IOVA 0 reach the page."""
    world.first.map(0, world.page)


@pytest.mark.parametrize(("world", "edit"), ILLEGAL_CDS.values(), ids=ILLEGAL_CDS.keys())
def test_an_illegal_cd(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    if world is halved:
        made.request["iova"] = 0x1123
    assert made.ask().fault is None
    edit(made)

    fault = made.ask().fault

    assert fault is not None
    assert words(fault) == ["INVALID", "PASID", "0", "0xa"]
    assert (fault.entry_hpa, fault.recorded, fault.detail) == (made.cd, True, 0)


@pytest.mark.parametrize(("world", "edit"), LEGAL_CDS.values(), ids=LEGAL_CDS.keys())
def test_a_legal_cd(world: Callable[[], World], edit: Edit) -> None:
    made = world()
    if world is halved:
        made.request["iova"] = 0x1123
    edit(made)
    if made.request.get("iova") == 0:
        small(made)

    assert made.ask().fault is None


@pytest.mark.parametrize(("granule", "tsz"), [(K4, 48), (K16, 48), (K64, 47)])
def test_stt_allows_small_tables(granule: int, tsz: int) -> None:
    world = with_registers(stage1(granule, tsz), idr("IDR3", STT=1))
    small(world)

    answer = world.ask(iova=0x123)

    assert (answer.hpa, len(answer.refs)) == (world.page + 0x123, 1 + 1 + 1)


# ---------------------------------------------------------------- stage 2: start levels

# format notes 2, section 4: granule, SL0 -> start level, input bits, more than which concatenate.
STARTS = {
    (K4, 2): (0, 40, 52, 48),
    (K4, 1): (1, 31, 43, 39),
    (K4, 0): (2, 22, 34, 30),
    (K4, 3): (3, 13, 25, 21),
    (K16, 2): (1, 37, 51, 47),
    (K16, 1): (2, 26, 40, 36),
    (K16, 0): (3, 15, 29, 25),
    (K64, 2): (1, 43, 52, 55),
    (K64, 1): (2, 30, 46, 42),
    (K64, 0): (3, 17, 33, 29),
}
TG = {K4: 0, K64: 1, K16: 2}


@pytest.mark.parametrize("granule", TG)
@pytest.mark.parametrize("sl0", range(4))
@pytest.mark.parametrize("stt", [0, 1])
def test_which_start_levels_fit_which_input(granule: int, sl0: int, stt: int) -> None:
    world = with_registers(stage2(granule), idr("IDR3", STT=stt))
    # The general limits: 16 to 39; with STT to 48, to 47 for 64 KiB.
    most = (47 if granule == K64 else 48) if stt else 39
    start = STARTS.get((granule, sl0))
    if (granule, sl0) == (K4, 3) and not stt:
        start = None

    for tsz in range(64):
        world.host.edit(STE, world.ste, S2TG=TG[granule], S2SL0=sl0, S2T0SZ=tsz)
        legal = start is not None and 16 <= tsz <= most and start[1] <= 64 - tsz <= start[2]
        fault = world.ask(iova=0).fault
        illegal = fault is not None and fault.reason is Reason.INVALID
        assert illegal is not legal, f"S2T0SZ={tsz}"


@pytest.mark.parametrize(("key", "row"), STARTS.items())
def test_concatenated_tables_are_one_table(key: tuple[int, int], row: tuple[int, int, int, int]) -> None:
    granule, sl0 = key
    start, least, most, concatenated = row
    for bits in (max(least, 16), min(most, 48)):
        world = with_registers(stage2(granule, 64 - bits, start), idr("IDR3", STT=1))
        last = (1 << bits) - granule
        world.second.map(last, world.page)

        answer = world.ask(iova=last | 0x123)

        assert answer.hpa == world.page + 0x123
        assert len(answer.refs) == 1 + 4 - start
        assert sl0 == STE.parse(world.host.read(world.ste, 64) or b"").S2SL0
        # The top table is as large as all tables side by side, and aligned to that.
        size = 8 << bits - Granule(granule.bit_length() - 1).page_lg2(3 - start)
        assert (size > granule) is (bits > concatenated)
        assert answer.refs[1].hpa == world.second.root + size - 8
        assert world.second.root % size == 0


@pytest.mark.parametrize(("granule", "start", "bits", "oas"), [(K4, 0, 42, 3), (K16, 1, 40, 2)])
def test_the_highest_start_levels_want_a_wide_output(granule: int, start: int, bits: int, oas: int) -> None:
    # format notes 2, section 4: 4K level 0 44 bits, 16K level 1 42. What 64K level 1 takes is
    # beyond IAS of such a unit anyway.
    tsz = 64 - bits
    world = stage2(granule, tsz, start, S2PS=0)
    assert with_registers(world, idr("IDR5", OAS=oas + 1)).ask(iova=0).fault.native != 0x4  # type: ignore[union-attr]

    fault = with_registers(world, idr("IDR5", OAS=oas)).ask(iova=0).fault

    assert fault is not None
    assert words(fault) == ["INVALID", "DEVICE", "0", "0x4"]


# DDI 0487, table D8-30 and J1.1.4.40: 16 KiB starts at level 0 with S2DS and 52 bits of output.
@pytest.mark.parametrize(
    ("granule", "ds", "s2ds", "oas", "legal"),
    [
        (K16, 0, 0, 6, False),
        (K16, 0, 1, 6, False),
        (K16, 1, 0, 6, False),
        (K16, 1, 1, 5, False),
        (K16, 1, 1, 6, True),
        (K64, 1, 1, 6, False),
    ],
)
def test_sl0_3_starts_at_level_0_only_with_16_kib_and_ds(
    granule: int, ds: int, s2ds: int, oas: int, legal: bool
) -> None:
    world = with_registers(stage2(granule), idr("IDR5", DS=ds, OAS=oas))
    world.host.edit(STE, world.ste, S2SL0=3, S2T0SZ=16, S2DS=s2ds)

    fault = world.ask(iova=0).fault

    assert fault is not None
    assert (fault.reason is Reason.NOT_PRESENT and fault.level == 3) is legal
    assert (fault.reason is Reason.INVALID) is not legal


def test_the_lower_bits_of_table_addresses_are_ignored() -> None:
    world = nested()
    world.host.edit(STE, world.ste, S2TTB=world.second.root | 0xFF0)
    world.guest.edit(CD, world.cd, TTB0=world.first.root | 0xFF0)

    assert world.ask().fault is None


def test_small_top_tables_are_aligned_to_their_size_or_to_64_bytes_with_52_bit_output() -> None:
    # 44 bits of 64 KiB: four entries. format notes 2, section 4; Arm IHI 0070, 5.4, TTB0.
    world = with_registers(stage1(K64, 20, wide=True), WIDE)
    root = world.first.root

    world.host.edit(CD, world.cd, TTB0=root | 0x10, IPS=6)
    assert world.ask().hpa == world.page + 0x123
    world.host.edit(CD, world.cd, TTB0=root | 0x30, IPS=6)
    assert world.ask().hpa == world.page + 0x123
    world.host.edit(CD, world.cd, TTB0=root | 0x30, IPS=5)
    assert world.ask().fault is not None  # 32 bytes of zeros


# ---------------------------------------------------------------- registers


def test_only_the_stream_table_is_required_of_the_registers() -> None:
    world = nested()
    request = Request(SID, IOVA, SSID)

    for name in ("STRTAB_BASE", "STRTAB_BASE_CFG"):
        registers_ = dict(world.unit.registers)
        del registers_[name]
        with pytest.raises(ValueError, match=name):
            plain_walk.translate("smmuv3", registers_, world.host.read, request)
    with pytest.raises(ValueError, match="rid"):
        plain_walk.translate("smmuv3", world.unit.registers, world.host.read, Request(1 << 32, 0))


def test_what_is_assumed_of_registers_that_are_not_given() -> None:
    # docs/walk_smmuv3.md; bits from format notes 2, section 1.
    idr0 = 1 << 0 | 1 << 1 | 2 << 2 | 1 << 10 | 1 << 12 | 1 << 18 | 1 << 19 | 2 << 21 | 1 << 27
    assert idr0 == smmuv3_features.DEFAULT_IDR0
    assert smmuv3_features.DEFAULT_IDR1 == 32 | 20 << 6
    assert smmuv3_features.DEFAULT_IDR3 == 1 << 2 | 1 << 4
    assert smmuv3_features.DEFAULT_IDR5 == 5 | 1 << 4 | 1 << 5 | 1 << 6
    assert (smmuv3_features.DEFAULT_CR0, smmuv3_features.DEFAULT_CR2) == (1 << 0 | 1 << 2, 1 << 1)


# docs/walk_smmuv3.md, "Known and without influence".
@pytest.mark.parametrize(
    "name", ["IDR2", "IDR4", "IIDR", "CR0ACK", "CR1", "GERROR", "CMDQ_BASE", "EVENTQ_BASE"]
)
def test_registers_without_influence(name: str) -> None:
    world = nested()

    assert with_registers(world, {name: 0xFFFF_FFFF}).ask() == nested().ask()


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
        low = dice.choice((3, 0x443, 0x441, 0x4C3, 7, 0xB, 0xF, 0xD))
        return dice.getrandbits(36) << 12 & (1 << 44) - 1 | low | dice.getrandbits(4) << 51

    def context(address: int) -> bytes:
        """A CD or STE that translates, more often than not."""
        dice = random.Random(seed << 64 | address)
        ttb = dice.getrandbits(30) << 12
        if dice.randrange(2):
            tsz = dice.choice((16, 24, 25, 32))
            return CD.build(V=1, AA64=1, T0SZ=tsz, TG0=dice.randrange(3), EPD1=1, TTB0=ttb, IPS=5)
        sl0, tsz = dice.choice(((2, 16), (1, 25), (1, 24), (0, 34)))
        stages = {"Config": dice.randrange(4, 8), "S1ContextPtr": ttb, "S1CDMax": dice.randrange(9)}
        return STE.build(
            V=1, **stages, S1Fmt=dice.randrange(4), S2AA64=1, S2T0SZ=tsz, S2SL0=sl0, S2PS=5, S2TTB=ttb
        )

    def read(address: int, length: int) -> bytes | None:
        dice = random.Random(~seed << 64 | address)
        if dice.randrange(50) == 0:
            return None
        if length == 64 and dice.randrange(4):
            return context(address)
        return b"".join(word(address + i).to_bytes(8, "little") for i in range(0, length, 8))

    return read


requests = st.builds(
    Request,
    rid=st.integers(0, 0xFFFF_FFFF) | st.integers(0, 255),
    iova=st.integers(0, (1 << 64) - 1) | st.integers(0, (1 << 39) - 1),
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
    config=anything | st.just(STRTAB_BASE_CFG.value(LOG2SIZE=32)) | st.just(0x10220),
    registers_=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("IDR0", "IDR1", "IDR3", "IDR5", "CR0", "CR2", "GBPA"), anything)
    ),
)
def test_no_memory_makes_the_walk_raise_or_run_on(
    seed: int, request_: Request, config: int, registers_: dict[str, int]
) -> None:
    unit = {"STRTAB_BASE": 0x10_0000, "STRTAB_BASE_CFG": config} | registers_

    answer = ask_both("smmuv3", unit, Remembered(hostile(seed)), request_)

    assert len(answer.refs) <= MAX_REFS
    assert answer.fault is None or answer.fault.reason is not Reason.OK
    in_words.explain("smmuv3", unit, answer.refs, hostile(seed))
    in_words.explain("smmuv3", unit, answer.refs, hostile(seed + 1))  # memory that has changed since


# ---------------------------------------------------------------- entries in words


def names(world: World, **request: Any) -> list[str]:
    registers_ = world.unit.registers | world.registers
    explained = in_words.explain("smmuv3", registers_, world.ask(**request).refs, world.host.read)
    return [entry.name for _, entry in explained]


def test_a_trace_explains_itself_in_the_vendors_words() -> None:
    world = nested(fmt=1, cdmax=8, split=6)

    found = names(world)

    assert found[:2] == ["L1STD", "STE"]
    assert found[2:7] == [
        "stage-2 level 0 table descriptor",
        "stage-2 level 1 table descriptor",
        "stage-2 level 2 table descriptor",
        "stage-2 level 3 page descriptor",
        "L1CD",
    ]
    assert found[11] == "CD"
    assert found[16] == "stage-1 level 0 table descriptor"


def test_a_descriptor_is_explained_with_the_granule_of_its_half() -> None:
    world = halved()
    registers_ = world.unit.registers

    def last(iova: int) -> tuple[list[str], str]:
        refs = world.ask(iova=iova).refs
        explained = in_words.explain("smmuv3", registers_, refs, world.host.read)
        return [each.name for each in explained[-1][1].fields], explained[-1][1].name

    lower, _ = last(0x1123)
    upper, name = last(UPPER)
    assert "ign_15_12" not in lower
    assert "ign_15_12" in upper
    assert name == "stage-1 level 3 page descriptor"


def test_each_stage_is_explained_with_its_own_granule() -> None:
    world = mixed()

    explained = in_words.explain("smmuv3", world.unit.registers, world.ask().refs, world.host.read)

    unused = {ref.stage: [f.name for f in entry.fields].count("ign_15_12") for ref, entry in explained}
    assert (unused[Stage.S1], unused[Stage.S2]) == (1, 0)


@pytest.mark.parametrize("tg0", [0, 3])
def test_with_epd0_the_granule_is_that_of_the_upper_half(tg0: int) -> None:
    world = halved({"EPD0": 1, "TG0": tg0})
    world.host.edit(CD, world.cd, TTB0=CD.parse(world.host.read(world.cd, 64) or b"").TTB1)
    refs = world.ask(iova=UPPER).refs

    explained = in_words.explain("smmuv3", world.unit.registers, refs, world.host.read)

    assert [each.name for each in explained[-1][1].fields].count("ign_15_12") == 1


# Arm DDI 0487, stage 2 MemAttr[3:2]: 0b00 is Device memory, all others are Normal.
@pytest.mark.parametrize("attributes", [0b0101, 0b1010, 0b1111])
def test_s2ptw_lets_walks_into_normal_memory_of_each_kind(attributes: int) -> None:
    world = nested()
    both(table_page(0, MemAttr=attributes), ste(S2PTW=1))(world)

    assert world.ask().fault is None


def test_a_block_and_what_is_none_are_told_apart() -> None:
    assert names(stage1(page=LARGE))[-1] == "stage-1 level 2 block descriptor"
    world = stage1()
    world.edit_first(3, TYPE=0)
    assert names(world)[-1] == "stage-1 level 0 invalid descriptor"


def test_an_entry_is_explained_field_by_field() -> None:
    world = nested()

    explained = in_words.explain("smmuv3", world.unit.registers, world.ask().refs, world.host.read)

    entry = explained[0][1]
    assert str(entry["Config"]) == "Config=7 (nested)"
    assert entry["S1ContextPtr"].value == world.cds.address
    assert entry["S2TTB"].value == world.second.root


# ---------------------------------------------------------------- the builder


@pytest.mark.parametrize("granule", TG)
def test_tables_have_the_size_and_alignment_of_their_granule(granule: int) -> None:
    host = build.Memory()
    tables = build.SmmuStage1(host, granule)
    tables.map(IOVA, 0)
    tables.map(1 << 46, 0)

    addresses = [tables.entry(IOVA, level) & -granule for level in range(tables.levels - 1)]

    assert all(address % granule == 0 for address in addresses)
    assert len(set(addresses)) == len(addresses)


def test_tables_are_not_built_through_a_block() -> None:
    tables = build.SmmuStage1(build.Memory())
    tables.map(0, 0, page=LARGE)

    with pytest.raises(ValueError, match="larger page"):
        tables.map(PAGE, 0)
    with pytest.raises(ValueError, match="no level"):
        tables.map(0, 0, page=8192)


def test_guest_memory_comes_in_pages_of_the_second_stage() -> None:
    host = build.Memory()
    tables = build.SmmuStage2(host, K16)
    guest = build.Guest(host, tables)

    gpa = guest.page()

    assert host.load(tables.entry(gpa, 0)) & ((1 << 48) - K16) == guest.hpa(gpa - gpa % K16)
