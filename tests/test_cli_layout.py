"""iommu-abi layout: the bytes of a struct, in the terminal, as JSON and as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from cli_support import process, run, sentence
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import uapi
from iommu_abi.uapi import layout, picture

SVG = "{http://www.w3.org/2000/svg}"


def test_json_is_a_list_of_abis_with_size_alignment_and_fields(capsys):
    # lineage A4: v12 has its hole at 12 where 8-byte integers are aligned to 8, and none on i386 and m68k
    done = run(capsys, "layout", "iommu_pasid_table_config@ptc_v12", "--abi", "all", "--json")
    found = {each["abi"]: each for each in done.json}

    assert done.status == 0
    assert list(found) == list(layout.ABIS)
    assert [found[abi]["size"] for abi in ("x86_64", "arm", "i386", "m68k")] == [40, 40, 32, 32]
    assert found["s390x"]["align"] == 8
    assert found["x86_64"]["fields"][3] == {"name": "base_ptr", "offset": 16, "size": 8}
    assert found["i386"]["fields"][3] == {"name": "base_ptr", "offset": 12, "size": 8}
    assert found["x86_64"]["holes"] == [{"offset": 12, "size": 4}, {"offset": 36, "size": 4}]
    assert found["i386"]["holes"] == []


def test_without_abi_it_is_this_machines_alone(capsys):
    done = run(capsys, "layout", "pasid_table_info", "--json")

    assert [each["abi"] for each in done.json] == [layout.host().name]
    assert [f["name"] for f in done.json[0]["fields"]] == ["ptr", "size", "model", "length", "opaque"]


def test_the_picture_names_fields_and_fills_holes_and_reserved_bytes(capsys):
    done = run(capsys, "layout", "iommu_pasid_table_config@ptc_v12", "--abi", "x86_64")

    assert "struct iommu_pasid_table_config@ptc_v12, 40 bytes, aligned to 8: x86_64" in done.out
    rows = [line for line in done.out.splitlines() if line[4:6].strip().isdigit() and "│" in line]
    assert [int(row[:6]) for row in rows] == [0, 8, 16, 24, 32]
    assert rows[1].startswith("    8 │ format  ")
    assert "│ hole ░░░" in rows[1]
    assert "│ padding ····" in rows[3]
    assert {len(row) for row in rows} == {79}


def test_abis_with_the_same_layout_share_a_picture(capsys):
    done = run(capsys, "layout", "iommu_pasid_table_config@ptc_v12", "--abi", "all")

    titles = [line for line in done.out.splitlines() if line.startswith("struct ")]
    assert len(titles) == 3
    assert titles[1].endswith("32 bytes, aligned to 4: i386")
    assert titles[2].endswith("32 bytes, aligned to 2: m68k")


def test_rows_that_only_repeat_are_left_out(capsys):
    done = run(capsys, "layout", "virtio_iommu_req_attach_table")

    assert "\n  ...\n" in done.out
    assert "\n   72 │" in done.out


def test_an_encoding_without_lines_gets_ascii():
    done = process("layout", "pasid_table_info", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert b"    8 | size  " in done.stdout


def test_svg_has_a_box_for_every_field_and_hole(capsys, tmp_path):
    path = tmp_path / "x.svg"

    done = run(capsys, "layout", "pasid_table_config@v5_2018", "--abi", "x86_64", "-o", path)

    hints = [each.text for each in ElementTree.fromstring(path.read_text()).iter(f"{SVG}title")]
    assert (done.status, done.out) == (0, "")
    assert hints == [
        "version: bytes 0 to 3", "bytes: bytes 4 to 7", "base_ptr: bytes 8 to 15",
        "pasid_bits: bytes 16 to 16", "hole: bytes 17 to 23",
    ]  # fmt: skip


def test_svg_scales_and_has_a_dark_side(capsys, tmp_path):
    run(capsys, "layout", "iommu_hwpt_alloc", "-o", tmp_path / "x.svg")

    drawing = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    assert drawing.get("viewBox") == f"0 0 {drawing.get('width')} {drawing.get('height')}"
    assert "prefers-color-scheme: dark" in (drawing.findtext(f"{SVG}style") or "")
    used = {name for each in drawing.iter() for name in each.get("class", "").split()}
    assert [name for name in used if f".{name} " not in (drawing.findtext(f"{SVG}style") or "")] == []


@pytest.mark.parametrize("words", [("layout", "iommu_option"), ("mappings", "/dev/null", "--iommu", "vtd")])
def test_a_drawing_of_another_kind_is_refused_before_anything_is_read(capsys, tmp_path, words):
    path = tmp_path / "x.png"

    done = run(capsys, *words, "-o", path)

    assert done.status == 2
    assert f"-o {path}: drawings are SVG" in sentence(done)
    assert not path.exists()


def test_svg_of_all_abis_has_a_panel_for_each_layout(capsys, tmp_path):
    run(capsys, "layout", "pasid_table_config@v5_2018", "--abi", "all", "-o", tmp_path / "x.svg")

    text = (tmp_path / "x.svg").read_text()
    assert [text.count(f", {size} bytes, aligned to") for size in (24, 20, 18)] == [1, 1, 1]


def test_without_a_struct_every_generation_is_listed(capsys):
    done = run(capsys, "layout", "--json")

    assert list(done.json) == list(uapi.GENERATIONS)
    assert done.json["rfc2017"] == ["pasid_table_info", "tlb_invalidate_info"]
    assert "iommufd_7_2" in run(capsys, "layout").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["iommu_hwpt_aloc"], "unknown struct 'iommu_hwpt_aloc', did you mean iommu_hwpt_alloc?"),
        (["iommu_fault"], "iommu_fault differs between ptc_v3 fault_early_2019"),
        (["iommu_fault@iommufd_7_2"], "iommu_fault is not in iommufd_7_2, it is in: ptc_v3"),
        (["iommu_fault@7.2"], "iommu_fault is not in 7.2, it is in: ptc_v3 "),
        (
            ["pasid_table_info", "--abi", "vax"],
            "unknown ABI 'vax' (iommu-abi layout STRUCT --abi all shows all)",
        ),
        (["--abi", "arm"], "--abi and -o need a struct"),
        (["pasid_table_info", "-o", "/nonexistent/x.svg"], "/nonexistent/x.svg: No such file or directory"),
    ],
)
def test_misuse_is_one_sentence_and_status_2(capsys, words, says):
    done = run(capsys, "layout", *words)

    assert done.status == 2
    assert says in sentence(done)


@given(st.sampled_from([f"{s}@{g}" for s, gens in uapi.structs().items() for g in gens]), st.data())
def test_cells_cover_every_byte_once(name, data):
    made = uapi.layout_of(name, data.draw(st.sampled_from(sorted(layout.ABIS))))

    found = [byte for cell in picture.cells(made) for byte in range(cell.offset, cell.offset + cell.size)]

    assert found == list(range(made.size))
    assert sum(cell.size for cell in picture.cells(made) if cell.kind == "hole") >= sum(
        size for _, size in made.holes
    )
    assert all(len("".join(text for text, _ in line)) <= 79 for line in picture.lines(made))


def test_a_picture_has_the_holes_of_the_layout_and_no_other():
    """A byte that only a longer alternative of a union uses is no hole."""
    for name, generations in uapi.structs().items():
        for generation in generations:
            made = uapi.layout_of(f"{name}@{generation}", "x86_64")
            holes = [(cell.offset, cell.size) for cell in picture.cells(made) if cell.kind == "hole"]
            assert holes == [*made.holes], f"{name}@{generation}"
