"""Audit: what is planted is found, once and with its evidence; what is sound is left in peace."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ledgers import image

from iommu_abi import capture
from iommu_abi.audit import KINDS, Audit, Finding, audit, evidence
from iommu_abi.audit.pages import MOST, Pages, TooMany
from iommu_abi.cli import main
from iommu_abi.memory import Memory
from iommu_abi.schemas import build
from iommu_abi.schemas.amdvi import DEFAULT_EXT_FEATURES
from iommu_abi.schemas.build import RW, RWX
from iommu_abi.terms import Access
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
