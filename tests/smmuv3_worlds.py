"""SMMUs to ask in tests: a stream of each configuration, and what is changed in its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledgers import ask_both

from iommu_abi.schemas import build, smmuv3_features
from iommu_abi.schemas.build import LARGE, PAGE, RWX
from iommu_abi.schemas.smmuv3_entries import CD, CR0, CR2, GBPA, IDR0, IDR1, IDR3, IDR5, L1CD, L1STD, STE
from iommu_abi.schemas.vmsa_entries import descriptor_layout
from iommu_abi.terms import Access, At, Request, Translation

EXEC = Access.EXEC
NONE = Access.NONE
SID = 0x10
SSID = 5
IOVA = 0x12_3456_0000
MAX_REFS = 96  # IOMMU_ABI_MAX_REFS of walk.h
NOWHERE = 0x7F_FFFF_0000  # no memory is there
K4, K16, K64 = 1 << 12, 1 << 14, 1 << 16
CD_CLASS, TT_CLASS, IN_CLASS = 0, 1, 2


def ask(registers: Mapping[str, int], host: build.Memory, request: Request) -> Translation:
    """The answer of both ledgers."""
    return ask_both("smmuv3", registers, host, request)


# ---------------------------------------------------------------- worlds to ask in


@dataclass
class World:
    """Tables of one stream, the page that IOVA reaches, and the registers."""

    host: build.Memory
    unit: build.SmmuUnit
    ste: int
    cds: Any = None
    cd: int = 0
    first: Any = None
    second: Any = None
    guest: Any = None
    page: int = 0
    registers: dict[str, int] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    def ask(self, **changes: Any) -> Translation:
        request = Request(**{"rid": SID, "iova": IOVA | 0x123} | self.request | changes)
        return ask(self.unit.registers | self.registers, self.host, request)

    def edit_descriptor(self, tables: Any, address: int, level: int, **fields: int) -> None:
        """Change fields of the descriptor of ``level`` for an input address."""
        where = tables.entry(address, level)
        kind = tables.granule.kind(level, tables.space.load(where))
        layout = descriptor_layout(tables.number, tables.granule, level, kind)
        tables.space.edit(layout, where, **fields)

    def edit_first(self, level: int, **fields: int) -> None:
        self.edit_descriptor(self.first, self.request.get("iova", IOVA), level, **fields)

    def edit_second(self, address: int, level: int, **fields: int) -> None:
        self.edit_descriptor(self.second, address, level, **fields)

    def edit_table_page(self, level: int, **fields: int) -> None:
        """Change the stage-2 page that holds the stage-1 table of ``level``."""
        self.edit_second(self.first.entry(IOVA, level), 0, **fields)


def stage1(
    granule: int = K4,
    tsz: int = 16,
    page: int | None = None,
    access: Access = RWX,
    cd: Mapping[str, int] | None = None,
    leaf: Mapping[str, int] | None = None,
    wide: bool = False,
    split: int | None = None,
    **ste: int,
) -> World:
    """Config 101, one CD."""
    host = build.Memory()
    first = build.SmmuStage1(host, granule, tsz, wide)
    page = page or granule
    target = host.page(page // PAGE if page <= LARGE else 1, align=page)
    first.map(IOVA & -page, target, page=page, access=access, **(leaf or {}))
    cds = build.CdTable(host)
    unit = build.SmmuUnit(host, split=split)
    where = cds.set(0, first, **(cd or {}))
    return World(host, unit, unit.device(SID, cds, **ste), cds, where, first, page=target)


def stage2(
    granule: int = K4,
    tsz: int = 16,
    start: int | None = None,
    page: int | None = None,
    access: Access = RWX,
    leaf: Mapping[str, int] | None = None,
    wide: bool = False,
    **ste: int,
) -> World:
    """Config 110."""
    host = build.Memory()
    second = build.SmmuStage2(host, granule, tsz, start, wide)
    page = page or granule
    target = host.page(page // PAGE if page <= LARGE else 1, align=page)
    second.map(IOVA & -page, target, page=page, access=access, **(leaf or {}))
    unit = build.SmmuUnit(host)
    return World(host, unit, unit.device(SID, second=second, **ste), second=second, page=target)


def nested(
    granule: int = K4,
    tsz: int = 16,
    s2tsz: int = 16,
    start: int | None = None,
    cdmax: int = 4,
    fmt: int = 0,
    split: int | None = None,
    cd: Mapping[str, int] | None = None,
    **ste: int,
) -> World:
    """Config 111, CDs and stage-1 tables in guest memory."""
    host = build.Memory()
    second = build.SmmuStage2(host, granule, s2tsz, start)
    guest = build.Guest(host, second)
    first = build.SmmuStage1(guest, granule, tsz)
    page = guest.page(granule // PAGE, align=granule)
    first.map(IOVA, page)
    cds = build.CdTable(guest, cdmax, fmt)
    where = cds.set(SSID, first, **(cd or {}))
    unit = build.SmmuUnit(host, split=split)
    ste_at = unit.device(SID, cds, second, **ste)
    return World(host, unit, ste_at, cds, where, first, second, guest, page, request={"pasid": SSID})


def bypass(**ste: int) -> World:
    """Config 100."""
    host = build.Memory()
    unit = build.SmmuUnit(host)
    return World(host, unit, unit.device(SID, **ste))


def idr(name: str, **fields: int) -> dict[str, int]:
    """A register with the default's fields but for some."""
    layouts = {"IDR0": IDR0, "IDR1": IDR1, "IDR3": IDR3, "IDR5": IDR5, "CR0": CR0, "CR2": CR2, "GBPA": GBPA}
    defaults = {
        "IDR0": smmuv3_features.DEFAULT_IDR0,
        "IDR1": smmuv3_features.DEFAULT_IDR1,
        "IDR3": smmuv3_features.DEFAULT_IDR3,
        "IDR5": smmuv3_features.DEFAULT_IDR5,
        "CR0": smmuv3_features.DEFAULT_CR0,
        "CR2": smmuv3_features.DEFAULT_CR2,
    }
    layout = layouts[name]
    parsed = layout.of(defaults.get(name, 0))
    return {name: layout.value(**{each.name: parsed[each.name] for each in layout.fields} | fields)}


def with_registers(world: World, *registers: Mapping[str, int]) -> World:
    for each in registers:
        world.registers.update(each)
    return world


WIDE = idr("IDR5", OAS=6, VAX=1)


def el2(cd: Mapping[str, int] | None = None, leaf: Mapping[str, int] | None = None, **ste: int) -> World:
    """Config 101, StreamWorld EL2."""
    world = stage1(cd=cd, leaf=leaf, **{"STRW": 2} | ste)
    return with_registers(world, idr("IDR0", HYP=1))


# ---------------------------------------------------------------- what is changed

Edit = Callable[[World], object]


def ste(**fields: int) -> Edit:
    return lambda world: world.host.edit(STE, world.ste, **fields)


def cd(**fields: int) -> Edit:
    return lambda world: world.cds.space.edit(CD, world.cd, **fields)


def l1std(**fields: int) -> Edit:
    return lambda world: world.host.edit(L1STD, world.unit.stream_table, **fields)


def l1cd(**fields: int) -> Edit:
    return lambda world: world.cds.space.edit(L1CD, world.cds.address, **fields)


def first(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_first(level, **fields)


def second(level: int, **fields: int) -> Edit:
    """Change the stage-2 descriptor of ``level`` for the data."""
    return lambda world: world.edit_second(world.page if world.guest else IOVA, level, **fields)


def table_page(level: int, **fields: int) -> Edit:
    return lambda world: world.edit_table_page(level, **fields)


def cd_page(**fields: int) -> Edit:
    """Change the stage-2 page that holds the CD."""
    return lambda world: world.edit_second(world.cd, 0, **fields)


def registers(*each: Mapping[str, int]) -> Edit:
    return lambda world: with_registers(world, *each)


# ---------------------------------------------------------------- rows of a text

EVENTS = {
    0x02: "C_BAD_STREAMID",
    0x03: "F_STE_FETCH",
    0x04: "C_BAD_STE",
    0x05: "F_BAD_ATS_TREQ",
    0x06: "F_STREAM_DISABLED",
    0x07: "F_TRANSL_FORBIDDEN",
    0x08: "C_BAD_SUBSTREAMID",
    0x09: "F_CD_FETCH",
    0x0A: "C_BAD_CD",
    0x0B: "F_WALK_EABT",
    0x10: "F_TRANSLATION",
    0x11: "F_ADDR_SIZE",
    0x12: "F_ACCESS",
    0x13: "F_PERMISSION",
}
CLASSES = ("CD", "TT", "IN")
TR, TT = {"at": At.TRANSLATION}, {"at": At.TRANSLATED}


def said(answer: Translation) -> str:
    """An answer in the words of the rows: ok, abort, or an event with S2 and CLASS where it has them."""
    fault = answer.fault
    if fault is None:
        return "ok"
    if not fault.native:
        assert not fault.recorded
        return "abort"
    words = [EVENTS[fault.native]]
    if fault.native >= 0x0B:
        words.append(f"S2={fault.detail & 1} {CLASSES[fault.detail >> 1]}")
    return " ".join([*words, *(() if fault.recorded else ("silent",))])


@dataclass
class Row:
    """A world, what is changed in it, what is asked, and what the text requires."""

    world: Callable[[], World]
    edit: Edit
    expected: str
    request: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def check(row: Row) -> None:
    world = row.world()
    row.edit(world)

    answer = world.ask(**row.request)

    assert said(answer) == row.expected
    assert {name: getattr(answer, name) for name in row.more} == row.more


def with_(name: str, **fields: int) -> Edit:
    return registers(idr(name, **fields))


ATSCHK = with_("CR0", ATSCHK=1)
OVERRIDES = with_("IDR1", ATTR_PERMS_OVR=1)
PAGE_AT = 0x123  # offset that World.ask adds
