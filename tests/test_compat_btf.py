"""compat against a kernel's own types: BTF as gcc makes it (-gbtf), raw, in ELF, of a module, of an image."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess

import pytest
from cli_support import DATA, run, sentence
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi import btf, compat, get_include, uapi
from iommu_abi.compat import btf_files, from_btf
from iommu_abi.compat.from_btf import Kernel
from iommu_abi.errors import Error
from iommu_abi.uapi.layout import host

GENERATIONS = ("linux_5_10", "iommufd_6_12", "iommufd_7_2", "vfio_7_2", "sva_v5_2019")
SMALL = DATA / "acquire/vtd-legacy-k6.12-kaslr-d31.lime.xz"


def compiled(directory, generation: str, *options: str):
    """An object of gcc's in which every struct of a generation is used."""
    header = f"{get_include()}/iommu_abi/uapi/{generation}.h"
    lines = [f'#include "{header}"']
    records = uapi.declarations(generation).records
    lines += [f"{record.kind} {name} *use_{name};" for name, record in records.items()]
    source, made = directory / "all.c", directory / "all.o"
    source.write_text("\n".join(lines))
    done = subprocess.run(
        ["gcc", *options, "-c", f"-I{get_include()}", "-o", str(made), str(source)],
        capture_output=True, text=True,
    )  # fmt: skip
    if "-gbtf" in done.stderr:
        pytest.skip("this gcc makes no BTF: 12 and newer do")
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_generations_structs_are_those_that_gcc_describes(generation, tmp_path):
    made = compiled(tmp_path, generation, "-gbtf")

    report = compat.compare(compat.read(generation), compat.of_kernel(btf_files.find(made, "all.o")))

    structs = [subject for subject in report.subjects if subject.kind in ("struct", "union")]
    assert {subject.name for subject in structs} == set(uapi.declarations(generation).records)
    assert [subject for subject in structs if subject.findings] == []
    assert report.verdict is compat.Verdict.COMPATIBLE


@pytest.mark.parametrize("generation", GENERATIONS)
def test_btf_and_dwarf_of_one_compilation_give_one_layout(generation, tmp_path):
    by_btf = compat.of_kernel(btf_files.find(compiled(tmp_path, generation, "-gbtf"), "b"))
    by_dwarf = compat.read(str(compiled(tmp_path, generation, "-g")))

    for name in uapi.declarations(generation).records:
        ours, theirs = (model.layout(name, host()) for model in (by_btf, by_dwarf))
        assert ours.size == theirs.size, name
        assert [(f.name, f.offset, f.size, f.bits) for f in ours.fields] == [
            (f.name, f.offset, f.size, f.bits) for f in theirs.fields
        ]


def test_another_kernels_structs_are_told_apart(capsys, tmp_path):
    """Between 6.12 and 7.2 in_data_type came to share out_data_type's place in iommu_hw_info."""
    made = compiled(tmp_path, "iommufd_7_2", "-gbtf")

    done = run(capsys, "compat", "iommufd_6_12", made, "--json")

    subjects = done.json["subjects"]
    changed = {each["name"]: each["new_program_old_kernel"] for each in subjects if each["findings"]}
    assert changed == {"iommu_hw_info": "COMPATIBLE_IF_ZERO"}
    assert any("21 of 21 structs are in its BTF, which has no macros" in text for text in done.json["notes"])


def section(made) -> bytes:
    found = btf_files.find(made, "all.o")
    assert found is not None
    return found.data


def test_raw_btf_is_taken_for_this_machines(capsys, tmp_path):
    raw = tmp_path / "vmlinux"
    raw.write_bytes(section(compiled(tmp_path, "iommufd_7_2", "-gbtf")))

    done = run(capsys, "compat", "iommufd_7_2", raw)

    assert done.status == 0
    assert f"{raw}: raw BTF does not say of which machine it is: taken as {host().name}" in done.out


def split(kernel: bytes) -> bytes:
    """A module's BTF: struct late { u32 of the kernel a; u64-sized int of its own b; }."""
    whole = btf.Btf(kernel)
    count = len(whole._at)  # of the kernel's types, with the one that is none
    *_, strings_size = struct.unpack_from("<HBBIIIII", kernel)
    names = b"late\0a\0b\0own\0"
    at = {name: strings_size + names.index(name.encode() + b"\0") for name in ("late", "a", "b", "own")}
    integer = next(n for n in range(1, count) if whole.describe(n).kind == btf.INT and whole.size(n) == 4)
    types = struct.pack("<IIII", at["own"], btf.INT << 24, 8, 64)
    types += struct.pack("<III", at["late"], btf.STRUCT << 24 | 2, 16)
    types += struct.pack("<IIIIII", at["a"], integer, 0, at["b"], count, 64)
    header = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + names


def test_a_modules_types_go_on_from_its_kernels(tmp_path):
    kernel = section(compiled(tmp_path, "iommufd_7_2", "-gbtf"))
    directory = tmp_path / "btf"
    directory.mkdir()
    (directory / "vmlinux").write_bytes(kernel)
    (directory / "late").write_bytes(split(kernel))

    of_all = compat.of_kernel(compat.kernel(str(directory)), ["late", "iommu_hwpt_alloc"])
    of_one = compat.of_kernel(compat.kernel(str(directory / "late")), ["late"])

    for model in (of_all, of_one):
        layout = model.layout("late", host())
        assert (layout.size, [(f.name, f.offset, f.size) for f in layout.fields]) == (
            16,
            [("a", 0, 4), ("b", 8, 8)],
        )
    assert "iommu_hwpt_alloc" in of_all.structs()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xeb\x9f\1\0" + bytes(40), "BTF of a big-endian machine, which is not read here"),
        (b"\x9f\xeb\1\0", "the kernel's BTF ends within its header"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 1 << 30, 1 << 30, 8) + b"\0",
         "its header names what is not in it"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 1) + b"\0", "its BTF has none of these structs"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 2) + b"x\0", "BTF of a module, which goes on"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_kernels_btf_is_one_sentence(capsys, tmp_path, content, said):
    path = tmp_path / "btf"
    path.write_bytes(content)

    done = run(capsys, "compat", "iommufd_7_2", path)

    assert (done.status, done.out) == (2, "")
    assert said in sentence(done)


def test_an_image_whose_kernel_has_none_of_the_structs_is_one_sentence(capsys):
    done = run(capsys, "compat", "iommufd_7_2", SMALL)

    assert done.status == 2
    assert "(Linux 6.12.95+deb12-amd64): its BTF has none of these structs" in sentence(done)


def test_a_program_is_no_image(capsys, tmp_path):
    shutil.copy(compiled(tmp_path, "iommufd_7_2", "-g"), tmp_path / "program.o")

    assert run(capsys, "compat", "iommufd_7_2", tmp_path / "program.o").status == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=12))
def test_mutated_btf_is_read_or_refused(made_btf, changes):
    data = bytearray(made_btf)
    for at, byte in changes:
        data[at % len(data)] = byte

    with contextlib.suppress(Error):
        from_btf.read(Kernel("mutated", host(), bytes(data)))


@pytest.fixture(scope="module")
def made_btf(tmp_path_factory) -> bytes:
    return section(compiled(tmp_path_factory.mktemp("btf"), "iommufd_7_2", "-gbtf"))
