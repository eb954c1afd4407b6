"""One or two changes to what a request meets: bits of the entries on its path, or the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from iommu_abi.terms import Access, Ref, Request, Stage
from peers.machine import Machine
from peers.ram import PAGE, Ram
from peers.worlds import Dice


def mutate(dice: Dice, machine: Machine, refs: Sequence[Ref], request: Request) -> Request:
    """Change entries in memory; the request that is to be made then."""
    for _ in range(dice.pick((1, 1, 1, 2))):
        if refs and dice.chance(0.85):
            pages = [ref for ref in refs if ref.stage in (Stage.S1, Stage.S2)]
            _entry(dice, machine.ram, dice.pick(pages if pages and dice.chance(0.5) else refs))
        else:
            request = _request(dice, machine.rids, request)
    return request


def _entry(dice: Dice, ram: Ram, ref: Ref) -> None:
    """Change one word of an entry."""
    length = min(ref.len, 8)
    where = ref.hpa + length * dice.randrange(ref.len // length)
    if dice.chance(0.6):
        where = ref.hpa  # what matters most
    raw, bits = ram.load(where, length), 8 * length
    how = dice.random()
    if how < 0.30:
        raw ^= 1 << dice.randrange(12)
    elif how < 0.60:
        raw ^= 1 << dice.randrange(bits)
    elif how < 0.70:
        raw ^= 1 << dice.randrange(min(52, bits), bits) if bits > 52 else 1
    elif how < 0.78:
        raw = 0
    elif how < 0.84:
        raw ^= (1 << bits) - (1 << dice.randrange(bits))
    elif how < 0.94:  # another place in memory, or a little beside
        raw ^= dice.getrandbits(min(31, bits)) & -PAGE if dice.chance(0.5) else PAGE << dice.randrange(10)
    else:
        raw = dice.getrandbits(bits)
    ram.store(where, raw & (1 << bits) - 1, length)


def _request(dice: Dice, rids: Sequence[int], request: Request) -> Request:
    how = dice.random()
    if how < 0.4:
        return replace(request, iova=request.iova ^ 1 << dice.randrange(12, 64))
    if how < 0.7:
        high = (1 << 64) - (1 << dice.randrange(30, 64))
        return replace(request, iova=request.iova ^ high)
    if how < 0.85:
        return replace(request, access=Access.READ if request.access is Access.WRITE else Access.WRITE)
    return replace(request, rid=dice.pick(rids))
