"""What leads a VT-d request to each way of failing: one line for each condition of the texts."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas import vtd
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.vtd_entries import CAP, ECAP, GSTS, RTADDR
from iommu_abi.terms import Access, At, Purpose, Reason, Stage, Translation
from iommu_abi.worlds.aimed import reserved
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


def rev(*revisions: int) -> Aim:
    """Go by one of these revisions of the specification."""

    def apply(case: Case, row: Row) -> None:
        case.registers["REV"] = case.dice.pick(revisions)
        case.notes.append(f"REV={case.registers['REV']:#x}")

    return apply


def register_value(name: str, value: int) -> Aim:
    """Set a register, which the world may not give."""

    def apply(case: Case, row: Row) -> None:
        case.registers[name] = value
        case.notes.append(f"{name}={value:#x}")

    return apply


#: Execution is a right until 4.0. Fields that 3.4 took away must be 0 from then on.
EXECUTES = both(rev(0x300, 0x400), entry(PASID, 0, EMT=0, PWT=0, PCD=0))
NEWEST = both(rev(0x500, 0x50A), entry(PASID, 0, EMT=0, PWT=0, PCD=0, ERE=0, SLEE=0))


# ---------------------------------------------------------------- device and PASID tables


def sagaw(case: Case) -> int:
    """The widths that the unit has; bits 0 and 4 are reserved."""
    return case.value("CAP") >> 8 & 14


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


def own_pasid(case: Case, row: Row) -> None:
    """The PASID that the context has for requests without one."""
    with_pasid(case, row)
    case.register("ECAP", ECAP, RPS=1)
    case.set(case.entry(DEVICE, 0), RID_PASID=case.request.pasid or 0)


def large_for_the_unit(case: Case, row: Row) -> None:
    """A PASID beyond PSS."""
    with_pasid(case, row)
    case.set(case.entry(DEVICE, 0), PDTS=7, RID_PASID=0)
    pss = case.dice.randrange(4, 19)
    case.register("ECAP", ECAP, PSS=pss, PASID=1)
    case.ask(replace(case.request, pasid=case.dice.randrange(1 << pss + 1, 1 << 20), at=At.UNTRANSLATED))


def far_pass_through(case: Case, row: Row) -> None:
    """An extended context that passes requests without PASID, and an address beyond its width."""
    context_ = case.entry(DEVICE, 0)
    case.set(context_, T=4)
    case.register("ECAP", ECAP, PT=1)
    width = min(limit_lg2(case, S2, 4), case.value("HAW"))
    case.ask(replace(case.request, pasid=None, iova=1 << case.dice.randrange(width, 64), at=At.UNTRANSLATED))


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
    case.set(case.entry(PASID, 0), FLPM=flpm)
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
    old_execution(case, row)
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


def bit_62(case: Case, row: Row) -> None:
    """A bit that was TM in pages until 3.1 and IW is only with SSIRWE."""
    _, ref = site(case, row)
    case.set(ref, IW=1)


def unsnooped(case: Case, row: Row) -> None:
    """A flag that hardware would have to set in an entry that it does not snoop."""
    refs = [ref for ref in case.path if ref.stage is row.stage and ref.level == row.level]
    target = case.one(refs)
    case.register("ECAP", ECAP, SMPWCS=1, SLADS=1, SLTS=1)
    case.set(case.entry(PASID, 0), PWSNP=0, EAFE=0, SLADE=int(row.stage is S2))
    for ref in case.path:
        if ref.stage in (S1, S2):
            case.set(ref, A=1, D=1, **({"W": 1, "R": 1} if ref.stage is S2 else {}))
    case.set(target, A=0)
    if case.dice.chance(0.5):
        case.set(target, D=0)


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


def old_execution(case: Case, row: Row) -> None:
    """Let execution be a right, which it always is in extended mode."""
    if row.format == SCALABLE:
        EXECUTES(case, row)


def smep(case: Case, row: Row) -> None:
    """A supervisor's fetch from a user's page."""
    site(case, row)
    with_pasid(case, row)
    old_execution(case, row)
    case.register("ECAP", ECAP, ERS=1, SRS=1)
    owner = case.entry(DEVICE, 0) if row.format == ECS else case.entry(PASID, 0)
    case.set(owner, SMEP=1, ERE=1)
    for each in (ref for ref in case.path if ref.stage is S1):
        case.set(each, US=1)
    case.set(case.entry(PASID, 0), SRE=1)
    case.ask(replace(case.request, access=EXEC, priv=True))


def no_execution(case: Case, row: Row) -> None:
    """A fetch from a page without the right, which a second stage has with SLEE."""
    walk, _ = site(case, row)
    with_pasid(case, row)
    old_execution(case, row)
    case.register("ECAP", ECAP, ERS=1)
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


#: Requests without PASID that ask among the interrupts for something that is no message.
NO_MESSAGE = both(interrupt_address, ask(pasid=None, at=At.UNTRANSLATED, access=READ))
ABORTS = (both(register("RTADDR", RTADDR, TTM=3), ecap(ADMS=1)),)
TES_0 = both(register("GSTS", GSTS, TES=0), ats)

AIMS: dict[tuple[str, Stage, Reason], tuple[Aim, ...]] = {
    ("", DEVICE, Reason.RESERVED): (above_haw,),
    ("", DEVICE, Reason.ABORTED): ABORTS,
    ("", DEVICE, Reason.INTERRUPT_RANGE): (
        NO_MESSAGE,
        both(interrupt_address, ask(pasid=None, at=At.TRANSLATION), ecap(NWFS=1)),
    ),
    (LEGACY, DEVICE, Reason.INVALID): (
        context(TT=3),
        bad_width(DEVICE),
        narrow_pass_through,
        both(context(TT=1), ecap(DT=0)),
        both(context(TT=2), ecap(PT=0)),
        both(register("RTADDR", RTADDR, TTM=3), ecap(ADMS=0)),
        both(register("RTADDR", RTADDR, SSIRWE=1), ecap(SSIRWS=1)),
    ),
    (LEGACY, DEVICE, Reason.RESERVED): (both(context(DID=0xFFFF), cap(ND=1)),),
    (LEGACY, DEVICE, Reason.BLOCKED): (any_pasid, both(context(TT=0), ats), TES_0),
    (LEGACY, DEVICE, Reason.INPUT_RANGE): (
        both(pass_through_too_far, ecap(PT=1)),
        both(context(TT=1), ecap(DT=1), beyond_haw, ask(at=At.TRANSLATED)),
    ),
    (LEGACY, DEVICE, Reason.INTERRUPT_RANGE): (
        both(context(TT=1), ecap(DT=1), interrupt_address, ask(at=At.TRANSLATED)),
    ),
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
        ecap(ECS=0),
    ),
    (ECS, DEVICE, Reason.RESERVED): (
        both(context(NESTE=1), ecap(NEST=0)),
        both(context(PASIDE=1), ecap(PASID=0)),
        both(context(EAFE=1), ecap(EAFS=0)),
        both(context(PAT=1), ecap(MTS=0)),
        both(context(PASIDE=1, PAT=8), ecap(MTS=1, PASID=1)),
        both(context(ERE=1), ecap(ERS=0)),
        both(context(PRE=1), ecap(PRS=0)),
        both(context(DINVE=1), ecap(DIS=0)),
        both(context(DID=0xFFFF), cap(ND=1)),
    ),
    (ECS, DEVICE, Reason.BLOCKED): (
        both(context(T=0), ats),
        both(context(T=2), ecap(PT=1), ats),
        both(context(T=4), ecap(PT=1), ats),
        both(context(PASIDE=0), any_pasid),
        both(context(T=2), ecap(PT=1), any_pasid),
        both(with_pasid, context(ERE=0), ask(access=EXEC, at=At.UNTRANSLATED)),
        both(with_pasid, context(T=1), ecap(DT=1), ask(at=At.TRANSLATED)),
        TES_0,
    ),
    (ECS, DEVICE, Reason.PASID_RANGE): (large_pasid("PTS", 5, 15),),
    (ECS, DEVICE, Reason.INPUT_RANGE): (
        far_pass_through,
        both(context(T=1), ecap(DT=1), beyond_haw, ask(pasid=None, at=At.TRANSLATED)),
    ),
    (ECS, DEVICE, Reason.INTERRUPT_RANGE): (
        both(context(T=1), ecap(DT=1), interrupt_address, ask(pasid=None, at=At.TRANSLATED)),
    ),
    (ECS, PASID, Reason.RESERVED): (above_haw, both(pasid_entry(FLPM=1), cap(FL5LP=0))),
    (ECS, PASID, Reason.BLOCKED): (
        both(pasid_entry(SRE=0), ask(priv=True)),
        both(pasid_entry(SRE=1), ecap(SRS=0), ask(priv=True)),
    ),
    (SCALABLE, DEVICE, Reason.INVALID): (
        ecap(SMTS=0),
        both(context(DTE=0, PRE=1), ecap(PRS=1)),
        both(context(EPTR=1, PASIDE=0), ecap(PTRS=1), ask(pasid=None)),
    ),
    (SCALABLE, DEVICE, Reason.RESERVED): (
        both(context(DTE=1), ecap(DT=0)),
        both(context(PASIDE=1), ecap(PASID=0)),
        both(context(PRE=1), ecap(PRS=0)),
        both(context(HPTE=1), ecap(HPTS=0)),
        both(context(EPTR=1), ecap(PTRS=0)),
        both(context(RID_PASID=1), ecap(RPS=0)),
        both(context(RID_PRIV=1), ecap(RPRIVS=0)),
    ),
    (SCALABLE, DEVICE, Reason.BLOCKED): (
        both(context(DTE=0, PRE=0), ats),
        both(context(PASIDE=0, EPTR=0), any_pasid),
        both(own_pasid, NEWEST),
        both(with_pasid, context(DTE=1, EPTR=0), ecap(DT=1), ask(at=At.TRANSLATED)),
        both(with_pasid, context(DTE=1, EPTR=0), ecap(DT=1), ask(at=At.TRANSLATED), rev(0x50A)),
        both(context(DTE=1, HPTE=1), ecap(DT=1, HPTS=1), ask(pasid=None, at=At.TRANSLATED)),
        both(with_pasid, rev(0x401, 0x50A), register_value("VER", 0x80), ask(access=EXEC)),
        TES_0,
    ),
    (SCALABLE, DEVICE, Reason.PASID_RANGE): (
        large_pasid("PDTS", 13, 7),
        large_rid_pasid,
        both(large_for_the_unit, NEWEST),
    ),
    (SCALABLE, DEVICE, Reason.INPUT_RANGE): (
        both(context(DTE=1), ecap(DT=1), beyond_haw, ask(pasid=None, at=At.TRANSLATED)),
    ),
    (SCALABLE, DEVICE, Reason.INTERRUPT_RANGE): (
        both(context(DTE=1), ecap(DT=1), interrupt_address, ask(pasid=None, at=At.TRANSLATED)),
        both(with_pasid, pasid_entry(PGTT=4), ecap(PT=1), interrupt_address, ask(at=At.UNTRANSLATED)),
    ),
    (SCALABLE, PASID, Reason.RESERVED): (
        above_haw,
        both(pasid_entry(SLADE=1), ecap(SLADS=0)),
        both(pasid_entry(SRE=1), ecap(SRS=0)),
        both(pasid_entry(PWSNP=1), ecap(SMPWCS=0)),
        both(pasid_entry(EAFE=1), ecap(EAFS=0)),
        both(pasid_entry(PAT=1), ecap(MTS=0)),
        both(pasid_entry(PGSNP=1), ecap(SC=0), rev(0x304, 0x400)),
        both(pasid_entry(EMT=1), rev(0x304, 0x400)),
        both(pasid_entry(ERE=1), rev(0x401, 0x50A)),
        both(pasid_entry(SLEE=1), rev(0x401, 0x50A)),
        both(pasid_entry(DID=0xFFFF), cap(ND=1)),
        both(pasid_entry(WPE=1), ecap(FLTS=0)),
        both(pasid_entry(AW=2), ecap(SLTS=0), rev(0x401, 0x50A)),
    ),
    (SCALABLE, PASID, Reason.INVALID): (
        other_type,
        lacking_type,
        bad_levels,
        both(pasid_entry(PGTT=2), ecap(SLTS=1), bad_width(PASID)),
    ),
    (SCALABLE, PASID, Reason.BLOCKED): (
        both(with_pasid, EXECUTES, pasid_entry(ERE=0), ask(access=EXEC)),
        both(with_pasid, NEWEST, ecap(ERS=0), ask(access=EXEC)),
        both(with_pasid, pasid_entry(SRE=0), ask(priv=True)),
        both(context(RID_PRIV=1), ecap(RPRIVS=1), pasid_entry(SRE=0)),
    ),
    (SCALABLE, PASID, Reason.INPUT_RANGE): (both(pasid_entry(PGTT=4), ecap(PT=1), beyond_haw),),
    ("", S1, Reason.RESERVED): (above_haw, xd_without_nxe, page, page_without_support),
    ("", S1, Reason.DENIED): (smep, no_execution),
    ("", S1, Reason.INTERRUPT_RANGE): (to_interrupts,),
    (SCALABLE, S1, Reason.UPDATE_DENIED): (unsnooped,),
    (SCALABLE, S2, Reason.UPDATE_DENIED): (unsnooped, unsnooped),
    ("", S2, Reason.RESERVED): (
        above_haw,
        page,
        page_without_support,
        leaf_bit("SNP", "SC"),
        bit_62,
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

VENDOR = Knowledge(
    rid_lg2=16,
    describe=vtd.FORMAT.describe,
    registers=REGISTERS,
    required=("RTADDR",),
    numbers={"HAW": range(12, 53), "REV": range(0x100, 0x1000)},
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
