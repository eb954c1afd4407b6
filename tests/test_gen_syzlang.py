"""gen syzlang: a description for syzkaller.

Expected numbers and names: layouts.json, which clang computed from Linux 7.2.13's own headers. Grammar and
sizes: tests/syzlang_reader.py. The text was also compiled by syzkaller's own compiler; docs/gen.md says how.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import syzlang_reader as reader
from cli_support import run, sentence

from iommu_abi.errors import UsageError
from iommu_abi.gen import syzlang
from iommu_abi.rules.kernels import KERNELS

HEADERS = json.loads((Path(__file__).parent / "data/layouts.json").read_text())["kernels"]["7.2.13"][
    "headers"
]
STRUCTS = {**HEADERS["iommufd.h"]["structs"], **HEADERS["vfio.h"]["structs"]}
OF_IOMMUFD = [kernel for kernel, names in KERNELS.items() if any("iommufd" in name for name in names)]
#: What syzkaller's descriptions of August 2026 define; ours stand beside them.
OF_SYZKALLER = {
    "fd_iommufd", "ioas_handle", "device_handle", "hwpt_handle", "fd_memfd", "open_flags",
    "iommu_hw_info", "iommu_hwpt_alloc", "iommu_hwpt_alloc$IOMMU_HWPT_DATA_NONE",
    "iommu_hwpt_set_dirty_tracking", "iommu_hwpt_get_dirty_bitmap", "iommu_iova_range",
    "iommufd_ioas_map_flags", "iommufd_option_ops", "iommufd_hwpt_alloc_flags",
    "iommufd_hwpt_set_dirty_tracking_flags", "iommufd_hwpt_get_dirty_bitmap_flags",
    "openat$iommufd", "ioctl$IOMMU_DESTROY$ioas", "ioctl$IOMMU_DESTROY$hwpt", "ioctl$IOMMU_IOAS_ALLOC",
    "ioctl$IOMMU_IOAS_MAP", "ioctl$IOMMU_GET_HW_INFO", "ioctl$IOMMU_HWPT_ALLOC$NONE",
}  # fmt: skip


def described(**options) -> reader.Text:
    return reader.read(syzlang.describe(**options).text)


@pytest.fixture(scope="module", params=[False, True], ids=["beside", "everything"])
def text(request) -> reader.Text:
    return described(everything=request.param)


def kernels_constants() -> set[str]:
    return {
        name
        for header in ("iommufd.h", "vfio.h")
        for names in (HEADERS[header]["macros"], *HEADERS[header]["enums"].values())
        for name in names
    }


def test_every_constant_is_in_the_kernels_headers(text):
    assert text.constants() - kernels_constants() == {"AT_FDCWD"}


@pytest.mark.parametrize(("align8", "arch"), [(8, "x86_64"), (4, "i386")])
def test_every_struct_has_the_size_and_the_offsets_of_the_kernels(text, align8, arch):
    checked = 0
    for name in text.structs:
        tag = name.partition("$")[0].removesuffix("_more")
        if tag not in STRUCTS:
            continue
        theirs = next(each for each in STRUCTS[tag]["layouts"] if arch in each["arches"])
        (size, _), offsets = text.struct(name, align8)
        assert size == theirs["size"], name
        fields = {f["name"].rpartition(".")[2]: f["offset"] for f in theirs["fields"]}
        assert {f: fields[f] for f in offsets} == offsets, name
        checked += 1
    assert checked >= 30


def test_only_the_structs_of_two_queues_are_in_no_header(text):
    assert {name for name in text.structs if name.partition("$")[0] not in STRUCTS} == {"iommufd_vevent"}


def test_every_name_is_defined_here_or_by_the_language_or_by_syzkaller(text):
    words = {
        "array",
        "bytesize",
        "const",
        "fd",
        "flags",
        "in",
        "inout",
        "len",
        "out",
        "parent",
        "ptr",
        "ptr64",
    }
    words |= {"string", "vma64", "AT_FDCWD"}
    defined = {*text.resources, *text.structs, *text.unions, *text.flags, *text.constants()}
    arguments = {f.name for fields in text.structs.values() for f in fields} | {"buf"}
    plain = {name for name in text.used() if name[0].isalpha()} - set(reader.INTEGERS)

    assert plain - defined - words - arguments - OF_SYZKALLER == set()


def test_every_definition_is_used(text):
    assert {*text.resources, *text.structs, *text.unions, *text.flags} - text.used() - {
        returned for _, returned in text.calls.values()
    } == set()


@pytest.mark.parametrize("kernel", OF_IOMMUFD)
def test_beside_syzkallers_own_text_nothing_is_defined_twice(kernel):
    made = described(kernel=kernel)

    assert {*made.resources, *made.structs, *made.unions, *made.flags, *made.calls} & OF_SYZKALLER == set()


def test_it_covers_what_dev_iommu_txt_lacks():
    calls = described().calls

    commands = {str(fields[1].type.arguments[0].name) for fields, _ in calls.values() if len(fields) == 3}
    assert {
        "IOMMU_VIOMMU_ALLOC", "IOMMU_VDEVICE_ALLOC", "IOMMU_VEVENTQ_ALLOC", "IOMMU_HW_QUEUE_ALLOC",
        "IOMMU_FAULT_QUEUE_ALLOC", "IOMMU_IOAS_MAP_FILE", "IOMMU_IOAS_CHANGE_PROCESS",
    } <= commands  # fmt: skip
    assert {"IOMMU_IOAS_ALLOC", "IOMMU_IOAS_MAP", "IOMMU_OPTION", "IOMMU_HWPT_GET_DIRTY_BITMAP"}.isdisjoint(
        commands
    )
    assert {"read$iommu_fault", "write$iommu_fault", "read$iommu_veventq"} <= set(calls)
    for vendor in ("VTD_S1", "ARM_SMMUV3", "AMD_GUEST"):
        assert f"ioctl$IOMMU_HWPT_ALLOC$IOMMU_HWPT_DATA_{vendor}" in calls
    assert "ioctl$IOMMU_VIOMMU_ALLOC$IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV" in calls


def test_everything_has_every_command_of_the_kernel():
    made = described(everything=True)

    macros = {name for name in HEADERS["iommufd.h"]["macros"] if name.startswith("IOMMU_")}
    assert macros <= made.constants()


def test_every_handle_is_made_by_a_call_and_taken_by_another():
    made = described(everything=True)
    out = {returned for _, returned in made.calls.values()}
    taken = {f.type.name for fields, _ in made.calls.values() for f in fields}
    for fields in made.structs.values():
        out |= {f.type.name for f in fields if f.attribute in ("out", "inout")}
        taken |= {f.type.name for f in fields if f.attribute != "out"}
    taken |= {f.type.name for fields in made.unions.values() for f in fields}

    assert set(made.resources) <= out
    assert set(made.resources) <= taken


def test_reserved_fields_are_zero_and_lengths_are_lengths():
    fields = {f.name: f for f in described().structs["iommu_hwpt_alloc$IOMMU_HWPT_DATA_VTD_S1"]}
    shown = {name: (f.type.name, f.type.arguments[0].name) for name, f in fields.items() if f.type.arguments}

    assert shown == {
        "size": ("len", "parent"),
        "flags": ("flags", "iommufd_hwpt_alloc_flags_more"),
        "__reserved": ("const", "0"),
        "data_type": ("const", "IOMMU_HWPT_DATA_VTD_S1"),
        "data_len": ("bytesize", "data_uptr"),
        "data_uptr": ("ptr64", "in"),
        "__reserved2": ("const", "0"),
    }
    assert fields["out_hwpt_id"].attribute == "out"


def test_what_the_kernel_writes_is_read_through_an_out_pointer():
    text = syzlang.describe().text

    assert "data_uptr\tptr64[out, iommu_viommu_tegra241_cmdqv]" in text
    assert "data_uptr\tptr64[in, array[iommu_hwpt_vtd_s1_invalidate]]" in text
    assert "entry_len\tconst[24, int32]" in text  # sizeof, by layouts.json


@pytest.mark.parametrize("kernel", OF_IOMMUFD)
def test_older_kernels_have_fewer_commands(kernel):
    made = described(kernel=kernel, everything=True)

    viommu = "ioctl$IOMMU_VIOMMU_ALLOC$IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV"
    assert (viommu in made.calls) == (kernel in ("6.19", "7.2", "7.3"))
    assert ("ioctl$IOMMU_HWPT_ALLOC$IOMMU_HWPT_DATA_AMD_GUEST" in made.calls) == (kernel in ("7.2", "7.3"))
    assert "ioctl$IOMMU_IOAS_MAP" in made.calls


def test_a_struct_alone_brings_what_it_needs(capsys):
    done = run(capsys, "gen", "syzlang", "iommu_vdevice_alloc@iommufd_7_2")
    made = reader.read(done.out)

    assert list(made.calls) == ["ioctl$IOMMU_VDEVICE_ALLOC"]
    assert list(made.structs) == ["iommu_vdevice_alloc"]
    assert set(made.resources) == {"viommu_handle", "vdevice_handle"}


@pytest.mark.parametrize("generation", ["iommufd_6_12", "iommufd_6_13", "vfio_6_12"])
def test_information_without_a_type_has_a_name_of_its_own(generation, capsys):
    # syzkaller's compiler: "ioctl$IOMMU_GET_HW_INFO redeclared"
    made = reader.read(run(capsys, "gen", "syzlang", generation).out)

    assert "ioctl$IOMMU_GET_HW_INFO" not in made.calls
    assert made.calls["ioctl$IOMMU_GET_HW_INFO_more"][0][2].type.arguments[1].name == "iommu_hw_info_more"
    assert "iommu_hw_info_more" in made.structs
    done = run(capsys, "gen", "syzlang", "iommu_hw_info@iommufd_6_12")
    assert list(reader.read(done.out).calls) == ["ioctl$IOMMU_GET_HW_INFO_more"]


def test_what_syzkaller_has_needs_all(capsys):
    done = run(capsys, "gen", "syzlang", "iommu_ioas_map@iommufd_7_2")

    assert done.status == 2
    assert "iommu_ioas_map: syzkaller's dev_iommu.txt has it, see --all" in sentence(done)
    assert run(capsys, "gen", "syzlang", "--all", "iommu_ioas_map@iommufd_7_2").status == 0


def test_generations_without_commands_are_refused(capsys):
    done = run(capsys, "gen", "syzlang", "v1_2017")

    assert done.status == 2
    assert sentence(done).startswith("v1_2017 has no commands that a kernel takes; these have: iommufd_6_12")
    with pytest.raises(UsageError, match="unknown generation"):
        syzlang.kernel_of("nothing")


def test_two_kernels_are_one_too_many(capsys):
    done = run(capsys, "gen", "syzlang", "iommufd_6_12", "iommufd_7_2")

    assert done.status == 2
    assert sentence(done) == "gen syzlang: one kernel at a time, not 6.12 and 7.2"


def test_options_of_the_other_kind_are_refused(capsys):
    assert sentence(run(capsys, "gen", "syzlang", "--abi", "i386")).endswith("--abi is for c-asserts")
    assert sentence(run(capsys, "gen", "c-asserts", "--all")).endswith("--all is for syzlang")


def test_json_lists_the_calls_and_structs_beside_the_text(capsys, tmp_path):
    done = run(capsys, "gen", "syzlang", "--json", "-o", tmp_path / "x.txt")

    assert done.json["kernel"] == "7.2"
    assert set(done.json["calls"]) == set(reader.read(done.json["text"]).calls)
    assert (tmp_path / "x.txt").read_text() == done.json["text"]
