"""Streams of an SMMU: STEs, what they make of requests, and stage 2.

Vendor words as in schemas/smmuv3_entries.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from iommu_abi.schemas import build
from iommu_abi.terms import Access, At, Request, Stage
from iommu_abi.worlds.dice import Unlucky
from iommu_abi.worlds.pages import direct
from iommu_abi.worlds.smmuv3.builder import Builder, updates_dirty
from iommu_abi.worlds.spaces import ACCESSES, EXEC, READ, WRITE, place
from iommu_abi.worlds.world import LEAF_REASONS

PASID, S1, S2 = Stage.PASID, Stage.S1, Stage.S2
RWX = READ | WRITE | EXEC
GRANULES = {12: "GRAN4K", 14: "GRAN16K", 16: "GRAN64K"}


@dataclass
class Stream:
    """An STE, what it makes of requests, and its stage 2 with the controls of that."""

    sid: int
    fields: dict[str, int]
    override: int
    second: build.SmmuStage2 | None = None
    controls: dict[str, int] = field(default_factory=dict)

    def privileged(self, priv: bool) -> bool:
        """Whether a request counts as privileged."""
        forced = self.fields["PRIVCFG"]
        return forced == 3 if self.override and forced >= 2 else priv

    def becomes(self, access: Access) -> Access:
        """What an access counts as."""
        forced = self.fields["INSTCFG"]
        if not self.override or forced < 2 or access is WRITE:
            return access
        return EXEC if forced == 3 else READ

    def accesses(self, granted: Access) -> list[Access]:
        """What may be asked for with these rights."""
        return [each for each in ACCESSES if self.becomes(each) in granted]


def stream(b: Builder, sid: int, with_second: bool) -> Stream:
    """A stream with random fields, and stage 2 if it has one."""
    dice = b.dice
    fields = {"PRIVCFG": dice.randrange(4), "INSTCFG": dice.randrange(4), "EATS": dice.pick((0, 1, 1, 1, 3))}
    fields |= {"S1DSS": dice.randrange(4), "MEV": dice.getrandbits(1), "SHCFG": dice.randrange(4)}
    made = Stream(sid, fields, b.override)
    if with_second:
        made.second, made.controls = second_stage(b)
        fields |= {f"S2{name}": value for name, value in made.controls.items()}
        if made.controls["S"] and fields["EATS"] == 1:
            fields["EATS"] = 0
    if not b.ats:  # then the field is ignored
        fields["EATS"] = dice.randrange(4)
    return made


def split_stage(b: Builder, made: Stream) -> None:
    """Maybe let translation requests of a nested stream end with the IPA."""
    if b.ats and not b.ns1ats and not made.controls["S"] and b.dice.chance(0.3):
        made.fields["EATS"] = 2


def second_stage(b: Builder) -> tuple[build.SmmuStage2, dict[str, int]]:
    """Stage-2 tables, and the fields of the STE that go with them."""
    dice, wish = b.dice, b.wish
    # room for tables and pages of a guest; much room for large pages of its stage 1
    large = wish.stage(S1) and wish.reason(*LEAF_REASONS) and wish.row and wish.row.level
    shape = b.shape(S2, 40 if large and b.limits.ias_lg2 >= 40 else 22)
    fields = {"PS": b.width(), "PTW": dice.getrandbits(1), "VMID": dice.getrandbits(16)} | b.controls(S2)
    fields["FWB"] = dice.getrandbits(1)
    second = build.SmmuStage2(
        b.host, 1 << shape.granule.lg2, shape.tsz, shape.start, shape.granule.wide, bool(fields["ENDI"])
    )
    return second, fields


def map_second(b: Builder, stream: Stream, second: build.SmmuStage2) -> None:
    """Map a page for a request that enters stage 2, and use it."""
    dice = b.dice
    out_lg2 = b.output_lg2(second.granule, stream.controls["PS"])
    for _ in range(100):
        size = b.leaf(second)
        if size > min(second.input_lg2, out_lg2):
            continue
        target = direct(dice, out_lg2, size)
        iova = dice.address(second.input_lg2, size)
        access = dice.pick((RWX, RWX, READ | WRITE, READ | EXEC, READ, WRITE, EXEC))
        leaf = b.attributes(stream.controls)
        granted = access | WRITE if updates_dirty(stream.controls, leaf) else access
        accesses = stream.accesses(granted)
        if accesses and place(second, iova, target.page, size, access, **leaf):
            ask(
                b,
                stream,
                Request(stream.sid, iova + target.offset, None, dice.pick(accesses), dice.chance(0.5)),
            )
            return
    raise Unlucky


def ask(b: Builder, stream: Stream, request: Request) -> None:
    """Add a request; with ATS it may be a translation request, with full ATS a translated one.

    Without SubstreamID those are data and unprivileged, and no completion grants execution alone.
    """
    at, eats = At.UNTRANSLATED, stream.fields["EATS"] if b.ats else 0
    plain = request.access is not EXEC and (request.pasid is not None or not request.priv)
    if eats == 1 or (eats == 2 and b.atschk):
        translation = (At.TRANSLATION,) if plain else ()
        translated = () if b.wish.row or eats == 2 else (At.TRANSLATED,)
        at = b.dice.pick((At.UNTRANSLATED, At.UNTRANSLATED, *translation, *translated))
    b.requests.append(replace(request, at=at))
