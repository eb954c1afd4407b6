"""What changed between two images: by address, whatever the pages, and in constant memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from cli_support import CAPTURES as DIRECTORY
from cli_support import process, run, sentence
from test_mappings import CAPTURES, FORMATS, ask, opened, world_of
from vtd_tables import LARGE, SMALL, R, Tables, W

from iommu_abi.mappings import ContextState, Mapping, mappings, requesters
from iommu_abi.mappings.diff import Change, ContextChange, RangeChange, Side, differences
from iommu_abi.memory import Memory
from iommu_abi.terms import At, Request
from iommu_abi.walk import Unit
from iommu_abi.worlds.image import Image

HERE = Path(__file__).parent
HPA = 0x4000_0000
MIB = 1 << 20


def side(tables: Tables) -> Side:
    return Side(tables.unit, tables.memory)


def found(before: Tables, after: Tables) -> list[tuple[object, ...]]:
    """(what, first, bytes, HPA before, HPA after) of ranges, (states) of contexts."""
    rows: list[tuple[object, ...]] = []
    for each in differences(side(before), side(after)):
        if isinstance(each, ContextChange):
            rows.append(tuple(s.state.name.lower() if s else None for s in (each.before, each.after)))
            continue
        a, b = each.before, each.after
        m = a or b
        rows.append(("+".join(each.what.words), m.first, m.size, a and a.hpa, b and b.hpa))
    return rows


def test_a_page_that_moved_out_of_a_run_is_the_only_difference():
    before, after = Tables(), Tables()
    before.map(0, 0x1000, HPA, n=8)
    after.map(0, 0x1000, HPA, n=8)
    after.map(0, 0x4000, 0x9000_0000)

    assert found(before, after) == [("moved", 0x4000, SMALL, HPA + 0x3000, 0x9000_0000)]


def test_the_same_addresses_through_other_pages_differ_in_their_pages_alone():
    before, after = Tables(), Tables()
    before.map(0, 0, HPA, size=LARGE)
    after.map(0, 0, HPA, n=512)

    assert found(before, after) == [("pages", 0, 2 * MIB, HPA, HPA)]


def test_a_page_behind_a_larger_one_does_not_make_that_differ():
    """Both are one line on the first side, which says 4 KiB and 2 MiB."""
    before, after = Tables(), Tables()
    before.map(0, 0, HPA, size=LARGE)
    before.map(0, LARGE, HPA + LARGE)
    after.map(0, 0, HPA, size=LARGE)

    assert len(list(mappings(before.unit, before.memory, 0))) == 1
    assert found(before, after) == [("removed", LARGE, SMALL, HPA + LARGE, None)]


def test_what_changed_alike_is_one_range_again():
    before, after = Tables(), Tables()
    before.map(0, 0, HPA, size=LARGE)
    after.map(0, 0, HPA + LARGE, n=512)
    after.map(0, LARGE, HPA, n=3)

    assert found(before, after) == [
        ("moved+pages", 0, LARGE, HPA, HPA + LARGE),
        ("added", LARGE, 3 * SMALL, None, HPA),
    ]


def test_rights_and_place_may_change_at_once():
    before, after = Tables(), Tables()
    before.map(0, 0x1000, HPA, rights=R, n=2)
    after.map(0, 0x1000, HPA, rights=R | W)
    after.map(0, 0x2000, 0x9000_0000, rights=W)

    assert found(before, after) == [
        ("rights", 0x1000, SMALL, HPA, HPA),
        ("moved+rights", 0x2000, SMALL, HPA + SMALL, 0x9000_0000),
    ]


def test_contexts_appear_with_what_they_reach_disappear_and_change():
    before, after = Tables(), Tables()
    before.map(0, 0x1000, HPA)
    after.map(8, 0x1000, HPA)
    before.passes(16)
    after.device(16)
    before.device(24)
    after.device(24, context_low=3 << 2 | 1)  # a translation type that this IOMMU lacks

    states = [row for row in found(before, after) if len(row) == 2]
    ranges = [row for row in found(before, after) if len(row) == 5]

    assert states == [
        ("translates", None), (None, "translates"), ("passes", "translates"), ("translates", "broken"),
    ]  # fmt: skip
    assert ranges[:2] == [("removed", 0x1000, SMALL, HPA, None), ("added", 0x1000, SMALL, None, HPA)]
    # pass-through without the interrupt range, which is no memory
    assert ranges[2:] == [
        ("removed", 0, 0xFEE0_0000, 0, None),
        ("removed", 0xFEF0_0000, (1 << 48) - 0xFEF0_0000, 0xFEF0_0000, None),
    ]


def test_tables_that_moved_are_no_difference():
    before, after = Tables(), Tables(base=0x70_0000)
    for tables in (before, after):
        tables.map(0, 0x1000, HPA, n=3)
        tables.device(8, context_low=3 << 2 | 1)

    assert found(before, after) == []


def test_a_table_of_contexts_that_cannot_be_read_is_cut_at_the_devices_of_the_other_side():
    """A root entry that points out of the image is one context of 256 devices."""
    before, after = Tables(), Tables()
    after.map(3, 0x1000, HPA)
    before._put(before.base, 0x7000_0000 | 1)

    changes = list(differences(side(before), side(after)))

    contexts = [c for c in changes if isinstance(c, ContextChange)]
    assert [(c.rid, (c.before or c.after).last, c.after and c.after.state) for c in contexts] == [
        (0, 2, None), (3, 3, ContextState.TRANSLATES), (4, 255, None),
    ]  # fmt: skip
    assert [c.what for c in changes if isinstance(c, RangeChange)] == [Change.ADDED]


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_a_real_guest_does_not_differ_from_itself(directory: Path) -> None:
    _, unit, memory = opened(directory)

    assert list(differences(Side(unit, memory), Side(unit, memory))) == []


def copied(memory: Memory) -> Memory:
    made = Memory()
    for region in memory:
        made.map(region.first, bytearray(memory.read(region.first, region.size)), writable=True)
    return made


#: Where the lowest bit of a 4 KiB page's frame number is: bit 10 in RISC-V's entries, else bit 12.
FRAME_BIT = {"riscv": 10}


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_one_byte_of_a_real_entry_moves_exactly_its_page(directory: Path) -> None:
    _, unit, memory = opened(directory)
    rid, pasid, m = next(
        (rid, pasid, m)
        for rid, pasid, context in requesters(unit, memory)
        if context.state is ContextState.TRANSLATES
        for m in mappings(unit, memory, rid, pasid)
        if m.s1_sizes | m.s2_sizes == SMALL
    )
    entry = unit.translate(memory, Request(rid, m.first, pasid), trace=True).refs[-1].hpa
    bit = FRAME_BIT.get(unit.kind, 12)
    other = copied(memory)
    other.write(entry + bit // 8, bytes([memory.read(entry + bit // 8, 1)[0] ^ 1 << bit % 8]))

    (change,) = differences(Side(unit, memory), Side(unit, other))

    assert isinstance(change, RangeChange)
    assert (change.rid, change.pasid, change.what) == (rid, pasid, Change.MOVED)
    assert (change.before.first, change.before.last) == (m.first, m.first + 0xFFF)
    assert (change.before.hpa, change.after.hpa) == (m.hpa, m.hpa ^ 0x1000)


def answers(s: Side, rid: int, pasid: int | None, iova: int) -> tuple[object, ...] | None:
    t = ask(s.unit, s.memory, rid, pasid, iova)
    return t and (t.hpa, t.gpa, t.access, t.target)


def expected(m: Mapping | None, iova: int) -> tuple[object, ...] | None:
    return m and (m.part(iova, iova).hpa, m.part(iova, iova).gpa, m.access, m.target)


def damaged(s: Side, image: Image, requests: list[Request], dice: random.Random) -> None:
    """Flip a bit in an entry that each request reads, of leaves above all."""
    for q in requests:
        refs = s.unit.translate(s.memory, q, trace=True).refs
        ref = dice.choice([refs[-1], *refs])
        size = min(ref.len, 8)
        flipped = 1 << dice.choice([*range(16), 8 * size - 1])
        word = int.from_bytes(image.read(ref.hpa, size), "little") ^ flipped
        image.write(ref.hpa, word.to_bytes(size, "little"))


@pytest.mark.parametrize("name", FORMATS)
def test_random_tables_differ_where_translate_says_so_and_nowhere_else(name: str) -> None:
    dice, changes = random.Random(name), 0
    for seed in range(12):
        world = world_of(name, seed)
        images = [Image((first, bytearray(data)) for first, data in world.host.runs()) for _ in range(2)]
        a, b = (Side(Unit(world.kind, world.registers), image.memory) for image in images)
        requests = [q for q in world.requests if q.at is At.UNTRANSLATED and not q.priv][:2]
        damaged(a, images[1], requests, dice)
        for q in requests:
            both = [c for c in islice(differences(a, b, q.rid, q.pasid), 500) if c.pasid == q.pasid]
            if any(isinstance(c, ContextChange) and not (c.before and c.after) for c in both):
                continue  # a PASID that is no context any more may be ignored, and its requests pass
            ranges = [c for c in both if isinstance(c, RangeChange)]
            for c in ranges:
                m = c.before or c.after
                for iova in {m.first, m.last, dice.randint(m.first, m.last)}:
                    assert answers(a, q.rid, q.pasid, iova) == expected(c.before, iova)
                    assert answers(b, q.rid, q.pasid, iova) == expected(c.after, iova)
            changes += len(ranges)
            if len(ranges) == 500:
                continue
            for s in (a, b):
                for m in islice(mappings(*s, q.rid, q.pasid), 300):
                    iova = dice.randint(m.first, m.last)
                    if not any(r.first <= iova <= r.last for c in ranges for r in (c.before or c.after,)):
                        assert answers(a, q.rid, q.pasid, iova) == answers(b, q.rid, q.pasid, iova)

    assert changes


COMPARE_64_GIB = """
import resource
from test_mappings import shared_tables
from iommu_abi.mappings.diff import Change, Side, differences

unit, before = shared_tables()
_, after = shared_tables(frames=0x2_0000_0000)
found = differences(Side(unit, before), Side(unit, after))
covered = next(found).before.size
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ranges = 1
for change in found:
    assert change.what is Change.MOVED
    ranges, covered = ranges + 1, covered + change.before.size
print(ranges, covered, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
"""


def test_two_times_64_gib_of_small_pages_are_compared_in_constant_memory() -> None:
    """In a process of its own, where no other test has had more memory before."""
    done = subprocess.run(
        [sys.executable, "-c", COMPARE_64_GIB], cwd=HERE, capture_output=True, text=True, check=True
    )
    ranges, covered, kib = map(int, done.stdout.split())

    assert (ranges, covered) == (32768, (64 << 30) - MIB)  # less the interrupt range
    assert kib < 4 << 10


# ---------------------------------------------------------------- the command

LEGACY, WIDE = (DIRECTORY / name for name in ("vtd-legacy-k6.12", "vtd-legacy39-k6.12"))
ONE = (LEGACY / "sparse.elf.xz", "--config", LEGACY / "meta.json")
OTHER = ("--diff", WIDE / "sparse.elf.xz", "--other-config", WIDE / "meta.json")


def test_no_difference_is_status_0(capsys):
    done = run(capsys, "mappings", *ONE, "--diff", ONE[0])

    assert (done.status, done.out) == (0, "no difference\n")
    assert run(capsys, "mappings", *ONE, "--diff", ONE[0], "--json").json == []


def test_differences_are_status_1_and_fit_in_80_columns(capsys):
    done = run(capsys, "mappings", *ONE, *OTHER, "--rid", "00:03.0")

    assert done.status == 1
    assert done.out == (
        "00:03.0:\n"
        "  ~ 0x0000ffffc000..0x0000ffffdfff -> 0x000004ef1000 rw  4 KiB\n"
        "                            moved: -> 0x00000554d000 rw  4 KiB\n"
        "  ~ 0x0000ffffe000..0x0000ffffffff -> 0x00000550f000 rw  4 KiB\n"
        "                            moved: -> 0x000005548000 rw  4 KiB\n"
        "differences: 2 ranges moved\n"
    )
    whole = run(capsys, "mappings", *ONE, *OTHER).out.splitlines()
    assert max(map(len, whole)) <= 80


def test_json_and_csv_say_the_same(capsys):
    first = run(capsys, "mappings", *ONE, *OTHER, "--rid", "00:03.0", "--json").json[0]
    header, line = run(capsys, "mappings", *ONE, *OTHER, "--rid", "00:03.0", "--csv").out.splitlines()[:2]
    row = dict(zip(header.split(","), line.split(",")))

    sizes = {"access": "rw", "s1_pages": [], "s2_pages": [4096], "target": "memory"}
    assert first == {
        "rid": "00:03.0", "pasid": None, "ids": 1, "change": ["moved"], "first": "0xffffc000",
        "last": "0xffffdfff", "before": {"gpa": "0xffffc000", "hpa": "0x4ef1000", **sizes},
        "after": {"gpa": "0xffffc000", "hpa": "0x554d000", **sizes},
    }  # fmt: skip
    assert (row["change"], row["before_hpa"], row["after_hpa"]) == ("moved", "0x4ef1000", "0x554d000")


def test_a_context_that_changed_says_from_what_to_what(capsys):
    riscv = DIRECTORY / "riscv-k7.2-q11"
    other = ("--diff", riscv / "sparse.elf.xz", "--other-config", riscv / "meta.json", "--rid", "00:03.0")

    done = run(capsys, "mappings", *ONE, *other)

    assert done.out.startswith("00:03.0:\n  ~ context: translates -> passes\n  + 0x000000000000..")
    assert done.out.splitlines()[-1] == (
        "differences: 1 context, 2 ranges added, 2 ranges moved, 2 ranges with other rights,"
        " 2 ranges with other page sizes"
    )
    rows = run(capsys, "mappings", *ONE, *other, "--json").json
    assert rows[0]["change"] == ["context changed"]
    assert (rows[0]["before"], rows[0]["after"]) == ({"state": "translates"}, {"state": "passes"})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--other-config", "x.json"], "--other-config needs --diff"),
        (["--diff", "x", "--map"], "--diff and --map do not go together"),
        (["--diff", "x", "-o", "x.svg"], "--diff and -o do not go together"),
        (["--diff", "x", "--reverse", "0"], "--diff and --reverse do not go together"),
        (["--diff", "-"], "an image cannot be read from standard input"),
        (["--diff", "/nonexistent"], "/nonexistent: No such file or directory"),
        (
            ["--diff", str(ONE[0]), "--other-config", "/nonexistent"],
            "/nonexistent: No such file or directory",
        ),
    ],
)
def test_misuse_is_one_sentence_and_status_2(capsys, words, says):
    done = run(capsys, "mappings", *ONE, *words)

    assert done.status == 2
    assert says in sentence(done)


def test_only_one_configuration_can_come_from_standard_input(capsys):
    done = run(capsys, "mappings", ONE[0], "--config", "-", "--diff", ONE[0], "--other-config", "-")

    assert (done.status, "not both" in sentence(done)) == (2, True)


def test_an_empty_image_is_one_sentence(tmp_path):
    (tmp_path / "empty").touch()
    done = process("mappings", *ONE, "--diff", tmp_path / "empty", "--json")

    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert "error" in json.loads(done.stdout)
