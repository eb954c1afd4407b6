"""Worlds of Arm SMMUv3: stage 1, stage 2, and stage 1 behind stage 2.

Vendor words as in schemas/smmuv3_entries.py; its levels count from the top, ours from the leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from iommu_abi.schemas import build
from iommu_abi.schemas.smmuv3_entries import (
    ADDRESS_LG2,
    BYPASS,
    DSS_BYPASS,
    DSS_CD0,
    EL2,
    LINEAR,
    TWO_LEVEL_4K,
    TWO_LEVEL_64K,
)
from iommu_abi.terms import Access, Purpose, Reason, Request, Stage
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.pages import Destination, direct, through
from iommu_abi.worlds.smmuv3.builder import Builder, updates_dirty
from iommu_abi.worlds.smmuv3.streams import Stream, ask, map_second, split_stage, stream
from iommu_abi.worlds.smmuv3.tables import CdTable
from iommu_abi.worlds.spaces import ACCESSES, EXEC, READ, WRITE, Guest, place
from iommu_abi.worlds.world import Wish, World

PASID, S1, S2 = Stage.PASID, Stage.S1, Stage.S2
RWX = READ | WRITE | EXEC
TWO_LEVEL = (TWO_LEVEL_4K, TWO_LEVEL_64K)
GRANULES = {12: "GRAN4K", 14: "GRAN16K", 16: "GRAN64K"}


# ---------------------------------------------------------------- stage 1


@dataclass
class Context:
    """A CD and its stream: who may do what."""

    stream: Stream
    cd: dict[str, int]
    el2: bool
    epan: int

    def granted(self, leaf: Mapping[str, int], privileged: bool) -> Access:
        """What AP, PXN, UXN, PAN and WXN leave of a page (EL2 has one privilege, and no AP[1])."""
        user, writable = bool(leaf["AP1"]), not leaf["AP2"] or updates_dirty(self.cd, leaf)
        enhanced = self.epan and self.cd["EPAN"] and not leaf["UXN"]
        apart = (user or enhanced) and self.cd["PAN"] if privileged else not user
        data = READ | (WRITE if writable else Access.NONE)
        if apart and not self.el2:
            data = Access.NONE
        never = leaf["PXN"] or (user and writable) if privileged and not self.el2 else leaf["UXN"]
        if never or (self.cd["WXN"] and writable and (user or privileged or self.el2)):
            return data
        return data | EXEC


def context_descriptor(b: Builder, stream: Stream, el2: bool, ips: int) -> Context:
    """A CD with random controls."""
    dice = b.dice
    names = ("WXN", "UWXN", "PAN", "EPAN", "TBI0", "TBI1", "HAD0", "HAD1", "AIE")
    fields = {name: dice.getrandbits(1) for name in names}
    fields |= {"A": 1, "ASID": dice.getrandbits(16), "IPS": ips} | b.controls(S1)
    if b.wish.stage(S1) and b.wish.reason(Reason.DENIED):
        fields |= {"WXN": 0}
    return Context(stream, fields, el2, b.epan)


def contexts(b: Builder, stream: Stream) -> build.CdTable:
    """The CD table of a stream, with one or two CDs in use."""
    dice, wish = b.dice, b.wish
    ips = b.width()
    space: build.Space = b.host
    if stream.second is not None:
        # the widest where stage 1 has to point beyond stage 2
        ips = 7 if wish.stage(S2) and wish.reason(Reason.INPUT_RANGE) else dice.randrange(8)
        space = guest(b, stream.second, ADDRESS_LG2[ips])
    table = cd_table(b, space)
    el2 = bool(stream.second is None and b.hyp and not b.e2h and dice.chance(0.3))
    stream.fields |= {"STRW": EL2 if el2 else 0}
    for ssid in ssids(dice, table.cdmax):
        if isinstance(space, Guest):
            space.elsewhere(wish)
        use_context(b, context_descriptor(b, stream, el2, ips), table, ssid)
    return table


def cd_table(b: Builder, space: build.Space) -> build.CdTable:
    """A CD table of one CD, or of many: linear, or of two levels."""
    dice, wish = b.dice, b.wish
    cdmax = dice.pick((0, 0, 1, 5, 8, 12, 20))
    if wish.stage(PASID) or wish.reason(Reason.PASID_RANGE) or wish.purpose is Purpose.PASID_ENTRY:
        cdmax = dice.pick((1, 5, 8, 12, 19))
    if isinstance(space, Guest):
        cdmax = min(cdmax, space.lg2 - 12)
    two_level = wish.stage(PASID) and wish.row and wish.row.level
    fmt = dice.pick(TWO_LEVEL if two_level else (LINEAR, *TWO_LEVEL)) if cdmax else LINEAR
    b.cdmax = max(b.cdmax, cdmax)
    return CdTable(space, cdmax, fmt)


def guest(b: Builder, second: build.SmmuStage2, ips_lg2: int) -> Guest:
    """Guest memory, where stage-1 tables and CDs can point."""
    sizes = [b.leaf(second, data=False) for _ in range(2)]
    return Guest(b.host, second, min(second.input_lg2, ips_lg2, b.oas_lg2, 48), sizes)


def ssids(dice: Dice, cdmax: int) -> list[int]:
    """One or two SubstreamIDs that the CD table can hold."""
    last = (1 << cdmax) - 1
    return sorted({dice.pick((0, last, dice.randrange(last + 1))) for _ in range(dice.pick((1, 2)))})


def substream(dice: Dice, stream: Stream, cdmax: int, ssid: int) -> int | None:
    """How a request names its CD; S1DSS says what has to be without SubstreamID."""
    if cdmax == 0:
        return None
    if ssid == 0 and stream.fields["S1DSS"] == DSS_CD0:
        return None
    return ssid


def use_context(b: Builder, context: Context, table: build.CdTable, ssid: int) -> None:
    """Make the halves of a CD, map pages in them, and use them."""
    dice = b.dice
    halves = (False,) if context.el2 else dice.pick(((False,), (True,), (False, True)))
    tables: dict[bool, build.SmmuStage1] = {}
    ds = bool(b.limits.ds and (b.deep or dice.chance(0.5)))
    for upper in halves:
        shape = b.shape(S1, ds=ds)
        first = build.SmmuStage1(
            table.space, 1 << shape.granule.lg2, shape.tsz, shape.granule.wide, bool(context.cd["ENDI"])
        )
        tables[upper] = first
        for _ in range(dice.pick((1, 2))):
            request = map_first(b, context, first, upper)
            ask(b, context.stream, replace(request, pasid=substream(dice, context.stream, table.cdmax, ssid)))
    fields = context.cd | {"DS": int(ds)} | ({"EPD0": dice.getrandbits(1)} if context.el2 else {})
    table.set(ssid, tables.get(False), tables.get(True), **fields)


def map_first(b: Builder, context: Context, first: build.SmmuStage1, upper: bool) -> Request:
    """Map a page, and ask for something that its rights allow."""
    dice, stream = b.dice, context.stream
    for _ in range(100):
        size = b.leaf(first)
        leaf = {"AP1": dice.getrandbits(1), "AP2": dice.getrandbits(1), "PXN": int(dice.chance(0.3))}
        leaf |= {"UXN": int(dice.chance(0.3))} | b.attributes(context.cd)
        priv = dice.chance(0.5)
        target = None if size > first.input_lg2 else target_of(b, context, first, size)
        if target is None:
            continue
        accesses = stream.accesses(context.granted(leaf, stream.privileged(priv)) & target.access)
        iova = dice.address(first.input_lg2, size) | (-1 << first.input_lg2 & (1 << 64) - 1 if upper else 0)
        if accesses and place(first, iova, target.page, size, RWX, **leaf):
            iova = top_byte(dice, iova + target.offset, context.cd["TBI1" if upper else "TBI0"])
            return Request(stream.sid, iova, None, dice.pick(accesses), priv)
    raise Unlucky


def target_of(b: Builder, context: Context, first: build.SmmuStage1, size: int) -> Destination | None:
    """Where a page of stage 1 leads; None if there is no room for its size."""
    out_lg2 = b.output_lg2(first.granule, context.cd["IPS"])
    second = context.stream.second
    if second is None:
        return direct(b.dice, out_lg2, size) if size <= out_lg2 else None
    space = first.space
    assert isinstance(space, Guest)
    size2 = b.leaf(second)
    if size > space.lg2 or size2 > space.lg2:
        return None
    access = b.dice.pick((RWX, RWX, READ | WRITE, READ | EXEC, READ))
    return through(space, size, size2, access, **b.attributes(context.stream.controls) | {"DBM": 0})


def top_byte(dice: Dice, iova: int, is_ignored: int) -> int:
    """The address, with any top byte if that is ignored."""
    return iova & (1 << 56) - 1 | dice.getrandbits(8) << 56 if is_ignored and dice.chance(0.5) else iova


# ---------------------------------------------------------------- worlds


def bypassing(b: Builder, stream: Stream, lg2: int) -> None:
    """A request that meets no stage, below 2^``lg2``."""
    iova = b.dice.address(lg2, 12) | b.dice.offset()
    b.requests.append(Request(stream.sid, iova, access=b.dice.pick(ACCESSES), priv=b.dice.chance(0.5)))


def stage_1(dice: Dice, wish: Wish) -> World:
    """Streams with stage 1, and some that bypass it."""
    b = Builder(dice, wish)
    for sid in b.unit.sids:
        made = stream(b, sid, with_second=False)
        if not wish.row and dice.chance(0.1):
            b.unit.device(sid, None, None, **made.fields | {"Config": BYPASS})
            bypassing(b, made, b.oas_lg2)
            continue
        cds = contexts(b, made)
        if cds.cdmax and made.fields["S1DSS"] == DSS_BYPASS:
            bypassing(b, made, b.limits.ias_lg2)
        b.unit.device(sid, cds, None, **made.fields)
    return b.world("smmuv3-s1")


def stage_2(dice: Dice, wish: Wish) -> World:
    """Streams with stage 2 alone."""
    b = Builder(dice, wish)
    for sid in b.unit.sids:
        made = stream(b, sid, with_second=True)
        assert made.second is not None
        for _ in range(dice.pick((1, 2, 2))):
            map_second(b, made, made.second)
        b.unit.device(sid, None, made.second, **made.fields)
    return b.world("smmuv3-s2")


def nested(dice: Dice, wish: Wish) -> World:
    """Streams with stage 1 behind stage 2, which some requests meet alone."""
    b = Builder(dice, wish)
    for sid in b.unit.sids:
        made = stream(b, sid, with_second=True)
        assert made.second is not None
        split_stage(b, made)
        cds = contexts(b, made)
        if cds.cdmax and made.fields["S1DSS"] == DSS_BYPASS:
            map_second(b, made, made.second)
        b.unit.device(sid, cds, made.second, **made.fields)
    return b.world("smmuv3-nested")


WORLDS = {"smmuv3-s1": stage_1, "smmuv3-s2": stage_2, "smmuv3-nested": nested}
