"""Worlds of Intel VT-d: legacy, extended (ECS) and scalable mode.

Vendor words as in schemas/vtd_entries.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from iommu_abi.schemas import build
from iommu_abi.terms import Access, At, Reason, Request, Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.pages import interrupts, one_of
from iommu_abi.worlds.spaces import EXEC, PAGE, READ, WRITE, Guest, room
from iommu_abi.worlds.vtd.builder import Builder, rids
from iommu_abi.worlds.world import Wish, World

S1, S2 = Stage.S1, Stage.S2
RWX = READ | WRITE | EXEC


class PasidTable(build.ExtendedPasidTable):
    """An ECS PASID table of 2^(pts + 5) entries, of which only the pages in use have memory."""

    def __init__(self, space: build.Space, address: int, pts: int) -> None:
        self.space = space
        self.address = address
        self.length = 8 << pts + 5


def controls(dice: Dice) -> dict[str, int]:
    """First-stage controls of a context or PASID entry. NXE is on: leaves without EXEC have XD."""
    return {name: dice.getrandbits(1) for name in ("WPE", "SMEP", "EAFE", "ERE", "SLEE", "CD")} | {"NXE": 1}


#: Fields of entries that a unit reserves, and what it must have for them.
WANTS = {
    "EAFE": "EAFS", "CD": "MTS", "EMT": "MTS", "EMTE": "MTS", "PAT": "MTS", "PRE": "PRS", "SRE": "SRS",
    "WPE": "FLTS", "SLADE": "SLADS", "PWSNP": "SMPWCS", "PGSNP": "SC", "RID_PRIV": "RPRIVS", "DTE": "DT",
}  # fmt: skip


def wants(fields: dict[str, int], but: tuple[str, ...] = ()) -> set[str]:
    """The capabilities for the fields that are set."""
    return {WANTS[name] for name, value in fields.items() if value and name in WANTS and name not in but}


# ---------------------------------------------------------------- legacy mode


def legacy(dice: Dice, wish: Wish) -> World:
    """Contexts with second stages, or that pass through."""
    b = Builder(dice, wish)
    unit = build.VtdLegacy(b.host)
    for each in rids(dice):
        tt = dice.pick((0, 0, 1, 2))
        if wish.stage(S2):
            tt = dice.pick((0, 0, 1))
        elif wish.reason(Reason.INPUT_RANGE):
            tt = 2
        noise = {"FPD": int(dice.chance(0.2)), "DID": b.domain(), "ign_q1_6_3": dice.getrandbits(4)}
        if tt == 2:
            b.requests.append(Request(each, b.passed_address(), access=one_of(dice, RWX)))
            # the width is set below, when all widths of the unit are known
            unit.context(each, None, AW=0, **noise)
            continue
        second = b.second()
        unit.context(each, second, TT=tt, **noise)
        at = dice.pick(tuple(At)) if tt == 1 else At.UNTRANSLATED
        for _ in range(dice.pick((1, 2, 2))):
            iova, access = b.map_second(second)
            if at is At.TRANSLATED and iova >> b.haw:
                at = At.TRANSLATION
            b.requests.append(Request(each, iova, access=data_access(dice, access), at=at))
    widest = b.sagaw.bit_length() - 1
    for each in {request.rid for request in b.requests}:
        where = context_of(b, unit, each)
        if b.host.load(where) >> 2 & 3 == 2:
            b.host.store(where + 8, b.host.load(where + 8) & ~7 | widest)
    return World(
        "vtd-legacy", "vtd", unit.registers | b.registers(**b.features("DT", "PT")), b.host, b.requests
    )


def context_of(b: Builder, unit: build.VtdLegacy, rid: int) -> int:
    """Where a context lies."""
    return (b.host.load(unit.root + 16 * (rid >> 8)) & -PAGE) + 16 * (rid & 0xFF)


def data_access(dice: Dice, access: Access) -> Access:
    """An access where execution is no right: an execute request is a read."""
    return one_of(dice, access | EXEC if READ in access else access & ~EXEC)


# ---------------------------------------------------------------- requests with PASID


@dataclass
class Process:
    """What a first stage is made for, and how its owner may use it."""

    rid: int
    pasid: int | None
    privileged: bool
    fields: dict[str, int]

    def request(self, iova: int, access: Access, user: bool, dice: Dice) -> Request:
        """A request that succeeds; ``user``: the page is a user's."""
        if not self.fields["ERE"] or (self.fields["SMEP"] and self.privileged and user):
            access &= ~EXEC
        if self.pasid is None:  # it is a read
            access = access | EXEC if READ in access else access & ~EXEC
        priv = self.privileged if self.pasid is not None else dice.chance(0.5)
        return Request(self.rid, iova, self.pasid, one_of(dice, access), priv)


def use_first(b: Builder, first: build.VtdFirstStage, second: build.Tables | None, process: Process) -> None:
    """Map pages in a first stage, and use them."""
    for _ in range(b.dice.pick((1, 2, 2))):
        user = not process.privileged or b.dice.chance(0.5)
        iova, access = b.map_first(first, second, US=int(user))
        if process.pasid is None and interrupts(iova):
            continue
        b.requests.append(process.request(iova, access, user, b.dice))


def guest_tables(b: Builder, second: build.Tables, fields: dict[str, int]) -> tuple[Guest, bool]:
    """Guest memory for tables, and whether they have A and D set: then stage 2 may be read-only."""
    guest = b.guest(second)
    accessed = b.dice.chance(0.5) and not b.wish.reason(Reason.UPDATE_DENIED)
    if accessed and not fields["EAFE"] and not fields.get("SLADE") and b.dice.chance(0.5):
        guest.access = READ
    return guest, accessed


# ---------------------------------------------------------------- extended mode


def extended(dice: Dice, wish: Wish) -> World:
    """Contexts that pass through or translate without PASID; with PASID, nested or not."""
    b = Builder(dice, wish)
    unit = build.VtdExtended(b.host)
    needed: set[str] = set()
    for each in rids(dice):
        extended_device(b, unit, each, needed)
    features = b.features(*needed)
    return World("vtd-ecs", "vtd", unit.registers | b.registers(ECS=1, **features), b.host, b.requests)


def extended_device(b: Builder, unit: build.VtdExtended, rid: int, needed: set[str]) -> None:
    """One device: its context, PASID table and stages."""
    dice, wish = b.dice, b.wish
    pasids = wish.stage(Stage.PASID, S1) or wish.reason(Reason.PASID_RANGE, Reason.UPDATE_DENIED)
    pasids = pasids or dice.chance(0.7)
    data = wish.stage(S2) and wish.for_data and not wish.reason(Reason.UPDATE_DENIED)
    t = dice.pick((0, 1) if data and dice.chance(0.6) else (0, 1, 4, 5) if pasids else (0, 1, 2, 4, 5))
    nested = pasids and (wish.stage(S2) or dice.chance(0.6))
    if wish.stage(S1) and wish.reason(Reason.INTERRUPT_RANGE):
        nested = False
    needed |= {"DT"} if t in (1, 5) else set()
    needed |= {"PT"} if t in (2, 4, 5) else set()
    needed |= ({"PASID"} if pasids else set()) | ({"NEST"} if nested else set())
    second = b.second() if t in (0, 1) or nested else None
    fields = controls(dice) | {"FPD": int(dice.chance(0.2)), "DID": b.domain(), "T": t}
    fields |= {"PGE": dice.getrandbits(1), "EMT": dice.getrandbits(3), "PRE": dice.getrandbits(1)}
    needed |= wants(fields, but=("WPE",)) | ({"ERS"} if fields["ERE"] else set())
    if second is None:
        fields["AW"] = dice.pick([aw for aw in range(1, 4) if b.sagaw >> aw & 1])
    table = None
    if pasids:
        table = extended_pasids(b, rid, second if nested else None, fields)
        needed |= {"SRS"} if any(request.priv for request in b.requests) else set()
    unit.context(rid, second, table, **fields)
    ats = At.TRANSLATION if t in (1, 5) and dice.chance(0.3) else At.UNTRANSLATED
    if t in (0, 1) and second is not None:
        iova, access = b.map_second(second)
        b.requests.append(Request(rid, iova, access=data_access(dice, access), at=ats))
    elif not (pasids and wish.row):
        b.requests.append(Request(rid, b.passed_address(), access=one_of(dice, RWX), at=ats))


def extended_pasids(
    b: Builder, rid: int, second: build.Tables | None, fields: dict[str, int]
) -> build.ExtendedPasidTable:
    """A PASID table with one or two processes; in guest memory if there is a second stage."""
    dice, wish = b.dice, b.wish
    small = wish.stage(Stage.PASID) or wish.stage(S2) or dice.chance(0.7)
    pts = dice.randrange(5 if small else 16)
    space: build.Space = b.host
    accessed = dice.chance(0.5)
    if second is not None:
        space, accessed = guest_tables(b, second, fields)
    table = PasidTable(space, room(space, 8 << pts + 5), pts)
    if isinstance(space, Guest):
        space.elsewhere(wish)
    for pasid in {dice.randrange(32 << pts) for _ in range(dice.pick((1, 2)))}:
        supervisor = dice.chance(0.5)
        first = b.first(space, accessed)
        table.set(pasid, first, SRE=int(supervisor), PWT=dice.getrandbits(1), PCD=dice.getrandbits(1))
        use_first(b, first, second, Process(rid, pasid, supervisor and dice.chance(0.6), fields))
    return table


# ---------------------------------------------------------------- scalable mode


#: PGTT of schemas/vtd_entries.py -> what a unit needs for it.


NEEDS = {1: {"FLTS"}, 2: {"SLTS"}, 3: {"FLTS", "SLTS", "NEST"}, 4: {"PT"}}


FIRST, SECOND, NESTED, PASS = NEEDS


def translation_type(dice: Dice, wish: Wish) -> int:
    """PGTT, by what the row needs."""
    if wish.reason(Reason.UPDATE_DENIED) or (wish.stage(S2) and not wish.for_data):
        return NESTED
    if wish.stage(S1):
        return FIRST if wish.reason(Reason.INTERRUPT_RANGE) else dice.pick((FIRST, NESTED))
    if wish.stage(S2):
        return dice.pick((SECOND, NESTED))
    if wish.stage(Stage.PASID) and wish.reason(Reason.INPUT_RANGE):
        return PASS
    return dice.pick((FIRST, SECOND, NESTED, NESTED, PASS))


def scalable(dice: Dice, wish: Wish) -> World:
    """Contexts with PASID directories."""
    b = Builder(dice, wish)
    unit = build.VtdScalable(b.host)
    rps = dice.getrandbits(1)
    needed: set[str] = set()
    for each in rids(dice):
        scalable_device(b, unit, each, rps, needed)
    registers = b.registers(SMTS=1, RPS=rps, **b.features("PASID", *needed))
    return World("vtd-scalable", "vtd", unit.registers | registers, b.host, b.requests)


def scalable_device(b: Builder, unit: build.VtdScalable, rid: int, rps: int, needed: set[str]) -> None:
    """One device: its context and one or two PASID entries."""
    dice = b.dice
    pdts = dice.pick((0, 0, 0, 1, 2, 7))
    pasids = {dice.pick((0, 1, 63, 64, (8192 << pdts) - 1, dice.randrange(8192 << pdts))) for _ in range(2)}
    own = dice.pick(sorted(pasids)) if rps else 0
    rid_priv, dte = dice.getrandbits(1), dice.getrandbits(1)
    fields = {"RID_PASID": own, "RID_PRIV": rid_priv, "DTE": dte}
    fields |= {"FPD": int(dice.chance(0.1)), "PRE": dte & dice.getrandbits(1)}
    needed |= wants(fields)
    unit.context(rid, pdts, **fields)
    first_request = len(b.requests)
    for pasid in sorted(pasids):
        without = pasid == own and (b.rev >= 0x500 or dice.chance(0.5))
        supervisor = dice.chance(0.5)
        if without:
            supervisor = bool(rid_priv)
        privileged = supervisor and (without or dice.chance(0.6))
        scalable_process(b, unit, pasid, Process(rid, None if without else pasid, privileged, {}), needed)
    if dte and dice.chance(0.7):
        ats(b, first_request)


def ats(b: Builder, start: int) -> None:
    """Turn some requests into translation requests, or into translated ones."""
    for i in range(start, len(b.requests)):
        request = b.requests[i]
        at = b.dice.pick((At.UNTRANSLATED, At.TRANSLATION, At.TRANSLATED))
        if interrupts(request.iova) or (at is At.TRANSLATED and b.wish.row):
            continue
        if at is At.TRANSLATED:
            if request.iova >> b.haw:
                continue
            request = replace(request, pasid=None)
        if at is At.TRANSLATION and request.iova in b.untold:
            continue
        b.requests[i] = replace(request, at=at)


def scalable_fields(b: Builder, process: Process, pgtt: int) -> dict[str, int]:
    """Fields of a PASID entry beside its tables; flags that hardware would have to set only where it can."""
    dice = b.dice
    fields = controls(dice) | {
        "SRE": int(process.privileged or dice.chance(0.5)),
        "PWSNP": dice.getrandbits(1),
    }
    if b.wish.reason(Reason.UPDATE_DENIED):
        fields["PWSNP"] = 1
    fields |= {"SLADE": dice.getrandbits(1) & fields["PWSNP"], "EAFE": fields["EAFE"] & fields["PWSNP"]}
    fields |= {"FPD": int(dice.chance(0.1)), "DID": b.domain(), "PAT": dice.getrandbits(32)}
    fields |= {"EMTE": dice.getrandbits(1), "PGSNP": dice.getrandbits(1)}
    if b.rev < 0x304:
        fields["EMT"] = dice.getrandbits(3)
    if b.rev >= 0x401:
        fields |= {"ERE": 0, "SLEE": 0}
    if pgtt in (SECOND, PASS) and dice.chance(0.5):
        fields["WPE"] = 0
    return fields


def scalable_process(
    b: Builder, unit: build.VtdScalable, pasid: int, process: Process, needed: set[str]
) -> None:
    """One PASID entry, and requests for it."""
    dice = b.dice
    pgtt = translation_type(dice, b.wish)
    needed |= NEEDS[pgtt]
    fields = scalable_fields(b, process, pgtt)
    needed |= wants(fields) | ({"SLTS"} if b.rev >= 0x401 or fields["SLADE"] else set())  # AW since 4.1
    process.fields = fields
    second = b.second() if pgtt in (SECOND, NESTED) else None
    first = None
    if pgtt == FIRST:
        first = b.first(b.host, not fields["PWSNP"] or dice.chance(0.5))
    elif pgtt == NESTED and second is not None:
        guest, accessed = guest_tables(b, second, fields)
        first = b.first(guest, accessed or not fields["PWSNP"])
    unit.pasid(process.rid, pasid, first, second, **fields)
    if first is not None:
        use_first(b, first, second, process)
    elif second is not None:
        iova, access = b.map_second(second)
        b.requests.append(process.request(iova, access, True, dice))
    else:
        b.requests.append(process.request(b.passed_address(), RWX, True, dice))
        b.untold.add(b.requests[-1].iova)


WORLDS = {"vtd-legacy": legacy, "vtd-ecs": extended, "vtd-scalable": scalable}
