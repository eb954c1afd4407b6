"""Aims at the stream table and the CD table of an SMMU: one line for each condition of the text."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.smmuv3_entries import (
    ADDRESS_LG2,
    CD,
    CR0,
    IDR0,
    IDR1,
    IDR5,
    STE,
    STRTAB_BASE_CFG,
)
from iommu_abi.terms import Access, At, Stage
from iommu_abi.worlds.mutate import Aim, Case, Miss, ask, both, entry, register
from iommu_abi.worlds.ways import Row

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC


def ste(**fields: int) -> Aim:
    """Change the STE."""
    return entry(DEVICE, 0, **fields)


def cd(**fields: int) -> Aim:
    """Change the CD."""
    return entry(PASID, 0, **fields)


def idr0(**fields: int) -> Aim:
    """Change IDR0."""
    return register("IDR0", IDR0, **fields)


def idr5(**fields: int) -> Aim:
    """Change IDR5."""
    return register("IDR5", IDR5, **fields)


def cr0(**fields: int) -> Aim:
    """Change CR0."""
    return register("CR0", CR0, **fields)


def parsed(case: Case, stage: Stage) -> Fields:
    """The STE or CD as it is now."""
    layout = STE if stage is DEVICE else CD
    return layout.parse(case.raw(case.entry(stage, 0)).to_bytes(64, "little"))


def one(*aims: Aim) -> Aim:
    """One of several."""

    def apply(case: Case, row: Row) -> None:
        case.dice.pick(aims)(case, row)

    return apply


# ---------------------------------------------------------------- stream table


def outside(case: Case, row: Row) -> None:
    """A StreamID beyond the table, which may become smaller for that."""
    if case.dice.chance(0.5):
        case.register("STRTAB_BASE_CFG", STRTAB_BASE_CFG, LOG2SIZE=case.dice.randrange(20))
    else:
        case.register("IDR1", IDR1, SIDSIZE=case.dice.randrange(20))
    size = min(case.value("STRTAB_BASE_CFG") & 0x3F, case.value("IDR1") & 0x3F)
    case.ask(replace(case.request, rid=case.dice.randrange(1 << size, 1 << 32)))


def span(case: Case, row: Row) -> None:
    """A span of none, or of more than 2^10."""
    case.set(case.entry(DEVICE, 1), Span=case.dice.pick((0, case.dice.randrange(12, 32))))


def long_span(case: Case, row: Row) -> None:
    """A span that is longer than SPLIT allows."""
    split = case.value("STRTAB_BASE_CFG") >> 6 & 31
    if split >= 10:
        split = case.dice.pick((6, 8))
        case.register("STRTAB_BASE_CFG", STRTAB_BASE_CFG, SPLIT=split)
        case.ask(replace(case.request, rid=case.request.rid >> 10 - split))
    case.set(case.entry(DEVICE, 1), Span=case.dice.randrange(split + 2, 12))


def short_span(case: Case, row: Row) -> None:
    """An index that its span does not have."""
    ref = case.entry(DEVICE, 1)
    split = case.value("STRTAB_BASE_CFG") >> 6 & 31
    bits = case.dice.randrange(split)
    case.set(ref, Span=bits + 1)
    case.ask(replace(case.request, rid=case.request.rid | 1 << case.dice.randrange(bits, split)))


def at_level_1(aim: Aim) -> Aim:
    """An aim at the first level of a table."""

    def apply(case: Case, row: Row) -> None:
        if row.level != 1:
            raise Miss
        aim(case, row)

    return apply


def far_pointer(name: str) -> Aim:
    """A pointer of the STE or CD beyond OAS, where the unit has less than 52 bits."""

    def apply(case: Case, row: Row) -> None:
        oas = ADDRESS_LG2[case.value("IDR5") & 7]
        ref = case.entry(row.stage, row.level)
        bits = next(bits for bits in case.layout(ref).fields if bits.name == name)
        end = bits.unit_lg2 + bits.high - bits.low + 1
        if oas >= end:
            raise Miss
        bit = bits.low + case.dice.randrange(oas, end) - bits.unit_lg2
        case.put(ref, bit, bit, 1)

    return apply


def bad_size(field: str, stage: Stage, first: int, last: int) -> Aim:
    """A TxSZ that is too small or too large."""

    def apply(case: Case, row: Row) -> None:
        size = case.dice.pick((case.dice.randrange(first), case.dice.randrange(last + 1, 64)))
        case.set(case.entry(stage, 0), **{field: size})

    return apply


def many_cds(case: Case, row: Row) -> None:
    """More CDs than SSIDSIZE allows."""
    cdmax = case.dice.randrange(2, 32)
    case.set(case.entry(DEVICE, 0), S1CDMax=cdmax)
    case.register("IDR1", IDR1, SSIDSIZE=case.dice.randrange(1, min(cdmax, 21)))


def large_pasid(case: Case, row: Row) -> None:
    """A SubstreamID beyond the CD table."""
    cdmax = case.dice.randrange(1, 20)
    case.set(case.entry(DEVICE, 0), S1CDMax=cdmax, S1Fmt=0)
    case.register("IDR1", IDR1, SSIDSIZE=case.dice.randrange(cdmax, 21))
    case.ask(replace(case.request, pasid=case.dice.randrange(1 << cdmax, 1 << 20), at=At.UNTRANSLATED))


STE_STAGE_1 = (
    idr0(S1P=0),
    many_cds,
    both(ste(S1CDMax=3, S1Fmt=1), idr0(CD2L=0), register("IDR1", IDR1, SSIDSIZE=5)),
    both(ste(S2VMID=0x1234, STRW=0), idr0(VMID16=0, S2P=1)),
)
STE_STAGE_2 = (
    idr0(S2P=0),
    ste(S2AA64=0),
    ste(S2TG=3),
    idr5(GRAN4K=0, GRAN16K=0, GRAN64K=0),
    bad_size("S2T0SZ", DEVICE, 12, 48),
    ste(S2SL0=3),
    far_pointer("S2TTB"),
    both(ste(S2ENDI=1), idr0(TTENDIAN=2)),
    both(ste(S2ENDI=0), idr0(TTENDIAN=3)),
    both(ste(S2HA=1), idr0(HTTU=0)),
    both(ste(S2HD=1), idr0(HTTU=1)),
    both(ste(S2HA=0, S2HD=0, S2HAFT=1), idr0(HTTU=3)),
    both(ste(S2VMID=0x1234), idr0(VMID16=0)),
    both(ste(S2AA64=1), idr0(TTF=1)),
    both(ste(S2S=1), idr0(STALL_MODEL=1)),
    both(ste(S2S=0), idr0(STALL_MODEL=2)),
    both(ste(S2S=1, EATS=1), idr0(STALL_MODEL=0, ATS=1)),
)
ONE_STAGE_SPLIT = both(ste(EATS=2), idr0(ATS=1))
NO_SPLIT = both(ste(EATS=2, S2S=0), idr0(ATS=1, NS1ATS=1, STALL_MODEL=0))
STE_ALONE = (far_pointer("S1ContextPtr"), both(ste(STRW=1), idr0(HYP=1)), both(ste(STRW=3), idr0(HYP=1)))

_ATS = one(ask(at=At.TRANSLATION), both(ask(at=At.TRANSLATED), cr0(ATSCHK=1)))
BLOCKED = (
    both(ste(EATS=0), _ATS),
    both(ste(EATS=3), _ATS),
    both(idr0(ATS=0), _ATS),
    both(ste(Config=4), _ATS),
    both(cr0(SMMUEN=0), one(ask(at=At.TRANSLATION), ask(at=At.TRANSLATED))),
    both(ste(Config=4), ask(pasid=1)),
)
NO_SUBSTREAM = both(one(ste(S1CDMax=0), register("IDR1", IDR1, SSIDSIZE=0)), ask(pasid=3))
DISABLED = both(
    one(
        both(ste(S1DSS=0), ask(pasid=None)),
        both(ste(S1DSS=3), ask(pasid=None)),
        both(ste(S1DSS=2), ask(pasid=0)),
    ),
    ask(at=At.UNTRANSLATED),
)

# ---------------------------------------------------------------- CDs


def half_of(case: Case) -> int:
    """0 or 1 for the half that the request is in."""
    return case.request.iova >> 55 & 1


def of_half(*names: str, value: int) -> Aim:
    """Change fields of the half that the request is in, by their names without 0 or 1."""

    def apply(case: Case, row: Row) -> None:
        half = half_of(case)
        case.set(case.entry(PASID, 0), **{name.replace("x", str(half)): value for name in names})

    return apply


def bad_half(case: Case, row: Row) -> None:
    """A TxSZ of the half that the request is in, too small or too large."""
    size = case.dice.pick((case.dice.randrange(12), case.dice.randrange(49, 64)))
    case.set(case.entry(PASID, 0), **{f"T{half_of(case)}SZ": size})


def bad_granule(case: Case, row: Row) -> None:
    """A reserved granule."""
    case.set(case.entry(PASID, 0), **({"TG1": 0} if half_of(case) else {"TG0": 3}))


CD_ILLEGAL = (
    cd(AA64=0),
    both(cd(ENDI=1), idr0(TTENDIAN=2)),
    both(cd(ENDI=0), idr0(TTENDIAN=3), ste(S2ENDI=1)),
    both(cd(HA=1), ste(S2HA=0, S2HD=0), idr0(HTTU=0)),
    both(cd(HD=1), ste(S2HD=0), idr0(HTTU=1)),
    both(cd(HAFT=1, HA=0, HD=0), ste(S2HAFT=0), idr0(HTTU=3)),
    both(cd(S=1), ste(S2S=0), idr0(STALL_MODEL=1)),
    both(cd(S=0), ste(S2S=1, EATS=0), idr0(STALL_MODEL=2)),
    both(cd(S=1), ste(S1STALLD=1)),
    both(cd(A=0), idr0(TERM_MODEL=1)),
    both(cd(ASID=0x1234), idr0(ASID16=0)),
    bad_half,
    bad_granule,
    far_pointer("TTB0"),
    far_pointer("TTB1"),
)
