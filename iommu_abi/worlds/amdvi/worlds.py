"""Worlds of AMD-Vi: host tables (v1), guest tables (v2), and v2 behind v1.

Vendor words as in schemas/amdvi.py; its levels count from 1, ours from 0.
"""

from __future__ import annotations

from iommu_abi.schemas import amdvi_entries, build
from iommu_abi.terms import At, Purpose, Reason, Request, Stage
from iommu_abi.worlds.amdvi.builder import Builder, Tables, device_fields
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.pages import interrupts, low_address, one_of
from iommu_abi.worlds.spaces import EXEC, READ, WRITE, Guest
from iommu_abi.worlds.world import Wish, World

S1, S2 = Stage.S1, Stage.S2
RW = READ | WRITE
#: Levels that a walk of 6 can leave out, in the vendor's counting; 1 holds what is mapped.
SKIPPABLE = (2, 3, 4, 5)
_NEXT_LG2 = 9


# ---------------------------------------------------------------- v1


def host_only(dice: Dice, wish: Wish) -> World:
    """Devices with v1 tables, or that pass through with IR and IW."""
    b = Builder(dice, wish)
    for each in b.rids():
        fields = device_fields(dice)
        at = dice.pick((At.UNTRANSLATED, At.TRANSLATION)) if fields["I"] else At.UNTRANSLATED
        if not wish.stage(S2) and dice.chance(0.15):
            b.unit.device(each, None, None, **fields)
            access = dice.pick((READ, WRITE, EXEC))
            b.requests.append(Request(each, low_address(dice, 64), access=access, at=at))
            continue
        tables = b.tables()
        b.unit.device(each, tables, None, **fields)
        for _ in range(dice.pick((1, 2, 2))):
            iova, access = b.map_host(tables)
            if READ in access:
                access |= EXEC
            b.requests.append(Request(each, iova, access=one_of(dice, access), at=at))
    return World("amdvi-v1", "amdvi", b.registers(), b.host, b.requests)


# ---------------------------------------------------------------- v2, alone or behind v1


def guests(dice: Dice, wish: Wish, nested: bool) -> World:
    """Devices with GCR3 tables."""
    b = Builder(dice, wish)
    b.nx = int(dice.chance(0.8))
    b.trp_mode = int(dice.chance(0.8) or (wish.purpose is Purpose.PASID_ENTRY and wish.stage(S2)))
    for each in b.rids():
        guest_device(b, each, nested)
    return World("amdvi-nested" if nested else "amdvi-v2", "amdvi", b.registers(), b.host, b.requests)


def guest_device(b: Builder, rid: int, nested: bool) -> None:
    """One device: its DTE, GCR3 table, guest tables and host tables."""
    dice, wish = b.dice, b.wish
    host = b.tables() if nested else None
    accessed = dice.chance(0.5) and not wish.reason(Reason.UPDATE_DENIED)
    space: build.Space = b.host
    if host is not None:
        space = b.guest(host)
        space.access = READ if accessed and dice.chance(0.5) else RW
    glx = wish.levels(Stage.PASID, (1, 2, 3)) - 1
    b.most_glx = max(b.most_glx, glx)
    gcr3 = build.Gcr3Table(space, glx)
    if isinstance(space, Guest):
        space.elsewhere(wish)
    levels = 4
    giov = dice.getrandbits(1)
    # all processes of a device have as many levels
    tables = [b.guest_tables(space, accessed)]
    levels = tables[0].levels
    for pasid in pasids(dice, glx):
        guest = tables.pop() if tables else build.AmdV2(space, levels, accessed)
        gcr3.set(pasid, guest)
        b.pasid_bits = max(b.pasid_bits, pasid.bit_length() or 1)
        use_guest(b, guest, host, rid, pasid, giov)
    fields = device_fields(dice) | {"GuestPagingMode": levels - 4, "GIoV": giov}
    address = {} if space is b.host or b.trp_mode else gcr3_root(b, space, gcr3)
    b.unit.device(rid, host, gcr3, **fields | address)


def gcr3_root(b: Builder, space: build.Space, gcr3: build.Gcr3Table) -> dict[str, int]:
    """Without GCR3TRPMode the root is host memory: where the guest's page lies."""
    assert isinstance(space, Guest)
    return amdvi_entries.gcr3_pieces(space.hpa(gcr3.address) or 0)


def pasids(dice: Dice, glx: int) -> list[int]:
    """One or two PASIDs that the GCR3 table can hold."""
    last = min(1 << 20, 1 << 9 * (glx + 1)) - 1
    return sorted({dice.pick((0, 1, last, dice.randrange(last + 1))) for _ in range(dice.pick((1, 2)))})


def use_guest(b: Builder, guest: build.AmdV2, host: Tables | None, rid: int, pasid: int, giov: int) -> None:
    """Map pages for a process, and use them."""
    dice = b.dice
    for _ in range(dice.pick((1, 2))):
        without = pasid == 0 and giov == 1 and dice.chance(0.5)
        privileged = not without and dice.chance(0.4)
        user = not privileged or dice.chance(0.5)
        iova, access = b.map_guest(guest, host, pasid, user)
        if without and interrupts(iova):
            continue
        access = one_of(dice, access)
        priv = privileged or (without and dice.chance(0.5))
        b.requests.append(Request(rid, iova, None if without else pasid, access, priv))


def guest_only(dice: Dice, wish: Wish) -> World:
    """v2 without host tables: GPA is SPA."""
    return guests(dice, wish, nested=False)


def nested(dice: Dice, wish: Wish) -> World:
    """v2 behind v1."""
    return guests(dice, wish, nested=True)


WORLDS = {"amdvi-v1": host_only, "amdvi-v2": guest_only, "amdvi-nested": nested}
