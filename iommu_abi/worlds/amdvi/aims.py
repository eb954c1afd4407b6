"""What leads a request at an AMD IOMMU to each way of failing: one line for each condition."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas import amdvi
from iommu_abi.schemas.amdvi_entries import CONTROL, DEVICE_TABLE_ENTRY, DEVTAB_BASE, EXT_FEATURES
from iommu_abi.terms import Access, At, Reason, Stage, Translation
from iommu_abi.worlds.aimed import reserved, update_denied
from iommu_abi.worlds.mutate import (
    Aim,
    Case,
    Knowledge,
    Miss,
    ask,
    both,
    entry,
    register,
    site,
    with_pasid,
)
from iommu_abi.worlds.pages import INTERRUPTS
from iommu_abi.worlds.ways import Row

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
V1, V2, NESTED = "amdvi-v1", "amdvi-v2", "amdvi-nested"
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC


def dte(**fields: int) -> Aim:
    """Change the device table entry."""
    return entry(DEVICE, 0, **fields)


def features(**fields: int) -> Aim:
    """Change EXT_FEATURES."""
    return register("EXT_FEATURES", EXT_FEATURES, **fields)


def control(**fields: int) -> Aim:
    """Change CONTROL."""
    return register("CONTROL", CONTROL, **fields)


def ats(case: Case, row: Row) -> None:
    """Ask for a translation, or with a translated address."""
    case.ask(replace(case.request, at=case.dice.pick((At.TRANSLATION, At.TRANSLATED))))


# ---------------------------------------------------------------- device and GCR3 tables


def outside(case: Case, row: Row) -> None:
    """A requester beyond the device table, which may become smaller for that."""
    size = case.registers["DEVTAB_BASE"] & 0x1FF
    if size == 0x1FF:
        size = case.dice.randrange(size)
        case.register("DEVTAB_BASE", DEVTAB_BASE, Size=size)
    case.ask(replace(case.request, rid=case.dice.randrange(128 * (size + 1), 1 << 16)))


def no_interrupt(case: Case, row: Row) -> None:
    """Something else than an interrupt message, to an interrupt address."""
    iova = INTERRUPTS << 20 | case.dice.getrandbits(20)
    request = replace(case.request, iova=iova, pasid=None)
    if case.dice.chance(0.5):
        request = replace(request, at=At.TRANSLATION)
    else:
        request = replace(request, access=case.dice.pick((READ, EXEC)))
    case.ask(request)


def refused_access(case: Case, row: Row) -> None:
    """Neither IR nor IW where it is needed."""
    case.set(case.entry(DEVICE, 0), **({"IW": 0} if case.request.access is WRITE else {"IR": 0}))


def too_many_levels(case: Case, row: Row) -> None:
    """More host levels than HATS has."""
    if case.dice.chance(0.3):
        case.set(case.entry(DEVICE, 0), Mode=case.dice.randrange(1, 7))
        case.register("EXT_FEATURES", EXT_FEATURES, HATS=3)
    else:
        hats = case.dice.randrange(2)
        case.set(case.entry(DEVICE, 0), Mode=case.dice.randrange(hats + 5, 8))
        case.register("EXT_FEATURES", EXT_FEATURES, HATS=hats)


def too_deep(case: Case, row: Row) -> None:
    """GLX above GLXSup."""
    glx = case.dice.randrange(1, 4)
    case.set(case.entry(DEVICE, 0), GLX=glx)
    case.register("EXT_FEATURES", EXT_FEATURES, GLXSup=case.dice.randrange(glx))


def large_pasid(case: Case, row: Row) -> None:
    """A PASID that the GCR3 table has no room for, or that PASmax excludes."""
    with_pasid(case, row)
    if case.dice.chance(0.5):
        glx = case.dice.randrange(2)
        case.set(case.entry(DEVICE, 0), GLX=glx)
        first = 1 << 9 * (glx + 1)
    else:
        most = case.dice.randrange(19)
        case.register("EXT_FEATURES", EXT_FEATURES, PASmax=most)
        first = 1 << most + 1
    case.ask(replace(case.request, pasid=case.dice.randrange(first, 1 << 20)))


# ---------------------------------------------------------------- paging entries


def next_level(case: Case, row: Row) -> None:
    """A table of this level or above; in the table of level 6, a page."""
    _, ref = site(case, row)
    case.set(
        ref, NextLevel=case.dice.randrange(row.level + 1, 7) if row.level < 5 else case.dice.pick((0, 7))
    )


def bad_size(case: Case, row: Row) -> None:
    """An encoded size that this level cannot have."""
    _, ref = site(case, row)
    lg2 = case.dice.randrange(12, 53)
    if 12 + 9 * row.level < lg2 + 1 < 21 + 9 * row.level:
        raise Miss
    case.set(ref, NextLevel=7)
    case.put(ref, 51, 12, (1 << lg2 - 12) - 1)


def skipped_bits(case: Case, row: Row) -> None:
    """A level left out for which the address has an index."""
    _, ref = site(case, row)
    if row.level < 2 or not 1 < case.raw(ref) >> 9 & 7 < 7:
        raise Miss
    case.set(ref, NextLevel=case.dice.randrange(1, case.raw(ref) >> 9 & 7))


def nx_without_support(case: Case, row: Row) -> None:
    """Bit 63 where the IOMMU lacks NXSup."""
    _, ref = site(case, row)
    case.set(ref, XD=1)
    case.register("EXT_FEATURES", EXT_FEATURES, NXSup=0)


def page(case: Case, row: Row) -> None:
    """A v2 table entry becomes a page, whose low address bits may be set."""
    _, ref = site(case, row)
    if row.level not in (1, 2):
        raise Miss
    case.set(ref, PS=1)
    reserved(case, row)


def no_execution(case: Case, row: Row) -> None:
    """A fetch from a page with NX."""
    walk, _ = site(case, row)
    case.register("EXT_FEATURES", EXT_FEATURES, NXSup=1)
    case.set(case.dice.pick(walk), XD=1)
    case.ask(replace(case.request, access=EXEC))


GUEST_INVALID = (
    control(GTEn=0),
    dte(GLX=3),
    too_deep,
    dte(GuestPagingMode=2),
    dte(GuestPagingMode=3),
    both(dte(GuestPagingMode=1), features(GATS=0)),
)


def format_of(case: Case, answer: Translation) -> str:
    """The DTE says it, if one was read; PASIDs and GIoV choose between v1 and guest tables."""
    if not answer.refs:
        return case.world.format
    dte_ = DEVICE_TABLE_ENTRY.parse(case.image.read(answer.refs[0].hpa, answer.refs[0].len) or b"")
    if not (dte_.GV and (case.request.pasid is not None or dte_.GIoV)):
        return V1
    return NESTED if dte_.Mode else V2


VENDOR = Knowledge(
    rid_lg2=16,
    describe=amdvi.FORMAT.describe,
    registers={"DEVTAB_BASE": DEVTAB_BASE, "CONTROL": CONTROL, "EXT_FEATURES": EXT_FEATURES},
    required=("DEVTAB_BASE",),
    numbers={},
    idle=("PAT", "G"),
    present={DEVICE: ("V",), PASID: ("V",), S1: ("P",), S2: ("PR",)},
    rights={
        DEVICE: {READ: {"IR": 0}, WRITE: {"IW": 0}, EXEC: {"IR": 0}},
        S1: {WRITE: {"RW": 0}, EXEC: {"XD": 1}},
        S2: {READ: {"IR": 0}, WRITE: {"IW": 0}, EXEC: {"IR": 0}},
    },
    leaf_only=False,
    supervisor={"US": 0},
    stale={"A": 0},
    flags=("A", "D"),
    guest_pointers={"GCR3TRP_51_31": 31, "ADDR": 12},
    pointer_lg2=lambda case: 52,
    limit_lg2=lambda case, stage, level: 12 + 9 * (level + 1),
    aims={
        ("", DEVICE, Reason.RID_RANGE): (outside,),
        ("", DEVICE, Reason.ABORTED): (dte(TV=0),),
        ("", DEVICE, Reason.DENIED): (refused_access,),
        ("", DEVICE, Reason.BLOCKED): (
            both(dte(I=0), ats),
            both(dte(V=0), ats),
            both(dte(TV=0), ask(at=At.TRANSLATION)),
        ),
        ("", DEVICE, Reason.RESERVED): (
            both(dte(PPR=1), features(EPHSup=0)),
            both(dte(GPRP=1), features(EPHSup=0)),
            both(dte(GIoV=1), features(GIoSup=0)),
            both(dte(GV=1), features(GTSup=0)),
        ),
        (V1, DEVICE, Reason.BLOCKED): (both(dte(GV=0), ask(pasid=1)),),
        ("", DEVICE, Reason.INTERRUPT_RANGE): (no_interrupt,),
        (V1, DEVICE, Reason.INVALID): (dte(Mode=7), too_many_levels),
        (V2, DEVICE, Reason.INVALID): GUEST_INVALID,
        (NESTED, DEVICE, Reason.INVALID): (dte(Mode=7), too_many_levels, *GUEST_INVALID),
        ("", DEVICE, Reason.PASID_RANGE): (large_pasid,),
        ("", S1, Reason.RESERVED): (nx_without_support, page),
        ("", S1, Reason.DENIED): (no_execution,),
        ("", S2, Reason.RESERVED): (next_level, bad_size),
        ("", S2, Reason.INPUT_RANGE): (skipped_bits,),
        ("", S2, Reason.UPDATE_DENIED): (both(control(GAUpdateDis=0), update_denied),),
    },
    format_of=format_of,
)
