"""Aimed mutations: what may lead to a row of the coverage table in any format.

What only a vendor has, its own module of aims says.
"""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.terms import Access, Purpose, Reason, Ref, Stage
from iommu_abi.worlds.free import free
from iommu_abi.worlds.mutate import Aim, Case, Miss, fresh, nowhere, site, take_away, with_rights
from iommu_abi.worlds.ways import Row

READ, WRITE = Access.READ, Access.WRITE
S1, S2 = Stage.S1, Stage.S2
#: Bytes; an entry lies no further behind the pointer that leads to it.
LARGEST_TABLE = 1 << 16


def absent(case: Case, row: Row) -> None:
    """Clear what makes an entry present, or all of it."""
    _, ref = site(case, row)
    if case.dice.chance(0.3):
        case.put(ref, 8 * ref.len - 1, 0, 0)
    else:
        case.set(ref, **dict.fromkeys(case.vendor.present[row.stage], 0))


def reserved(case: Case, row: Row) -> None:
    """Set bits of a reserved field."""
    _, ref = site(case, row)
    fields = [bits for bits in case.layout(ref).fields if bits.reserved]
    if not fields:
        raise Miss
    bits = case.dice.pick(fields)
    one, any_ = 1 << case.dice.randrange(bits.width), case.dice.getrandbits(bits.width) or 1
    case.put(ref, bits.high, bits.low, one if case.dice.chance(0.6) else any_)


def unreadable(case: Case, row: Row) -> None:
    """Take away the memory of an entry: its page, itself, or a part of it."""
    _, ref = site(case, row)
    take_away(case, ref)


def astray(case: Case, row: Row) -> None:
    """Let the pointer that leads to an entry point where there is no memory."""
    walk, ref = site(case, row)
    before = case.path[: case.path.index(ref)]
    for parent in reversed(before):
        if parent.stage in (Stage.DEVICE, Stage.PASID) or parent in walk:
            for bits in case.layout(parent).fields:
                inside = ref.gpa - (case.get(parent, bits) << bits.unit_lg2)
                if bits.unit_lg2 and 0 <= inside < LARGEST_TABLE:
                    case.put(parent, bits.high, bits.low, nowhere(case) >> bits.unit_lg2)
                    return
    raise Miss


def denied(case: Case, row: Row) -> None:
    """Take the right for an access from an entry of any level of the walk."""
    walk, ref = site(case, row)
    rights = case.vendor.rights[row.stage]
    access = READ
    if ref.purpose is Purpose.DATA:
        access = case.request.access
        if access not in rights or case.dice.chance(0.2):
            access = WRITE
        case.ask(replace(case.request, access=access))
    case.set(with_rights(case, fresh(case, walk) or walk), **rights[access])


def privilege(case: Case, row: Row) -> None:
    """Make a page the supervisor's, at any level, and ask as a user."""
    walk, _ = site(case, row)
    case.set(with_rights(case, walk), **case.vendor.supervisor)
    case.ask(replace(case.request, priv=False))


def update_denied(case: Case, row: Row) -> None:
    """Clear the accessed flag of a stage-1 entry, and take W from the walk that leads to it."""
    first = [ref for ref in case.path if ref.stage is S1]
    entries = {ref.level: ref for ref in (first[-1:] if case.vendor.leaf_only else first)}
    walks = [walk for walk in case.walks(S2) if walk[-1].level == row.level]
    walks = [walk for walk in walks if walk[-1].purpose is Purpose.S1_ENTRY]
    walk = case.one_walk([walk for walk in walks if walk[-1].for_level in entries])
    case.set(entries[walk[-1].for_level], **case.vendor.stale)
    case.set(with_rights(case, walk), **case.vendor.rights[S2][WRITE])


def too_wide(case: Case, row: Row) -> None:
    """Change upper bits of the IOVA."""
    case.one_walk([walk for walk in case.walks(S1) if walk[0].level == row.level])
    first = case.vendor.limit_lg2(case, S1, row.level)
    if first >= 64:
        raise Miss
    case.ask(replace(case.request, iova=case.request.iova ^ 1 << case.dice.randrange(first, 64)))


def beyond(case: Case, row: Row) -> None:
    """Let an address that stage 2 has to translate lie above its limit."""
    walks = [walk for walk in case.walks(S2) if walk[0].level == row.level]
    walk = case.one_walk([walk for walk in walks if walk[0].purpose is case.purpose] or walks)
    own = walk[0].purpose is Purpose.DATA and not case.walks(S1)
    limit, last = case.vendor.limit_lg2(case, S2, row.level), 64 if own else case.vendor.pointer_lg2(case)
    if limit >= last:
        raise Miss
    lead(case, walk, 1 << case.dice.randrange(limit, last))


def lead(case: Case, walk: list[Ref], address: int) -> None:
    """Add ``address`` to what a walk of stage 2 translates: the IOVA, or a pointer of stage 1."""
    before = case.path[: case.path.index(walk[0])]
    pointers = [ref for ref in before if ref.stage in (S1, Stage.PASID, Stage.DEVICE)]
    if walk[0].purpose is Purpose.DATA and not any(ref.stage is S1 for ref in before):
        case.ask(replace(case.request, iova=case.request.iova ^ address))
        return
    wanted = case.vendor.guest_pointers
    fields = [bits for bits in case.layout(pointers[-1]).fields if bits.name in wanted]
    if not fields:
        raise Miss
    bits = case.dice.pick(fields)
    shift = bits.unit_lg2 or wanted[bits.name]
    if not address >> shift:
        raise Miss
    value = case.get(pointers[-1], bits) ^ address >> shift
    case.put(pointers[-1], bits.high, bits.low, value)


#: (stage, or None for all; reason) -> what may lead there in any format.
GENERIC: dict[tuple[Stage | None, Reason], tuple[Aim, ...]] = {
    (None, Reason.NOT_PRESENT): (absent,),
    (None, Reason.RESERVED): (reserved,),
    (None, Reason.UNREADABLE): (unreadable, unreadable, astray),
    (S1, Reason.DENIED): (denied,),
    (S2, Reason.DENIED): (denied,),
    (S1, Reason.PRIVILEGE): (privilege,),
    (S1, Reason.INPUT_RANGE): (too_wide,),
    (S2, Reason.INPUT_RANGE): (beyond,),
    (S2, Reason.UPDATE_DENIED): (update_denied,),
}


def aim(case: Case, row: Row) -> None:
    """Change what may lead to ``row``; something else where the path does not allow it."""
    aims = case.vendor.aims
    choices = (
        *aims.get((row.format, row.stage, row.reason), ()),
        *aims.get(("", row.stage, row.reason), ()),
        *GENERIC.get((row.stage, row.reason), GENERIC.get((None, row.reason), ())),
    )
    for _ in range(6):
        try:
            case.dice.pick(choices)(case, row)
            return
        except Miss:
            continue
    free(case)
