"""What leads a request at a RISC-V IOMMU to each way of failing: one line for each condition of the text."""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.schemas import riscv
from iommu_abi.schemas.riscv_context import DEVICES, EXTENDED_DEVICES
from iommu_abi.schemas.riscv_entries import CAPABILITIES, DC, DDTP, EXTENDED_DC, FCTL, PC
from iommu_abi.schemas.riscv_features import DEFAULT_CAPABILITIES
from iommu_abi.terms import Access, At, Purpose, Reason, Ref, Stage, Translation
from iommu_abi.worlds.mutate import Aim, Case, Knowledge, Miss, ask, both, entry, register, site, with_pasid
from iommu_abi.worlds.riscv.ways import NESTED, STAGE_1, STAGE_2
from iommu_abi.worlds.ways import Row

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC


def dc(**fields: int) -> Aim:
    """Change the device context."""
    return entry(DEVICE, 0, **fields)


def pc(**fields: int) -> Aim:
    """Change the process context."""
    return entry(PASID, 0, **fields)


def ddtp(**fields: int) -> Aim:
    """Change ddtp."""
    return register("DDTP", DDTP, **fields)


def caps(**fields: int) -> Aim:
    """Change capabilities."""
    return register("CAPABILITIES", CAPABILITIES, **fields)


def number(name: str, value: int) -> Aim:
    """Change a register that is a number."""

    def apply(case: Case, row: Row) -> None:
        case.registers[name] = value
        case.notes.append(f"{name}={value}")

    return apply


def ats(case: Case, row: Row) -> None:
    """Ask for a translation, or with a translated address."""
    case.ask(replace(case.request, at=case.dice.pick((At.TRANSLATION, At.TRANSLATED))))


# ---------------------------------------------------------------- directories


def outside(case: Case, row: Row) -> None:
    """A device beyond the directory, which may become smaller for that."""
    levels = case.dice.randrange(1, 4)
    case.register("DDTP", DDTP, iommu_mode=levels + 1)
    extended = case.value("CAPABILITIES") >> 22 & 1
    width = (EXTENDED_DEVICES if extended else DEVICES).width(levels)
    if width >= 24:
        raise Miss
    case.ask(replace(case.request, rid=case.dice.randrange(1 << width, 1 << 24)))


def large_pasid(case: Case, row: Row) -> None:
    """A process beyond the process directory."""
    mode = case.dice.randrange(1, 3)
    case.set(case.entry(DEVICE, 0), PDTV=1, fsc_MODE=mode)
    case.register("CAPABILITIES", CAPABILITIES, PD8=1, PD17=1)
    pasid = case.dice.randrange(1 << (8 if mode == 1 else 17), 1 << 20)
    case.ask(replace(case.request, pasid=pasid, at=At.UNTRANSLATED))


#: Contexts that ask for what the unit lacks, or contradict themselves.
_CONTEXT = (
    both(dc(EN_ATS=1), caps(ATS=0)),
    both(dc(EN_ATS=1, T2GPA=1), caps(ATS=1, T2GPA=0)),
    dc(EN_ATS=0, EN_PRI=1),
    dc(EN_ATS=0, T2GPA=1),
    dc(EN_PRI=0, PRPR=1),
    dc(PDTV=0, DPE=1),
    both(dc(SADE=1), caps(AMO_HWAD=0)),
    both(dc(GADE=1), caps(AMO_HWAD=0)),
    dc(SBE=1),
    both(dc(SXL=1), number("GXL_WRITABLE", 0), register("FCTL", FCTL, GXL=0)),
    both(dc(SXL=0), register("FCTL", FCTL, GXL=1)),
    dc(fsc_MODE=4),
    dc(PDTV=0, DPE=0, fsc_MODE=11),
    both(dc(PDTV=1, fsc_MODE=3), caps(PD20=0)),
    ddtp(iommu_mode=9),
)
_SECOND = (
    dc(iohgatp_MODE=5),
    both(dc(iohgatp_MODE=10), caps(Sv57x4=0)),
    dc(iohgatp_PPN=1 << 12),
    dc(msiptp_MODE=2),
)
_BARE_SECOND = (
    dc(msiptp_MODE=1),
    both(dc(EN_ATS=1, T2GPA=1), caps(ATS=1, T2GPA=1)),
)

_BLOCKED = (
    both(dc(EN_ATS=0, EN_PRI=0, T2GPA=0, PRPR=0), ats),
    both(dc(PDTV=0, DPE=0, fsc_MODE=0), ask(pasid=1, at=At.UNTRANSLATED)),
    both(ddtp(iommu_mode=1), ats),
)


def bad_process_mode(case: Case, row: Row) -> None:
    """A mode of the first stage that there is none of."""
    case.set(case.entry(PASID, 0), fsc_MODE=case.dice.pick((1, 7, 11, 15)))


def lacking_process_mode(case: Case, row: Row) -> None:
    """A mode that the unit lacks."""
    case.set(case.entry(PASID, 0), fsc_MODE=10)
    case.register("CAPABILITIES", CAPABILITIES, Sv57=0)


# ---------------------------------------------------------------- paging entries


def leaf(case: Case, row: Row) -> Ref:
    """The page of a walk, if it has the row's level and is no MSI entry."""
    walk, ref = site(case, row)
    if ref is not walk[-1] or ref.len > 8:
        raise Miss
    return ref


def misaligned(case: Case, row: Row) -> None:
    """A large page at an address that is not its multiple, or 64 KiB with another encoding."""
    ref = leaf(case, row)
    if row.level:
        case.set(ref, N=0)
        bit = 10 + case.dice.randrange(9 * row.level)
        case.put(ref, bit, bit, 1)
    else:
        case.set(ref, N=1)
        case.put(ref, 13, 10, case.dice.pick((0, 4, 9, 15)))


def bad_encoding(**fields: int) -> Aim:
    """A combination that no entry may have."""

    def apply(case: Case, row: Row) -> None:
        _, ref = site(case, row)
        case.set(ref, **fields)

    return apply


def without_support(case: Case, row: Row) -> None:
    """Bits that need a capability."""
    _, ref = site(case, row)
    if case.dice.chance(0.5):
        case.set(ref, PBMT=1)
        case.register("CAPABILITIES", CAPABILITIES, Svpbmt=0)
    else:
        case.set(ref, RSW60t59b=case.dice.randrange(1, 4))
        case.register("CAPABILITIES", CAPABILITIES, Svrsw60t59b=0)


def no_right(case: Case, row: Row) -> None:
    """A page without the right that is asked for."""
    ref = leaf(case, row)
    access = READ if ref.purpose is not Purpose.DATA else case.dice.pick((READ, WRITE, EXEC))
    case.set(ref, **RIGHTS[access])
    if ref.purpose is Purpose.DATA:
        case.ask(replace(case.request, access=access, at=At.UNTRANSLATED))


def supervisor_at_user_page(case: Case, row: Row) -> None:
    """A supervisor's access to a user's page, without SUM or to execute."""
    ref = leaf(case, row)
    with_pasid(case, row)
    case.set(ref, U=1, X=1)
    case.set(case.entry(PASID, 0), ENS=1, SUM=case.dice.getrandbits(1))
    case.ask(replace(case.request, priv=True, access=case.dice.pick((READ, EXEC))))


def not_a_users(case: Case, row: Row) -> None:
    """A page of the second stage that is not a user's."""
    case.set(leaf(case, row), U=0)


def clear_flag(case: Case, row: Row) -> None:
    """A clear, or D for a write, where hardware does not set them."""
    ref = leaf(case, row)
    case.set(case.entry(DEVICE, 0), **({"SADE": 0} if row.stage is S1 else {"GADE": 0}))
    if ref.purpose is Purpose.DATA and case.dice.chance(0.5):
        case.set(ref, D=0, W=1, R=1)
        case.ask(replace(case.request, access=WRITE))
    else:
        case.set(ref, A=0)


def far_root(case: Case, row: Row) -> None:
    """A first stage or process directory beyond what the second stage takes."""
    case.one_walk([walk for walk in case.walks(S2) if walk[0].level == row.level])
    first = limit_lg2(case, S2, row.level)
    if first >= 56:
        raise Miss
    contexts = [ref for ref in case.path if ref.stage in (DEVICE, PASID) and not ref.level]
    raise_root(case, contexts[-1], case.dice.randrange(first, 56))


def raise_root(case: Case, context: Ref, bit: int) -> None:
    """Set a bit of the address that a context has in fsc."""
    field = next(bits for bits in case.layout(context).fields if bits.name == "fsc_PPN")
    case.put(context, field.low + bit - 12, field.low + bit - 12, 1)


def narrow_guest(case: Case, row: Row) -> None:
    """A guest of 32 bits, and a GPA above bit 33, which the tables could take."""
    case.one_walk([walk for walk in case.walks(S2) if walk[0].level == row.level])
    if case.value("FCTL") >> 2 & 1:  # GXL: the tables are as narrow
        raise Miss
    context, nested = case.entry(DEVICE, 0), bool(case.walks(S1))
    case.registers["GXL_WRITABLE"] = 1
    case.set(context, SXL=1)
    bit = case.dice.randrange(34, 56)
    if not nested:
        case.ask(replace(case.request, iova=case.request.iova | 1 << bit))
        return
    if not case.raw(context) >> 5 & 1:  # PDTV; what it has is iosatp, and Sv32 is its only mode
        case.set(context, fsc_MODE=8)
        case.register("CAPABILITIES", CAPABILITIES, Sv32=1)
    raise_root(case, context, bit)


# ---------------------------------------------------------------- MSI page tables


def msi_entry(case: Case, row: Row) -> Ref:
    """The MSI page table entry of the path."""
    return case.one([ref for ref in case.path if ref.stage is S2 and ref.len == 16 and not row.level])


def msi_fetch(case: Case, row: Row) -> None:
    """A fetch from an interrupt file."""
    msi_entry(case, row)
    for ref in case.path:
        if ref.stage is S1:
            case.set(ref, X=case.raw(ref) >> 1 & 1)
    case.ask(replace(case.request, access=EXEC))


def msi_mode(case: Case, row: Row) -> None:
    """A reserved mode, or a custom entry."""
    case.set(msi_entry(case, row), **case.dice.pick(({"M": 0}, {"M": 2}, {"C": 1})))


def msi_not_valid(case: Case, row: Row) -> None:
    """An MSI entry that is not valid."""
    case.set(msi_entry(case, row), V=0)


def msi_lost(case: Case, row: Row) -> None:
    """An MSI page table where there is no memory."""
    ref = msi_entry(case, row)
    case.image.take(ref.hpa, ref.len)
    case.notes.append("no memory for the MSI entry")


def mrif_without_support(case: Case, row: Row) -> None:
    """A memory-resident interrupt file, which the unit lacks."""
    case.set(msi_entry(case, row), M=1)
    case.register("CAPABILITIES", CAPABILITIES, MSI_MRIF=0)


# ---------------------------------------------------------------- the table

#: Without a right: W without R is reserved, and nothing at all is a table.
RIGHTS = {
    READ: {"R": 0, "W": 0, "X": 1},
    WRITE: {"R": 1, "W": 0},
    EXEC: {"R": 1, "X": 0},
}

_PAGES: dict[Reason, tuple[Aim, ...]] = {
    Reason.RESERVED: (misaligned, bad_encoding(R=0, W=1), bad_encoding(PBMT=3), without_support),
    Reason.DENIED: (no_right, no_right),
    Reason.ACCESS_FLAG: (clear_flag,),
}

AIMS: dict[tuple[str, Stage, Reason], tuple[Aim, ...]] = {
    ("", DEVICE, Reason.ABORTED): (ddtp(iommu_mode=0),),
    ("", DEVICE, Reason.RID_RANGE): (outside,),
    ("", DEVICE, Reason.BLOCKED): _BLOCKED,
    (STAGE_1, DEVICE, Reason.INVALID): (*_CONTEXT, *_BARE_SECOND),
    (STAGE_2, DEVICE, Reason.INVALID): (*_CONTEXT, *_SECOND),
    (NESTED, DEVICE, Reason.INVALID): (*_CONTEXT, *_SECOND),
    ("", DEVICE, Reason.PASID_RANGE): (large_pasid,),
    ("", PASID, Reason.INVALID): (bad_process_mode, lacking_process_mode),
    ("", PASID, Reason.BLOCKED): (both(with_pasid, pc(ENS=0), ask(priv=True)),),
    **{("", stage, reason): aims for stage in (S1, S2) for reason, aims in _PAGES.items()},
    ("", S1, Reason.DENIED): (no_right, no_right, supervisor_at_user_page),
    ("", S2, Reason.RESERVED): (*_PAGES[Reason.RESERVED], msi_mode),
    ("", S2, Reason.DENIED): (no_right, no_right, msi_fetch),
    ("", S2, Reason.PRIVILEGE): (not_a_users,),
    ("", S2, Reason.NOT_PRESENT): (msi_not_valid, msi_not_valid),
    ("", S2, Reason.UNREADABLE): (msi_lost, msi_lost, msi_lost),
    ("", S2, Reason.INPUT_RANGE): (narrow_guest,),
    (NESTED, S2, Reason.INPUT_RANGE): (far_root, narrow_guest),
    ("", S2, Reason.INVALID): (mrif_without_support,),
}


def limit_lg2(case: Case, stage: Stage, level: int) -> int:
    """The width of the tables whose root has this level; two levels are those of Sv32."""
    if level == 1:
        return 32 if stage is S1 else 34
    return 12 + 9 * (level + 1) + (0 if stage is S1 else 2)


def pointer_lg2(case: Case) -> int:
    """PAS, if entries can hold so much."""
    return min(56, case.registers.get("CAPABILITIES", DEFAULT_CAPABILITIES) >> 32 & 63)


def format_of(case: Case, answer: Translation) -> str:
    """The device context says it, if one was read, together with the request."""
    contexts = {
        ref.stage: case.image.read(ref.hpa, ref.len) or b""
        for ref in answer.refs
        if ref.stage in (DEVICE, PASID) and not ref.level
    }
    if DEVICE not in contexts:
        return case.world.format
    data = contexts[DEVICE]
    fields = (DC if len(data) == DC.size else EXTENDED_DC).parse(data)
    if not fields.iohgatp_MODE:
        return STAGE_1
    request = case.request
    off = not fields.fsc_MODE or (fields.PDTV and request.pasid is None and not fields.DPE)
    if answer.fault and answer.fault.stage is S2:
        # a first stage that the process or the kind of request leaves out
        off = off or request.at is At.TRANSLATED
        off = off or (PASID in contexts and not PC.parse(contexts[PASID]).fsc_MODE)
    return STAGE_2 if off else NESTED


VENDOR = Knowledge(
    rid_lg2=24,
    describe=riscv.FORMAT.describe,
    registers={"DDTP": DDTP, "CAPABILITIES": CAPABILITIES, "FCTL": FCTL},
    required=("DDTP",),
    numbers={"GXL_WRITABLE": range(2)},
    idle=("PSCID", "GSCID", "G", "RSW"),
    present={DEVICE: ("V",), PASID: ("V",), S1: ("V",), S2: ("V",)},
    rights={S1: RIGHTS, S2: RIGHTS},
    leaf_only=True,
    supervisor={"U": 0},
    stale={"A": 0},
    flags=("A", "D"),
    guest_pointers={"fsc_PPN": 12, "PPN": 12},
    pointer_lg2=pointer_lg2,
    limit_lg2=limit_lg2,
    aims=AIMS,
    format_of=format_of,
)
