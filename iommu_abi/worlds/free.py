"""Free mutations: anything, of entries on the path, registers, the request and memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from iommu_abi.terms import Access, At, Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.mutate import Case, Miss, nowhere, take_away

READ, WRITE, EXEC = Access.READ, Access.WRITE, Access.EXEC
S1, S2 = Stage.S1, Stage.S2

Free = Callable[[Case], None]


def any_bit(case: Case) -> None:
    """One bit of one entry."""
    ref = case.one(case.path)
    bit = case.dice.randrange(8 * ref.len)
    case.put(ref, bit, bit, ~case.raw(ref) >> bit & 1)


def any_field(case: Case) -> None:
    """A field gets an interesting value; mostly one that has a meaning."""
    ref = case.one(case.path)
    fields = case.layout(ref).fields
    if case.dice.chance(0.7):
        fields = tuple(bits for bits in fields if not bits.reserved and not bits.ignored)
    bits = case.dice.pick(fields)
    case.put(ref, bits.high, bits.low, interesting(case.dice, bits.width, case.get(ref, bits)))


def two_fields(case: Case) -> None:
    """Two fields of one entry: which of two things that are wrong is reported?"""
    ref = case.one(case.path)
    for _ in range(2):
        bits = case.dice.pick(case.layout(ref).fields)
        case.put(ref, bits.high, bits.low, interesting(case.dice, bits.width, case.get(ref, bits)))


def interesting(dice: Dice, width: int, now: int) -> int:
    """0, 1, all ones, one more or less, or any number."""
    return dice.pick((0, 1, -1, now + 1, now - 1, 1 << width - 1, dice.getrandbits(width))) & (1 << width) - 1


def zero(case: Case) -> None:
    """An entry of zeros."""
    ref = case.one(case.path)
    case.put(ref, 8 * ref.len - 1, 0, 0)


def pointer(case: Case) -> None:
    """A pointer to nowhere, to itself, beyond the address width, or to another table."""
    ref = case.one(case.path)
    pointers = [bits for bits in case.layout(ref).fields if bits.unit_lg2]
    if not pointers:
        raise Miss
    bits = case.dice.pick(pointers)
    to = case.dice.pick((nowhere(case), ref.hpa, ref.gpa, case.dice.getrandbits(64), case.one(case.path).hpa))
    case.put(ref, bits.high, bits.low, to >> bits.unit_lg2)


def fewer_rights(case: Case) -> None:
    """Rights removed at any level; half of the time one that the request does not need."""
    ref = case.one([ref for ref in case.path if ref.stage in case.vendor.rights])
    rights = case.vendor.rights[ref.stage]
    needed = rights.get(case.request.access)
    spare = [each for each in rights.values() if each != needed]
    removed = case.dice.pick(spare if spare and case.dice.chance(0.5) else list(rights.values()))
    case.set(ref, **case.dice.pick((removed, removed, case.vendor.supervisor)))


def copied(case: Case) -> None:
    """An entry written over another of its size."""
    ref = case.one(case.path)
    other = case.one([each for each in case.path if each.len == ref.len])
    case.put(ref, 8 * ref.len - 1, 0, case.raw(other))


def any_register(case: Case) -> None:
    """A field of a register, or a register that is not given."""
    name = case.dice.pick(sorted(case.vendor.registers.keys() & case.registers.keys()))
    if case.dice.chance(0.1) and name not in case.vendor.required:
        del case.registers[name]
        case.notes.append(f"{name} is not given")
        return
    bits = case.dice.pick(case.vendor.registers[name].fields)
    now = case.registers[name] >> bits.low & (1 << bits.width) - 1
    value = interesting(case.dice, bits.width, now)
    case.register(name, case.vendor.registers[name], **{bits.name: value << bits.unit_lg2})


def number(case: Case) -> None:
    """Another number in a register that is one."""
    if not case.vendor.numbers:
        raise Miss
    name = case.dice.pick(sorted(case.vendor.numbers))
    case.registers[name] = case.dice.pick(case.vendor.numbers[name])
    case.notes.append(f"{name}={case.registers[name]}")


def other_iova(case: Case) -> None:
    """Another address: near, elsewhere in the world, far, or among the interrupts."""
    dice, iova = case.dice, case.request.iova
    others = [request.iova for request in case.world.requests]
    near = iova ^ dice.getrandbits(12)
    far = iova ^ 1 << dice.randrange(64)
    irq = 0xFEE0_0000 | dice.getrandbits(20)
    iova = dice.pick((near, near, far, far, dice.pick(others), dice.number(64), irq))
    case.ask(replace(case.request, iova=iova))


def other_request(case: Case) -> None:
    """Another requester, PASID, access, privilege or address type."""
    dice, request = case.dice, case.request
    others = case.world.requests
    kind = dice.randrange(5)
    if kind == 0:
        bits = case.vendor.rid_lg2
        rids = (request.rid ^ 1 << dice.randrange(bits), dice.pick(others).rid, dice.getrandbits(bits))
        request = replace(request, rid=dice.pick(rids))
    elif kind == 1:
        pasid = dice.pick((None, dice.pick(others).pasid, dice.number(20), (request.pasid or 0) ^ 1))
        request = replace(request, pasid=pasid)
    elif kind == 2:
        request = replace(request, access=dice.pick((READ, WRITE, EXEC)))
    elif kind == 3:
        request = replace(request, priv=not request.priv)
    else:
        request = replace(request, at=dice.pick(tuple(At)))
    case.ask(request)


def senseless(case: Case) -> None:
    """A request that both ledgers have to refuse as an error."""
    dice, request = case.dice, case.request
    if case.vendor.rid_lg2 < 32 and dice.chance(0.5):
        case.ask(replace(request, rid=dice.randrange(1 << case.vendor.rid_lg2, 1 << 32)))
    else:
        case.ask(replace(request, pasid=dice.randrange(1 << 20, 1 << 32)))


def harmless(case: Case) -> None:
    """Bits at which no walk looks, in several entries, and another byte of the same page."""
    for ref in case.path:
        fields = [bits for bits in case.layout(ref).fields if bits.ignored or bits.name in case.vendor.idle]
        if fields and case.dice.chance(0.7):
            bits = case.dice.pick(fields)
            case.put(ref, bits.high, bits.low, case.dice.getrandbits(bits.width))
    case.ask(replace(case.request, iova=case.request.iova ^ case.dice.getrandbits(12)))


def flags(case: Case) -> None:
    """A/D flags as they may be found."""
    for ref in case.path:
        if ref.stage in (S1, S2):
            case.set(ref, **{name: case.dice.getrandbits(1) for name in case.vendor.flags})


def gone(case: Case) -> None:
    """Memory taken away."""
    take_away(case, case.one(case.path))


FREE: tuple[tuple[int, Free], ...] = (
    (6, any_bit),
    (6, any_field),
    (4, two_fields),
    (1, zero),
    (5, pointer),
    (4, fewer_rights),
    (2, copied),
    (5, any_register),
    (1, number),
    (5, other_iova),
    (5, other_request),
    (1, senseless),
    (7, harmless),
    (3, flags),
    (1, gone),
)
_WEIGHTED = tuple(each for weight, each in FREE for _ in range(weight))


def free(case: Case) -> None:
    """Change anything."""
    while True:
        try:
            case.dice.pick(_WEIGHTED)(case)
            return
        except Miss:
            continue
