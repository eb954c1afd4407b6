"""Audit: what is planted is found, once and with its evidence; what is sound is left in peace."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ledgers import image

from iommu_abi.audit import KINDS, Audit, Finding, audit, evidence
from iommu_abi.audit.pages import MOST, Pages, TooMany
from iommu_abi.cli import main
from iommu_abi.mappings.budget import Budget
from iommu_abi.memory import Memory
from iommu_abi.replay import capture
from iommu_abi.schemas import build
from iommu_abi.schemas.amdvi_entries import DEFAULT_EXT_FEATURES
from iommu_abi.schemas.build import RW, RWX
from iommu_abi.terms import Access
from iommu_abi.unit_meta import make_unit
from iommu_abi.walk import Unit

HERE = Path(__file__).resolve().parent
CAPTURES = sorted((HERE / "data/captures").iterdir())
IOVA = 0x7000
DEVICE_MEMORY = 0xFED0_0000_0000  # beyond all memory of these images
ABSENT = 0x8000_0000  # likewise

# Requesters of the planted findings; each has a page of its own beside.
SOUND, PASSES, WRITES, READS, SHARES, DOORBELL, MALFORMED, ROOT, POINTER, NESTED, EXECUTES, PASID = (
    0x08, 0x10, 0x18, 0x20, (0x28, 0x30), (0x38, 0x40), 0x48, 0x50, 0x58, 0x60, 0x68, 0x70,
)  # fmt: skip


# ---------------------------------------------------------------- a unit of each kind


class VtdFirst:
    """VT-d, scalable mode, first stage."""

    kind = "vtd"
    executes = False
    pointer_shift = 0
    rw = nested_rw = RWX  # without NXE, as here, XD is reserved; nobody may execute

    def __init__(self, host: build.Memory) -> None:
        self.host = host
        self.unit = build.VtdScalable(host)

    def tables(self) -> build.Tables:
        return build.VtdFirstStage(self.host, accessed=True)

    def attach(self, rid: int, tables: build.Tables) -> int:
        return self.unit.pasid(rid, 0, first=tables)

    def passes(self, rid: int) -> int:
        return self.unit.pasid(rid, 0)

    def nested(self, rid: int) -> tuple[build.Guest, build.Tables]:
        second = build.VtdSecondStage(self.host)
        guest = build.Guest(self.host, second)
        first = build.VtdFirstStage(guest, accessed=True)
        self.unit.pasid(rid, 0, first=first, second=second)
        return guest, first

    def malformed(self, rid: int) -> int:
        """PS in a PML4E (bit 7) is reserved: VT-d 9.7."""
        tables = self.tables()
        self.attach(rid, tables)
        where = tables.entry(IOVA, 3)
        tables.map(IOVA, self.host.page(), access=self.rw)
        self.host.store(where, self.host.load(where) | 1 << 7)
        return where

    @property
    def device_table(self) -> int:
        return self.unit.root


class VtdSecond(VtdFirst):
    """VT-d, scalable mode, second stage."""

    rw = RW

    def tables(self) -> build.Tables:
        return build.VtdSecondStage(self.host)

    def attach(self, rid: int, tables: build.Tables) -> int:
        return self.unit.pasid(rid, 0, second=tables)


class Amd:
    """AMD-Vi, v1 tables."""

    kind = "amdvi"
    rw = nested_rw = RW
    executes = False
    pointer_shift = 0

    def __init__(self, host: build.Memory) -> None:
        self.host = host
        self.unit = build.AmdUnit(host, pages=1, EXT_FEATURES=DEFAULT_EXT_FEATURES)
        for rid in range(128):  # V, TV and no rights: without them, what has no entry passes
            self.unit.device(rid, IR=0, IW=0)

    def tables(self) -> build.Tables:
        return build.AmdV1(self.host)

    def attach(self, rid: int, tables: build.Tables) -> int:
        return self.unit.device(rid, tables)

    def passes(self, rid: int) -> int:
        return self.unit.device(rid)

    def nested(self, rid: int) -> tuple[build.Guest, build.Tables]:
        second = build.AmdV1(self.host)
        guest = build.Guest(self.host, second)
        first = build.AmdV2(guest, accessed=True)
        gcr3 = build.Gcr3Table(guest)
        gcr3.set(0, first)
        self.unit.device(rid, second, gcr3, GIoV=1)
        return guest, first

    def malformed(self, rid: int) -> int:
        """Mode 7 of a device table entry is reserved: AMD IOMMU 2.2.2.1."""
        return self.unit.device(rid, self.tables(), Mode=7)

    @property
    def device_table(self) -> int:
        return self.unit.device_table


class Smmu:
    """SMMUv3, stage 1."""

    kind = "smmuv3"
    rw = nested_rw = RW
    executes = True
    pointer_shift = 0

    def __init__(self, host: build.Memory) -> None:
        self.host = host
        self.unit = build.SmmuUnit(host)

    def tables(self) -> build.SmmuStage1:
        return build.SmmuStage1(self.host)

    def attach(self, rid: int, tables: build.Tables) -> int:
        cds = build.CdTable(self.host)
        where = cds.set(0, tables)
        self.unit.device(rid, cds)
        return where

    def passes(self, rid: int) -> int:
        return self.unit.device(rid)

    def nested(self, rid: int) -> tuple[build.Guest, build.Tables]:
        second = build.SmmuStage2(self.host, tsz=24)
        guest = build.Guest(self.host, second)
        first = build.SmmuStage1(guest)
        cds = build.CdTable(guest)
        cds.set(0, first)
        self.unit.device(rid, cds, second)
        return guest, first

    def malformed(self, rid: int) -> int:
        """A CD with AA64=0, where IDR0.TTF says that there is no VMSAv8-32, is C_BAD_CD: SMMUv3 5.4."""
        cds = build.CdTable(self.host)
        where = cds.set(0, self.tables(), AA64=0)
        self.unit.device(rid, cds)
        return where

    def with_pasid(self, rid: int, tables: build.SmmuStage1) -> None:
        cds = build.CdTable(self.host, cdmax=4)
        cds.set(5, tables)
        self.unit.device(rid, cds, S1DSS=0)

    @property
    def device_table(self) -> int:
        return self.unit.stream_table


class Riscv:
    """RISC-V, first stage."""

    kind = "riscv"
    rw = nested_rw = RW
    executes = True
    pointer_shift = 2

    def __init__(self, host: build.Memory) -> None:
        self.host = host
        self.unit = build.RiscvUnit(host)

    def tables(self) -> build.RiscvFirstStage:
        return build.RiscvFirstStage(self.host)

    def attach(self, rid: int, tables: build.Tables) -> int:
        return self.unit.device(rid, tables)

    def passes(self, rid: int) -> int:
        return self.unit.device(rid)

    def nested(self, rid: int) -> tuple[build.Guest, build.Tables]:
        second = build.RiscvSecondStage(self.host)
        guest = build.Guest(self.host, second)
        first = build.RiscvFirstStage(guest)
        self.unit.device(rid, first, second)
        return guest, first

    def malformed(self, rid: int) -> int:
        """Bits 60:54 of a PTE are reserved: RISC-V privileged 4.4.1."""
        tables = self.tables()
        self.attach(rid, tables)
        tables.map(IOVA, self.host.page(), access=RW, U=1)
        where = tables.entry(IOVA, 0)
        self.host.store(where, self.host.load(where) | 1 << 54)
        return where

    def with_pasid(self, rid: int, tables: build.RiscvFirstStage) -> None:
        processes = build.ProcessDirectory(self.host)
        processes.set(5, tables)
        processes.set(0, self.tables())
        self.unit.device(rid, processes=processes, DPE=1)  # requests without PASID are those of process 0

    @property
    def device_table(self) -> int:
        return self.unit.directory


UNITS = (VtdFirst, VtdSecond, Amd, Smmu, Riscv)


# ---------------------------------------------------------------- planting


@dataclass
class Garden:
    """An image; ``planted``: kind, requesters, entries in the evidence."""

    made: VtdFirst | Amd | Smmu | Riscv
    host: build.Memory
    planted: set[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=set)

    def expect(self, kind: str, rids: tuple[int, ...], *entries: int) -> None:
        self.planted.add((kind, rids, entries))

    def domain(self, rid: int, *pages: int, access: Access | None = None) -> build.Tables:
        """A domain of its own, with these pages at IOVA and behind it."""
        tables = self.made.tables()
        for i, page in enumerate(pages):
            tables.map(IOVA + i * build.PAGE, page, access=access or self.made.rw)
        self.made.attach(rid, tables)
        return tables

    @property
    def unit(self) -> Unit:
        return Unit(self.made.kind, self.made.unit.registers)

    @property
    def memory(self) -> Memory:
        return image(self.host)


def sound(make: type) -> Garden:
    """Two domains that have nothing in common; the first has two devices."""
    host = build.Memory()
    garden = Garden(make(host), host)
    tables = garden.domain(SOUND, host.page(), host.page())
    garden.made.attach(SOUND + 1, tables)
    garden.domain(SOUND + 2, host.page())
    host.page()
    return garden


def planted(make: type) -> Garden:
    """Every finding once."""
    garden = sound(make)
    made, host = garden.made, garden.host

    garden.expect("pass-through", (PASSES,), made.passes(PASSES))

    writes = made.tables()
    writes.map(IOVA, writes.root, access=made.rw)
    made.attach(WRITES, writes)
    garden.expect("table-writable", (WRITES,), writes.root, writes.entry(IOVA, 0))

    reads = garden.domain(READS, made.device_table, access=made.rw & ~Access.WRITE)
    garden.expect("table-readable", (READS,), made.device_table, reads.entry(IOVA, 0))

    for kind, rids, page in (("shared", SHARES, host.page()), ("shared-device", DOORBELL, DEVICE_MEMORY)):
        leaves = [garden.domain(rid, page).entry(IOVA, 0) for rid in rids]
        garden.expect(kind, rids, *leaves)

    garden.expect("malformed", (MALFORMED,), made.malformed(MALFORMED))

    nowhere = made.tables()
    nowhere.root = ABSENT
    garden.expect("bad-root", (ROOT,), made.attach(ROOT, nowhere))

    pointer = garden.domain(POINTER, host.page())
    where, table = pointer.entry(IOVA, 1), pointer.entry(IOVA, 0) & -build.PAGE
    host.store(where, host.load(where) ^ (table ^ ABSENT) >> made.pointer_shift)
    garden.expect("bad-pointer", (POINTER,), where)

    guest, first = made.nested(NESTED)
    first.map(IOVA, first.root, access=made.nested_rw)
    garden.expect("guest-table", (NESTED,), guest.hpa(first.root), guest.second.entry(first.root, 0))

    if made.executes:
        page = garden.domain(EXECUTES, host.page(), access=RWX).entry(IOVA, 0)
        garden.expect("write-execute", (EXECUTES,), page)
        tables = made.tables()
        tables.map(IOVA, host.page(), access=RWX)
        made.with_pasid(PASID, tables)
        garden.expect("write-execute-pasid", (PASID,), tables.entry(IOVA, 0))
    host.page()
    return garden


def seen(garden: Garden, found: Audit) -> set[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    def entries(finding: Finding) -> tuple[int, ...]:
        return tuple(e.step.ref.hpa for e in evidence(garden.unit, garden.memory, finding) if e.step)

    # a request without PASID and PASID 0 may be the same to VT-d
    return {(f.kind.name, tuple(sorted({who.rid for who in f.who})), entries(f)) for f in found.findings}


@pytest.mark.parametrize("make", UNITS, ids=lambda m: m.__name__)
def test_every_finding_that_is_planted_is_found_once_with_its_entries_and_nothing_else(make: type) -> None:
    garden = planted(make)

    found = audit(garden.unit, garden.memory)

    assert seen(garden, found) == garden.planted
    assert len(found.findings) == len(garden.planted)


@pytest.mark.parametrize("make", UNITS, ids=lambda m: m.__name__)
def test_sound_tables_have_no_findings(make: type) -> None:
    garden = sound(make)

    found = audit(garden.unit, garden.memory)

    assert found.findings == ()
    assert found.summary.domains == 2
    assert found.summary.mappings == 2
    assert found.summary.reached == 3 * build.PAGE


# ---------------------------------------------------------------- what the whole IOMMU is about


def kinds_of(found: Audit) -> list[str]:
    return [finding.kind.name for finding in found.findings]


#: Kind, registers with which everything passes, registers with which everything is refused.
SWITCHES = (
    ("vtd", {"RTADDR": 0x1000, "GSTS": 0}, {"RTADDR": 0x1000 | 3 << 10}),  # TES=0; TTM=3: VT-d 11.4.4, 11.4.5
    ("smmuv3", {"CR0": 0, "GBPA": 0}, {"CR0": 0, "GBPA": 1 << 20}),  # SMMUEN=0; ABORT: SMMUv3 6.3.9, 6.3.14
    ("amdvi", {"DEVTAB_BASE": 0x1000, "CONTROL": 0}, None),  # IommuEn=0: AMD IOMMU 3.4.2
    ("riscv", {"DDTP": 1}, {"DDTP": 0}),  # iommu_mode 1 Bare, 0 Off: RISC-V IOMMU 6.5
)


@pytest.mark.parametrize(("kind", "off", "refuses"), SWITCHES, ids=lambda v: v if isinstance(v, str) else "")
def test_an_iommu_that_is_off_is_one_finding_and_one_that_refuses_everything_none(
    kind: str, off: dict[str, int], refuses: dict[str, int] | None
) -> None:
    needed = {"STRTAB_BASE": 0, "STRTAB_BASE_CFG": 0} if kind == "smmuv3" else {}

    assert kinds_of(audit(Unit(kind, needed | off), Memory())) == ["translation-off"]
    if refuses is not None:
        assert kinds_of(audit(Unit(kind, needed | refuses), Memory())) == []


def test_a_root_table_that_is_not_there_is_one_finding_about_all_devices() -> None:
    (finding,) = audit(Unit("vtd", {"RTADDR": ABSENT}), Memory()).findings

    assert finding.kind.name == "bad-root"
    assert (finding.who[0].rid, finding.who[0].rid_last) == (0, 0xFFFF)
    assert evidence(Unit("vtd", {"RTADDR": ABSENT}), Memory(), finding)[0].note == (
        f"a register leads to HPA {ABSENT:#x}"
    )


def test_tables_at_address_0_are_a_bad_root() -> None:
    """VT-d legacy, 00:00.0: SLPTPTR is 0, and there is memory at 0."""
    memory = Memory()
    memory.map(0, bytes(0x1000))
    memory.map(0x1000, (0x2001).to_bytes(8, "little").ljust(0x1000, b"\0"))
    memory.map(0x2000, (1).to_bytes(8, "little") + (1 << 8 | 2).to_bytes(8, "little").ljust(0xFF8, b"\0"))
    unit = Unit("vtd", {"RTADDR": 0x1000})

    (finding,) = audit(unit, memory).findings

    assert (finding.kind.name, finding.what) == ("bad-root", "a table is at address 0")
    step = evidence(unit, memory, finding)[0].step
    assert step is not None
    assert (step.ref.hpa, step.entry.name) == (0x2000, "context entry")


#: Kind, register, its value for a queue of 4 KiB at 0x123000, bytes at most.
QUEUES = (
    ("vtd", "IQA", 0x123000, 0x1000),  # QS=0: 2^0 pages, VT-d 11.4.9.3
    ("vtd", "IRTA", 0x123007, 0x1000),  # S=7: 2^8 entries of 16 bytes, VT-d 11.4.10.4
    ("amdvi", "CMDBUF_BASE", 0x123000 | 8 << 56, 0x1000),  # 8: 256 entries of 16 bytes, AMD IOMMU 3.4.1
    ("amdvi", "EVTLOG_BASE", 0x123000 | 8 << 56, 0x1000),
    ("smmuv3", "CMDQ_BASE", 0x123008, 0x1000),  # LOG2SIZE 8, entries of 16 bytes: SMMUv3 6.3.26
    ("smmuv3", "EVENTQ_BASE", 0x123007, 0x1000),  # entries of 32 bytes: SMMUv3 6.3.29
    ("riscv", "CQB", 0x123 << 10 | 7, 0x1000),  # LOG2SZ-1, entries of 16 bytes: RISC-V IOMMU 6.6
    ("riscv", "FQB", 0x123 << 10 | 6, 0x1000),  # entries of 32 bytes
)


@pytest.mark.parametrize(
    ("kind", "register", "value", "size"), QUEUES, ids=[f"{q[0]}-{q[1]}" for q in QUEUES]
)
def test_a_device_that_can_write_a_queue_is_found_and_one_that_writes_beside_it_is_not(
    kind: str, register: str, value: int, size: int
) -> None:
    make = next(m for m in UNITS if m.kind == kind)
    for page, expected in (
        (0x123000 + size - 0x1000, ["table-writable"]),
        (0x123000 + size, []),
        (0x122000, []),
    ):
        host = build.Memory(0x20_0000)
        garden = Garden(make(host), host)
        garden.domain(SOUND, page)
        unit = Unit(kind, garden.made.unit.registers | {register: value})

        found = audit(unit, garden.memory)

        assert kinds_of(found) == expected
        if expected:
            assert evidence(unit, garden.memory, found.findings[0])[0].note.startswith(register)


def test_what_only_privileged_requests_of_a_pasid_reach_is_found_too() -> None:
    """US=0 in a first-stage leaf is for supervisors, whom SRE of the PASID entry lets in: VT-d 9.6, 3.6.1."""
    host = build.Memory()
    made = VtdFirst(host)
    tables = made.tables()
    tables.map(IOVA, made.device_table, access=RWX, US=0)
    made.unit.pasid(SOUND, 5, first=tables, SRE=1)

    (finding,) = audit(Unit("vtd", made.unit.registers), image(host)).findings

    assert (finding.kind.name, [(who.pasid, who.priv) for who in finding.who]) == (
        "table-writable",
        [(5, True)],
    )


def ats(make: type, **fields: int) -> tuple[Garden, int]:
    """A device with sound tables and these fields in its context; the address of that."""
    host = build.Memory()
    garden = Garden(make(host), host)
    tables = garden.domain(SOUND, host.page())
    host.page()
    if make is Smmu:
        cds = build.CdTable(host)
        cds.set(0, tables)
        return garden, garden.made.unit.device(SOUND, cds, **fields)
    if make is VtdFirst:
        where = garden.made.unit.context(SOUND, **fields)
        garden.made.attach(SOUND, tables)
        return garden, where
    return garden, garden.made.unit.device(SOUND, tables, **fields)


#: ATS in the context: VT-d 9.4 DTE, AMD IOMMU 2.2.2.1 I, SMMUv3 5.2 EATS=0b01, RISC-V IOMMU 3.1.3.1 EN_ATS.
ATS: tuple[tuple[type, dict[str, int], dict[str, int]], ...] = (
    (VtdFirst, {"DTE": 1}, {}),
    (Amd, {"I": 1}, {}),
    (Smmu, {"EATS": 1}, {"IDR0": 139203595 | 1 << 10}),
    (Riscv, {"EN_ATS": 1}, {}),
)


@pytest.mark.parametrize(("make", "fields", "registers"), ATS, ids=[row[0].__name__ for row in ATS])
def test_a_device_trusted_with_ats_is_found_by_its_context(
    make: type, fields: dict[str, int], registers: dict[str, int]
) -> None:
    garden, where = ats(make, **fields)
    unit = Unit(make.kind, garden.made.unit.registers | registers)

    (finding,) = audit(unit, garden.memory).findings

    assert (finding.kind.name, finding.who[0].rid) == ("ats-unchecked", SOUND)
    assert [e.step.ref.hpa for e in evidence(unit, garden.memory, finding) if e.step] == [where]


def test_amd_guest_tables_of_a_pasid_know_execution() -> None:
    """XD of a v2 leaf is clear; GIoV=0: requests without PASID go past the guest tables, and Mode=0: pass."""
    host = build.Memory()
    made = Amd(host)
    tables, gcr3 = build.AmdV2(host), build.Gcr3Table(host)
    tables.map(IOVA, host.page(), access=RWX)
    gcr3.set(5, tables)
    made.unit.device(SOUND, gcr3=gcr3)
    host.page()

    assert kinds_of(audit(Unit("amdvi", made.unit.registers), image(host))) == [
        "pass-through",
        "write-execute-pasid",
    ]


# ---------------------------------------------------------------- real guests


def opened(directory: Path) -> tuple[capture.Capture, Unit, Memory]:
    loaded = capture.load(directory)
    unit = make_unit(loaded.meta.kind, loaded.meta.registers, "")
    return loaded, unit, Memory.open(directory / "sparse.elf.xz")


#: What is known of these guests otherwise: their command lines, and meta.json of each.
EXPECTED = {
    # Debian's Linux on AMD-Vi leaves device table entries beyond the last device zero: V=0 passes
    "amd-xtsup-on-k7.2-q11": {"pass-through": 1},
    # the driver gives identity domains to what it does not test; Linux sets no XN: x follows r
    "riscv-k7.2-q11": {"pass-through": 5, "write-execute": 2},
    # x as above; one MSI doorbell for all (GITS_TRANSLATER of QEMU's virt machine, 0x8090000)
    "smmuv3-s1-k7.2": {"write-execute": 6, "shared-device": 1},
}


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_linux_guests_keep_iommu_tables_from_devices_and_domains_apart(directory: Path) -> None:
    _, unit, memory = opened(directory)

    found = kinds_of(audit(unit, memory))

    assert {kind: found.count(kind) for kind in found} == EXPECTED.get(directory.name, {})


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_domains_are_those_that_the_guests_kernel_numbered(directory: Path) -> None:
    """meta.json has the domain of each context: did, asid, or what fsc points to."""
    _, unit, memory = opened(directory)
    notes = [row["note"] for row in json.loads((directory / "meta.json").read_text())["contexts"]]
    ids = {found[1] for note in notes if (found := re.search(r"\b(?:did|asid|fsc)=(\w+)", note))} - {"0x0"}

    assert audit(unit, memory).summary.domains == len(ids)


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_no_page_that_a_device_was_seen_to_use_holds_tables(directory: Path) -> None:
    """The oracle says where DMA landed; a page of tables there would be ours, or the guest's end."""
    from iommu_abi.audit.survey import survey

    loaded, unit, memory = opened(directory)
    used = {line.pa >> 12 for line in loaded.lines if line.pa is not None}
    tables = survey(unit, memory, Budget(1 << 30)).tables

    assert len(used) > 20
    assert len(tables) > 40
    assert not used & set(tables)
    assert all(loaded.meta.in_ram(page << 12) for page in tables)


def test_pass_through_devices_of_a_real_guest_are_those_whose_context_is_bare() -> None:
    directory = HERE / "data/captures/riscv-k7.2-q11"
    _, unit, memory = opened(directory)
    rows = json.loads((directory / "meta.json").read_text())["contexts"]
    bare = {row["bdf"] for row in rows if "iohgatp=0x0 fsc=0x0" in row["note"]}

    found = audit(unit, memory).findings

    passes = {who.rid for f in found if f.kind.name == "pass-through" for who in f.who}
    assert {f"00:{rid >> 3:02x}.{rid & 7}" for rid in passes} == bare


# ---------------------------------------------------------------- limits


def many_pages(levels_looped: bool = False) -> tuple[Unit, Memory]:
    from test_mappings import shared_tables

    return shared_tables(levels_looped)


def test_64_gib_of_small_pages_cost_little_memory() -> None:
    resource = pytest.importorskip("resource")
    unit, memory = many_pages()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    found = audit(unit, memory)

    assert found.summary.mappings == 32768
    assert found.summary.reached == 2 << 20  # one leaf table, used 32768 times
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10  # KiB


def test_tables_without_end_are_left_and_said_to_be_unfinished() -> None:
    unit, memory = many_pages(levels_looped=True)

    found = audit(unit, memory, budget=Budget(1 << 18))

    assert "unfinished" in kinds_of(found)


def test_a_set_of_pages_agrees_with_a_set_of_numbers() -> None:
    ranges = [(0, 0), (0x3FF000, 0x601FFF), (0x1234567, 0x1234999), (1 << 45, (1 << 45) + 0x3FFFFF)]
    pages, numbers = Pages(), set()
    for first, last in ranges:
        pages.add_bytes(first, last)
        numbers |= set(range(first >> 12, (last >> 12) + 1))

    assert len(pages) == len(numbers)
    assert {p for first, size in pages.runs() for p in range(first >> 12, first + size >> 12)} == numbers
    assert list(pages.within(0x400000, 0x5FFFFF)) == list(range(0x400, 0x600))
    assert list(pages.within(0x602000, 0x1233FFF)) == []
    with pytest.raises(TooMany):
        pages.add_bytes(0, MOST << 21)


# ---------------------------------------------------------------- the command


@pytest.fixture
def garden_on_disk(tmp_path: Path) -> list[str]:
    """The planted VT-d image as raw memory, and its registers."""
    garden = planted(VtdFirst)
    memory = garden.memory
    regions = list(memory)
    data = bytearray(regions[-1].last + 1)
    for region in regions:
        data[region.first : region.last + 1] = memory.read(region.first, region.size) or b""
    path = tmp_path / "ram.bin"
    path.write_bytes(data)
    registers = [f"--reg={name}={value:#x}" for name, value in garden.made.unit.registers.items()]
    return [str(path), "--iommu", "vtd", *registers]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["audit", *words])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_json_has_each_finding_and_its_commands_show_the_entry(
    capsys: pytest.CaptureFixture[str], garden_on_disk: list[str]
) -> None:
    status, out, _ = run(capsys, *garden_on_disk, "--json")
    made = json.loads(out)

    assert status == 1
    assert set(made) == {"summary", "findings", "assumed"}
    assert [f["kind"] for f in made["findings"]] == [
        kind.name for kind in KINDS if kind.name in {k for k, _, _ in planted(VtdFirst).planted}
    ]
    shown = [e for f in made["findings"] for e in f["evidence"] if e["entry"]]
    assert len(shown) > 10
    for each in shown:
        program, *words = shlex.split(each["command"])
        assert program == "iommu-abi"
        assert main([*words, "--json"]) in (0, 1)
        trace = json.loads(capsys.readouterr().out)["trace"]
        assert each["entry"]["hpa"] in [step["hpa"] for step in trace]


def test_text_begins_with_the_summary_and_fits_80_columns_but_for_commands(
    capsys: pytest.CaptureFixture[str], garden_on_disk: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    status, out, _ = run(capsys, *garden_on_disk)

    assert status == 1
    assumed, summary, *_ = out.splitlines()
    assert assumed.startswith("assumed: CAP 0x")
    assert summary.startswith("vtd: 14 devices, ")
    assert "serious: a device can write what the IOMMU reads" in out
    assert "\x1b" not in out
    prose = out[out.index("serious: ") :].splitlines()  # a table that goes to a pipe folds nothing
    assert all(len(line) <= 80 or line.startswith("    $ iommu-abi translate ") for line in prose)


def test_one_device_is_audited_against_all(
    capsys: pytest.CaptureFixture[str], garden_on_disk: list[str]
) -> None:
    status, out, _ = run(capsys, *garden_on_disk, "--rid", "00:05.0", "--json")  # 0x28, which shares

    assert status == 1
    assert [f["kind"] for f in json.loads(out)["findings"]] == ["shared"]
    assert run(capsys, *garden_on_disk, "--rid", "8")[0] == 0


def test_a_sound_guest_is_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    directory = HERE / "data/captures/vtd-legacy-k6.12"

    status, out, err = run(capsys, str(directory / "sparse.elf.xz"), "--config", str(directory / "meta.json"))

    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "nothing was found"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["/nonexistent", "--iommu", "vtd", "--reg", "RTADDR=0"], "/nonexistent: No such file or directory"),
        (["-", "--iommu", "vtd", "--reg", "RTADDR=0"], "an image cannot be read from standard input"),
        ([os.devnull, "--iommu", "vtd"], "vtd needs RTADDR"),
        ([os.devnull, "--iommu", "sparc"], "--iommu: unknown kind 'sparc'"),
        ([os.devnull, "--iommu", "vtd", "--reg", "RTADDR=0", "--rid", "zero"], "--rid: "),
        ([os.devnull, "--iommu", "vtd", "--reg", "RTADDR=0", "--max-places", "many"], "--max-places: "),
    ],
)
def test_misuse_is_one_sentence_and_exit_2(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    status, out, err = run(capsys, *words)

    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_random_bytes_are_audited_without_a_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import random

    path = tmp_path / "noise.bin"
    path.write_bytes(random.Random(3).randbytes(1 << 16))
    for kind, register in (("vtd", "RTADDR"), ("amdvi", "DEVTAB_BASE"), ("riscv", "DDTP")):
        words = [str(path), "--iommu", kind, "--reg", f"{register}=0x4003", "--max-places", "1000"]
        status, out, err = run(capsys, *words, "--json")
        assert status in (0, 1)
        assert err == ""
        assert json.loads(out)["summary"]["devices"] >= 0
