"""Which events an SMMUv3 records, and ATS, by Arm IHI 0070 G.b: 5.5, 7.2.1, 3.9.1, 3.13.7, 13.6, 13.7.

Events are named as in 7.3; "silent" is a termination without a record. Both ledgers are asked.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from edits import both, nothing
from smmuv3_worlds import (
    ATSCHK,
    EXEC,
    IOVA,
    NOWHERE,
    OVERRIDES,
    PAGE_AT,
    TR,
    TT,
    Edit,
    Row,
    World,
    bypass,
    cd,
    cd_page,
    check,
    first,
    nested,
    said,
    second,
    stage1,
    stage2,
    ste,
    table_page,
    with_,
)

from iommu_abi.schemas.build import READ, RW, RWX, WRITE
from iommu_abi.terms import Access, At, Stage

# ---------------------------------------------------------------- what is recorded (5.5, 7.2.1, 3.9.1)

REC_ATS = with_("CR2", RECINVSID=0, REC_CFG_ATS=1)
RECORD_ROWS = {
    "EVENTQEN 0": Row(stage1, both(ste(V=0), with_("CR0", EVTQEN=0)), "C_BAD_STE silent"),
    "EVENTQEN 0, a fault": Row(
        stage1, both(first(0, VALID=0), with_("CR0", EVTQEN=0)), "F_TRANSLATION S2=0 IN silent"
    ),
    "EVENTQEN 0, a stall waits": Row(
        stage1, both(both(first(0, VALID=0), cd(S=1, R=0)), with_("CR0", EVTQEN=0)), "F_TRANSLATION S2=0 IN"
    ),
    "R 0": Row(stage1, both(first(0, VALID=0), cd(R=0)), "F_TRANSLATION S2=0 IN silent"),
    "S overrides R": Row(stage1, both(first(0, VALID=0), cd(R=0, S=1)), "F_TRANSLATION S2=0 IN"),
    "S2R 0": Row(stage2, both(second(0, VALID=0), ste(S2R=0)), "F_TRANSLATION S2=1 IN silent"),
    "S2S overrides S2R": Row(stage2, both(second(0, VALID=0), ste(S2R=0, S2S=1)), "F_TRANSLATION S2=1 IN"),
    "R does not gate stage 2": Row(nested, both(second(0, VALID=0), cd(R=0)), "F_TRANSLATION S2=1 IN"),
    "R does not gate F_WALK_EABT": Row(stage1, both(cd(R=0), cd(TTB0=NOWHERE)), "F_WALK_EABT S2=0 TT"),
    "RECINVSID 0": Row(stage1, with_("CR2", RECINVSID=0), "C_BAD_STREAMID silent", {"rid": 256}),
    # 3.9.1.3
    "translated, V 0": Row(stage1, both(ste(V=0), ATSCHK), "C_BAD_STE silent", TT),
    "translated, illegal": Row(stage1, both(ste(S1CDMax=21), ATSCHK), "C_BAD_STE silent", TT),
    "translated, V 0, REC_CFG_ATS": Row(stage1, both(both(ste(V=0), ATSCHK), REC_ATS), "C_BAD_STE", TT),
    "translated, StreamID, REC_CFG_ATS": Row(
        stage1, both(ATSCHK, REC_ATS), "C_BAD_STREAMID", {"rid": 256, "at": At.TRANSLATED}
    ),
    "translated, StreamID": Row(stage1, ATSCHK, "C_BAD_STREAMID silent", {"rid": 256, "at": At.TRANSLATED}),
    "translated, Config 0": Row(stage1, both(ste(Config=0), ATSCHK), "abort", TT),
    "translated, Config 4": Row(bypass, both(ste(EATS=1), ATSCHK), "F_TRANSL_FORBIDDEN", TT),
    "translated, EATS 0": Row(stage1, ATSCHK, "F_TRANSL_FORBIDDEN", TT),
    "translated, EATS 3 without DPT": Row(stage1, both(ste(EATS=3), ATSCHK), "F_TRANSL_FORBIDDEN", TT),
    "translated, EATS 0 and EVENTQEN 0": Row(
        stage1, with_("CR0", ATSCHK=1, EVTQEN=0), "F_TRANSL_FORBIDDEN silent", TT
    ),
    "translated, not checked": Row(stage1, ste(V=0), "ok", TT),
    "translated, not checked, no ATS": Row(stage1, with_("IDR0", ATS=0), "F_TRANSL_FORBIDDEN", TT),
    # 3.9.1.2
    "translation request, StreamID": Row(
        stage1, nothing, "C_BAD_STREAMID silent", {"rid": 256, "at": At.TRANSLATION}
    ),
    "translation request, StreamID, REC_CFG_ATS": Row(
        stage1, with_("CR2", REC_CFG_ATS=1), "C_BAD_STREAMID", {"rid": 256, "at": At.TRANSLATION}
    ),
    "translation request, StreamID, REC_CFG_ATS without RECINVSID": Row(
        stage1, REC_ATS, "C_BAD_STREAMID silent", {"rid": 256, "at": At.TRANSLATION}
    ),
    "translation request, V 0": Row(stage1, ste(V=0), "C_BAD_STE silent", TR),
    "translation request, V 0, REC_CFG_ATS": Row(stage1, both(ste(V=0), REC_ATS), "C_BAD_STE", TR),
    "translation request, Config 0": Row(stage1, ste(Config=0), "abort", TR),
    "translation request, Config 4": Row(bypass, ste(EATS=1), "F_BAD_ATS_TREQ", TR),
    "translation request, S1DSS 0": Row(
        lambda: stage1(S1CDMax=1, EATS=1), nothing, "F_STREAM_DISABLED silent", TR
    ),
    "translation request, S1DSS 0, REC_CFG_ATS": Row(
        lambda: stage1(S1CDMax=1, EATS=1), REC_ATS, "F_STREAM_DISABLED", TR
    ),
    # 13.6.5, note: the address is tested against IAS where stage 1 is skipped
    "translation request, S1DSS 1 beyond IAS": Row(
        lambda: stage1(S1CDMax=1, S1DSS=1, EATS=1),
        nothing,
        "F_ADDR_SIZE S2=0 IN silent",
        {"iova": 1 << 48} | TR,
    ),
    "translation request, Config 110 beyond IAS": Row(
        lambda: stage2(EATS=1), nothing, "F_ADDR_SIZE S2=0 IN silent", {"iova": 1 << 48} | TR
    ),
    "translation request, leaf invalid": Row(
        lambda: stage1(EATS=1), both(first(0, VALID=0), REC_ATS), "F_TRANSLATION S2=0 IN silent", TR
    ),
    "translation request, leaf invalid, S": Row(
        lambda: stage1(EATS=1, cd={"S": 1}), first(0, VALID=0), "F_TRANSLATION S2=0 IN silent", TR
    ),
    "translation request, unreadable table": Row(
        lambda: stage1(EATS=1), cd(TTB0=NOWHERE), "F_WALK_EABT S2=0 TT silent", TR
    ),
    "translation request, unreadable table, REC_CFG_ATS": Row(
        lambda: stage1(EATS=1), both(cd(TTB0=NOWHERE), REC_ATS), "F_WALK_EABT S2=0 TT", TR
    ),
    "translation request, C_BAD_CD, REC_CFG_ATS": Row(
        lambda: stage1(EATS=1), both(cd(V=0), REC_ATS), "C_BAD_CD", TR
    ),
    "translation request, no ATS": Row(lambda: stage1(EATS=1), with_("IDR0", ATS=0), "F_BAD_ATS_TREQ", TR),
    "translation request, EATS 2 without ATSCHK": Row(nested, ste(EATS=2), "F_BAD_ATS_TREQ", TR),
    "translation request, EATS 3 without DPT": Row(stage1, both(ste(EATS=3), ATSCHK), "F_BAD_ATS_TREQ", TR),
    # 7.3.10, 7.3.12
    "unreadable table": Row(stage1, cd(TTB0=NOWHERE), "F_WALK_EABT S2=0 TT"),
    "unreadable stage-2 table for the CD": Row(nested, ste(S2TTB=NOWHERE), "F_WALK_EABT S2=1 CD"),
    "unreadable CD": Row(stage1, ste(S1ContextPtr=NOWHERE), "F_CD_FETCH"),
    "unreadable CD, nested": Row(nested, cd_page(ADDR=NOWHERE), "F_CD_FETCH"),
}


@pytest.mark.parametrize("name", RECORD_ROWS)
def test_what_is_recorded(name: str) -> None:
    check(RECORD_ROWS[name])


# ---------------------------------------------------------------- ATS (3.9.1, 3.13.7, 13.6, 13.7.1)


def ats(make: Callable[..., World], *edits: Edit, **ste_fields: int) -> World:
    world = make(**{"EATS": 1} | ste_fields)
    for edit in edits:
        edit(world)
    return world


HD = both(cd(HA=1, HD=1), with_("IDR0", HTTU=2))
CLEAN = first(0, AP2=1, DBM=1)


def test_a_translation_request_to_write_a_read_only_page_gets_what_remains() -> None:
    world = ats(stage1, first(0, AP2=1))

    answer = world.ask(access=WRITE, **TR)

    assert (said(answer), answer.hpa, answer.access) == ("ok", world.page + PAGE_AT, READ)


@pytest.mark.parametrize("access", [READ, WRITE])
def test_a_completion_shows_the_write_of_a_clean_page_and_marks_it_for_a_write_alone(access: Access) -> None:
    # 13.7: NW=1 never marks a page dirty.
    world = ats(stage1, HD, CLEAN)

    answer = world.ask(access=access, **TR)

    leaf = answer.refs[-1]
    assert (answer.access, leaf.updated ^ leaf.raw) == (RW, 1 << 7 if access is WRITE else 0)


def test_a_clean_page_stays_clean_where_stage_2_refuses_the_write() -> None:
    # 3.13.7.1 says it of stage 1; rights are those of both stages.
    world = ats(nested, HD, CLEAN, second(0, S2AP=1))

    answer = world.ask(access=WRITE, **TR)

    (leaf,) = [ref for ref in answer.refs if ref.stage is Stage.S1 and ref.level == 0]
    assert (said(answer), answer.access & RW, leaf.updated) == ("ok", READ, leaf.raw)


def test_a_dirty_mark_that_stage_2_refuses_leaves_nothing() -> None:
    # 3.9.1.2: F_PERMISSION of stage 2 for a table walk is R=W=0.
    world = ats(nested, HD, CLEAN, table_page(0, S2AP=1))

    assert said(world.ask(access=WRITE, **TR)) == "F_PERMISSION S2=1 TT silent"
    assert world.ask(access=READ, **TR).access & RW == READ


def test_execution_is_granted_with_a_substream_and_a_read_alone() -> None:
    # 13.7.1: X needs R; without a PASID there is no Exe.
    world = ats(nested)

    assert world.ask(access=EXEC, **TR).access == RWX
    second(0, S2AP=2)(world)
    assert world.ask(access=EXEC, **TR).access == WRITE
    assert ats(stage1).ask(access=EXEC, **TR).access == RW


def test_a_page_to_execute_only_grants_nothing_but_with_instcfg_3() -> None:
    # 13.7, example 8: stage 2 is execute-only.
    world = ats(nested, OVERRIDES, second(0, S2AP=0))
    assert said(world.ask(access=EXEC, **TR)) == "F_PERMISSION S2=1 IN silent"

    ste(INSTCFG=3)(world)

    assert world.ask(access=EXEC, **TR).access == READ | EXEC


def test_instcfg_2_grants_execution_of_what_is_readable() -> None:
    world = ats(nested, OVERRIDES, first(0, UXN=1), INSTCFG=2)

    assert world.ask(access=EXEC, **TR).access == RWX


def test_without_a_substream_ats_is_unprivileged() -> None:
    # 3.9, 13.7
    world = ats(stage1, first(0, AP1=0))
    assert said(world.ask(priv=True, **TR)) == "F_PERMISSION S2=0 IN silent"

    both(OVERRIDES, ste(PRIVCFG=3))(world)

    assert said(world.ask(priv=False, **TR)) == "ok"


def test_with_a_substream_ats_has_the_requests_privilege() -> None:
    world = ats(nested, first(0, AP1=0))

    assert said(world.ask(priv=True, **TR)) == "ok"
    assert said(world.ask(priv=False, **TR)) == "F_PERMISSION S2=0 IN silent"


def test_stage_1_that_leaves_nothing_ends_a_translation_request() -> None:
    # 3.9.1.2: the IPA is not translated, no fault of stage 2 is seen.
    world = ats(nested, first(0, AP1=0), second(0, VALID=0))

    assert said(world.ask(**TR)) == "F_PERMISSION S2=0 IN silent"


def test_rights_that_only_one_stage_leaves_are_none() -> None:
    world = ats(nested, first(0, AP2=1), second(0, S2AP=2))

    answer = world.ask(access=WRITE, **TR)

    assert said(answer) == "F_PERMISSION S2=1 IN silent"
    assert len(answer.refs) == 30


def test_s1dss_bypass_completes_with_the_identity_and_without_execution() -> None:
    # 13.6.4
    world = ats(stage1, S1CDMax=1, S1DSS=1)

    answer = world.ask(**TR)

    assert (answer.hpa, answer.gpa, answer.access) == (IOVA | PAGE_AT, IOVA | PAGE_AT, RW)


def test_s1dss_bypass_in_a_nested_stream_is_stage_2_alone() -> None:
    world = ats(nested, S1DSS=1)

    answer = world.ask(pasid=None, iova=world.page, **TR)

    assert (answer.hpa, answer.gpa, answer.access) == (world.guest.hpa(world.page), world.page, RW)


def test_a_translation_request_with_dpt_is_full_ats() -> None:
    # 5.2 EATS: as 01; the checks are of translated requests.
    world = ats(stage1, ATSCHK, with_("IDR3", DPT=1), EATS=3)

    assert world.ask(**TR).hpa == world.page + PAGE_AT


SPLIT = {"EATS": 2}


def test_split_stage_ats_completes_with_the_ipa() -> None:
    # 13.6.3: rights and size of both stages.
    world = ats(nested, ATSCHK, second(0, S2AP=1), **SPLIT)

    answer = world.ask(access=WRITE, **TR)

    assert (answer.hpa, answer.gpa) == (world.page + PAGE_AT, world.page + PAGE_AT)
    assert answer.access & RW == READ


def test_s1dss_bypass_of_split_stage_ats_is_the_identity_with_the_rights_of_stage_2() -> None:
    # 13.6.5
    world = ats(nested, ATSCHK, second(0, S2AP=1), S1DSS=1, **SPLIT)

    answer = world.ask(pasid=None, iova=world.page, access=WRITE, **TR)

    assert (answer.hpa, answer.gpa, answer.access) == (world.page, world.page, READ)


def test_a_translated_request_of_split_stage_ats_is_an_ipa() -> None:
    # 13.6.3, 3.9.1.3
    world = ats(nested, ATSCHK, **SPLIT)
    asked = {"pasid": None, "iova": world.page + PAGE_AT} | TT

    answer = world.ask(**asked)
    assert (answer.hpa, answer.gpa) == (world.guest.hpa(world.page) + PAGE_AT, world.page + PAGE_AT)
    assert answer.access == RW

    second(0, VALID=0)(world)
    assert said(world.ask(**asked)) == "F_TRANSLATION S2=1 IN"
    assert said(world.ask(pasid=None, iova=1 << 48, **TT)) == "F_ADDR_SIZE S2=0 IN"
    ste(S2R=0)(world)
    assert said(world.ask(**asked)) == "F_TRANSLATION S2=1 IN silent"


PASIDTT = with_("IDR3", PASIDTT=1)
PASID_ROWS = {
    # 3.9.1.3, 7.3.7, 7.3.9
    "a SubstreamID that does not count": Row(lambda: nested(EATS=1), ATSCHK, "ok", {"pasid": 99} | TT),
    "beyond S1CDMax": Row(
        lambda: nested(EATS=1), both(both(ATSCHK, PASIDTT), REC_ATS), "C_BAD_SUBSTREAMID", {"pasid": 99} | TT
    ),
    "beyond S1CDMax, not recorded": Row(
        lambda: nested(EATS=1), both(ATSCHK, PASIDTT), "C_BAD_SUBSTREAMID silent", {"pasid": 99} | TT
    ),
    "stage 1 off": Row(
        lambda: stage2(EATS=1), both(both(ATSCHK, PASIDTT), REC_ATS), "C_BAD_SUBSTREAMID", {"pasid": 1} | TT
    ),
    "F_TRANSL_FORBIDDEN comes first": Row(
        nested, both(ATSCHK, PASIDTT), "F_TRANSL_FORBIDDEN", {"pasid": 99} | TT
    ),
    "S1DSS 0 without a SubstreamID": Row(
        lambda: nested(EATS=1),
        both(both(ATSCHK, PASIDTT), REC_ATS),
        "F_STREAM_DISABLED",
        {"pasid": None} | TT,
    ),
    "S1DSS 0, without PASIDTT": Row(lambda: nested(EATS=1), ATSCHK, "ok", {"pasid": None} | TT),
    "CD invalid": Row(
        lambda: nested(EATS=1), both(both(ATSCHK, PASIDTT), both(REC_ATS, cd(V=0))), "C_BAD_CD", TT
    ),
    "stage-2 table of the CD unreadable": Row(
        lambda: nested(EATS=1),
        both(both(ATSCHK, PASIDTT), ste(S2TTB=NOWHERE)),
        "F_WALK_EABT S2=1 CD silent",
        TT,
    ),
    "stage-2 table of the CD unreadable, REC_CFG_ATS": Row(
        lambda: nested(EATS=1),
        both(both(ATSCHK, PASIDTT), both(REC_ATS, ste(S2TTB=NOWHERE))),
        "F_WALK_EABT S2=1 CD",
        TT,
    ),
    "stage-2 table of the data unreadable": Row(
        lambda: nested(EATS=2),
        both(ATSCHK, ste(S2TTB=NOWHERE)),
        "F_WALK_EABT S2=1 IN",
        TT,
    ),
    "CD's page invalid": Row(
        lambda: nested(EATS=1), both(both(ATSCHK, PASIDTT), cd_page(VALID=0)), "F_TRANSLATION S2=1 CD", TT
    ),
    "passes": Row(
        lambda: nested(EATS=1), both(ATSCHK, PASIDTT), "ok", TT, {"access": RWX, "hpa": IOVA | PAGE_AT}
    ),
}


@pytest.mark.parametrize("name", PASID_ROWS)
def test_translated_requests_with_pasidtt(name: str) -> None:
    check(PASID_ROWS[name])
