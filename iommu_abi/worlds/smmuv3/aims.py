"""What leads a request at an SMMU to each way of failing: one line for each condition of the text."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas import smmuv3
from iommu_abi.schemas.entries import Bits
from iommu_abi.schemas.smmuv3_entries import (
    ADDRESS_LG2,
    CR0,
    CR2,
    GBPA,
    IDR0,
    IDR1,
    IDR3,
    IDR5,
    STRTAB_BASE,
    STRTAB_BASE_CFG,
)
from iommu_abi.terms import Access, At, Reason, Ref, Stage, Translation
from iommu_abi.worlds.mutate import Aim, Case, Knowledge, Miss, ask, both, register, site
from iommu_abi.worlds.smmuv3.contexts import (
    BLOCKED,
    CD_ILLEGAL,
    DISABLED,
    NO_SPLIT,
    NO_SUBSTREAM,
    ONE_STAGE_SPLIT,
    STE_ALONE,
    STE_STAGE_1,
    STE_STAGE_2,
    at_level_1,
    cr0,
    far_pointer,
    half_of,
    large_pasid,
    long_span,
    of_half,
    outside,
    parsed,
    short_span,
    span,
    ste,
)
from iommu_abi.worlds.smmuv3.ways import NESTED, STAGE_1, STAGE_2
from iommu_abi.worlds.ways import Row

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC


# ---------------------------------------------------------------- descriptors


def out_lg2(case: Case, stage: Stage) -> int:
    """log2 of the first address that a stage cannot give."""
    code = parsed(case, PASID).IPS if stage is S1 else parsed(case, DEVICE).S2PS
    return min(ADDRESS_LG2[code], ADDRESS_LG2[case.value("IDR5") & 7])


def address_bits(case: Case, ref: Ref) -> Bits:
    """The address of a descriptor."""
    for bits in case.layout(ref).fields:
        if bits.name == "ADDR":
            return bits
    raise Miss


def too_high(case: Case, row: Row) -> None:
    """An address beyond what the stage gives; the width may shrink for that."""
    _, ref = site(case, row)
    width = out_lg2(case, row.stage)
    if width >= 48:
        owner, name = (PASID, "IPS") if row.stage is S1 else (DEVICE, "S2PS")
        width = ADDRESS_LG2[4]
        case.set(case.entry(owner, 0), **{name: 4})
    bits = address_bits(case, ref)
    bit = case.dice.randrange(width, 48) - bits.unit_lg2 + bits.low
    case.put(ref, bit, bit, 1)


def no_block(case: Case, row: Row) -> None:
    """A block where the level has none, or a page that is none."""
    _, ref = site(case, row)
    case.set(ref, VALID=1, TYPE=0)


def clear_flag(case: Case, row: Row) -> None:
    """AF clear, and neither AFFD nor HA."""
    _, ref = site(case, row)
    case.set(ref, AF=0)
    if row.stage is S1:
        case.set(case.entry(PASID, 0), AFFD=0, HA=0, HAFT=0)
    else:
        case.set(case.entry(DEVICE, 0), S2AFFD=0, S2HA=0, S2HAFT=0)


def read_only(case: Case, row: Row) -> None:
    """A write to what a table or a page of stage 1 makes read-only."""
    walk, _ = site(case, row)
    case.set(case.entry(PASID, 0), HD=0, HAD0=0, HAD1=0)
    case.set(case.dice.pick(walk), AP2=1, APTable1=1)
    case.ask(replace(case.request, access=WRITE))


def no_execution(case: Case, row: Row) -> None:
    """A fetch from what a table or a page does not let execute."""
    walk, _ = site(case, row)
    if row.stage is S1:
        case.set(case.entry(PASID, 0), HAD0=0, HAD1=0)
    case.set(case.dice.pick(walk), PXN=1, UXN=1, PXNTable=1, UXNTable=1, XN=case.dice.randrange(1, 4))
    case.ask(replace(case.request, access=EXEC))


def pan(case: Case, row: Row) -> None:
    """Privileged data in a user's page with PAN."""
    walk, _ = site(case, row)
    case.set(case.entry(PASID, 0), PAN=1)
    case.set(case.entry(DEVICE, 0), PRIVCFG=0, STRW=0)
    case.set(walk[-1], AP1=1)
    case.ask(replace(case.request, access=READ, priv=True))


def device_memory(case: Case, row: Row) -> None:
    """A walk of stage 1 in what stage 2 calls Device memory."""
    walk, _ = site(case, row)
    case.set(case.entry(DEVICE, 0), S2PTW=1)
    case.set(walk[-1], MemAttr=case.dice.randrange(4))


def apart(case: Case, row: Row) -> None:
    """An unprivileged access to a privileged page: by its own right or a table's."""
    walk, _ = site(case, row)
    case.set(case.entry(PASID, 0), HAD0=0, HAD1=0)
    case.set(case.entry(DEVICE, 0), PRIVCFG=0, INSTCFG=0, STRW=0)
    case.set(case.dice.pick(walk), AP1=0, APTable0=1)
    case.ask(replace(case.request, access=case.dice.pick((READ, WRITE)), priv=False))


def e0pd(case: Case, row: Row) -> None:
    """A half that the unprivileged may not use."""
    if row.level:
        raise Miss
    case.set(case.entry(PASID, 0), E0PD0=1, E0PD1=1)
    case.set(case.entry(DEVICE, 0), PRIVCFG=0, STRW=0)
    case.register("IDR3", IDR3, E0PD=1)
    case.ask(replace(case.request, priv=False))


def disabled_half(case: Case, row: Row) -> None:
    """A half with EPDx."""
    if row.level:
        raise Miss
    of_half("EPDx", value=1)(case, row)


def beyond_ias(case: Case, row: Row) -> None:
    """Stage 1 off, and an address beyond IAS."""
    if row.level:
        raise Miss
    if row.format != STAGE_2:
        case.set(case.entry(DEVICE, 0), S1CDMax=3, S1DSS=1)
    case.ask(replace(case.request, iova=1 << case.dice.randrange(52, 64), pasid=None))


def dirty_denied(case: Case, row: Row) -> None:
    """A write that has to clear AP[2], through a stage 2 that does not let it."""
    leaf = case.one([ref for ref in case.path if ref.stage is S1][-1:])
    walks = [walk for walk in case.walks(S2) if walk[-1].level == row.level]
    walk = case.one_walk([walk for walk in walks if walk[-1].for_level == leaf.level])
    case.set(case.entry(PASID, 0), HA=1, HD=1, HAFT=0)
    case.register("IDR0", IDR0, HTTU=2)
    case.set(leaf, AP1=1, AP2=1, DBM=1)
    case.set(walk[-1], S2AP=1)
    case.ask(replace(case.request, access=WRITE))


# ---------------------------------------------------------------- the table


def limit_lg2(case: Case, stage: Stage, level: int) -> int:
    """64 - TxSZ."""
    if stage is S1:
        fields = parsed(case, PASID)
        return 64 - (fields.T1SZ if half_of(case) else fields.T0SZ)
    return 64 - int(parsed(case, DEVICE).S2T0SZ)


def pointer_lg2(case: Case) -> int:
    """OAS, and the output width of stage 1."""
    width = min(48, ADDRESS_LG2[case.registers.get("IDR5", 5) & 7])
    cds = [ref for ref in case.path if (ref.stage, ref.level) == (PASID, 0)]
    return min(width, ADDRESS_LG2[parsed(case, PASID).IPS]) if cds else width


FORMATS = {5: STAGE_1, 6: STAGE_2, 7: NESTED}


def format_of(case: Case, answer: Translation) -> str:
    """STE.Config says it, if an STE was read."""
    for ref in answer.refs:
        if (ref.stage, ref.level) == (DEVICE, 0):
            return FORMATS.get(ref.raw >> 1 & 7, case.world.format)
    return case.world.format


_STAGES = {
    STAGE_1: (*STE_STAGE_1, *STE_ALONE, ONE_STAGE_SPLIT),
    STAGE_2: (*STE_STAGE_2, ONE_STAGE_SPLIT),
    NESTED: (*STE_STAGE_1, *STE_STAGE_2, NO_SPLIT),
}

AIMS: dict[tuple[str, Stage, Reason], tuple[Aim, ...]] = {
    ("", DEVICE, Reason.RID_RANGE): (at_level_1(short_span), outside),
    ("", DEVICE, Reason.NOT_PRESENT): (at_level_1(span),),
    ("", DEVICE, Reason.RESERVED): (at_level_1(long_span),),
    ("", DEVICE, Reason.ABORTED): (
        ste(Config=0),
        ste(Config=3),
        both(cr0(SMMUEN=0), register("GBPA", GBPA, ABORT=1), ask(at=At.UNTRANSLATED)),
    ),
    **{(name, DEVICE, Reason.INVALID): aims for name, aims in _STAGES.items()},
    (STAGE_1, DEVICE, Reason.BLOCKED): (*BLOCKED, NO_SUBSTREAM, DISABLED),
    (STAGE_2, DEVICE, Reason.BLOCKED): (*BLOCKED, ask(pasid=5, at=At.UNTRANSLATED)),
    (NESTED, DEVICE, Reason.BLOCKED): (*BLOCKED, NO_SUBSTREAM, DISABLED),
    ("", DEVICE, Reason.PASID_RANGE): (large_pasid,),
    ("", PASID, Reason.OUTPUT_RANGE): (far_pointer("L2Ptr"),),
    ("", PASID, Reason.INVALID): CD_ILLEGAL,
    ("", S1, Reason.INPUT_RANGE): (disabled_half, beyond_ias),
    ("", S1, Reason.PRIVILEGE): (apart, e0pd),
    ("", S1, Reason.DENIED): (read_only, no_execution, pan),
    **{("", stage, Reason.NOT_PRESENT): (no_block,) for stage in (S1, S2)},
    **{("", stage, Reason.OUTPUT_RANGE): (too_high,) for stage in (S1, S2)},
    **{("", stage, Reason.ACCESS_FLAG): (clear_flag,) for stage in (S1, S2)},
    ("", S2, Reason.DENIED): (no_execution, device_memory),
    ("", S2, Reason.UPDATE_DENIED): (dirty_denied,),
}

VENDOR = Knowledge(
    rid_lg2=32,
    describe=smmuv3.FORMAT.describe,
    registers={
        "STRTAB_BASE": STRTAB_BASE,
        "STRTAB_BASE_CFG": STRTAB_BASE_CFG,
        "IDR0": IDR0,
        "IDR1": IDR1,
        "IDR3": IDR3,
        "IDR5": IDR5,
        "CR0": CR0,
        "CR2": CR2,
        "GBPA": GBPA,
    },
    required=("STRTAB_BASE", "STRTAB_BASE_CFG"),
    numbers={},
    idle=("SHCFG", "MEV", "S2IR0", "S2OR0", "S2SH0", "IR0", "SH0", "MAIR", "AMAIR", "AttrIndx", "SH", "nG"),
    present={DEVICE: ("V", "Span"), PASID: ("V",), S1: ("VALID",), S2: ("VALID",)},
    rights={
        S1: {WRITE: {"AP2": 1}, EXEC: {"UXN": 1}},
        S2: {READ: {"S2AP": 2}, WRITE: {"S2AP": 1}, EXEC: {"XN": 2}},
    },
    leaf_only=True,
    supervisor={"AP1": 0},
    stale={"AF": 0},
    flags=("AF", "DBM"),
    guest_pointers={"S1ContextPtr": 6, "L2Ptr": 12, "TTB0": 4, "TTB1": 4, "ADDR": 12},
    pointer_lg2=pointer_lg2,
    limit_lg2=limit_lg2,
    aims=AIMS,
    format_of=format_of,
)
