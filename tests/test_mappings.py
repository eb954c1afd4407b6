"""Enumeration: every range agrees with translate(), nothing is left out, and it cannot be made to hang."""

from __future__ import annotations

import importlib
import itertools
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledgers import image

from iommu_abi._core import ffi, lib
from iommu_abi.cli import output
from iommu_abi.mappings import ContextState, Mapping, contexts, mappings, pasids, tables
from iommu_abi.memory import Memory
from iommu_abi.replay import capture
from iommu_abi.terms import Access, At, Purpose, Reason, Request, Stage, Target, Translation
from iommu_abi.unit_meta import make_unit
from iommu_abi.walk import Unit
from iommu_abi.worlds.dice import Dice, Unlucky
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.image import Image
from iommu_abi.worlds.world import Wish, World

HERE = Path(__file__).resolve().parent
CAPTURES = sorted((HERE / "data/captures").iterdir())
ACCESSES = (Access.READ, Access.WRITE, Access.EXEC)
LAST = (1 << 64) - 1


def ask(
    unit: Unit, memory: Memory, rid: int, pasid: int | None, iova: int, priv: bool = False
) -> Translation | None:
    """What passes first of read, write, execute: what an enumeration must show."""
    for access in ACCESSES:
        answer = unit.translate(memory, Request(rid, iova, pasid, access, priv))
        if answer.fault is None:
            return None if answer.target is Target.INTERRUPT else answer
    return None


def disagreements(
    unit: Unit,
    memory: Memory,
    rid: int,
    pasid: int | None,
    found: list[Mapping],
    priv: bool = False,
    holes: bool = True,
) -> list[str]:
    dice = random.Random(len(found))
    wrong = []
    for before, m in zip([None, *found], found):
        if before and before.last >= m.first:
            wrong.append(f"{m.first:#x} is not above {before.last:#x}")
        for iova in {m.first, m.last, dice.randint(m.first, m.last)}:
            answer = ask(unit, memory, rid, pasid, iova, priv)
            sizes = m.s1_sizes | m.s2_sizes
            if answer is None or (answer.access, answer.target) != (m.access, m.target):
                wrong.append(f"{iova:#x} in {m}: {answer}")
            elif m.target is Target.MEMORY and answer.hpa - m.hpa != iova - m.first:
                wrong.append(f"{iova:#x} in {m}: {answer.hpa:#x}")
            elif answer.gpa - m.gpa != iova - m.first or (sizes and not sizes >> answer.size_lg2):
                wrong.append(f"{iova:#x} in {m}: {answer}")
    edges = {m.first - 1 for m in found if m.first} | {m.last + 1 for m in found if m.last < LAST}
    edges |= {dice.getrandbits(64) >> dice.randrange(64) for _ in range(20)} if holes else set()
    for iova in edges:
        if (
            not any(m.first <= iova <= m.last for m in found)
            and holes
            and ask(unit, memory, rid, pasid, iova, priv)
        ):
            wrong.append(f"{iova:#x} is left out")
    return wrong


def opened(directory: Path) -> tuple[capture.Capture, Unit, Memory]:
    found = capture.load(directory)
    return (
        found,
        make_unit(found.meta.kind, found.meta.registers, ""),
        Memory.open(directory / "sparse.elf.xz"),
    )


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_what_real_guests_map_agrees_with_translate(directory: Path) -> None:
    _, unit, memory = opened(directory)
    devices = 0

    for context in contexts(unit, memory):
        rid = context.first
        for pasid in [None, *(p.first for p in pasids(unit, memory, rid))]:
            found = list(mappings(unit, memory, rid, pasid))
            assert disagreements(unit, memory, rid, pasid, found) == []
            devices += bool(found)

    assert devices


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_every_address_that_a_real_device_reached_is_listed(directory: Path) -> None:
    """The oracle: what the devices of a guest read and wrote, seen from outside."""
    loaded, unit, memory = opened(directory)
    lists: dict[tuple[int, int | None], list[Mapping]] = {}
    checked = 0

    for line in loaded.lines:
        q = line.request
        if line.pa is None or q.at is not At.UNTRANSLATED or q.priv:
            continue
        if not unit.translate(memory, q).ok:  # explained departures of QEMU
            continue
        key = (q.rid, q.pasid)
        if key not in lists:
            lists[key] = list(mappings(unit, memory, *key))
        hits = [m for m in lists[key] if m.first <= q.iova <= m.last]
        assert [m.hpa + q.iova - m.first for m in hits] == [line.pa]
        assert hits[0].access & q.access
        checked += 1

    assert checked > 50


def world_of(name: str, seed: object) -> World:
    for turn in itertools.count():
        dice = Dice("mappings", name, seed, turn)
        try:
            return FORMATS[name].vendor and build(name)(dice, Wish(dice, None))
        except Unlucky:
            continue
    raise AssertionError


def build(name: str):  # type: ignore[no-untyped-def]
    return FORMATS[name].worlds[name]


def canonical(iova: int) -> int:
    """With its ignored top byte (Arm's TBI) as bit 55 would have it."""
    low = iova & (1 << 56) - 1
    return low | 0xFF << 56 if iova >> 55 & 1 else low


@pytest.mark.parametrize("name", FORMATS)
def test_random_tables_agree_with_translate_and_nothing_is_left_out(name: str) -> None:
    for seed in range(25):
        world = world_of(name, seed)
        unit, memory = Unit(world.kind, world.registers), Image(world.host.runs()).memory
        for q in world.requests:
            if q.at is not At.UNTRANSLATED:
                continue
            answer = unit.translate(memory, q)
            found = list(itertools.islice(mappings(unit, memory, q.rid, q.pasid, priv=q.priv), 3000))
            assert disagreements(unit, memory, q.rid, q.pasid, found, q.priv, holes=False) == []
            if len(found) < 3000 and answer.target is Target.MEMORY:
                tries = (q.iova, canonical(q.iova), answer.hpa)
                hits = ((iova, m) for iova in tries for m in found if m.first <= iova <= m.last)
                iova, m = next(hits)
                assert m.hpa + iova - m.first == answer.hpa
            first = max(0, (q.rid if q.pasid is None else q.pasid) - 1000)
            ids = contexts(unit, memory, first) if q.pasid is None else pasids(unit, memory, q.rid, first)
            hit = next(c for c in ids if c.last >= (q.rid if q.pasid is None else q.pasid))
            assert hit.state in (ContextState.TRANSLATES, ContextState.PASSES)
            assert hit.first == hit.last == (q.rid if q.pasid is None else q.pasid)


@pytest.mark.parametrize("name", FORMATS)
def test_random_tables_with_random_damage_agree_with_translate(name: str) -> None:
    for seed in range(25):
        dice = random.Random(f"{name}/{seed}")
        world = world_of(name, seed)
        image = Image(world.host.runs())
        for _ in range(dice.randrange(1, 12)):
            first, data = dice.choice(image.runs)
            at = dice.randrange(0, len(data), 8)
            image.write(
                first + at,
                (int.from_bytes(data[at : at + 8], "little") ^ 1 << dice.randrange(64)).to_bytes(8, "little"),
            )
        unit, memory = Unit(world.kind, world.registers), image.memory
        for q in world.requests[:3]:
            found = list(itertools.islice(mappings(unit, memory, q.rid, q.pasid, priv=q.priv), 1000))
            assert disagreements(unit, memory, q.rid, q.pasid, found, q.priv, holes=False) == []


def test_beyond_the_last_id_there_is_no_context() -> None:
    """A requester of VT-d has 16 bits, a PASID 20. Found by fuzzing: a context from 0x1b1b758 to 0xffff."""
    world = world_of("vtd-ecs", 0)
    unit, memory = Unit(world.kind, world.registers), Image(world.host.runs()).memory

    assert list(contexts(unit, memory, first=0x1B1B758)) == []
    assert list(pasids(unit, memory, world.requests[0].rid, first=1 << 20)) == []


def test_the_enumeration_names_no_vendor() -> None:
    from test_architecture import CORE, VENDOR_WORDS

    text = (CORE / "mappings.c").read_text().lower()

    assert [word for word in VENDOR_WORDS if re.search(rf"\b{re.escape(word)}\b", text)] == []


def shared_tables(
    entries_self: bool = False, frames: int = 0x1_0000_0000, gib: int = 64
) -> tuple[Unit, Memory]:
    """VT-d legacy mode, 00:00.0: 64 GiB in 4 KiB pages through one leaf table that is used 32768 times.

    Or another number of ``gib``.

    Root and context entry: VT-d 9.1, 9.3; second-stage entries: 9.8.
    """
    table = bytearray(6 * 4096)

    def put(at: int, *words: int) -> None:
        for i, word in enumerate(words):
            table[at + 8 * i : at + 8 * i + 8] = word.to_bytes(8, "little")

    top, giants, larges, leaves = 0x3000, 0x4000, 0x5000, 0x6000
    put(0x0, 0x2000 | 1, 0)
    put(0x1000, top | 1, 1 << 8 | 2)  # 48 bits
    put(0x2000, *([top | 3] * 512 if entries_self else [giants | 3]))
    put(0x3000, *[larges | 3] * gib)
    put(0x4000, *[leaves | 3] * 512)
    put(0x5000, *[frames + i * 4096 | 3 for i in range(512)])
    memory = Memory()
    memory.map(0x1000, bytes(table))
    return Unit("vtd", {"RTADDR": 0x1000}), memory


def test_64_gib_of_small_pages_are_enumerated_in_constant_memory() -> None:
    resource = pytest.importorskip("resource")
    unit, memory = shared_tables()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    runs = covered = 0
    for m in mappings(unit, memory, 0):
        runs, covered = runs + 1, covered + m.size

    # the interrupt range 0xfee00000 to 0xfeefffff takes 1 MiB away, and half of a run
    assert covered == (64 << 30) - (1 << 20)
    assert runs == 32768
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


def test_a_table_that_points_to_itself_is_left_whenever_the_caller_wants() -> None:
    unit, memory = shared_tables(entries_self=True)

    found = list(itertools.islice(mappings(unit, memory, 0), 1000))

    assert disagreements(unit, memory, 0, None, found, holes=False) == []


PASIDS = HERE / "data/captures/vtd-scalable-fs-pasid-k7.2"


def run_cli(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    from iommu_abi.cli import main

    status = main(["mappings", str(PASIDS / "sparse.elf.xz"), "--config", str(PASIDS / "meta.json"), *words])
    return status, capsys.readouterr().out


def test_the_command_says_who_reaches_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run_cli(capsys, "--reverse", "0x6ed4000:4096", "--json")

    assert status == 0
    assert [(row["rid"], row["pasid"], row["first"], row["access"]) for row in json.loads(out)] == [
        ("00:07.0", 1, "0x1000", "rw")
    ]


def test_the_command_prints_a_table_for_people_and_one_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, text = run_cli(capsys, "--rid", "00:07.0", "--pasid", "5")
    assert status == 0
    assert text.startswith(
        "00:07.0 PASID 5: translates\n  0x000000001000..0x000000001fff -> 0x000006ee1000 rw "
    )

    status, text = run_cli(capsys, "--rid", "00:07.0", "--pasid", "5", "--csv")
    assert status == 0
    assert text.splitlines()[1] == "00:07.0,5,1,translates,0x1000,0x1fff,0x6ee1000,0x6ee1000,rw,4096,,memory,"


def test_nothing_reached_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(capsys, "--reverse", "0xfffffffff000", "--json") == (1, "[]\n")
    assert run_cli(capsys, "--rid", "00:1e.0") == (1, "nothing is reached\n")


# RISC-V IOMMU, 2.3: pd17 and pd20 index by process_id[19:17], [16:8] and [7:0]
@pytest.mark.parametrize(("bits", "level", "covered"), [(17, 1, 1 << 8), (20, 1, 1 << 8), (20, 2, 1 << 17)])
def test_a_bad_entry_of_a_process_directory_covers_the_processes_below_it(
    bits: int, level: int, covered: int
) -> None:
    import test_riscv

    world = test_riscv.with_process(bits)
    ref = next(r for r in world.ask().refs if r.stage is Stage.PASID and r.level == level)
    world.host.store(ref.hpa, world.host.load(ref.hpa) | 1 << 63)  # reserved

    unit = Unit("riscv", world.unit.registers | world.registers)
    found = list(pasids(unit, image(world.host), test_riscv.DEVICE, 0, covered))

    first = test_riscv.PROCESS // covered * covered
    bad = next(c for c in found if c.first <= test_riscv.PROCESS <= c.last)
    assert (bad.first, bad.last) == (first, first + covered - 1)
    assert bad.state in (ContextState.REFUSES, ContextState.BROKEN)


# The same chapter: a directory is addressed through the second stage, here not for its first page.
@pytest.mark.parametrize(("bits", "covered"), [(8, 1), (17, 1 << 8), (20, 1 << 17)])
def test_a_process_directory_that_the_second_stage_hides_covers_the_processes_below_each_entry(
    bits: int, covered: int
) -> None:
    import test_riscv

    world = test_riscv.nested(bits=bits)
    world.edit_second(world.processes.address, 0, V=0)

    unit = Unit("riscv", world.unit.registers | world.registers)
    found = list(pasids(unit, image(world.host), test_riscv.DEVICE, 0, 2 * covered - 1))

    assert [(c.first, c.last) for c in found] == [(0, covered - 1), (covered, 2 * covered - 1)]
    assert all(c.state is ContextState.BROKEN and c.fault and c.fault.stage is Stage.S2 for c in found)


@pytest.mark.parametrize("stage", ["first", "second"])
def test_a_range_of_pages_of_two_sizes_has_both_sizes_or_ends_where_they_change(stage: str) -> None:
    import test_vtd

    world = {"first": test_vtd.first_only, "second": test_vtd.second_only}[stage](page=2 << 20)
    tables, start = world.first or world.second, test_vtd.IOVA & -(2 << 20)
    tables.map(start + (2 << 20), world.page + (2 << 20))
    unit, memory = Unit("vtd", world.unit.registers | world.registers), image(world.host)

    [whole] = mappings(unit, memory, test_vtd.RID, test_vtd.PASID)
    parts = list(mappings(unit, memory, test_vtd.RID, test_vtd.PASID, by_size=True))

    sizes = [(m.first, m.last, m.s1_sizes if stage == "first" else m.s2_sizes) for m in (whole, *parts)]
    end = start + (2 << 20) - 1
    assert sizes == [
        (start, end + 4096, 1 << 21 | 1 << 12),
        (start, end, 1 << 21),
        (end + 1, end + 4096, 1 << 12),
    ]


def small_contexts() -> Any:
    """A RISC-V IOMMU whose device contexts have 32 bytes."""
    import test_riscv

    host = test_riscv.build.Memory()
    unit = test_riscv.build.RiscvUnit(host, 2, CAPABILITIES=test_riscv.capabilities(MSI_FLAT=0))
    unit.device(test_riscv.DEVICE)
    return test_riscv.World(host, unit, 0)


# VT-d 9.1 and 9.2: an entry of the root table has 256 functions, or each half of it 128; RISC-V IOMMU, 2.1:
# a page of contexts of 64 or 32 bytes. Bit 1 of the entries that lead to them is reserved.
@pytest.mark.parametrize(
    ("module", "make", "covered"),
    [
        ("vtd", lambda of: of.legacy(), 256),
        ("vtd", lambda of: of.second_only(), 128),
        ("vtd", lambda of: of.extended(), 128),
        ("riscv", lambda of: of.nested(levels=2), 64),
        ("riscv", lambda of: small_contexts(), 128),
    ],
    ids=["VT-d legacy", "VT-d scalable", "VT-d extended", "RISC-V, 64 bytes", "RISC-V, 32 bytes"],
)
def test_a_bad_entry_above_the_contexts_covers_all_of_them(
    module: str, make: Callable[[Any], Any], covered: int
) -> None:
    world = make(importlib.import_module(f"test_{module}"))
    answer = world.ask()
    ref = next(r for r in answer.refs if r.stage is Stage.DEVICE and r.level == 1)
    world.host.store(ref.hpa, world.host.load(ref.hpa) | 1 << 1)
    unit = Unit(module, world.unit.registers | world.registers)

    found = list(contexts(unit, image(world.host), 0, 2 * covered))

    assert [(c.first, c.last) for c in found] == [(0, covered - 1)]
    assert found[0].fault is not None
    assert found[0].fault.entry_hpa == ref.hpa


@pytest.mark.parametrize("room", [1, 2, 3])
def test_no_more_is_written_than_the_caller_has_room_for(room: int) -> None:
    """Two ranges, the second at the end of all addresses. What lies behind the room stays as it was."""
    import test_amdvi

    world = test_amdvi.v1(6)
    world.v1.map(LAST & -4096, world.page)
    unit, memory = Unit("amdvi", world.unit.registers | world.registers), image(world.host)
    who = ffi.new("struct iommu_abi_request *", {"rid": test_amdvi.RID})
    cursor = ffi.new("struct iommu_abi_mapping_cursor *")
    out = ffi.new("struct iommu_abi_mapping[]", room + 1)
    found = []

    while not cursor.done or cursor.pending:
        out[room].first = 0x5A5A
        n = lib.iommu_abi_mappings(unit.c, memory.table.c, who, 1 << 20, cursor, out, room)
        assert 0 <= n <= room
        assert out[room].first == 0x5A5A
        found += [m.first for m in out[0:n]]

    assert found == [test_amdvi.IOVA, LAST & -4096]


def test_entries_of_a_table_that_the_second_stage_does_not_map_are_listed_with_the_fault() -> None:
    import test_vtd

    world = test_vtd.nested()
    world.edit_table_page(1, R=0, W=0)  # the page with the first-stage PDEs, 512 times 2 MiB
    unit, memory = Unit("vtd", world.unit.registers | world.registers), image(world.host)

    found = tables(unit, memory, Stage.S1, test_vtd.RID, test_vtd.PASID)

    bad = [each for each in found if each.fault]
    start = test_vtd.IOVA & -(1 << 30)
    assert [(t.first, t.last) for t in bad] == [
        (first, first + (2 << 20) - 1) for first in range(start, start + (1 << 30), 2 << 20)
    ]
    faults = [fault for t in bad if (fault := t.fault)]
    assert {(f.reason, f.stage, f.purpose, f.for_level) for f in faults} == {
        (Reason.NOT_PRESENT, Stage.S2, Purpose.S1_ENTRY, 1)
    }


def test_where_the_pasid_table_is_off_no_pasid_is_listed_whatever_passes() -> None:
    # RISC-V IOMMU, 2.3: with PDTV and pdtp Bare, process 0 goes to the second stage alone. mappings.h.
    import test_riscv

    world = test_riscv.second_only(PDTV=1)
    unit, memory = Unit("riscv", world.unit.registers | world.registers), image(world.host)

    assert world.ask(pasid=0).fault is None
    assert [m.hpa for m in mappings(unit, memory, test_riscv.DEVICE, 0)] == [world.page]
    assert list(pasids(unit, memory, test_riscv.DEVICE)) == []
    assert [c.first for c in contexts(unit, memory)] == [test_riscv.DEVICE]


def test_a_table_of_cds_that_stage_2_hides_covers_the_substreams_below_each_entry() -> None:
    # Arm IHI 0070, 5.2: S1Fmt 1, tables of 64 CDs below the first one.
    import test_smmuv3

    world = test_smmuv3.nested(fmt=1, cdmax=8)
    world.edit_second(world.cds.address, 0, VALID=0)
    unit = Unit("smmuv3", world.unit.registers | world.registers)

    found = list(pasids(unit, image(world.host), test_smmuv3.SID, 0, 127))

    assert [(c.first, c.last) for c in found] == [(0, 63), (64, 127)]


@pytest.mark.parametrize(("first", "pages"), [(0xFFFF, 2), (0x1_0000, 0)])
def test_tables_of_the_last_requester_are_listed_and_there_is_none_after_it(first: int, pages: int) -> None:
    import test_vtd

    world = test_vtd.legacy()
    world.unit.context(0xFFFF, world.second)
    unit, memory = Unit("vtd", world.unit.registers | world.registers), image(world.host)
    cursor = ffi.new("struct iommu_abi_table_cursor *", {"at": {"next": first}})
    out = ffi.new("struct iommu_abi_table[]", 200)
    who = ffi.new("struct iommu_abi_request *")

    n = lib.iommu_abi_tables(unit.c, memory.table.c, who, lib.IOMMU_ABI_DEVICE, 10, cursor, out, 200)

    assert (n, cursor.at.done) == (pages, 1)


def test_rows_that_were_made_before_an_interruption_are_written(capsys):
    def rows():
        yield "one\n"
        yield "two\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.lines(rows())

    assert capsys.readouterr().out == "one\ntwo\n"
