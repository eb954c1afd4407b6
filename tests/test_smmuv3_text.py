"""What Arm IHI 0070 G.b and DDI 0487 M.a.a require of units that the conformance cases cannot describe.

Each row has its section beside it. Events are named as in IHI 0070, 7.3; "silent" is a termination
without a record. Both ledgers are asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from edits import both, nothing
from smmuv3_worlds import (
    ATSCHK,
    EXEC,
    IOVA,
    K16,
    K64,
    NONE,
    OVERRIDES,
    PAGE_AT,
    SSID,
    TR,
    TT,
    WIDE,
    Edit,
    Row,
    World,
    bypass,
    cd,
    check,
    el2,
    first,
    idr,
    nested,
    registers,
    said,
    second,
    stage1,
    stage2,
    ste,
    table_page,
    with_,
    with_registers,
)

from iommu_abi.schemas import build
from iommu_abi.schemas.build import READ, RW, RWX, WRITE
from iommu_abi.terms import Access, Reason, Stage

# ---------------------------------------------------------------- the unit off, and bypass

OFF = with_("CR0", SMMUEN=0)
OFF_ROWS = {
    # 3.4; 6.3.9.6
    "beyond OAS": Row(stage1, OFF, "abort", {"iova": 1 << 48}),
    "up to OAS": Row(stage1, OFF, "ok", {"iova": (1 << 48) - 1}, {"hpa": (1 << 48) - 1}),
    "with a SubstreamID": Row(stage1, OFF, "ok", {"pasid": 3}, {"hpa": IOVA | PAGE_AT}),
    # 7.3.6, 7.3.8: before GBPA.ABORT
    "translation request": Row(stage1, both(OFF, registers(idr("GBPA", ABORT=1))), "F_BAD_ATS_TREQ", TR),
    "translated": Row(stage1, both(OFF, registers(idr("GBPA", ABORT=1))), "F_TRANSL_FORBIDDEN", TT),
}


@pytest.mark.parametrize("name", OFF_ROWS)
def test_a_unit_that_is_off(name: str) -> None:
    check(OFF_ROWS[name])


AARCH32 = both(with_("IDR0", TTF=3), with_("IDR5", OAS=1))  # IAS 40, OAS 36
SIZE_ROWS = {
    # 3.4: Config 100 against OAS, stage-1 bypass against IAS; 7.3.14: CLASS IN, S2 0
    "Config 100 beyond OAS": Row(bypass, AARCH32, "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 36}),
    "Config 100 up to OAS": Row(bypass, AARCH32, "ok", {"iova": (1 << 36) - 1}),
    "S1DSS 1 beyond OAS": Row(
        lambda: stage1(S1CDMax=1, S1DSS=1), AARCH32, "ok", {"iova": 5 << 36}, {"hpa": 0, "access": RWX}
    ),
    "S1DSS 1 beyond IAS": Row(
        lambda: stage1(S1CDMax=1, S1DSS=1), AARCH32, "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 40}
    ),
    "Config 110 beyond IAS": Row(stage2, nothing, "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 48}),
    "neither R nor S2R gates it": Row(
        lambda: stage2(S2R=0), nothing, "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 48}
    ),
    # 3.4.3, note 5: F_STE_FETCH is one of two choices
    "STRTAB_BASE beyond OAS": Row(
        stage1, both(with_("IDR5", OAS=0), registers({"STRTAB_BASE": 1 << 32})), "F_STE_FETCH"
    ),
    "L1STD.L2Ptr beyond OAS": Row(
        lambda: stage1(split=6),
        both(with_("IDR5", OAS=0), lambda world: world.host.store(world.unit.stream_table, 1 << 52 | 7)),
        "F_STE_FETCH",
    ),
    # 3.4.3, notes 1 to 4
    "S1ContextPtr bit 55": Row(stage1, ste(S1ContextPtr=1 << 55), "C_BAD_STE"),
    "S1ContextPtr bit 55, nested": Row(nested, ste(S1ContextPtr=1 << 55), "F_TRANSLATION S2=1 CD"),
    "S1ContextPtr bit 55, stage 1 off": Row(stage2, ste(S1ContextPtr=1 << 55), "ok"),
}


@pytest.mark.parametrize("name", SIZE_ROWS)
def test_addresses_beyond_the_unit(name: str) -> None:
    check(SIZE_ROWS[name])


# ---------------------------------------------------------------- legality of STEs and CDs (5.2.2, 5.4.2)

HYP = with_("IDR0", HYP=1)
VMID8 = both(ste(S2VMID=0x100), with_("IDR0", VMID16=0))
LEGALITY_ROWS = {
    # 5.2 S2VMID
    "9 bits of VMID, stage 1": Row(stage1, VMID8, "C_BAD_STE"),
    "9 bits of VMID, nested": Row(nested, VMID8, "C_BAD_STE"),
    "9 bits of VMID without S2P": Row(stage1, both(VMID8, with_("IDR0", VMID16=0, S2P=0)), "ok"),
    "9 bits of VMID in EL2": Row(
        stage1, both(ste(STRW=2, S2VMID=0x100), with_("IDR0", VMID16=0, HYP=1)), "ok"
    ),
    "9 bits of VMID in bypass": Row(bypass, VMID8, "ok"),
    # 5.2 EATS
    "EATS 2, Config 101": Row(stage1, ste(EATS=2), "C_BAD_STE"),
    "EATS 2, Config 110": Row(stage2, ste(EATS=2), "C_BAD_STE"),
    "EATS 2, Config 111": Row(nested, ste(EATS=2), "ok"),
    "EATS 2, NS1ATS": Row(nested, both(ste(EATS=2), with_("IDR0", NS1ATS=1)), "C_BAD_STE"),
    "EATS 2, S2S": Row(nested, ste(EATS=2, S2S=1), "C_BAD_STE"),
    "EATS 2 without ATS": Row(stage1, both(ste(EATS=2), with_("IDR0", ATS=0)), "ok"),
    "EATS 2, bypass": Row(bypass, ste(EATS=2), "ok"),
    "EATS 3 without DPT": Row(stage1, ste(EATS=3), "ok"),
    "EATS 3 with DPT": Row(stage1, both(ste(EATS=3), with_("IDR3", DPT=1)), "ok"),
    "EATS 3 with DPT, EL2": Row(
        stage1, both(ste(EATS=3, STRW=2), both(with_("IDR3", DPT=1), HYP)), "C_BAD_STE"
    ),
    "EATS 3 with DPT, S2S": Row(nested, both(ste(EATS=3, S2S=1), with_("IDR3", DPT=1)), "C_BAD_STE"),
    "EATS 1, S2S, stage 2": Row(stage2, ste(EATS=1, S2S=1), "C_BAD_STE"),
    "EATS 1, S2S, stage 1": Row(stage1, ste(EATS=1, S2S=1), "ok"),
    "EATS 1, S2S without ATS": Row(nested, both(ste(EATS=1, S2S=1), with_("IDR0", ATS=0)), "ok"),
    # 5.2 STRW
    "STRW 1": Row(stage1, both(ste(STRW=1), HYP), "C_BAD_STE"),
    "STRW 3": Row(stage1, both(ste(STRW=3), HYP), "C_BAD_STE"),
    "STRW 1 without Hyp": Row(stage1, ste(STRW=1), "ok"),
    "STRW 1, nested": Row(nested, both(ste(STRW=1), HYP), "ok"),
    # 5.2 S2AA64, 5.4 AA64
    "S2AA64 1 without TTF[1]": Row(stage2, with_("IDR0", TTF=1), "C_BAD_STE"),
    "S2AA64 0 without TTF[0]": Row(stage2, ste(S2AA64=0), "C_BAD_STE"),
    "AA64 1 without TTF[1]": Row(stage1, with_("IDR0", TTF=1), "C_BAD_CD"),
    "AA64 0 without TTF[0]": Row(stage1, cd(AA64=0), "C_BAD_CD"),
    # 5.2 S2HAFT, 5.4 HAFT
    "S2HAFT without S2HA": Row(stage2, both(ste(S2HAFT=1), with_("IDR0", HTTU=3)), "C_BAD_STE"),
    "S2HAFT, HTTU 2": Row(stage2, both(ste(S2HAFT=1), with_("IDR0", HTTU=2)), "ok"),
    "HAFT without HA": Row(stage1, both(cd(HAFT=1), with_("IDR0", HTTU=3)), "C_BAD_CD"),
    "HAFT, HTTU 2": Row(stage1, both(cd(HAFT=1), with_("IDR0", HTTU=2)), "ok"),
    # 5.4 HA: HD alone is as neither
    "HD alone, AF 0": Row(
        stage1, both(both(cd(HD=1), with_("IDR0", HTTU=2)), first(0, AF=0)), "F_ACCESS S2=0 IN"
    ),
    # 5.4 ENDI: ignored if both halves are off
    "ENDI 1, little-endian unit": Row(stage1, cd(ENDI=1), "C_BAD_CD"),
    "ENDI 1, both halves off": Row(stage1, cd(ENDI=1, EPD0=1, EPD1=1), "F_TRANSLATION S2=0 IN"),
    "ENDI 1 in EL2, which ignores EPD": Row(lambda: el2(cd={"ENDI": 1, "EPD0": 1}), nothing, "C_BAD_CD"),
    "S2ENDI 1, little-endian unit": Row(stage2, ste(S2ENDI=1), "C_BAD_STE"),
    # 5.4 ASID
    "9 bits of ASID": Row(stage1, both(cd(ASID=0x100), with_("IDR0", ASID16=0)), "C_BAD_CD"),
    "9 bits of ASID in EL2": Row(el2, both(cd(ASID=0x100), with_("IDR0", ASID16=0, HYP=1)), "ok"),
    "9 bits of ASID in EL2-E2H": Row(
        el2, both(both(cd(ASID=0x100), with_("IDR0", ASID16=0, HYP=1)), with_("CR2", E2H=1)), "C_BAD_CD"
    ),
    # 5.5
    "stalls forced, S2S 0": Row(stage2, with_("IDR0", STALL_MODEL=2), "C_BAD_STE"),
    "stalls forced, S2S 1": Row(stage2, both(ste(S2S=1), with_("IDR0", STALL_MODEL=2)), "ok"),
    "stalls forced, S 0": Row(stage1, with_("IDR0", STALL_MODEL=2), "C_BAD_CD"),
    "TERM_MODEL 1, A 0": Row(stage1, both(cd(A=0), with_("IDR0", TERM_MODEL=1)), "C_BAD_CD"),
    # 5.2 S1PIE, 5.4 PIIP, PIIU
    "PIE, a reserved permission": Row(
        stage1, both(both(ste(S1PIE=1), cd(PIE=1, PIIP=4)), with_("IDR3", S1PI=1)), "C_BAD_CD"
    ),
    "PIE, privileged execution of what the unprivileged write": Row(
        stage1, both(both(ste(S1PIE=1), cd(PIE=1, PIIP=3, PIIU=5)), with_("IDR3", S1PI=1)), "C_BAD_CD"
    ),
    "PIE without S1PIE": Row(stage1, both(cd(PIE=1, PIIP=4), with_("IDR3", S1PI=1)), "ok"),
    # 5.2 S2POE, S2POI
    "S2POE without S2PIE": Row(stage2, both(ste(S2POE=1), with_("IDR3", S2PO=1, S2PI=1)), "C_BAD_STE"),
    "S2POE, a reserved overlay": Row(
        stage2, both(ste(S2POE=1, S2PIE=1, S2POI=5), with_("IDR3", S2PO=1, S2PI=1)), "C_BAD_STE"
    ),
    "S2POE without S2PO": Row(stage2, ste(S2POE=1), "ok"),
    # 5.2 VMSPtr
    "VMSPtr beyond OAS": Row(
        nested,
        both(ste(S1MPAM=1, VMSPtr=1 << 55), both(with_("IDR3", MPAM=1), registers({"AIDR": 2}))),
        "C_BAD_STE",
    ),
    "VMSPtr beyond OAS without S1MPAM": Row(
        nested, both(ste(VMSPtr=1 << 55), both(with_("IDR3", MPAM=1), registers({"AIDR": 2}))), "ok"
    ),
}


@pytest.mark.parametrize("name", LEGALITY_ROWS)
def test_what_is_legal(name: str) -> None:
    check(LEGALITY_ROWS[name])


# ---------------------------------------------------------------- what is not modelled is refused by name

#: `detail` of a refusal (docs/walk_smmuv3.md): AArch32, VMSAv9-128, indirection, overlays, DPT, hardening.
REFUSALS = {
    "VMSAv8-32, stage 2": (stage2, both(ste(S2AA64=0), with_("IDR0", TTF=3)), {}, Stage.DEVICE, 8),
    "VMSAv8-32, stage 1": (stage1, both(cd(AA64=0), with_("IDR0", TTF=3)), {}, Stage.PASID, 8),
    "VMSAv9-128, stage 2": (stage2, both(ste(S2AA64=0), with_("IDR5", D128=1)), {}, Stage.DEVICE, 16),
    "VMSAv9-128, stage 1": (
        stage1,
        both(both(ste(S1PIE=1), cd(AA64=0)), with_("IDR5", D128=1)),
        {},
        Stage.PASID,
        16,
    ),
    "indirection, stage 2": (stage2, both(ste(S2PIE=1), with_("IDR3", S2PI=1)), {}, Stage.DEVICE, 32),
    "indirection, stage 1": (
        stage1,
        both(both(ste(S1PIE=1), cd(PIE=1)), with_("IDR3", S1PI=1)),
        {},
        Stage.PASID,
        32,
    ),
    "overlays": (
        stage2,
        both(ste(S2PIE=1, S2POE=1), with_("IDR3", S2PO=1, S2PI=1)),
        {},
        Stage.DEVICE,
        64,
    ),
    "DPT, translated": (
        stage1,
        both(both(ste(EATS=3), ATSCHK), with_("IDR3", DPT=1)),
        TT,
        Stage.DEVICE,
        128,
    ),
    "hardening": (stage2, both(ste(HARDENING=1), with_("IDR3", THE=1)), {}, Stage.DEVICE, 256),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_modelled_is_refused_by_name(name: str) -> None:
    make, edit, request, stage, detail = REFUSALS[name]
    world = make()
    edit(world)

    fault = world.ask(**request).fault

    assert fault is not None
    assert (fault.reason, fault.stage, fault.native) == (Reason.INVALID, stage, 0)
    assert (fault.recorded, fault.detail) == (False, detail)
    assert fault.raw is not None


# ---------------------------------------------------------------- versions (AIDR; 6.3.1, 6.3.4, 6.3.6)


def version(minor: int, *more: Mapping[str, int]) -> Edit:
    return registers({"AIDR": minor}, *more)


VERSION_ROWS = {
    "3.1 has XNX": Row(
        stage2,
        both(second(0, XN=1), version(1, idr("IDR3", XNX=0))),
        "F_PERMISSION S2=1 IN",
        {"access": EXEC, "priv": True},
    ),
    "3.0 has no XNX": Row(
        stage2, both(second(0, XN=1), version(0, idr("IDR3", XNX=1))), "ok", {"access": EXEC, "priv": True}
    ),
    "3.1 has HAD": Row(
        lambda: stage1(cd={"HAD0": 1}),
        both(first(2, APTable1=1), version(1, idr("IDR3", HAD=0))),
        "ok",
        {"access": WRITE},
    ),
    "3.2 has Hyp": Row(stage1, both(ste(STRW=1), version(2, idr("IDR0", HYP=0))), "C_BAD_STE"),
    "3.1 may have no Hyp": Row(stage1, both(ste(STRW=1), version(1, idr("IDR0", HYP=0))), "ok"),
    "3.2 has no Hyp without S2P": Row(stage1, both(ste(STRW=1), version(2, idr("IDR0", S2P=0))), "ok"),
    "3.3 has E0PD": Row(stage1, both(cd(E0PD0=1), version(3)), "F_TRANSLATION S2=0 IN"),
    "3.2 may have no E0PD": Row(stage1, both(cd(E0PD0=1), version(2)), "ok"),
    "3.4 has EPAN": Row(
        stage1,
        both(both(cd(PAN=1, EPAN=1), first(0, AP1=0)), version(4)),
        "F_PERMISSION S2=0 IN",
        {"priv": True},
    ),
    "3.3 may have no EPAN": Row(
        stage1, both(both(cd(PAN=1, EPAN=1), first(0, AP1=0)), version(3)), "ok", {"priv": True}
    ),
    "3.0: OAS 52 counts as 48": Row(bypass, version(0, WIDE), "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 48}),
    "3.1 has OAS 52": Row(bypass, version(1, WIDE), "ok", {"iova": 1 << 48}),
    "3.0: TTB0 ends at bit 47": Row(stage1, both(cd(IPS=6), version(0)), "ok"),
    "3.0 has no DS": Row(lambda: stage1(wide=True), version(0, idr("IDR5", OAS=6, DS=1, VAX=1)), "ok"),
    "DS brings VAX": Row(lambda: stage1(tsz=12, wide=True), version(1, idr("IDR5", OAS=6, DS=1)), "ok"),
    "OAS 7 counts as 6": Row(
        bypass, version(4, idr("IDR5", OAS=7)), "F_ADDR_SIZE S2=0 IN", {"iova": 1 << 52}
    ),
}


@pytest.mark.parametrize("name", VERSION_ROWS)
def test_features_follow_the_version(name: str) -> None:
    check(VERSION_ROWS[name])


# ---------------------------------------------------------------- LPA2 (DS; DDI 0487, D8.2.8, D8.2.9, D8.3.1)

LPA2 = idr("IDR5", OAS=6, VAX=1, DS=1)
HIGH = 0x9_0000_0000_0000  # bits 51 and 48


def lpa2_stage1(granule: int = build.PAGE, tsz: int = 16, **more: Any) -> World:
    return with_registers(stage1(granule, tsz, wide=True, **more), LPA2)


@pytest.mark.parametrize("granule", [build.PAGE, K16])
def test_ds_puts_bits_51_50_of_a_page_into_9_8(granule: int) -> None:
    # Table D8-52; CD.SH0 takes the place of SH.
    world = lpa2_stage1(granule)
    world.first.map(IOVA & -granule, HIGH | 4 << 48 | 0xABCC_0000, page=granule)

    assert world.ask().hpa == (HIGH | 4 << 48 | 0xABCC_0000) + (IOVA + PAGE_AT) % granule


def test_ds_descriptors_bits_are_where_the_table_says() -> None:
    # Table D8-52: OA[49:12] at 49:12, OA[51:50] at 9:8.
    world = lpa2_stage1()
    where = world.first.entry(IOVA, 0)
    world.host.store(where, 0x2_0000_0ABC_D000 | 2 << 8 | 1 << 10 | 3 | 1 << 6)

    assert world.ask().hpa == 1 << 51 | 0x2_0000_0ABC_D000 | PAGE_AT


def test_ds_table_descriptors_have_52_bits_too() -> None:
    # Table D8-50.
    world = lpa2_stage1()
    where = world.first.entry(IOVA, 2)
    world.host.edit(build_layout(world, 2), where, ADDR_51_50=2, ADDR=1 << 49)

    fault = world.ask().fault

    assert fault is not None
    assert (fault.reason, fault.entry_hpa) == (Reason.UNREADABLE, 1 << 51 | 1 << 49 | (IOVA >> 21 & 511) * 8)


def build_layout(world: World, level: int) -> Any:
    from iommu_abi.schemas.vmsa_entries import Descriptor, descriptor_layout

    return descriptor_layout(1, world.first.granule, level, Descriptor.TABLE)


@pytest.mark.parametrize(
    ("granule", "levels"),
    [(build.PAGE, 5), (K16, 4)],  # tables D8-18 and D8-28: level -1, level 0
)
def test_with_ds_an_input_of_52_bits_has_one_level_more(granule: int, levels: int) -> None:
    iova = 0xA_BCDE_F012_0000 & -granule
    world = lpa2_stage1(granule, 12)
    target = world.host.page(granule // build.PAGE, align=granule)
    world.first.map(iova, target)

    answer = world.ask(iova=iova)

    assert (answer.hpa, sum(ref.stage is Stage.S1 for ref in answer.refs)) == (target, levels)


@pytest.mark.parametrize(
    ("granule", "block"),
    [(build.PAGE, 1 << 39), (K16, 1 << 36)],  # tables D8-17 and D8-27: only with DS
)
def test_ds_gives_blocks_one_level_higher(granule: int, block: int) -> None:
    world = with_registers(lpa2_stage1(granule, 12, page=block), LPA2)
    world.first.map(IOVA & -block, HIGH & -block, page=block)

    answer = world.ask()

    assert (answer.hpa, answer.size_lg2) == (
        (HIGH & -block) + (IOVA + PAGE_AT) % block,
        block.bit_length() - 1,
    )
    world.host.edit(*no_ds(world))
    assert said(with_registers(world, idr("IDR5", OAS=6, VAX=1)).ask()) != "ok"


def no_ds(world: World) -> tuple[Any, int]:
    from iommu_abi.schemas.smmuv3_entries import CD

    world.host.edit(CD, world.cd, DS=0, T0SZ=16)
    return CD, world.cd


# Tables D8-19 to D8-24, D8-29 to D8-33; S2SL0_2 in bit 2 of the code.
LPA2_STARTS = [
    (build.PAGE, 12, -1),
    (build.PAGE, 15, -1),
    (build.PAGE, 12, 0),
    (build.PAGE, 24, 0),
    (build.PAGE, 21, 1),
    (K16, 12, 0),
    (K16, 16, 0),
    (K16, 13, 1),
    (K16, 27, 1),
]


@pytest.mark.parametrize(("granule", "tsz", "start"), LPA2_STARTS)
def test_stage_2_starts_with_s2ds(granule: int, tsz: int, start: int) -> None:
    iova = (1 << 64 - tsz) - granule
    world = with_registers(stage2(granule, tsz, start, wide=True), LPA2)
    world.second.map(iova, HIGH)

    answer = world.ask(iova=iova)

    assert (answer.hpa, len(answer.refs)) == (HIGH, 1 + 3 - start + 1)


LPA2_ILLEGAL = {
    # 5.2 S2SL0, S2DS, S2T0SZ; DDI 0487 tables D8-20, D8-30; J1.1.4.40
    "level -1 without S2DS": (
        lambda: stage2(tsz=12, start=-1, wide=True),
        both(ste(S2DS=0), registers(LPA2)),
    ),
    "level -1 with OAS 48": (
        lambda: stage2(tsz=16, start=-1, wide=True),
        registers(idr("IDR5", OAS=5, VAX=1, DS=1)),
    ),
    "S2SL0 5": (lambda: stage2(wide=True), both(ste(S2SL0=1, S2SL0_2=1), registers(LPA2))),
    "S2SL0 7": (
        lambda: stage2(wide=True),
        both(ste(S2SL0=3, S2SL0_2=1), both(registers(LPA2), with_("IDR3", STT=1))),
    ),
    "T0SZ 12 without S2DS": (lambda: stage2(tsz=12, start=0), registers(LPA2)),
    "S2TTB bit 48 without S2DS": (lambda: stage2(S2TTB=1 << 48, S2PS=6), registers(LPA2)),
    # 49 bits of input start at level -1 or 0 (16 tables), not at 1.
    "49 bits from level 1": (lambda: stage2(tsz=15, start=1, wide=True), registers(LPA2)),
}


@pytest.mark.parametrize("name", LPA2_ILLEGAL)
def test_what_s2ds_does_not_make_legal(name: str) -> None:
    make, edit = LPA2_ILLEGAL[name]
    check(Row(make, edit, "C_BAD_STE"))


LPA2_CDS = {
    # 5.4 T0SZ, TTB0, DS
    "T0SZ 12 without CD.DS": Row(lambda: stage1(tsz=12), registers(LPA2), "C_BAD_CD"),
    "T0SZ 12 without IDR5.DS": Row(lambda: stage1(tsz=12, wide=True), registers(WIDE), "C_BAD_CD"),
    "T0SZ 11": Row(lpa2_stage1, cd(T0SZ=11), "C_BAD_CD"),
    "T0SZ 12": Row(lambda: lpa2_stage1(tsz=12), nothing, "ok"),
    "TTB0 bit 48 without CD.DS": Row(
        lambda: stage1(cd={"TTB0": 1 << 48, "IPS": 6}), registers(LPA2), "C_BAD_CD"
    ),
    "TTB0 bit 48": Row(lpa2_stage1, cd(TTB0=1 << 48), "F_WALK_EABT S2=0 TT"),
    "output beyond IPS": Row(lpa2_stage1, both(cd(IPS=5), first(0, ADDR=1 << 49)), "F_ADDR_SIZE S2=0 IN"),
}


@pytest.mark.parametrize("name", LPA2_CDS)
def test_what_ds_makes_of_a_cd(name: str) -> None:
    check(LPA2_CDS[name])


@pytest.mark.parametrize(("ips", "aligned"), [(6, True), (5, False)])
def test_the_top_table_is_aligned_to_64_bytes_with_52_bits(ips: int, aligned: bool) -> None:
    # 5.4 TTB0: the effective IPS says 52 bits. T0SZ 24 makes a top table of two entries, 16 bytes.
    world = with_registers(stage1(tsz=24, wide=True), LPA2)
    world.first.map(0, 0xABC_D000)
    cd(IPS=ips, TTB0=world.first.root + 0x30)(world)

    answer = world.ask(iova=0)

    assert (said(answer), answer.hpa) == (("ok", 0xABC_D000) if aligned else ("F_TRANSLATION S2=0 IN", 0))


# ---------------------------------------------------------------- big-endian tables (5.4 ENDI, 5.2 S2ENDI)


def big_endian() -> World:
    """A nested stream whose tables are big-endian; the CDs are little-endian as ever (3.21)."""
    host = build.Memory()
    second_ = build.SmmuStage2(host, big_endian=True)
    guest = build.Guest(host, second_)
    first_ = build.SmmuStage1(guest, big_endian=True)
    page = guest.page()
    first_.map(IOVA, page)
    cds = build.CdTable(guest, 4)
    where = cds.set(SSID, first_)
    unit = build.SmmuUnit(host)
    at = unit.device(0x10, cds, second_)
    world = World(host, unit, at, cds, where, first_, second_, guest, page, request={"pasid": SSID})
    return with_registers(world, idr("IDR0", TTENDIAN=0, HTTU=2))


@pytest.mark.parametrize("model", [0, 3])
def test_big_endian_tables_translate(model: int) -> None:
    world = with_registers(big_endian(), idr("IDR0", TTENDIAN=model))

    answer = world.ask()

    assert answer.hpa == world.guest.hpa(world.page) + PAGE_AT
    assert len(answer.refs) == 30


def test_the_trace_of_big_endian_tables_has_values() -> None:
    # A set flag is bit 10 of the value, byte 6 of the memory.
    world = big_endian()
    leaf = world.first.entry(IOVA, 0)
    raw = int.from_bytes(world.guest.read(leaf, 8) or b"", "big")
    world.guest.write(leaf, (raw & ~(1 << 10)).to_bytes(8, "big"))
    cd(HA=1)(world)

    answer = world.ask()

    (ref,) = [each for each in answer.refs if each.gpa == leaf and each.stage is Stage.S1]
    assert (ref.raw, ref.updated) == (raw & ~(1 << 10), raw)


def test_a_little_endian_table_read_as_big_endian_has_no_valid_entry() -> None:
    check(Row(stage1, both(cd(ENDI=1), with_("IDR0", TTENDIAN=0)), "F_TRANSLATION S2=0 IN"))


# ---------------------------------------------------------------- flags (3.13; DDI 0487, D8.5)

HAFT = both(cd(HA=1, HAFT=1), with_("IDR0", HTTU=3))
FLAG_ROWS = {
    # 3.13.6, DDI 0487 I_VPNMG
    "tables' AF in a read-only page": Row(nested, both(HAFT, table_page(2, S2AP=1)), "F_PERMISSION S2=1 TT"),
    "tables' AF set already": Row(
        nested,
        both(both(HAFT, table_page(2, S2AP=1)), both(first(2, AF=1), nothing)),
        "ok",
    ),
    "without HAFT": Row(nested, both(both(cd(HA=1), with_("IDR0", HTTU=3)), table_page(2, S2AP=1)), "ok"),
    # 3.13.5, 7.3.16
    "leaf's AF in a read-only page": Row(
        nested,
        both(both(cd(HA=1), with_("IDR0", HTTU=2)), both(first(0, AF=0), table_page(0, S2AP=1))),
        "F_PERMISSION S2=1 TT",
    ),
    # 3.13.3.1
    "DBM page that APTable makes read-only": Row(
        stage1,
        both(both(cd(HA=1, HD=1), with_("IDR0", HTTU=2)), both(first(0, AP2=1, DBM=1), first(2, APTable1=1))),
        "F_PERMISSION S2=0 IN",
        {"access": WRITE},
    ),
    # DDI 0487 D8.5.2.2 R_NKLQN, R_TTLCV
    "clean counts as writable for PXN": Row(
        stage1,
        both(both(cd(HA=1, HD=1), with_("IDR0", HTTU=2)), first(0, AP2=1, DBM=1)),
        "F_PERMISSION S2=0 IN",
        {"access": EXEC, "priv": True},
    ),
    "clean counts as writable for WXN": Row(
        stage1,
        both(both(cd(HA=1, HD=1, WXN=1), with_("IDR0", HTTU=2)), first(0, AP2=1, DBM=1)),
        "F_PERMISSION S2=0 IN",
        {"access": EXEC},
    ),
}


@pytest.mark.parametrize("name", FLAG_ROWS)
def test_flags_of_hardware(name: str) -> None:
    check(FLAG_ROWS[name])


def test_haft_sets_the_access_flag_of_every_table() -> None:
    # DDI 0487 R_CGKWB; bit 10 (table D8-50).
    world = stage1()
    HAFT(world)

    refs = [ref for ref in world.ask().refs if ref.stage is Stage.S1]

    assert [ref.updated ^ ref.raw for ref in refs] == [1 << 10] * 3 + [0]


def test_s2haft_sets_the_access_flag_of_every_stage_2_table() -> None:
    world = stage2(S2HA=1, S2HAFT=1)
    with_("IDR0", HTTU=3)(world)

    refs = [ref for ref in world.ask().refs if ref.stage is Stage.S2]

    assert [ref.updated ^ ref.raw for ref in refs] == [1 << 10] * 3 + [0]


# ---------------------------------------------------------------- rights (13.4; DDI 0487, D8.4)

EPAN = both(cd(PAN=1, EPAN=1), with_("IDR3", EPAN=1))
PRIVILEGED = {"priv": True}
RIGHT_ROWS = {
    # 5.4 EPAN; J1.1.4.28
    "EPAN, unprivileged execution": Row(
        stage1, both(EPAN, first(0, AP1=0)), "F_PERMISSION S2=0 IN", PRIVILEGED
    ),
    "EPAN, no unprivileged execution": Row(stage1, both(EPAN, first(0, AP1=0, UXN=1)), "ok", PRIVILEGED),
    "EPAN, UXNTable": Row(stage1, both(EPAN, both(first(0, AP1=0), first(2, UXNTable=1))), "ok", PRIVILEGED),
    "EPAN, execution": Row(stage1, both(EPAN, first(0, AP1=0)), "ok", {"priv": True, "access": EXEC}),
    # DDI 0487, table D8-65: WXN looks at AP alone; a fetch has no PAN (J1.3, NewAccDesc)
    "EPAN and WXN, execution": Row(
        stage1,
        both(both(cd(PAN=1, EPAN=1, WXN=1), with_("IDR3", EPAN=1)), first(0, AP1=0)),
        "F_PERMISSION S2=0 IN",
        {"priv": True, "access": EXEC},
    ),
    "EPAN without PAN": Row(
        stage1, both(both(cd(EPAN=1), with_("IDR3", EPAN=1)), first(0, AP1=0)), "ok", PRIVILEGED
    ),
    # DDI 0487 R_MJGNV
    "AIE: APTable": Row(
        stage1, both(both(cd(AIE=1), with_("IDR3", AIE=1)), first(2, APTable1=1)), "ok", {"access": WRITE}
    ),
    "AIE without IDR3.AIE": Row(
        stage1, both(cd(AIE=1), first(2, APTable1=1)), "F_PERMISSION S2=0 IN", {"access": WRITE}
    ),
    # 13.4.1, 5.4 EPD0, PAN; J1.1.4.43, J1.1.4.68; 3.4.1
    "EL2: AP[1]": Row(lambda: el2(leaf={"AP1": 0}), nothing, "ok"),
    "EL2: EPAN": Row(lambda: el2(cd={"PAN": 1, "EPAN": 1}), with_("IDR3", EPAN=1), "ok", PRIVILEGED),
    "EL2, TBI0: bit 55": Row(
        lambda: el2(cd={"TBI0": 1}), nothing, "F_TRANSLATION S2=0 IN", {"iova": IOVA | 1 << 55}
    ),
    "EL2, TBI0: bits 63:56": Row(lambda: el2(cd={"TBI0": 1}), nothing, "ok", {"iova": IOVA | 0xA5 << 56}),
    "EL2: EPD0": Row(lambda: el2(cd={"EPD0": 1}), nothing, "ok"),
    "EL2: PXN": Row(lambda: el2(leaf={"PXN": 1}), nothing, "ok", {"access": EXEC}),
    "EL2: PAN": Row(lambda: el2(cd={"PAN": 1}), nothing, "ok"),
    # 5.2 INSTCFG, PRIVCFG
    "INSTCFG 3: a write stays data": Row(
        lambda: stage1(access=RW, INSTCFG=3), OVERRIDES, "ok", {"access": WRITE}, {"access": WRITE}
    ),
    "INSTCFG 3: READ is shown as it is judged": Row(
        lambda: stage1(INSTCFG=3), both(OVERRIDES, first(0, AP1=0)), "ok", {}, {"access": READ | EXEC}
    ),
    "INSTCFG 2: EXEC is shown as it is judged": Row(
        lambda: stage1(access=RW, INSTCFG=2), OVERRIDES, "ok", {"access": EXEC}, {"access": RWX}
    ),
    "PRIVCFG 3": Row(lambda: stage1(PRIVCFG=3), both(OVERRIDES, first(0, AP1=0)), "ok"),
}


@pytest.mark.parametrize("name", RIGHT_ROWS)
def test_rights(name: str) -> None:
    check(RIGHT_ROWS[name])


# DDI 0487, table D8-65: (UXN, PXN, AP[2:1], WXN, None: any) -> privileged, unprivileged rights.
TABLE_D8_65 = [
    (0, 0, 0, 0, RWX, EXEC),
    (0, 0, 0, 1, RW, EXEC),
    (0, 0, 1, 0, RW, RWX),
    (0, 0, 1, 1, RW, RW),
    (0, 0, 2, None, READ | EXEC, EXEC),
    (0, 0, 3, None, READ | EXEC, READ | EXEC),
    (0, 1, 0, None, RW, EXEC),
    (0, 1, 1, 0, RW, RWX),
    (0, 1, 1, 1, RW, RW),
    (0, 1, 2, None, READ, EXEC),
    (0, 1, 3, None, READ, READ | EXEC),
    (1, 0, 0, 0, RWX, NONE),
    (1, 0, 0, 1, RW, NONE),
    (1, 0, 1, None, RW, RW),
    (1, 0, 2, None, READ | EXEC, NONE),
    (1, 0, 3, None, READ | EXEC, READ),
    (1, 1, 0, None, RW, NONE),
    (1, 1, 1, None, RW, RW),
    (1, 1, 2, None, READ, NONE),
    (1, 1, 3, None, READ, READ),
]


def granted(world: World, **request: Any) -> Access:
    """The accesses that pass; an answer that passes shows them."""
    passed = NONE
    for access in (READ, WRITE, EXEC):
        answer = world.ask(access=access, **request)
        if answer.fault is None:
            passed |= access
            shown = answer.access
    assert not passed or shown == passed
    return passed


@pytest.mark.parametrize(("uxn", "pxn", "ap", "wxn", "privileged", "unprivileged"), TABLE_D8_65)
def test_stage_1_rights_are_those_of_the_table(
    uxn: int, pxn: int, ap: int, wxn: int | None, privileged: Access, unprivileged: Access
) -> None:
    for each in (0, 1) if wxn is None else (wxn,):
        leaf = {"UXN": uxn, "PXN": pxn, "AP1": ap & 1, "AP2": ap >> 1}
        world = stage1(leaf=leaf, cd={"WXN": each})

        assert (granted(world, priv=True), granted(world, priv=False)) == (privileged, unprivileged)


# 5.2 S2PTW; DDI 0487 D8.6.6: with FWB Device is bit 4 (bit 2 of MemAttr) clear, without bits 5:4 are 0.
@pytest.mark.parametrize(
    ("attributes", "without", "with_fwb"),
    [(0, True, True), (4, False, False), (8, False, True), (12, False, False), (3, True, True)],
)
def test_s2ptw_forbids_walks_in_device_memory(attributes: int, without: bool, with_fwb: bool) -> None:
    for fwb, denied in ((0, without), (1, with_fwb)):
        world = nested(S2PTW=1, S2FWB=fwb)
        with_("IDR3", FWB=1)(world)
        table_page(1, MemAttr=attributes)(world)

        assert said(world.ask()) == ("F_PERMISSION S2=1 TT" if denied else "ok")


# ---------------------------------------------------------------- small tables and wide ones


STT = idr("IDR3", STT=1)


def test_4_kib_tables_start_at_level_3_with_stt() -> None:
    # DDI 0487, table D8-24: 16 tables side by side.
    world = with_registers(stage2(tsz=39, start=3), STT)
    world.second.map(0x1001000, 0x4400_0000)

    assert world.ask(iova=0x1001123).hpa == 0x4400_0123


def test_stage_1_has_16_bits_with_stt() -> None:
    # Table D8-18
    world = with_registers(stage1(tsz=48), STT)
    world.first.map(0x1000, 0xABC_D000)

    assert world.ask(iova=0x1123).hpa == 0xABC_D123


def test_64_kib_tables_have_52_bits_with_vax() -> None:
    # 5.4 T0SZ
    world = with_registers(stage1(K64, 12), idr("IDR5", VAX=1))
    world.first.map(0x8_0000_0000_0000, 0x4000_0000)

    assert world.ask(iova=0x8_0000_0000_0123).hpa == 0x4000_0123


# 5.2 S1Fmt: low bits of S1ContextPtr that S1CDMax makes RES0 lead to some CD of the aligned table.
@pytest.mark.parametrize("fmt", [0, 1, 2])
def test_low_bits_of_s1contextptr_never_lead_out_of_the_table(fmt: int) -> None:
    cdmax = {0: 4, 1: 12, 2: 16}[fmt]
    world = nested(cdmax=cdmax, fmt=fmt)
    size = {0: 64 << 4, 1: 8 << 6, 2: 8 << 6}[fmt]
    for low in range(0, size, 64):
        ste(S1ContextPtr=world.cds.address + low)(world)
        for pasid in (1, (1 << cdmax) - 1):
            refs = [ref for ref in world.ask(pasid=pasid).refs if ref.stage is Stage.PASID]

            assert world.cds.address <= refs[0].gpa < world.cds.address + size
