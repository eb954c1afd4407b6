"""VT-d: the statements of the specification's text, section by section, asked of both ledgers.

Source of every fact: Intel Virtualization Technology for Directed I/O, revision 5.10 (D51397-018); sections
that begin with "2.x" are of the revisions of 2013 to 2017 (extended mode). docs/text_vtd.md says in words
what a section states and where it is checked. Where nothing else is said, the unit goes by 5.10 and has
every capability that bears on a walk, but NWFS and ECS.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import test_vtd
from edits import nothing
from test_vtd import EXEC, IOVA, RID, World, extended, first_only, legacy, nested, pass_through, second_only

from iommu_abi.schemas import build
from iommu_abi.schemas.build import HUGE, LARGE, READ, WRITE
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.vtd_entries import (
    CAP,
    CONTEXT_ENTRY,
    ECAP,
    EXTENDED_CONTEXT_ENTRY,
    EXTENDED_PASID_ENTRY,
    FIRST_STAGE,
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
from iommu_abi.terms import At, Stage, Target, Translation

REV_4_0, REV_5_10 = 4 << 8, 5 << 8 | 10
CAPS = CAP.value(ND=6, MGAW=56, SAGAW=0b1110, SLLPS=3, FL1GP=1, FL5LP=1)
ECAPS = ECAP.value(
    DT=1, PT=1, SC=1, MTS=1, NEST=1, PRS=1, ERS=1, SRS=1, EAFS=1, PSS=19, PASID=1, SMTS=1, SLADS=1,
    SLTS=1, FLTS=1, SMPWCS=1, RPS=1, ADMS=1, RPRIVS=1, HPTS=1, PTRS=1, SSIRWS=1,
)  # fmt: skip
ECAPS_2X = ECAP.value(
    DT=1, PT=1, SC=1, ECS=1, MTS=1, NEST=1, DIS=1, PRS=1, ERS=1, SRS=1, EAFS=1, PSS=19, PASID=1
)  # fmt: skip
FEE = 0xFEE0_0000
NOWHERE = 0x7F_FFFF_F000
TRANSLATION, TRANSLATED = {"at": At.TRANSLATION}, {"at": At.TRANSLATED}
PTE, PDE, PDPE = FIRST_STAGE.pages[0], FIRST_STAGE.table, FIRST_STAGE.table
SS_PTE = SECOND_STAGE_PAGES[0]

Edit = Callable[[World], object]


# ---------------------------------------------------------------- what is changed in a world


def context(**fields: int) -> Edit:
    """Change the scalable-mode context entry."""
    return lambda world: world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, **fields)


def entry(**fields: int) -> Edit:
    """Change the PASID entry."""
    return lambda world: world.host.edit(SCALABLE_PASID_ENTRY, world.pasid_entry, **fields)


def other(layout: Layout, **fields: int) -> Edit:
    """Change the context entry of another mode."""
    return lambda world: world.host.edit(layout, world.context, **fields)


def root(layout: Layout, **fields: int) -> Edit:
    """Change the first root entry."""
    return lambda world: world.host.edit(layout, world.unit.root, **fields)


def directory(**fields: int) -> Edit:
    """Change the first entry of the PASID directory."""
    return lambda w: w.host.edit(PASID_DIRECTORY_ENTRY, w.host.load(w.context) & -4096, **fields)


def first(level: int, layout: Layout, **fields: int) -> Edit:
    """Change the first-stage entry of a level."""
    return lambda world: world.edit_first(level, layout, **fields)


def second(level: int, layout: Layout, **fields: int) -> Edit:
    """Change the second-stage entry of a level for the data."""
    return lambda world: world.edit_second(world.page if world.guest else IOVA, level, layout, **fields)


def raw(level: int, bit: int) -> Edit:
    """Set a bit in the second-stage entry of a level for the data."""

    def change(world: World) -> None:
        where = world.second.entry(world.page if world.guest else IOVA, level)
        world.host.store(where, world.host.load(where) | 1 << bit)

    return change


def table_page(level: int, **fields: int) -> Edit:
    """Change the second-stage leaf behind which the first-stage table of a level lies."""
    return lambda world: world.edit_table_page(level, **fields)


def cap(**fields: int) -> Edit:
    """Give capabilities other values."""

    def change(world: World) -> None:
        layout = {each.name: each for each in CAP.fields}
        value = world.registers["CAP"]
        for name, number in fields.items():
            value &= ~(((1 << layout[name].width) - 1) << layout[name].low)
            value |= number << layout[name].low
        world.registers["CAP"] = value

    return change


def lacks(*names: str) -> Edit:
    """Take bits of ECAP away."""
    return ecap(**dict.fromkeys(names, 0))


def ecap(**fields: int) -> Edit:
    """Give extended capabilities other values."""

    def change(world: World) -> None:
        layout = {each.name: each for each in ECAP.fields}
        value = world.registers["ECAP"]
        for name, number in fields.items():
            value &= ~(((1 << layout[name].width) - 1) << layout[name].low)
            value |= number << layout[name].low
        world.registers["ECAP"] = value

    return change


def registers(**values: int) -> Edit:
    """Give registers other values."""
    return lambda world: world.registers.update(values)


def rtaddr(**fields: int) -> Edit:
    """Change the mode, or how rights are read."""
    return lambda world: world.registers.update(RTADDR=RTADDR.value(RTA=world.unit.root, **fields))


def rev(number: int) -> Edit:
    """Go by another revision."""
    return registers(REV=number)


def all_of(*edits: Edit) -> Edit:
    """Make several changes."""

    def change(world: World) -> None:
        for each in edits:
            each(world)

    return change


ATS = context(DTE=1)
HAW46 = registers(HAW=46)


def io_rights(**fields: int) -> Edit:
    """Let IR and IW count, which all second-stage entries then have; ``fields`` are those of the leaf."""

    def change(world: World) -> None:
        for level in range(4):
            raw(level, 61)(world)
            raw(level, 62)(world)
        second(0, SS_PTE, **fields)(world)

    return all_of(rtaddr(TTM=1, SSIRWE=1), change)


# ---------------------------------------------------------------- worlds


def with_page(world: Callable[..., World], page: int) -> Callable[..., World]:
    """A world whose page is a large one."""
    return lambda **fields: world(page=page, **fields)


def by_rid(make: Callable[..., World], **fields: int) -> Callable[[], World]:
    """A world whose request has no PASID: RID_PASID is the PASID that has an entry."""

    def made() -> World:
        world = make(**fields)
        world.host.edit(SCALABLE_CONTEXT_ENTRY, world.context, RID_PASID=test_vtd.PASID)
        world.request = {"pasid": None}
        return world

    return made


def maps_interrupts(page: int, beside: int) -> Callable[[], World]:
    """A second stage that maps IOVA to a page in which the interrupt addresses lie."""

    def made() -> World:
        world = second_only(page=page)
        level = {LARGE: 1, HUGE: 2}[page]
        world.edit_second(IOVA, level, SECOND_STAGE_PAGES[level], ADDR=FEE & -page)
        world.request |= {"iova": (IOVA & -page) + beside}
        return world

    return made


@dataclass
class Fact:
    """A world, what is changed in it, what is asked, and the answer.

    A fault is code, reason, stage and level, and "silent" if it is not recorded; else it is what may be done.
    """

    world: Callable[..., World]
    edit: Edit
    answer: str
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def prepared(fact: Fact) -> World:
    """The fact's world, in a unit of 5.10, or of 2.5 in extended mode."""
    world = fact.world()
    extended_mode = isinstance(world.unit, build.VtdExtended)
    capabilities = ECAPS_2X if extended_mode else ECAPS
    world.registers = {"CAP": CAPS, "ECAP": capabilities, "REV": REV_5_10} | world.registers
    fact.edit(world)
    return world


def said(answer: Translation) -> str:
    """An answer as the facts write it."""
    fault = answer.fault
    if fault is None:
        return ("interrupt " if answer.target is Target.INTERRUPT else "") + str(answer.access)
    words = f"{fault.native:#x} {fault.reason.name} {fault.stage.name} {fault.level}"
    return words if fault.recorded else f"{words} silent"


# ---------------------------------------------------------------- the facts

FACTS: dict[str, dict[str, Fact]] = {
    "3.1": {
        "with remapping off a PASID is ignored": Fact(first_only, registers(GSTS=0), "rw"),
        "so that its write may be an interrupt": Fact(
            first_only, registers(GSTS=0), "interrupt w", {"iova": FEE, "access": WRITE}
        ),
    },
    "3.4.2": {
        "the legacy root entry has 16 bytes": Fact(
            legacy, root(ROOT_ENTRY, rsvd_q1_63_0=1), "0xa RESERVED DEVICE 1"
        ),
        "legacy mode has no PASIDs": Fact(legacy, nothing, "0x31 BLOCKED DEVICE 0", {"pasid": 1}),
    },
    "3.4.3": {
        "without PASID the RID_PASID is looked up": Fact(by_rid(first_only), nothing, "rw"),
        "without RPS it is PASID 0": Fact(
            by_rid(first_only),
            all_of(context(RID_PASID=0), lacks("RPS"), lambda w: w.unit.pasid(RID, 0, w.first)),
            "rw",
        ),
    },
    "3.4.4": {
        "abort mode is as if no root were present": Fact(
            legacy, rtaddr(TTM=3), "0x33 ABORTED DEVICE 0", more={"entry_hpa": None}
        ),
        "also for requests with PASID": Fact(first_only, rtaddr(TTM=3), "0x33 ABORTED DEVICE 0"),
        "without ADMS it is a mode that does not exist": Fact(
            legacy, all_of(rtaddr(TTM=3), lacks("ADMS")), "0x30 INVALID DEVICE 0"
        ),
    },
    "3.6": {
        "addresses of 4 levels are canonical": Fact(
            first_only, nothing, "0x80 INPUT_RANGE S1 3", {"iova": 1 << 47}
        ),
        "addresses of 5 levels are canonical": Fact(
            lambda: first_only(5), nothing, "0x80 INPUT_RANGE S1 4", {"iova": 1 << 56}
        ),
        "P=0, and reserved bits do not matter": Fact(
            first_only, all_of(HAW46, first(0, PTE, P=0, ADDR=1 << 46)), "0x71 NOT_PRESENT S1 0"
        ),
        "51:HAW reserved": Fact(first_only, all_of(HAW46, first(0, PTE, ADDR=1 << 46)), "0x72 RESERVED S1 0"),
        "51:HAW reserved, though it is a GPA": Fact(
            nested, all_of(HAW46, first(1, PDE, ADDR=1 << 46)), "0x72 RESERVED S1 1"
        ),
        "PS of a PML4E reserved": Fact(first_only, first(3, FIRST_STAGE.top, rsvd_7=1), "0x72 RESERVED S1 3"),
        "1 GiB pages want FS1GP": Fact(with_page(first_only, HUGE), cap(FL1GP=0), "0x72 RESERVED S1 2"),
        "29:13 of a 1 GiB page reserved, 12 is PAT": Fact(
            with_page(first_only, HUGE), first(2, FIRST_STAGE.pages[2], rsvd_29_13=1), "0x72 RESERVED S1 2"
        ),
        "20:13 of a 2 MiB page reserved": Fact(
            with_page(first_only, LARGE), first(1, FIRST_STAGE.pages[1], rsvd_20_13=1), "0x72 RESERVED S1 1"
        ),
        "EA is ignored without EAFS": Fact(first_only, all_of(lacks("EAFS"), first(0, PTE, EA=1)), "rw"),
    },
    "3.6.1": {
        "a user reads where U/S is 1 at every level": Fact(
            first_only, first(2, PDPE, US=0), "0x81 PRIVILEGE S1 0"
        ),
        "a user writes where R/W is 1 at every level": Fact(
            first_only, first(3, FIRST_STAGE.top, RW=0), "0x85 DENIED S1 0", {"access": WRITE}
        ),
        "a supervisor reads everything": Fact(
            lambda: first_only(SRE=1), first(0, PTE, US=0), "rw", {"priv": True}
        ),
        "and writes everything with WPE=0": Fact(
            lambda: first_only(SRE=1, WPE=0), first(0, PTE, RW=0), "rw", {"priv": True, "access": WRITE}
        ),
        "but with WPE=1 where R/W is 1": Fact(
            lambda: first_only(SRE=1),
            first(0, PTE, RW=0),
            "0x85 DENIED S1 0",
            {"priv": True, "access": WRITE},
        ),
        "no right is judged where there is no translation": Fact(
            first_only, all_of(first(2, PDPE, US=0), first(0, PTE, P=0)), "0x71 NOT_PRESENT S1 0"
        ),
        "since 4.1 XD is ignored": Fact(first_only, first(0, PTE, XD=1), "rw"),
        "up to 4.0 XD wants NXE": Fact(
            lambda: first_only(NXE=0), all_of(rev(REV_4_0), first(0, PTE, XD=1)), "0x72 RESERVED S1 0"
        ),
        "up to 4.0 XD takes execution": Fact(
            lambda: first_only(ERE=1),
            all_of(rev(REV_4_0), first(0, PTE, XD=1)),
            "0x82 DENIED S1 0",
            {"access": EXEC},
        ),
    },
    "3.7": {
        "input is limited by AGAW": Fact(
            lambda: second_only(3), nothing, "0x84 INPUT_RANGE S2 2", {"iova": 1 << 39}
        ),
        "input is limited by MGAW": Fact(
            second_only, cap(MGAW=38), "0x84 INPUT_RANGE S2 3", {"iova": 1 << 39}
        ),
        "R=W=0, and reserved bits do not matter": Fact(
            second_only, second(0, SS_PTE, R=0, W=0, SNP=1, IW=1), "0x79 NOT_PRESENT S2 0"
        ),
        "51:HAW reserved": Fact(
            second_only, all_of(HAW46, second(0, SS_PTE, ADDR=1 << 46)), "0x7a RESERVED S2 0"
        ),
        "PS of an SS-PML4E reserved": Fact(
            second_only, second(3, SECOND_STAGE_TOP, rsvd_7=1), "0x7a RESERVED S2 3"
        ),
        "1 GiB pages want SSLPS bit 1": Fact(
            with_page(second_only, HUGE), cap(SLLPS=1), "0x7a RESERVED S2 2"
        ),
        "2 MiB pages want SSLPS bit 0": Fact(
            with_page(second_only, LARGE), cap(SLLPS=2), "0x7a RESERVED S2 1"
        ),
        "29:12 of a 1 GiB page reserved": Fact(
            with_page(second_only, HUGE), second(2, SECOND_STAGE_PAGES[2], rsvd_29_12=1), "0x7a RESERVED S2 2"
        ),
        "20:12 of a 2 MiB page reserved": Fact(
            with_page(second_only, LARGE),
            second(1, SECOND_STAGE_PAGES[1], rsvd_20_12=1),
            "0x7a RESERVED S2 1",
        ),
        "SNP of a table reserved": Fact(
            second_only, second(1, SECOND_STAGE_TABLE, rsvd_11=1), "0x7a RESERVED S2 1"
        ),
        "SNP of a page wants SC": Fact(
            second_only, all_of(lacks("SC"), second(0, SS_PTE, SNP=1)), "0x7a RESERVED S2 0"
        ),
    },
    "3.7.1": {
        "reads want R at every level": Fact(
            second_only, second(2, SECOND_STAGE_TABLE, R=0), "0x86 DENIED S2 0"
        ),
        "writes want W at every level": Fact(
            second_only, second(2, SECOND_STAGE_TABLE, W=0), "0x85 DENIED S2 0", {"access": WRITE}
        ),
        "since 4.1 X is ignored": Fact(second_only, second(0, SS_PTE, X=0), "rw", {"access": EXEC}),
    },
    "3.8": {
        "the tables of the first stage lie in GPA": Fact(nested, nothing, "rw"),
        "their entries are below the second stage's limit": Fact(
            lambda: nested(4, 3), first(2, PDPE, ADDR=1 << 40), "0x74 INPUT_RANGE S2 2"
        ),
        "and so is the final GPA": Fact(
            lambda: nested(4, 3), first(0, PTE, ADDR=1 << 40), "0x74 INPUT_RANGE S2 2"
        ),
        "up to 4.0 the final GPA has the second stage's code": Fact(
            lambda: nested(4, 3), all_of(rev(REV_4_0), first(0, PTE, ADDR=1 << 40)), "0x84 INPUT_RANGE S2 2"
        ),
    },
    "3.8.1": {
        "without SSADE tables are read with R": Fact(nested, table_page(1, W=0), "rw"),
        "with SSADE tables are read with R and W": Fact(
            lambda: nested(SLADE=1), table_page(1, W=0), "0x77 DENIED S2 0", more={"for_level": 1}
        ),
        "the top table wants R": Fact(nested, table_page(3, R=0), "0x75 DENIED S2 0"),
        "lower tables want R": Fact(nested, table_page(2, R=0), "0x76 DENIED S2 0"),
        "A is set where W is": Fact(
            lambda: nested(accessed=False), table_page(0, W=0), "0x77 UPDATE_DENIED S2 0"
        ),
        "the final page is read with R": Fact(nested, second(0, SS_PTE, R=0), "0x86 DENIED S2 0"),
        "and written with W, whatever R": Fact(nested, second(0, SS_PTE, R=0), "w", {"access": WRITE}),
        "a D that cannot be set shows as no W": Fact(
            nested, all_of(first(0, PTE, D=0), table_page(0, W=0)), "r"
        ),
    },
    "3.9": {
        "pass-through knows no rights": Fact(pass_through, nothing, "rw", {"access": WRITE}),
        "its input is a host address": Fact(
            pass_through, HAW46, "0x83 INPUT_RANGE PASID 0", {"iova": 1 << 46}, {"entry_hpa": None}
        ),
    },
    "3.10": {
        "A of the first stage wants a snooped walk": Fact(
            lambda: first_only(PWSNP=0), nothing, "0x90 UPDATE_DENIED S1 3"
        ),
        "and a unit that snoops": Fact(
            lambda: first_only(PWSNP=0), lacks("SMPWCS", "SLADS", "EAFS"), "0x90 UPDATE_DENIED S1 3"
        ),
        "flags that are set want nothing": Fact(nested, entry(PWSNP=0), "rw", {"access": WRITE}),
        "D of a write": Fact(
            nested, all_of(entry(PWSNP=0), first(0, PTE, D=0)), "0x90 UPDATE_DENIED S1 0", {"access": WRITE}
        ),
        "which a read does not need, and does not show": Fact(
            nested, all_of(entry(PWSNP=0), first(0, PTE, D=0)), "r"
        ),
        "EA": Fact(nested, entry(PWSNP=0, EAFE=1), "0x90 UPDATE_DENIED S1 3"),
        "A of the second stage with SSADE": Fact(
            lambda: second_only(SLADE=1, PWSNP=0), nothing, "0x7c UPDATE_DENIED S2 3"
        ),
        "and its D": Fact(
            lambda: second_only(SLADE=1, PWSNP=0),
            all_of(*(raw(level, 8) for level in range(4))),
            "0x7c UPDATE_DENIED S2 0",
            {"access": WRITE},
        ),
        "ours: it is the last fault of a request": Fact(
            lambda: first_only(PWSNP=0), first(0, PTE, P=0), "0x71 NOT_PRESENT S1 0"
        ),
        "legacy mode keeps no flags": Fact(legacy, nothing, "rw", {"access": WRITE}),
    },
    "3.15": {
        "a write without PASID is an interrupt, whatever the tables say": Fact(
            legacy, root(ROOT_ENTRY, P=0), "interrupt w", {"iova": FEE, "access": WRITE}
        ),
        "a read without PASID is illegal": Fact(
            legacy,
            nothing,
            "0x29 INTERRUPT_RANGE DEVICE 0",
            {"iova": FEE + 0xF_FFFC},
            {"entry_hpa": None},
        ),
        "with PASID it is an address like others": Fact(
            first_only, lambda w: w.first.map(FEE, w.page), "rw", {"iova": FEE}
        ),
        "but not passed through": Fact(pass_through, nothing, "0x87 INTERRUPT_RANGE DEVICE 0", {"iova": FEE}),
        "an untranslated request may not reach it": Fact(
            maps_interrupts(LARGE, FEE % LARGE), nothing, "0x87 INTERRUPT_RANGE S2 0"
        ),
        "though it may reach what lies beside it in the page": Fact(
            maps_interrupts(LARGE, 0xF_0000 + 0x1_0000), nothing, "rw", more={"size_lg2": 20}
        ),
        "a translated request may not name it": Fact(
            lambda: legacy(TT=1), nothing, "0xe INTERRUPT_RANGE DEVICE 0", {"iova": FEE, **TRANSLATED}
        ),
    },
    "4.2.1": {
        "with remapping off a translation request is unsupported": Fact(
            legacy, registers(GSTS=0), "0x0 BLOCKED DEVICE 0 silent", TRANSLATION
        ),
        "also at interrupt addresses": Fact(
            legacy, registers(GSTS=0), "0x0 BLOCKED DEVICE 0 silent", {"iova": FEE, **TRANSLATION}
        ),
        "and a translated request": Fact(
            legacy, registers(GSTS=0), "0x0 BLOCKED DEVICE 0 silent", TRANSLATED
        ),
        "before 5.0 a translated request with PASID is unsupported": Fact(
            first_only, all_of(ATS, rev(4 << 8 | 1)), "0x0 BLOCKED DEVICE 0 silent", TRANSLATED, {"raw": None}
        ),
    },
    "4.2.3": {
        "a write of a read-only page is completed with R": Fact(
            lambda: second_only(access=READ), ATS, "r", {"access": WRITE, **TRANSLATION}
        ),
        "a read of a write-only page with W": Fact(lambda: second_only(access=WRITE), ATS, "w", TRANSLATION),
        "the rights of both stages": Fact(
            nested, all_of(ATS, second(0, SS_PTE, W=0)), "r", {"access": WRITE, **TRANSLATION}
        ),
        "where they leave none, nobody is told": Fact(
            nested,
            all_of(ATS, second(0, SS_PTE, R=0), first(0, PTE, RW=0)),
            "0x85 DENIED S1 0 silent",
            {"access": WRITE, **TRANSLATION},
        ),
        "NW is ignored without NWFS": Fact(second_only, ATS, "rw", TRANSLATION),
        "with NWFS and NW there is no W": Fact(second_only, all_of(ATS, ecap(NWFS=1)), "r", TRANSLATION),
        "and no right at all on a write-only page": Fact(
            lambda: second_only(access=WRITE),
            all_of(ATS, ecap(NWFS=1)),
            "0x86 DENIED S2 0 silent",
            TRANSLATION,
        ),
        "without SRE a privileged request has no right": Fact(
            first_only, ATS, "0x5d BLOCKED PASID 0 silent", {"priv": True, **TRANSLATION}
        ),
        "S.1: at interrupt addresses, without PASID, it may write untranslated": Fact(
            by_rid(second_only), ATS, "interrupt w", {"iova": FEE, **TRANSLATION}
        ),
        "S.2: not with NW": Fact(
            by_rid(second_only),
            all_of(ATS, ecap(NWFS=1)),
            "0x0 INTERRUPT_RANGE DEVICE 0 silent",
            {"iova": FEE, **TRANSLATION},
        ),
        "but not before the context has allowed the request": Fact(
            by_rid(second_only), nothing, "0x44 BLOCKED DEVICE 0", {"iova": FEE, **TRANSLATION}
        ),
        "in legacy mode likewise": Fact(
            lambda: legacy(TT=1), nothing, "interrupt w", {"iova": FEE, **TRANSLATION}
        ),
        "in legacy mode the context is first too": Fact(
            legacy, nothing, "0xd BLOCKED DEVICE 0", {"iova": FEE, **TRANSLATION}
        ),
        "pass-through gives the largest page of the unit": Fact(
            pass_through, ATS, "rw", {"iova": 1 << 40, **TRANSLATION}, {"size_lg2": 30}
        ),
        "which may be of 2 MiB": Fact(
            pass_through,
            all_of(ATS, cap(SLLPS=1, FL1GP=0)),
            "rw",
            {"iova": 1 << 40, **TRANSLATION},
            {"size_lg2": 21},
        ),
    },
    "4.2.4": {
        "HPT is not modelled: nothing passes": Fact(
            first_only, context(DTE=1, HPTE=1), "0x0 BLOCKED DEVICE 0 silent", {"pasid": None, **TRANSLATED}
        ),
        "other requests do not see it": Fact(first_only, context(DTE=1, HPTE=1), "rw"),
    },
    "4.2.5": {
        "a translated request is not translated": Fact(
            first_only, ATS, "rw", {"pasid": None, **TRANSLATED}, {"hpa": IOVA | 0x123}
        ),
        "with PASID where EPTR allows it": Fact(first_only, context(DTE=1, EPTR=1), "rw", TRANSLATED),
        "and not else": Fact(first_only, ATS, "0x49 BLOCKED DEVICE 0", TRANSLATED),
        "PASIDE is not for it": Fact(
            first_only, context(DTE=1, PASIDE=0), "0x49 BLOCKED DEVICE 0", TRANSLATED
        ),
        "the interrupt addresses are a fault": Fact(
            first_only, ATS, "0x87 INTERRUPT_RANGE DEVICE 0", {"pasid": None, "iova": FEE, **TRANSLATED}
        ),
    },
    "7.1.1": {
        "FPD of a context that is not present counts": Fact(
            first_only, context(FPD=1, P=0), "0x41 NOT_PRESENT DEVICE 0 silent"
        ),
        "FPD of the directory silences what comes after": Fact(
            first_only, all_of(directory(FPD=1), first(0, PTE, P=0)), "0x71 NOT_PRESENT S1 0 silent"
        ),
        "FPD of the PASID entry": Fact(first_only, entry(FPD=1, P=0), "0x59 NOT_PRESENT PASID 0 silent"),
        "a fault that is not qualified is told": Fact(
            first_only, all_of(context(FPD=1), directory(SMPTBLPTR=NOWHERE)), "0x58 UNREADABLE PASID 0"
        ),
    },
    "7.1.2": {
        "what a completion tells is not recorded: SPD.2": Fact(
            first_only, all_of(ATS, directory(P=0)), "0x51 NOT_PRESENT PASID 1 silent", TRANSLATION
        ),
        "SPT.2": Fact(first_only, all_of(ATS, entry(P=0)), "0x59 NOT_PRESENT PASID 0 silent", TRANSLATION),
        "SFS.2": Fact(
            first_only, all_of(ATS, first(0, PTE, P=0)), "0x71 NOT_PRESENT S1 0 silent", TRANSLATION
        ),
        "SFS.9": Fact(first_only, all_of(ATS, entry(PWSNP=0)), "0x90 UPDATE_DENIED S1 3 silent", TRANSLATION),
        "SSS.2": Fact(
            second_only,
            all_of(ATS, second(0, SS_PTE, R=0, W=0)),
            "0x79 NOT_PRESENT S2 0 silent",
            TRANSLATION,
        ),
        "SGN.1": Fact(first_only, ATS, "0x80 INPUT_RANGE S1 3 silent", {"iova": 1 << 47, **TRANSLATION}),
        "SGN.2": Fact(
            first_only, all_of(ATS, first(0, PTE, US=0)), "0x81 PRIVILEGE S1 0 silent", TRANSLATION
        ),
        "SGN.4.2": Fact(
            pass_through,
            all_of(ATS, HAW46),
            "0x83 INPUT_RANGE PASID 0 silent",
            {"iova": 1 << 46, **TRANSLATION},
        ),
        "SGN.5": Fact(
            lambda: second_only(3), ATS, "0x84 INPUT_RANGE S2 2 silent", {"iova": 1 << 39, **TRANSLATION}
        ),
        "LGN.1.1": Fact(
            lambda: legacy(3, TT=1), nothing, "0x4 INPUT_RANGE S2 2 silent", {"iova": 1 << 39, **TRANSLATION}
        ),
        "LGN.2, with no right left": Fact(
            lambda: legacy(TT=1),
            second(0, SS_PTE, R=0, W=0),
            "0x5 NOT_PRESENT S2 0 silent",
            {"access": WRITE, **TRANSLATION},
        ),
        "LGN.3, with no right left": Fact(
            lambda: legacy(TT=1), second(0, SS_PTE, R=0, W=0), "0x6 NOT_PRESENT S2 0 silent", TRANSLATION
        ),
        "what is a Completer Abort is recorded: SPT.3": Fact(
            first_only, all_of(ATS, entry(rsvd_q0_11_10=1)), "0x5a RESERVED PASID 0", TRANSLATION
        ),
        "SSS.3": Fact(second_only, all_of(ATS, second(0, SS_PTE, IW=1)), "0x7a RESERVED S2 0", TRANSLATION),
        "SSS.5": Fact(
            lambda: second_only(SLADE=1), all_of(ATS, entry(PWSNP=0)), "0x7c UPDATE_DENIED S2 3", TRANSLATION
        ),
        "LSS.2": Fact(lambda: legacy(TT=1), second(0, SS_PTE, IW=1), "0xc RESERVED S2 0", TRANSLATION),
        "an Unsupported Request too: SCT.5": Fact(first_only, nothing, "0x44 BLOCKED DEVICE 0", TRANSLATION),
    },
    "7.1.3": {
        "LGN.1.2": Fact(
            lambda: legacy(TT=1), HAW46, "0x4 INPUT_RANGE DEVICE 0", {"iova": 1 << 46, **TRANSLATED}
        ),
        "LGN.1.3": Fact(lambda: legacy(TT=2, AW=3), HAW46, "0x4 INPUT_RANGE DEVICE 0", {"iova": 1 << 46}),
        "LGN.4, by the address also of a translation request": Fact(
            lambda: legacy(TT=1), second(0, SS_PTE, ADDR=FEE), "0xe INTERRUPT_RANGE S2 0", TRANSLATION
        ),
        "RTA.1.2": Fact(legacy, rtaddr(TTM=2), "0x30 INVALID DEVICE 0"),
        "RTA.1.3": Fact(first_only, lacks("SMTS"), "0x30 INVALID DEVICE 0"),
        "RTA.1.4": Fact(legacy, rtaddr(SSIRWE=1), "0x30 INVALID DEVICE 0"),
        "RTA.1.4 is not for requests with PASID": Fact(
            legacy, rtaddr(SSIRWE=1), "0x31 BLOCKED DEVICE 0", {"pasid": 1}
        ),
        "RTA.5 of units of version 8": Fact(
            first_only, registers(VER=0x80), "0x34 BLOCKED DEVICE 0", {"access": EXEC}, {"entry_hpa": None}
        ),
        "SCT.4.1": Fact(first_only, context(PRE=1), "0x43 INVALID DEVICE 0"),
        "SCT.4.2": Fact(first_only, context(RID_PASID=1 << 13), "0x43 PASID_RANGE DEVICE 0"),
        "SCT.4.3": Fact(by_rid(first_only), context(EPTR=1, PASIDE=0), "0x43 INVALID DEVICE 0"),
        "SCT.4.3 is not for untranslated requests with PASID": Fact(
            first_only, context(EPTR=1, PASIDE=0), "0x45 BLOCKED DEVICE 0"
        ),
        "SCT.6": Fact(first_only, context(PASIDE=0), "0x45 BLOCKED DEVICE 0"),
        "SCT.7": Fact(first_only, nothing, "0x46 PASID_RANGE DEVICE 0", {"pasid": 1 << 13}),
        "SCT.9": Fact(first_only, context(RID_PASID=test_vtd.PASID), "0x48 BLOCKED DEVICE 0"),
        "SCT.9 without RPS": Fact(first_only, lacks("RPS"), "0x48 BLOCKED DEVICE 0", {"pasid": 0}),
        "SCT.9 since 5.0": Fact(first_only, all_of(rev(REV_4_0), context(RID_PASID=test_vtd.PASID)), "rw"),
        "SPT.4.2, reserved": Fact(first_only, entry(PGTT=5), "0x5b INVALID PASID 0"),
        "SPT.4.2, FSTS": Fact(
            first_only, all_of(lacks("FLTS"), entry(FLPTPTR=0, WPE=0)), "0x5b INVALID PASID 0"
        ),
        "SPT.4.2, NEST": Fact(nested, lacks("NEST"), "0x5b INVALID PASID 0"),
        "SPT.4.2, PT": Fact(pass_through, lacks("PT"), "0x5b INVALID PASID 0"),
        "SPT.4.3": Fact(first_only, all_of(cap(FL5LP=0), entry(FLPM=1)), "0x5b INVALID PASID 0"),
        "SPT.4.3, whatever PGTT": Fact(second_only, entry(FLPM=2), "0x5b INVALID PASID 0"),
        "SPT.4.4": Fact(lambda: nested(4, 3), entry(FLPTPTR=1 << 40), "0x5b INVALID PASID 0"),
        "SPT.4.4 up to 4.0": Fact(
            lambda: nested(4, 3), all_of(rev(REV_4_0), entry(FLPTPTR=1 << 40)), "0x73 INPUT_RANGE S2 2"
        ),
        "SPT.5": Fact(first_only, lacks("ERS"), "0x5c BLOCKED PASID 0", {"access": EXEC}),
        "SPT.5 with ERS: a read": Fact(first_only, nothing, "rw", {"access": EXEC}),
        "SPT.5 up to 4.0": Fact(first_only, rev(REV_4_0), "0x5c BLOCKED PASID 0", {"access": EXEC}),
        "SPT.6": Fact(first_only, nothing, "0x5d BLOCKED PASID 0", {"priv": True}),
        "SPT.6 by RID_PRIV": Fact(by_rid(first_only), context(RID_PRIV=1), "0x5d BLOCKED PASID 0"),
        "SFS.1": Fact(first_only, first(1, PDE, ADDR=NOWHERE), "0x70 UNREADABLE S1 0"),
        "SFS.4": Fact(first_only, entry(FLPTPTR=NOWHERE), "0x73 UNREADABLE S1 3"),
        "SSS.1": Fact(second_only, second(1, SECOND_STAGE_TABLE, ADDR=NOWHERE), "0x78 UNREADABLE S2 0"),
        "SSS.2 of rights that no level has in common": Fact(
            second_only,
            all_of(second(2, SECOND_STAGE_TABLE, W=0), second(0, SS_PTE, R=0)),
            "0x79 DENIED S2 0",
        ),
        "SSS.2 of those of a table's page": Fact(
            nested,
            all_of(
                lambda w: w.edit_second(w.first.entry(IOVA, 1), 2, SECOND_STAGE_TABLE, W=0),
                table_page(1, R=0),
            ),
            "0x79 DENIED S2 0",
            more={"for_level": 1},
        ),
        "SSS.2 up to 4.1": Fact(
            second_only,
            all_of(rev(4 << 8 | 1), second(2, SECOND_STAGE_TABLE, W=0), second(0, SS_PTE, R=0)),
            "0x86 DENIED S2 0",
        ),
        "SSS.4": Fact(second_only, entry(SLPTPTR=NOWHERE), "0x7b UNREADABLE S2 3"),
        "SGN.4.1": Fact(
            first_only,
            all_of(ATS, HAW46),
            "0x83 INPUT_RANGE DEVICE 0",
            {"pasid": None, "iova": 1 << 46, **TRANSLATED},
        ),
        "SGN.8.2: the range that a translation request gets": Fact(
            maps_interrupts(LARGE, 0x10_0000), ATS, "0x87 INTERRUPT_RANGE S2 0", TRANSLATION
        ),
        "SGN.8.2 up to 4.0: the address": Fact(
            maps_interrupts(LARGE, 0x10_0000), all_of(ATS, rev(REV_4_0)), "rw", TRANSLATION
        ),
        "SGN.8.2 is not for pass-through": Fact(
            pass_through,
            ATS,
            "rw",
            {"iova": 0xFEF0_0000, **TRANSLATION},
            {"size_lg2": 20},
        ),
        "SGN.10": Fact(
            first_only, all_of(context(PDTS=1), ecap(PSS=12)), "0x89 PASID_RANGE DEVICE 0", {"pasid": 1 << 13}
        ),
    },
    "9.1": {
        "63:HAW reserved": Fact(
            legacy, all_of(HAW46, root(ROOT_ENTRY, CTP=1 << 46)), "0xa RESERVED DEVICE 1"
        ),
        "P=0, all else is ignored": Fact(
            legacy, root(ROOT_ENTRY, P=0, rsvd_11_1=1), "0x1 NOT_PRESENT DEVICE 1"
        ),
    },
    "9.2": {
        "63:HAW reserved": Fact(
            first_only, all_of(HAW46, root(SCALABLE_ROOT_HALF, CTP=1 << 46)), "0x3a RESERVED DEVICE 1"
        ),
        "LP=0": Fact(first_only, root(SCALABLE_ROOT_HALF, P=0), "0x39 NOT_PRESENT DEVICE 1"),
    },
    "9.3": {
        "DID beyond ND reserved": Fact(
            legacy, all_of(cap(ND=2), other(CONTEXT_ENTRY, DID=1 << 8)), "0xb RESERVED DEVICE 0"
        ),
        "DID within ND": Fact(legacy, all_of(cap(ND=2), other(CONTEXT_ENTRY, DID=255)), "rw"),
        "70:67 ignored": Fact(legacy, other(CONTEXT_ENTRY, ign_q1_6_3=15), "rw"),
        "SSPTPTR above HAW reserved": Fact(
            legacy, all_of(HAW46, other(CONTEXT_ENTRY, SLPTPTR=1 << 46)), "0xb RESERVED DEVICE 0"
        ),
        "but ignored by pass-through": Fact(
            lambda: legacy(TT=2, AW=3), all_of(HAW46, other(CONTEXT_ENTRY, SLPTPTR=1 << 46)), "rw"
        ),
        "and by pass-through alone": Fact(
            legacy, all_of(HAW46, other(CONTEXT_ENTRY, TT=3, SLPTPTR=1 << 46)), "0xb RESERVED DEVICE 0"
        ),
        "AW 0 reserved": Fact(
            legacy, all_of(cap(SAGAW=0b11111), other(CONTEXT_ENTRY, AW=0)), "0x3 INVALID DEVICE 0"
        ),
        "AW 4 reserved": Fact(
            legacy, all_of(cap(SAGAW=0b11111), other(CONTEXT_ENTRY, AW=4)), "0x3 INVALID DEVICE 0"
        ),
        "AW of pass-through is the largest": Fact(
            lambda: legacy(TT=2, AW=2), nothing, "0x3 INVALID DEVICE 0"
        ),
        "addresses above AGAW are blocked, pass-through too": Fact(
            lambda: legacy(TT=2, AW=1), cap(SAGAW=2), "0x4 INPUT_RANGE DEVICE 0", {"iova": 1 << 39}
        ),
        "TT 1 wants DT": Fact(lambda: legacy(TT=1), lacks("DT"), "0x3 INVALID DEVICE 0"),
        "TT 2 wants PT": Fact(lambda: legacy(TT=2, AW=3), lacks("PT"), "0x3 INVALID DEVICE 0"),
        "TT 3 reserved": Fact(lambda: legacy(TT=3), nothing, "0x3 INVALID DEVICE 0"),
    },
    "9.4": {
        "DTE wants DT": Fact(first_only, all_of(lacks("DT"), context(DTE=1)), "0x42 RESERVED DEVICE 0"),
        "PASIDE wants PASID": Fact(first_only, lacks("PASID"), "0x42 RESERVED DEVICE 0"),
        "PRE wants PRS": Fact(
            first_only, all_of(lacks("PRS"), context(DTE=1, PRE=1)), "0x42 RESERVED DEVICE 0"
        ),
        "HPTE wants HPTS": Fact(first_only, all_of(lacks("HPTS"), context(HPTE=1)), "0x42 RESERVED DEVICE 0"),
        "EPTR wants PTRS": Fact(first_only, all_of(lacks("PTRS"), context(EPTR=1)), "0x42 RESERVED DEVICE 0"),
        "RID_PASID wants RPS": Fact(
            first_only, all_of(lacks("RPS"), context(RID_PASID=1)), "0x42 RESERVED DEVICE 0"
        ),
        "RID_PRIV wants RPRIVS": Fact(
            first_only, all_of(lacks("RPRIVS"), context(RID_PRIV=1)), "0x42 RESERVED DEVICE 0"
        ),
        "63:HAW reserved": Fact(
            first_only, all_of(HAW46, context(PASIDDIRPTR=1 << 46)), "0x42 RESERVED DEVICE 0"
        ),
        "8:7 reserved": Fact(first_only, context(rsvd_q0_8_7=2), "0x42 RESERVED DEVICE 0"),
        "without PASID an execute request is a read": Fact(
            by_rid(first_only, ERE=1), rev(REV_4_0), "rw", {"access": EXEC}
        ),
        "without PASID the request's privilege does not count": Fact(
            by_rid(first_only), first(0, PTE, US=0), "0x81 PRIVILEGE S1 0", {"priv": True}
        ),
        "RID_PRIV does": Fact(
            by_rid(first_only, SRE=1), all_of(context(RID_PRIV=1), first(0, PTE, US=0)), "rw"
        ),
    },
    "9.5": {
        "63:HAW reserved": Fact(
            first_only, all_of(HAW46, directory(SMPTBLPTR=1 << 46)), "0x52 RESERVED PASID 1"
        ),
        "11:2 reserved": Fact(first_only, directory(rsvd_11_2=1), "0x52 RESERVED PASID 1"),
    },
    "9.6": {
        "63:HAW reserved, used or not": Fact(
            pass_through, all_of(HAW46, entry(SLPTPTR=1 << 46)), "0x5a RESERVED PASID 0"
        ),
        "FSPTPTR above HAW reserved, GPA or not": Fact(
            nested, all_of(HAW46, entry(FLPTPTR=1 << 46)), "0x5a RESERVED PASID 0"
        ),
        "FSPTPTR above HAW reserved, used or not": Fact(
            second_only, all_of(HAW46, entry(FLPTPTR=1 << 46)), "0x5a RESERVED PASID 0"
        ),
        "else FSPTPTR, WPE and EAFE are ignored": Fact(
            second_only, entry(FLPTPTR=NOWHERE, WPE=1, EAFE=1), "rw"
        ),
        "else SSPTPTR, AW and SSADE are ignored": Fact(
            first_only, entry(SLPTPTR=NOWHERE, AW=7, SLADE=1), "rw"
        ),
        "DID beyond ND reserved": Fact(
            first_only, all_of(cap(ND=0), entry(DID=1 << 4)), "0x5a RESERVED PASID 0"
        ),
        "SSADE wants SSADS": Fact(
            first_only, all_of(lacks("SLADS"), entry(SLADE=1)), "0x5a RESERVED PASID 0"
        ),
        "SSPTPTR wants SSTS": Fact(
            first_only, all_of(lacks("SLTS"), entry(AW=0, SLPTPTR=4096)), "0x5a RESERVED PASID 0"
        ),
        "AW wants SSTS": Fact(first_only, lacks("SLTS"), "0x5a RESERVED PASID 0"),
        "but not up to 4.0": Fact(first_only, all_of(rev(REV_4_0), lacks("SLTS")), "rw"),
        "FSPTPTR wants FSTS": Fact(
            second_only, all_of(lacks("FLTS"), entry(FLPTPTR=4096)), "0x5a RESERVED PASID 0"
        ),
        "WPE wants FSTS": Fact(second_only, all_of(lacks("FLTS"), entry(WPE=1)), "0x5a RESERVED PASID 0"),
        "FSPM wants FSTS": Fact(second_only, all_of(lacks("FLTS"), entry(FLPM=1)), "0x5a RESERVED PASID 0"),
        "EAFE wants EAFS": Fact(first_only, all_of(lacks("EAFS"), entry(EAFE=1)), "0x5a RESERVED PASID 0"),
        "SRE wants SRS": Fact(first_only, all_of(lacks("SRS"), entry(SRE=1)), "0x5a RESERVED PASID 0"),
        "PWSNP wants SMPWC": Fact(first_only, lacks("SMPWCS"), "0x5a RESERVED PASID 0"),
        "PGSNP wants SC": Fact(first_only, all_of(lacks("SC"), entry(PGSNP=1)), "0x5a RESERVED PASID 0"),
        "but not up to 3.3": Fact(first_only, all_of(rev(3 << 8 | 3), lacks("SC"), entry(PGSNP=1)), "rw"),
        "CD wants MTS": Fact(first_only, all_of(lacks("MTS"), entry(CD=1)), "0x5a RESERVED PASID 0"),
        "EMTE wants MTS": Fact(first_only, all_of(lacks("MTS"), entry(EMTE=1)), "0x5a RESERVED PASID 0"),
        "PAT wants MTS": Fact(first_only, all_of(lacks("MTS"), entry(PAT=6)), "0x5a RESERVED PASID 0"),
        "95:91 reserved": Fact(first_only, entry(EMT=6), "0x5a RESERVED PASID 0"),
        "but not up to 3.3, when they were EMT, PWT, PCD": Fact(
            first_only, all_of(rev(3 << 8 | 3), entry(EMT=6, PWT=1, PCD=1)), "rw"
        ),
        "129 reserved": Fact(first_only, entry(ERE=1), "0x5a RESERVED PASID 0"),
        "5 reserved": Fact(second_only, entry(SLEE=1), "0x5a RESERVED PASID 0"),
        "but not up to 4.0, when they were ERE and SLEE": Fact(
            second_only, all_of(rev(REV_4_0), entry(ERE=1, SLEE=1)), "rwx"
        ),
        "134:133 ignored": Fact(first_only, entry(NXE=1, SMEP=1), "rw"),
        "HPTPTR wants HPTS": Fact(
            first_only, all_of(lacks("HPTS"), entry(HPTPTR=4096)), "0x5a RESERVED PASID 0"
        ),
        "and is ignored without HPTE": Fact(first_only, entry(HPTPTR=4096, HPTSZ=3, HPTDID=1), "rw"),
        "AW 0 reserved": Fact(second_only, all_of(cap(SAGAW=0b11111), entry(AW=0)), "0x5b INVALID PASID 0"),
        "AW in SAGAW": Fact(second_only, cap(SAGAW=2), "0x5b INVALID PASID 0"),
    },
    "9.7": {
        "62:52, 11, 9:8, PCD, PWT and G mean nothing": Fact(
            first_only, first(0, PTE, ign_62_52=0x7FF, ign_11=1, ign_9=1, G=1, PCD=1, PWT=1, PAT=1), "rw"
        ),
    },
    "9.8": {
        "62 of a page reserved since 3.2": Fact(second_only, raw(0, 62), "0x7a RESERVED S2 0"),
        "62 of a table too": Fact(second_only, raw(2, 62), "0x7a RESERVED S2 2"),
        "in legacy mode too": Fact(legacy, raw(0, 62), "0xc RESERVED S2 0"),
        "up to 3.1 it is TM of a page, with DT": Fact(second_only, all_of(rev(3 << 8 | 1), raw(0, 62)), "rw"),
        "but not without": Fact(
            second_only, all_of(rev(3 << 8 | 1), lacks("DT"), raw(0, 62)), "0x7a RESERVED S2 0"
        ),
        "nor of a table": Fact(second_only, all_of(rev(3 << 8 | 1), raw(2, 62)), "0x7a RESERVED S2 2"),
        "61 is ignored": Fact(second_only, raw(0, 61), "rw"),
        "60:52, 63, 10, IPAT and EMT mean nothing": Fact(
            second_only, second(0, SS_PTE, ign_60_52=0x1FF, ign_63=1, ign_10=1, ign_7=1, EMT=7, IPAT=1), "rw"
        ),
        "with SSIRWE rights are IR and IW": Fact(second_only, io_rights(R=0, W=0), "rw"),
        "an entry without IR is not read": Fact(second_only, io_rights(IR=0), "0x86 DENIED S2 0"),
        "nor written without IW": Fact(second_only, io_rights(IW=0), "0x85 DENIED S2 0", {"access": WRITE}),
        "and not there without both": Fact(second_only, io_rights(IR=0, IW=0), "0x79 NOT_PRESENT S2 0"),
    },
    "11.4.2": {
        "MGAW is one less than the bits": Fact(second_only, cap(MGAW=40), "rw", {"iova": IOVA}),
        "SAGAW bits 0 and 4 are reserved": Fact(lambda: legacy(TT=2, AW=3), cap(SAGAW=0b11001), "rw"),
    },
    "11.4.5": {
        "SSIRWE wants SSIRWS": Fact(second_only, all_of(lacks("SSIRWS"), rtaddr(TTM=1, SSIRWE=1)), "rw"),
        "in legacy mode too": Fact(legacy, all_of(lacks("SSIRWS"), rtaddr(SSIRWE=1)), "rw"),
    },
    "2.x 3.4.4": {
        "T=2 blocks PASIDs": Fact(lambda: extended(T=2), nothing, "0x0 BLOCKED DEVICE 0"),
        "requests without PASID have the fields of legacy mode": Fact(
            lambda: extended(T=1),
            other(EXTENDED_CONTEXT_ENTRY, SLPTPTR=NOWHERE),
            "0x3 UNREADABLE S2 3",
            {"pasid": None, "iova": 0x4000_0123},
        ),
        "a translated request with PASID is of 5.0": Fact(
            lambda: extended(T=1), nothing, "0x0 BLOCKED DEVICE 0 silent", TRANSLATED
        ),
        "without PASID it passes": Fact(lambda: extended(T=5), nothing, "rw", {"pasid": None, **TRANSLATED}),
    },
    "2.x 3.6.1": {
        "ERE=0": Fact(extended, nothing, "0x19 BLOCKED DEVICE 0", {"access": EXEC}),
        "SRE=0": Fact(extended, nothing, "0x1a BLOCKED PASID 0", {"priv": True}),
        "ERE=0 of a translation request is told by its completion": Fact(
            lambda: extended(T=1), nothing, "0x19 BLOCKED DEVICE 0 silent", {"access": EXEC, **TRANSLATION}
        ),
        "SRE=0 too": Fact(
            lambda: extended(T=1), nothing, "0x1a BLOCKED PASID 0 silent", {"priv": True, **TRANSLATION}
        ),
        "and SRS=0": Fact(
            lambda: extended(T=1),
            all_of(lacks("SRS"), lambda w: w.guest.edit(EXTENDED_PASID_ENTRY, w.pasid_entry, SRE=1)),
            "0x1a BLOCKED PASID 0 silent",
            {"priv": True, **TRANSLATION},
        ),
    },
    "2.x 3.7": {
        "requests without PASID are below AGAW, pass-through too": Fact(
            lambda: extended(4, 3, T=4),
            nothing,
            "0x4 INPUT_RANGE DEVICE 0",
            {"pasid": None, "iova": 1 << 39},
        ),
        "and below MGAW": Fact(
            lambda: extended(T=5), cap(MGAW=40), "0x4 INPUT_RANGE DEVICE 0", {"pasid": None, "iova": 1 << 41}
        ),
        "TM is a bit of pages": Fact(extended, raw(0, 62), "rw"),
        "and reserved in tables": Fact(extended, raw(1, 62), "0xc RESERVED S2 1"),
    },
    "2.x 3.8.1": {
        "every input of the second stage has its limit": Fact(
            lambda: extended(4, 3),
            other(EXTENDED_CONTEXT_ENTRY, PASIDPTR=1 << 39),
            "0x4 INPUT_RANGE S2 2",
        ),
    },
    "2.x 3.8.2": {
        "tables are read with R alone": Fact(extended, table_page(2, W=0), "rw"),
        "instructions want X with SLEE": Fact(
            lambda: extended(ERE=1, SLEE=1), second(0, SS_PTE, X=0), "0x6 DENIED S2 0", {"access": EXEC}
        ),
    },
    "2.x 9.4": {
        "EAFE wants EAFS": Fact(
            extended, all_of(lacks("EAFS"), other(EXTENDED_CONTEXT_ENTRY, EAFE=1)), "0xb RESERVED DEVICE 0"
        ),
        "PAT wants MTS": Fact(
            extended, all_of(lacks("MTS"), other(EXTENDED_CONTEXT_ENTRY, PAT=6)), "0xb RESERVED DEVICE 0"
        ),
        "a field of PAT has three bits": Fact(
            extended, other(EXTENDED_CONTEXT_ENTRY, PAT=1 << 31), "0xb RESERVED DEVICE 0"
        ),
        "PAT is ignored with PASIDE=0": Fact(
            lambda: extended(T=1),
            other(EXTENDED_CONTEXT_ENTRY, PASIDE=0, NESTE=0, PAT=1 << 31),
            "rw",
            {"pasid": None, "iova": 0x4000_0123},
        ),
        "by its pattern, NESTE wants NEST": Fact(extended, lacks("NEST"), "0xb RESERVED DEVICE 0"),
        "PASIDE wants PASID": Fact(extended, lacks("PASID"), "0xb RESERVED DEVICE 0"),
        "PRE wants PRS": Fact(
            extended, all_of(lacks("PRS"), other(EXTENDED_CONTEXT_ENTRY, PRE=1)), "0xb RESERVED DEVICE 0"
        ),
        "DINVE wants DIS": Fact(
            extended, all_of(lacks("DIS"), other(EXTENDED_CONTEXT_ENTRY, DINVE=1)), "0xb RESERVED DEVICE 0"
        ),
        "ERE wants ERS": Fact(
            extended, all_of(lacks("ERS"), other(EXTENDED_CONTEXT_ENTRY, ERE=1)), "0xb RESERVED DEVICE 0"
        ),
        "CD wants MTS": Fact(
            extended, all_of(lacks("MTS"), other(EXTENDED_CONTEXT_ENTRY, CD=1)), "0xb RESERVED DEVICE 0"
        ),
    },
}
ROWS = {f"{section}: {name}": fact for section, facts in FACTS.items() for name, fact in facts.items()}


@pytest.mark.parametrize("fact", ROWS.values(), ids=ROWS.keys())
def test_both_ledgers_do_what_the_text_says(fact: Fact) -> None:
    world = prepared(fact)

    answer = world.ask(**fact.request)

    assert said(answer) == fact.answer
    for name, value in fact.more.items():
        assert getattr(answer if answer.fault is None else answer.fault, name) == value


# 3.6.2, 3.7.2, 4.2.3.1: bits that hardware sets, from the top level down. A 5, D 6, EA 10; second stage 8, 9.
FLAGS: dict[str, tuple[Callable[[], World], Edit, dict[str, Any], Stage, list[int]]] = {
    "a read sets A": (first_only, nothing, {}, Stage.S1, [0x20, 0x20, 0x20, 0x20]),
    "a write sets D in the leaf": (first_only, nothing, {"access": WRITE}, Stage.S1, [0x20] * 3 + [0x60]),
    "EAFE: EA with each": (lambda: first_only(EAFE=1), nothing, {}, Stage.S1, [0x420] * 4),
    "SSADE: A, and D of a write": (
        lambda: second_only(SLADE=1), nothing, {"access": WRITE}, Stage.S2, [0x100, 0x100, 0x100, 0x300],
    ),
    "no SSADE, no flags": (second_only, nothing, {"access": WRITE}, Stage.S2, [0] * 4),
    "a translation request counts as a write": (first_only, ATS, TRANSLATION, Stage.S1, [0x20] * 3 + [0x60]),
    "where W is granted": (
        lambda: first_only(access=READ), ATS, {"access": WRITE, **TRANSLATION}, Stage.S1, [0x20] * 4,
    ),
    "not with NW and NWFS": (first_only, all_of(ATS, ecap(NWFS=1)), TRANSLATION, Stage.S1, [0x20] * 4),
    "in the second stage too": (
        lambda: second_only(SLADE=1), ATS, TRANSLATION, Stage.S2, [0x100, 0x100, 0x100, 0x300],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "edit", "request_", "stage", "bits"), FLAGS.values(), ids=FLAGS.keys())
def test_hardware_sets_the_flags_that_the_text_names(
    make: Callable[[], World], edit: Edit, request_: dict[str, Any], stage: Stage, bits: list[int]
) -> None:
    answer = prepared(Fact(make, edit, "")).ask(**request_)

    assert answer.fault is None
    assert [ref.raw ^ ref.updated for ref in answer.refs if ref.stage is stage] == bits


DOCS = Path(__file__).parent.parent / "docs"
TABLE = (DOCS / "text_vtd.md").read_text() + (DOCS / "walk.md").read_text()


def test_every_section_with_facts_has_its_row_in_the_table() -> None:
    sections = set(re.findall(r"^\| ((?:2\.x )?\d[\d.]*) \|", TABLE, re.M))

    assert set(FACTS) <= sections


def test_the_table_names_functions_that_exist() -> None:
    named = set(re.findall(r"`(vtd\w*|plain|x86)\.(\w+(?:\.\w+)?)`", TABLE))

    assert len(named) > 30
    for module, path in named:
        found: Any = importlib.import_module(f"iommu_abi.schemas.{module}")
        for name in path.split("."):
            found = getattr(found, name)
