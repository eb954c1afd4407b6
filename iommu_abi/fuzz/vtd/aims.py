"""What leads a VT-d request to each way of failing: one line for each condition of the texts."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.fuzz.aimed import reserved
from iommu_abi.fuzz.mutate import (
    Aim,
    Case,
    Miss,
    Vendor,
    ask,
    both,
    entry,
    register,
    site,
    with_pasid,
)
from iommu_abi.fuzz.ways import Row
from iommu_abi.fuzz.worlds import INTERRUPTS
from iommu_abi.schemas import vtd
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.vtd_entries import CAP, ECAP, GSTS, RTADDR
from iommu_abi.terms import Access, At, Purpose, Reason, Stage, Translation

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
LEGACY, ECS, SCALABLE = "vtd-legacy", "vtd-ecs", "vtd-scalable"
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC


def context(**fields: int) -> Aim:
    """Change the context entry."""
    return entry(DEVICE, 0, **fields)


def pasid_entry(**fields: int) -> Aim:
    """Change the PASID entry."""
    return entry(PASID, 0, **fields)


def cap(**fields: int) -> Aim:
    """Change capabilities."""
    return register("CAP", CAP, **fields)


def ecap(**fields: int) -> Aim:
    """Change extended capabilities."""
    return register("ECAP", ECAP, **fields)


def ats(case: Case, row: Row) -> None:
    """Ask for a translation, or with a translated address."""
    case.ask(replace(case.request, at=case.dice.pick((At.TRANSLATION, At.TRANSLATED))))


def any_pasid(case: Case, row: Row) -> None:
    """Give the request a PASID."""
    case.ask(replace(case.request, pasid=case.dice.getrandbits(20)))


# ---------------------------------------------------------------- device and PASID tables


def sagaw(case: Case) -> int:
    """The widths that the unit has."""
    return case.value("CAP") >> 8 & 31


def bad_width(stage: Stage) -> Aim:
    """An AW that is not in SAGAW."""

    def apply(case: Case, row: Row) -> None:
        widths = [aw for aw in range(8) if not sagaw(case) >> aw & 1]
        case.set(case.entry(stage, 0), AW=case.dice.pick(widths))

    return apply


def narrow_pass_through(case: Case, row: Row) -> None:
    """Pass-through with a width that is not the largest."""
    widths = [aw for aw in range(sagaw(case).bit_length() - 1) if sagaw(case) >> aw & 1]
    if not widths:
        raise Miss
    case.set(case.entry(DEVICE, 0), TT=2, AW=case.dice.pick(widths))


def pass_through_too_far(case: Case, row: Row) -> None:
    """Legacy pass-through, and an address beyond min(MGAW, AGAW)."""
    widest = sagaw(case).bit_length() - 1
    case.set(case.entry(DEVICE, 0), TT=2, AW=widest)
    limit = limit_lg2(case, S2, widest + 1)
    case.ask(replace(case.request, iova=1 << case.dice.randrange(limit, 64), at=At.UNTRANSLATED))


def beyond_haw(case: Case, row: Row) -> None:
    """An address that no host memory can have."""
    case.ask(replace(case.request, iova=1 << case.dice.randrange(case.value("HAW"), 64)))


def interrupt_address(case: Case, row: Row) -> None:
    """An address among the interrupts."""
    case.ask(replace(case.request, iova=INTERRUPTS << 20 | case.dice.getrandbits(20)))


def large_pasid(field: str, bits: int, most: int) -> Aim:
    """A PASID beyond 2^(field + bits), with a field that leaves such a PASID."""

    def apply(case: Case, row: Row) -> None:
        with_pasid(case, row)
        size = case.dice.randrange(most)
        case.set(case.entry(DEVICE, 0), **{field: size})
        case.ask(replace(case.request, pasid=case.dice.randrange(1 << size + bits, 1 << 20)))

    return apply


def large_rid_pasid(case: Case, row: Row) -> None:
    """The same for requests without PASID."""
    size = case.dice.randrange(7)
    case.set(case.entry(DEVICE, 0), PDTS=size, RID_PASID=case.dice.randrange(1 << size + 13, 1 << 20))
    case.register("ECAP", ECAP, RPS=1)
    case.ask(replace(case.request, pasid=None))


def other_type(case: Case, row: Row) -> None:
    """A reserved PGTT."""
    case.set(case.entry(PASID, 0), PGTT=case.dice.pick((0, 5, 6, 7)))


def lacking_type(case: Case, row: Row) -> None:
    """A PGTT that the unit lacks."""
    ref = case.entry(PASID, 0)
    pgtt, lacks = case.dice.pick(((1, "FLTS"), (3, "FLTS"), (2, "SLTS"), (3, "SLTS"), (3, "NEST"), (4, "PT")))
    case.set(ref, PGTT=pgtt)
    case.register("ECAP", ECAP, **{lacks: 0})


def bad_levels(case: Case, row: Row) -> None:
    """A reserved FLPM, or five levels that the unit lacks."""
    flpm = case.dice.pick((1, 2, 3))
    case.set(case.entry(PASID, 0), PGTT=case.dice.pick((1, 3)), FLPM=flpm)
    case.register("ECAP", ECAP, FLTS=1, SLTS=1, NEST=1)
    if flpm == 1:
        case.register("CAP", CAP, FL5LP=0)


# ---------------------------------------------------------------- paging entries


def above_haw(case: Case, row: Row) -> None:
    """Pointer bits beyond the host address width."""
    _, ref = site(case, row)
    first = case.value("HAW")
    for bits in case.layout(ref).fields:
        top = bits.high % 64 + 1
        if bits.unit_lg2 and first < top:
            bit = bits.high - (top - 1 - case.dice.randrange(first, top))
            case.put(ref, bit, bit, 1)
            return
    raise Miss


def xd_without_nxe(case: Case, row: Row) -> None:
    """XD where the context or PASID entry does not honour it."""
    _, ref = site(case, row)
    owner = case.entry(DEVICE, 0) if row.format == ECS else case.entry(PASID, 0)
    case.set(owner, NXE=0)
    case.set(ref, XD=1)


def page(case: Case, row: Row) -> None:
    """A table entry becomes a page, whose low address bits may be set."""
    _, ref = site(case, row)
    if row.level not in (1, 2):
        raise Miss
    case.set(ref, PS=1)
    reserved(case, row)


def page_without_support(case: Case, row: Row) -> None:
    """A large page that the unit lacks."""
    _, ref = site(case, row)
    if row.level not in (1, 2):
        raise Miss
    case.set(ref, PS=1)
    if row.stage is S2:
        case.register("CAP", CAP, SLLPS=case.dice.getrandbits(4) & ~(1 << row.level - 1))
    elif row.level == 2:
        case.register("CAP", CAP, FL1GP=0)


def leaf_bit(name: str, capability: str) -> Aim:
    """A bit of second-stage leaves that needs a capability."""

    def apply(case: Case, row: Row) -> None:
        _, ref = site(case, row)
        case.set(ref, **{name: 1})
        case.register("ECAP", ECAP, **{capability: 0})

    return apply


def small_mgaw(case: Case, row: Row) -> None:
    """A guest address width below the addresses in use."""
    walks = [walk for walk in case.walks(S2) if walk[0].level == row.level]
    if not walks:
        raise Miss
    case.register("CAP", CAP, MGAW=case.dice.randrange(12, 30))


def smep(case: Case, row: Row) -> None:
    """A supervisor's fetch from a user's page."""
    site(case, row)
    owner = case.entry(DEVICE, 0) if row.format == ECS else case.entry(PASID, 0)
    case.set(owner, SMEP=1, ERE=1)
    for each in (ref for ref in case.path if ref.stage is S1):
        case.set(each, US=1)
    case.set(case.entry(PASID, 0), SRE=1)
    case.ask(replace(case.request, access=EXEC, priv=True))


def no_execution(case: Case, row: Row) -> None:
    """A fetch from a page without the right, which a second stage has with SLEE."""
    walk, _ = site(case, row)
    owner = case.entry(DEVICE, 0) if row.format == ECS else case.entry(PASID, 0)
    case.set(owner, ERE=1, SLEE=1)
    for each in (ref for ref in case.path if ref.stage is S1):
        case.set(each, XD=0)
    case.set(case.dice.pick(walk), XD=1, X=0)
    case.ask(replace(case.request, access=EXEC))


def to_interrupts(case: Case, row: Row) -> None:
    """Let the last page of a stage lie among the interrupt addresses."""
    walks = [walk for walk in case.walks(row.stage) if walk[-1].purpose is Purpose.DATA]
    if not walks:
        raise Miss
    leaf = walks[-1][-1]
    address = INTERRUPTS << 20 | case.dice.getrandbits(8) << 12
    bits = next(bits for bits in case.layout(leaf).fields if bits.name == "ADDR")
    case.put(leaf, bits.high, bits.low, address >> bits.unit_lg2)
    inside = (1 << bits.unit_lg2) - 1
    case.ask(replace(case.request, iova=case.request.iova & ~inside | address & inside))


# ---------------------------------------------------------------- the table


def _everywhere(stage: Stage, reason: Reason, *aims: Aim) -> dict[tuple[str, Stage, Reason], tuple[Aim, ...]]:
    return {("", stage, reason): aims}


AIMS: dict[tuple[str, Stage, Reason], tuple[Aim, ...]] = {
    ("", DEVICE, Reason.RESERVED): (above_haw,),
    ("", DEVICE, Reason.ABORTED): (register("RTADDR", RTADDR, TTM=3),),
    ("", DEVICE, Reason.INTERRUPT_RANGE): (both(interrupt_address, ask(pasid=None, at=At.TRANSLATION)),),
    (LEGACY, DEVICE, Reason.INVALID): (
        context(TT=3),
        bad_width(DEVICE),
        narrow_pass_through,
        both(context(TT=1), ecap(DT=0)),
        both(context(TT=2), ecap(PT=0)),
    ),
    (LEGACY, DEVICE, Reason.BLOCKED): (
        any_pasid,
        both(context(TT=0), ats),
        both(register("GSTS", GSTS, TES=0), ask(at=At.TRANSLATION)),
    ),
    (LEGACY, DEVICE, Reason.INPUT_RANGE): (both(pass_through_too_far, ecap(PT=1)),),
    (ECS, DEVICE, Reason.INVALID): (
        context(T=3),
        context(T=6),
        context(T=7),
        bad_width(DEVICE),
        both(context(T=1), ecap(DT=0)),
        both(context(T=5), ecap(DT=0, PT=1)),
        both(context(T=2), ecap(PT=0)),
        both(context(T=4), ecap(PT=0)),
        both(context(T=5), ecap(DT=1, PT=0)),
        both(context(NESTE=1), ecap(NEST=0)),
        both(context(PASIDE=1), ecap(PASID=0)),
        ecap(ECS=0),
    ),
    (ECS, DEVICE, Reason.BLOCKED): (
        both(context(T=0), ats),
        both(context(T=2), ecap(PT=1), ats),
        both(context(T=4), ecap(PT=1), ats),
        both(context(PASIDE=0), any_pasid),
        both(context(T=2), ecap(PT=1), any_pasid),
        both(with_pasid, context(ERE=0), ask(access=EXEC)),
        both(register("GSTS", GSTS, TES=0), ask(at=At.TRANSLATION)),
    ),
    (ECS, DEVICE, Reason.PASID_RANGE): (large_pasid("PTS", 5, 15),),
    (ECS, DEVICE, Reason.INTERRUPT_RANGE): (
        both(with_pasid, context(T=1), ecap(DT=1), interrupt_address, ask(at=At.TRANSLATED)),
    ),
    (ECS, PASID, Reason.RESERVED): (above_haw, both(pasid_entry(FLPM=1), cap(FL5LP=0))),
    (ECS, PASID, Reason.BLOCKED): (both(pasid_entry(SRE=0), ask(priv=True)),),
    (SCALABLE, DEVICE, Reason.INVALID): (ecap(SMTS=0),),
    (SCALABLE, DEVICE, Reason.BLOCKED): (
        both(context(DTE=0), ats),
        both(context(PASIDE=0), any_pasid),
        both(register("GSTS", GSTS, TES=0), ask(at=At.TRANSLATION)),
    ),
    (SCALABLE, DEVICE, Reason.PASID_RANGE): (large_pasid("PDTS", 13, 7), large_rid_pasid),
    (SCALABLE, DEVICE, Reason.INTERRUPT_RANGE): (
        both(with_pasid, context(DTE=1), interrupt_address, ask(at=At.TRANSLATED)),
        both(with_pasid, pasid_entry(PGTT=4), ecap(PT=1), interrupt_address),
    ),
    (SCALABLE, PASID, Reason.RESERVED): (above_haw,),
    (SCALABLE, PASID, Reason.INVALID): (
        other_type,
        lacking_type,
        bad_levels,
        both(pasid_entry(PGTT=2), ecap(SLTS=1), bad_width(PASID)),
    ),
    (SCALABLE, PASID, Reason.BLOCKED): (
        both(pasid_entry(ERE=0), ask(access=EXEC)),
        both(with_pasid, pasid_entry(SRE=0), ask(priv=True)),
        both(context(RID_PRIV=1), pasid_entry(SRE=0)),
    ),
    (SCALABLE, PASID, Reason.INPUT_RANGE): (both(pasid_entry(PGTT=4), ecap(PT=1), beyond_haw),),
    ("", S1, Reason.RESERVED): (above_haw, xd_without_nxe, page, page_without_support),
    ("", S1, Reason.DENIED): (smep, no_execution),
    ("", S1, Reason.INTERRUPT_RANGE): (to_interrupts,),
    ("", S2, Reason.RESERVED): (
        above_haw,
        page,
        page_without_support,
        leaf_bit("SNP", "SC"),
        leaf_bit("TM", "DT"),
    ),
    (ECS, S2, Reason.DENIED): (no_execution,),
    (SCALABLE, S2, Reason.DENIED): (no_execution,),
    ("", S2, Reason.INPUT_RANGE): (small_mgaw,),
    ("", S2, Reason.INTERRUPT_RANGE): (to_interrupts,),
}


def limit_lg2(case: Case, stage: Stage, level: int) -> int:
    """The width of a first stage; of a second one min(MGAW, AGAW)."""
    own = 12 + 9 * (level + 1)
    return own if stage is S1 else min((case.value("CAP") >> 16 & 63) + 1, own)


def format_of(case: Case, answer: Translation) -> str:
    """RTADDR.TTM says it."""
    names = {0: LEGACY, 1: SCALABLE, 2: ECS}
    return names.get(case.registers["RTADDR"] >> 10 & 3, case.world.format)


REGISTERS: dict[str, Layout] = {"RTADDR": RTADDR, "CAP": CAP, "ECAP": ECAP, "GSTS": GSTS}

VENDOR = Vendor(
    rid_lg2=16,
    describe=vtd.FORMAT.describe,
    registers=REGISTERS,
    required=("RTADDR",),
    numbers={"HAW": range(12, 53)},
    idle=("DID", "PAT", "G"),
    present={DEVICE: ("P",), PASID: ("P",), S1: ("P",), S2: ("R", "W")},
    rights={
        S1: {WRITE: {"RW": 0}, EXEC: {"XD": 1}},
        S2: {READ: {"R": 0}, WRITE: {"W": 0}, EXEC: {"R": 0}},
    },
    leaf_only=False,
    supervisor={"US": 0},
    stale={"A": 0},
    flags=("A", "D"),
    guest_pointers={"FLPTPTR": 12, "PASIDPTR": 12, "ADDR": 12},
    pointer_lg2=lambda case: min(52, case.registers.get("HAW", 52)),
    limit_lg2=limit_lg2,
    aims=AIMS,
    format_of=format_of,
)
