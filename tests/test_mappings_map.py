"""The map of what devices reach: nothing that is reached is missing on it, and it is bounded."""

from __future__ import annotations

import itertools
import re
from functools import reduce
from operator import or_
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli_support import CAPTURES as DIRECTORY
from cli_support import process, run, sentence
from hypothesis import given
from hypothesis import strategies as st
from test_mappings import CAPTURES, opened, shared_tables
from vtd_tables import LARGE, SMALL, TOP, R, Tables, W

from iommu_abi.mappings import ContextState, contexts, mappings, picture, requesters
from iommu_abi.mappings import map as mappings_map
from iommu_abi.mappings.extents import Extents, union
from iommu_abi.mappings.map import TABLES, Map, axis, draw, pages_of_tables
from iommu_abi.memory import Memory
from iommu_abi.terms import Access
from iommu_abi.walk import Unit

ROOT = Path(__file__).resolve().parent.parent
SVG = "{http://www.w3.org/2000/svg}"
HPA = 0x4000_0000

ranges = st.lists(
    st.tuples(st.integers(0, 1 << 52), st.integers(0, 1 << 24)).map(lambda r: (r[0], r[0] + r[1])),
    min_size=1,
    max_size=40,
)


# ---------------------------------------------------------------- extents and the axis


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=40), st.integers(1, 6))
def test_extents_hold_all_that_was_added_in_no_more_ranges_than_allowed(added, limit):
    extents = Extents(limit)
    for first, size in added:
        extents.add(first, first + size)
    wanted = {a for first, size in added for a in range(first, first + size + 1)}

    held = {a for first, last in extents.ranges() for a in range(first, last + 1)}

    assert len(extents.ranges()) <= limit
    assert held == wanted if extents.exact else held >= wanted
    assert {a for a in range(80) if extents.touch(a, a)} == held


def test_beyond_the_limit_the_closest_ranges_become_one():
    extents = Extents(3)
    for first in (0, 100, 103, 500, 900, 905):
        extents.add(first, first)

    assert (extents.ranges(), extents.exact) == ([(0, 103), (500, 500), (900, 905)], False)


@given(ranges, st.integers(1, 200))
def test_every_address_has_a_column_and_the_axis_fits(found, width):
    found = list(union(found))
    regions = axis(found, width)
    columns = regions[-1].at + regions[-1].columns

    label = len(f"{regions[-1].first:#x}")
    assert max(columns, regions[-1].at + label) + len(regions) + 1 <= max(width, 2 * len(regions) + 1 + label)
    assert len(regions) <= max(1, width // mappings_map.NARROWEST)
    assert all(r.unit & (r.unit - 1) == 0 for r in regions)
    for address in itertools.chain.from_iterable(found):
        (region,) = [r for r in regions if r.first <= address <= r.last]
        first, last = region.span(region.column(address))
        assert first <= address <= last


def test_wide_gaps_are_left_out_and_narrow_ones_are_not():
    found = [(0, 0xFFFF), (0x11000, 0x1FFFF), (1 << 40, (1 << 40) + 0xFFFF)]

    assert [(r.first, r.last, r.unit) for r in axis(found, 60)] == [
        (0, 0x1FFFF, 4096), (1 << 40, (1 << 40) + 0xFFFF, 4096),
    ]  # fmt: skip


# ---------------------------------------------------------------- where tables lie


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_tables_are_the_pages_of_a_capture_that_no_device_was_given(directory: Path) -> None:
    """A capture's image has the pages of its tables, and a few that devices wrote to; no other ones."""
    _, unit, memory = opened(directory)
    data, tables = Extents(1 << 16), set()
    for rid, pasid, context in requesters(unit, memory):
        tables |= set(pages_of_tables(unit, memory, rid, pasid, context))
        if context.state is ContextState.TRANSLATES:
            for m in mappings(unit, memory, rid, pasid):
                data.add(m.hpa, m.hpa_last)
    image = {page for r in memory for page in range(r.first, r.last, SMALL)}

    assert tables <= image
    assert all(data.touch(page, page) or not any(memory.read(page, SMALL)) for page in image - tables)


def test_a_table_behind_a_long_run_of_pages_is_found():
    """4 MiB of small pages in one range, through two tables of leaves, after a large page."""
    tables = Tables()
    tables.map(0, 0, HPA, size=LARGE)
    tables.map(0, LARGE, HPA + LARGE, n=1024)
    (device,) = contexts(tables.unit, tables.memory)
    pages = set(pages_of_tables(tables.unit, tables.memory, 0, None, device))

    assert pages == set(range(TOP, TOP + len(tables.bytes), SMALL))


# ---------------------------------------------------------------- the map


def ored(unit: Unit, memory: Memory, rid: int, pasid: int | None, drawn: Map) -> list[Access]:
    """The rights of each column, looked for in all mappings."""
    found = list(mappings(unit, memory, rid, pasid))
    spans = (r.span(column) for r in drawn.regions for column in range(r.at, r.at + r.columns))
    return [
        reduce(or_, (m.access for m in found if m.hpa <= last and first <= m.hpa_last), Access.NONE)
        for first, last in spans
    ]


@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_a_row_shows_what_its_requesters_reach_and_each_has_a_row(directory: Path) -> None:
    _, unit, memory = opened(directory)
    drawn = draw(unit, memory, 100)
    reaching = 0

    for row in drawn.rows:
        for who in row.who[:2]:
            rid, pasid = (who.rid, who.first) if who.pasid else (who.first, None)
            expected = (
                ored(unit, memory, rid, pasid, drawn)
                if row.state < ContextState.REFUSES
                else [0] * len(row.cells)
            )
            assert [cell & ~TABLES for cell in row.cells] == expected
            reaching += any(expected)

    contexts = list(requesters(unit, memory))
    assert reaching
    assert sum(row.count for row in drawn.rows) == sum(c.last - c.first + 1 for _, _, c in contexts)


def test_a_page_beside_a_table_is_no_alarm_and_the_table_itself_is():
    """Both are in one column with the table."""
    tables = Tables()
    tables.map(0, 0x1000, 0x20_0000, rights=W)
    tables.map(8, 0x1000, TOP, rights=R)
    tables.map(16, 0, HPA, size=1 << 30)
    (region,) = (drawn := draw(tables.unit, tables.memory, 17)).regions

    assert region.unit > 0x10_0000
    assert [row.cells[0] for row in drawn.rows] == [Access.WRITE, Access.READ | TABLES, 0]
    assert drawn.tables[0]


def test_pass_through_is_on_the_map_and_does_not_stretch_its_axis():
    tables = Tables()
    tables.map(0, 0x1000, HPA)
    tables.passes(8)
    drawn = draw(tables.unit, tables.memory, 60)

    assert drawn.regions[-1].last == HPA + 0xFFF
    assert [row.state for row in drawn.rows] == [ContextState.TRANSLATES, ContextState.PASSES]
    assert all(drawn.rows[1].cells)
    assert [bool(cell & TABLES) for cell in drawn.rows[1].cells] == [bool(cell) for cell in drawn.tables]


def test_a_window_is_shown_as_it_is():
    tables = Tables()
    tables.map(0, 0x1000, HPA, n=2)
    drawn = draw(tables.unit, tables.memory, 60, window=(HPA + 0x1000, HPA + 0x3FFF))

    assert [(r.first, r.last) for r in drawn.regions] == [(HPA + 0x1000, HPA + 0x3FFF)]
    assert list(drawn.rows[0].cells) == [Access.READ | Access.WRITE, 0, 0]


def test_more_contexts_than_rows_are_counted(monkeypatch):
    monkeypatch.setattr(mappings_map, "MOST_ROWS", 2)
    tables = Tables()
    for devfn in range(5):
        tables.map(devfn, 0x1000, HPA + devfn * SMALL)
    drawn = draw(tables.unit, tables.memory, 60)

    assert (len(drawn.rows), drawn.left_out) == (2, 3)
    assert list(picture.notes(drawn, ["", ""], ["", ""])) == ["3 more contexts have no room here"]


def test_more_tables_than_are_kept_apart_are_a_note(monkeypatch):
    monkeypatch.setattr(mappings_map, "MOST_TABLES", 1)
    tables, far = Tables(), Tables(base=0x800_0000)
    tables.map(0, 0x1000, HPA)
    far.map(8, 0x1000, HPA)
    tables.device(8, context_low=far.device(8) | 1)
    memory = tables.memory
    memory.map(far.base, bytes(far.bytes))
    drawn = draw(tables.unit, memory, 60)

    assert [row.count for row in drawn.rows] == [2]
    assert list(picture.notes(drawn, ["a"], ["a, b"])) == [
        "a: a, b", "IOMMU tables lie in too many places: what lies between close ones counts as table",
    ]  # fmt: skip


def test_thousands_of_ranges_that_reach_the_same_are_one_region() -> None:
    unit, memory = shared_tables(gib=4)
    drawn = draw(unit, memory, 60)

    assert [row.count for row in drawn.rows] == [1]
    # the one table of leaves leads to the same 2 MiB all 2048 times
    assert (drawn.regions[-1].first, drawn.regions[-1].last) == (0x1_0000_0000, 0x1_001F_FFFF)


# ---------------------------------------------------------------- the command

RISCV, AMD = DIRECTORY / "riscv-k7.2-q11", DIRECTORY / "amd-xtsup-on-k7.2-q11"


def words(directory: Path, *more: object) -> tuple[object, ...]:
    return "mappings", directory / "sparse.elf.xz", "--config", directory / "meta.json", *more


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("directory", CAPTURES, ids=lambda d: d.name)
def test_a_picture_is_as_wide_as_the_terminal(capsys, monkeypatch, directory, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run(capsys, *words(directory, "--map"))
    strips = [line for line in done.out.splitlines() if "│" in line]

    assert done.status == 0
    assert max(map(len, strips)) <= columns
    assert len({len(line) for line in strips if re.search("[·█XxrwT!]│$", line)}) == 1


def test_pass_through_rights_and_tables_are_seen_without_colour(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(capsys, *words(RISCV, "--map")).out.splitlines()

    passes = next(line for line in lines if line.startswith("00:00.0 +4 passes"))
    tables = next(line for line in lines if line.startswith("IOMMU tables "))
    assert set(passes[22:]) == {"│", "X", "!"}
    assert [c == "!" for c in passes[22:]] == [c == "T" for c in tables[22:]]
    assert "00:00.0 +4: 00:00.0, 00:03.0, 00:04.0, 00:05.0, 00:06.0" in lines


def test_contexts_that_reach_nothing_are_a_line(capsys):
    out = run(capsys, *words(AMD, "--map")).out

    assert "refuse every request (242): 00:00.1..00:02.7, 00:03.1..00:03.7" in out.replace("\n", " ")
    assert "reach nothing on this map (4): 00:00.0, 00:1f.0, 00:1f.2..00:1f.3\n" in out


def test_an_encoding_without_blocks_gets_ascii():
    done = process(*words(DIRECTORY / "vtd-legacy-k6.12", "--map"), PYTHONIOENCODING="ascii", COLUMNS="80")

    assert done.returncode == 0
    assert re.search(rb"\n00:03.0 +\|[.|]+#", done.stdout)


def test_a_map_of_nothing_is_a_finding(capsys):
    done = run(capsys, *words(AMD, "--map", "--rid", "00:00.1"))

    assert (done.status, "refuse every request (1): 00:00.1" in done.out) == (1, True)


def test_reverse_shows_those_addresses_alone(capsys):
    lines = run(capsys, *words(RISCV, "--map", "--reverse", "0x84920000:0x10000")).out.splitlines()

    assert lines[0] == "host-physical address 0x84920000"
    assert next(line for line in lines if line.startswith("00:07.0")).count("·") == 12


def test_svg_has_a_hint_for_everything_and_needs_nothing_else(capsys, tmp_path):
    done = run(capsys, *words(RISCV, "-o", tmp_path / "x.svg"))
    text = (tmp_path / "x.svg").read_text()
    root = ElementTree.fromstring(text)
    hints = [each.text for each in root.iter(f"{SVG}title")]

    assert (done.status, done.out) == (0, "")
    assert "00:00.0 +4 passes: rwx in 0x83b74000..0x83b7bfff, IOMMU tables among it" in hints
    assert any(hint.startswith("00:07.0: rwx in 0x84b") for hint in hints)
    assert any(hint.startswith("IOMMU tables in 0x83b74000..") for hint in hints)
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"href|url\(|@import", text)
    width = float(root.get("width"))
    assert all(float(r.get("x", 0)) + float(r.get("width")) <= width for r in root.iter(f"{SVG}rect"))


def test_the_svg_in_the_readme_is_what_the_command_draws(capsys, tmp_path):
    """To draw it anew: iommu-abi mappings IMAGE --config META.json -o docs/mappings.svg."""
    run(capsys, *words(AMD, "-o", tmp_path / "x.svg"))

    assert (tmp_path / "x.svg").read_bytes() == (ROOT / "docs/mappings.svg").read_bytes()


def test_a_file_that_cannot_be_written_is_one_sentence(capsys):
    done = run(capsys, *words(RISCV, "-o", "/nonexistent/x.svg"))

    assert done.status == 2
    assert "/nonexistent/x.svg: No such file or directory" in sentence(done)
