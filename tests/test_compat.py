"""compat: the verdict on header pairs, on the accidents of the ABI's history, and on each kind of change."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import run, sentence

from iommu_abi import compat
from iommu_abi.compat import Verdict
from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout

OK, IF_ZERO, BREAKING = Verdict

# ---------------------------------------------------------------- headers of our own

# A command's struct that begins with its size; the kernel's rule for it is copy_struct_from_user().
A1 = """struct op { __u32 size; __u32 flags; __aligned_u64 addr; };"""
A2 = """struct op { __u32 size; __u32 flags; __aligned_u64 addr; __aligned_u64 length; };"""
A3 = """struct op { __u32 size; __u32 flags; __aligned_u64 length; __aligned_u64 addr; };"""
# A range as iommu_ioas_iova_ranges has it: a program passes an array of them.
B1 = """struct range { __aligned_u64 start; __aligned_u64 last; };"""
B2 = """struct range { __aligned_u64 start; __aligned_u64 last; __aligned_u64 flags; };"""


@pytest.fixture
def header(tmp_path):
    """Writes a header and returns its path."""

    def write(text, name="x.h"):
        path = tmp_path / name
        count = 0
        while path.exists():
            count += 1
            path = tmp_path / f"{count}{name}"
        path.write_text(f"#include <linux/types.h>\n{text}\n")
        return path

    return write


def compile_object(path, *flags):
    made = path.with_suffix(".o")
    command = ["cc", "-g", "-c", "-fno-eliminate-unused-debug-types", *flags, "-x", "c", path, "-o", made]
    subprocess.run(command, check=True)
    return made


@pytest.fixture
def compared(header):
    """Compares two texts of headers; returns the subject of a name, or the only one that changed."""

    def compare(old, new, name=None, abi=None):
        report = compat.compare(compat.read(str(header(old))), compat.read(str(header(new))), abi)
        return subject(report, name)

    return compare


def subject(report, name=None):
    found = [s for s in report.subjects if (s.name == name if name else s.findings)]
    assert len(found) == 1, [s.name for s in found]
    return found[0]


def change(subject, field=""):
    """Of one field: what happened, and the verdicts."""
    (found,) = (f for f in subject.findings if f.field == field)
    return found.change, found.old_program, found.new_program


def verdicts(subject):
    return subject.old_program, subject.new_program


# ---------------------------------------------------------------- the three pairs


@pytest.mark.parametrize("kind", ["headers", "objects", "header and object"])
@pytest.mark.parametrize(
    ("old", "new", "verdict", "old_program", "new_program"),
    [
        (A1, A2, OK, OK, IF_ZERO),  # the documented way to extend; E2BIG if the tail is not zero
        (B1, B2, BREAKING, BREAKING, BREAKING),  # the distance of the elements changes
        (A1, A3, BREAKING, BREAKING, BREAKING),
    ],
    ids=["appended to size-first", "appended to an element", "inserted"],
)
def test_the_three_pairs_that_other_tools_judge_wrongly(
    header, kind, old, new, verdict, old_program, new_program
):
    paths = [header(old), header(new)]
    if kind != "headers":
        paths[1] = compile_object(paths[1])
    if kind == "objects":
        paths[0] = compile_object(paths[0])

    report = compat.compare(*(compat.read(str(path)) for path in paths))

    assert report.verdict is verdict
    assert verdicts(subject(report)) == (old_program, new_program)
    assert len(report.notes) == {"headers": 0, "objects": 2, "header and object": 1}[kind]
    assert all("macros were not visible" in text for text in report.notes)


@pytest.mark.parametrize(
    "array",
    [
        "struct all { __u32 size; __u32 n; struct item list[2]; };",
        "struct all { __u32 size; __u32 n; struct item list[]; };",
        "struct all { __u32 size; __u32 n; union { struct { struct item list[2]; } a; __u64 b; }; };",
    ],
)
def test_a_struct_that_grows_is_frozen_where_it_is_an_element(compared, array):
    old, new = (text.replace("op", "item") + array for text in (A1, A2))

    found = compared(old, new, "item")

    assert found.contract == "array element"
    assert change(found, "length") == ("appended", BREAKING, BREAKING)


# ---------------------------------------------------------------- accidents of the past


def of_generations(old, new, name):
    return subject(compat.compare(compat.read(old), compat.read(new)), name)


# v11 and v12 of the series for nested SMMUv3, April and November 2020: argsz came first, and a hole at 12.
PTC_UNION = " union { struct { __u32 version; __u8 s1fmt; __u8 s1dss; __u8 padding[2]; } smmuv3; }"
PTC_V4 = (
    "#define PASID_TABLE_CFG_VERSION_1 1\n"
    "struct iommu_pasid_table_config { __u32 version; __u32 format; __u64 base_ptr;"
    " __u8 pasid_bits; __u8 config; __u8 padding[6];" + PTC_UNION + "; };"
)
PTC_V12 = (
    "#define PASID_TABLE_CFG_VERSION_1 1\n"
    "struct iommu_pasid_table_config { __u32 argsz; __u32 version; __u32 format; __u64 base_ptr;"
    " __u8 pasid_bits; __u8 config; __u8 padding[2];" + PTC_UNION + " vendor_data; };"
)


def assert_hole_of_ptc_v12(found):
    assert (found.was, found.now) == (32, 40)
    reasons = {f.change: f.reason for f in found.findings}
    assert "base_ptr is 8 bytes at 16, and 8 bytes at 12 on i386" in reasons["ABIs differ"]
    assert "40 bytes on 20 ABIs, 32 on i386 m68k" in reasons["ABIs differ"]
    assert next(f.reason for f in found.findings if f.change == "hole").startswith("4 bytes at offset 12")
    assert change(found, "argsz") == ("inserted", BREAKING, BREAKING)


def test_the_hole_at_12_is_found_in_headers(compared):
    assert_hole_of_ptc_v12(compared(PTC_V4, PTC_V12, "iommu_pasid_table_config"))


def test_the_hole_at_12_is_found_in_generations():
    assert_hole_of_ptc_v12(of_generations("ptc_v4", "ptc_v12", "iommu_pasid_table_config"))


def test_the_layout_changed_again_in_ptc_v14_and_the_version_did_not():
    found = of_generations("ptc_v12", "ptc_v14", "iommu_pasid_table_config")

    assert (found.was, found.now) == (40, 32)
    assert "unchanged version" in {f.change for f in found.findings}
    assert not any(f.change == "ABIs differ" for f in found.findings)


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("iommu_cache_invalidate_info", 48, 56),
        ("iommu_page_response", 20, 24),
        ("iommu_gpasid_bind_data", 72, 72),
    ],
)
def test_linux_5_10_changed_layouts_under_version_1(name, was, now):
    found = of_generations("linux_5_5", "linux_5_10", name)

    assert (found.was, found.now) == (was, now)
    (reason,) = (f.reason for f in found.findings if f.change == "unchanged version")
    assert "is 1 in both" in reason
    assert f"{was} -> {now}" in reason or f"{was} bytes in both" in reason
    assert found.verdict is BREAKING


def test_page_response_in_headers_of_our_own(compared):
    version = "#define IOMMU_PAGE_RESP_VERSION_1 1\n"
    rest = "__u32 version; __u32 flags; __u32 pasid; __u32 grpid; __u32 code; };"
    found = compared(
        f"{version}struct iommu_page_response {{ {rest}",
        f"{version}struct iommu_page_response {{ __u32 argsz; {rest}",
    )

    assert "IOMMU_PAGE_RESP_VERSION_1 is 1 in both, 20 -> 24 bytes" in found.findings[-1].reason


def test_a_version_that_changed_is_not_complained_about(compared):
    text = "#define TEST_OP_VERSION_{0} {0}\nstruct test_op {{ __u32 version; __u32 a[{0}]; }};"
    found = compared(text.format(1), text.format(2), "test_op")

    assert found.verdict is BREAKING
    assert "unchanged version" not in {f.change for f in found.findings}


# RFC of April 2017: bits as macros; v1 of June 2017: an enum from 0.
MODELS = (
    "#define INTEL_IOMMU (1 << 0)\n#define ARM_SMMU (1 << 1)",
    "enum iommu_model { IOMMU_MODEL_INTEL_VTD, IOMMU_MODEL_ARM_SMMU };",
)


def assert_models_renumbered(report):
    intel, arm = subject(report, "INTEL_IOMMU"), subject(report, "ARM_SMMU")
    assert (intel.was, intel.now, arm.was, arm.now) == (1, 0, 2, 1)
    assert "1 is IOMMU_MODEL_ARM_SMMU now" in intel.findings[0].reason
    assert verdicts(intel) == verdicts(arm) == (BREAKING, BREAKING)


def test_the_models_of_the_rfc_were_renumbered_in_v1(header):
    old, new = map(header, MODELS)
    assert_models_renumbered(compat.compare(compat.read(str(old)), compat.read(str(new))))
    assert_models_renumbered(compat.compare(compat.read("rfc2017"), compat.read("v1_2017")))


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("IOMMU_FAULT_PERM_WRITE", 1, 2),  # READ came in before it
        ("IOMMU_FAULT_PERM_EXEC", 2, 4),
        ("IOMMU_FAULT_PERM_PRIV", 4, 8),
        ("IOMMU_FAULT_UNRECOV_ADDR_VALID", 4, 2),
        ("IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID", 8, 4),
    ],
)
def test_flags_renumbered_in_2019(compared, name, was, now):
    assert change(of_generations("fault_early_2019", "fault_jun_2019", name)) == (
        "renumbered",
        BREAKING,
        BREAKING,
    )
    found = compared(f"#define {name} (1 << {was.bit_length() - 1})", f"#define {name} {now}")
    assert (found.was, found.now, found.verdict) == (was, now, BREAKING)


def test_tlb_invalidate_infos_tail_moved_from_4_to_8():
    found = of_generations("rfc2017", "v1_2017", "tlb_invalidate_info")

    assert change(found, "opaque") == ("moved", BREAKING, BREAKING)
    assert change(found, "length") == ("inserted", BREAKING, BREAKING)


def test_features_renumbered_between_postings_of_nesting_info():
    found = of_generations("vfio_sva_v7", "vfio_sva_v8", "IOMMU_NESTING_FEAT_BIND_PGTBL")

    assert (found.was, found.now) == (2, 1)


def test_a_struct_that_got_a_prefix_is_still_compared():
    found = of_generations("sva_v4_2019", "sva_v5_2019", "iommu_gpasid_bind_data")

    assert "gpasid_bind_data -> iommu_gpasid_bind_data" in found.findings[0].reason


# ---------------------------------------------------------------- iommufd


def test_the_complete_report_on_iommufd_6_12_to_7_2():
    """Counted in the headers of Debian's linux-libc-dev 6.12.95 and 7.2.13."""
    report = compat.compare(compat.read("iommufd_6_12"), compat.read("iommufd_7_2"))
    structs = [s for s in report.subjects if s.kind == "struct"]
    constants = [s for s in report.subjects if s.kind == "constant"]

    assert (len(structs), len(constants)) == (37, 99)
    assert sum(s.was is None for s in structs) == 16
    assert sum(s.was is None for s in constants) == 31
    assert (report.old_program, report.new_program) == (OK, IF_ZERO)
    changed = [s for s in report.subjects if any(f.change != "added" for f in s.findings)]
    assert [s.name for s in changed] == ["iommu_hw_info"]
    assert change(changed[0], "in_data_type") == ("shared", OK, IF_ZERO)


def test_6_13_had_withdrawn_the_pasid_capabilities_that_6_12_stable_has():
    report = compat.compare(compat.read("iommufd_6_12"), compat.read("iommufd_6_13"))

    assert change(subject(report, "iommu_hw_info"), "out_max_pasid_log2") == ("withdrawn", IF_ZERO, OK)
    assert change(subject(report, "IOMMU_HW_CAP_PCI_PASID_EXEC")) == ("withdrawn", BREAKING, OK)
    assert report.verdict is BREAKING


def test_viommu_alloc_grew_by_the_rule():
    found = of_generations("iommufd_6_13", "iommufd_6_19", "iommu_viommu_alloc")

    assert (found.was, found.now) == (24, 40)
    assert verdicts(found) == (OK, IF_ZERO)


def test_the_generation_is_the_header_of_the_running_distribution():
    path = Path("/usr/include/linux/iommu.h")
    if not path.exists():
        pytest.skip("no <linux/iommu.h> here: the headers of Linux 6.12 and later have none")
    report = compat.compare(compat.read("linux_6_1"), compat.read(str(path)))

    assert [s.name for s in report.subjects if s.findings] == []
    assert len(report.subjects) > 25


# ---------------------------------------------------------------- every kind of change


def test_a_hole_taken_into_use_is_compatible_if_zero(compared):
    found = compared(
        "struct s { __u32 a; __u64 b; };",
        "struct s { __u32 a; __u32 new; __u64 b; };",
        "s",
        layout.ABIS["x86_64"],
    )

    assert change(found, "new") == ("hole taken", IF_ZERO, IF_ZERO)
    assert found.verdict is IF_ZERO


@pytest.mark.parametrize("name", ["__reserved", "reserved1", "padding", "pad", "__rsvd", "unused"])
def test_a_reserved_field_taken_into_use_is_compatible_if_zero(compared, name):
    found = compared(
        f"struct s {{ __u32 a; __u8 {name}[4]; }};",
        f"struct s {{ __u32 a; __u8 new; __u8 {name}[3]; }};",
    )

    assert change(found, "new") == ("reserved taken", IF_ZERO, IF_ZERO)
    assert len(found.findings) == 1


@pytest.mark.parametrize("name", ["padlock", "result", "response", "unused_bytes_total"])
def test_names_that_only_look_reserved_are_not(compared, name):
    found = compared(f"struct s {{ __u32 {name}; }};", "struct s { __u32 __reserved; };")

    assert change(found, name) == ("withdrawn", BREAKING, IF_ZERO)


def test_a_hole_that_becomes_reserved_is_compatible_if_zero_for_old_programs(compared):
    found = compared(
        "struct s { __u32 a; __aligned_u64 b; };",
        "struct s { __u32 a; __u32 __reserved; __aligned_u64 b; };",
    )

    assert verdicts(found) == (IF_ZERO, OK)


def test_reserved_bytes_that_make_a_frozen_struct_larger_break_it(compared):
    found = compared("struct s { __u32 a; __u8 padding[4]; };", "struct s { __u32 a; __u8 padding[12]; };")

    assert change(found) == ("size", BREAKING, BREAKING)


def test_a_rename_in_place_is_noted(compared):
    found = compared("struct s { __u32 a; __u64 b; };", "struct s { __u32 c; __u64 b; };")

    assert verdicts(found) == (OK, OK)
    assert change(found, "c")[0] == "renamed"


def test_a_union_that_gets_a_name_moves_nothing(compared):
    text = "struct s {{ __u32 a; union {{ struct {{ __u32 x; }} in; __u32 y; }}{}; }};"
    found = compared(text.format(""), text.format(" u"))

    assert verdicts(found) == (OK, OK)
    assert {f.change for f in found.findings} == {"renamed"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("__u32 a; __u32 b;", "__u64 a;", "resized"),
        ("__u16 a; __u16 b;", "__u16 b; __u16 a;", "moved"),
        ("__u32 a;", "__be32 a;", "byte order"),
        ("__u32 x:4; __u32 a:4;", "__u32 x:8; __u32 a:4;", "moved"),
    ],
)
def test_changes_that_break(compared, old, new, what):
    found = compared(f"struct s {{ {old} }};", f"struct s {{ {new} }};")

    assert change(found, "a") == (what, BREAKING, BREAKING)


def test_a_sign_and_an_array_of_the_same_bytes_are_noted(compared):
    found = compared("struct s { __u64 b; __u32 a; };", "struct s { __u8 b[8]; __s32 a; };", "s")

    assert change(found, "a") == change(found, "b") == ("type", OK, OK)


def test_other_names_of_one_integer_type_are_the_same(header):
    report = compat.compare(
        compat.read(str(header("struct s { __u32 a; __u64 b; };"))),
        compat.read(str(header("#include <stdint.h>\nstruct s { uint32_t a; uint64_t b; };"))),
    )

    assert [s.findings for s in report.subjects if s.name == "s" and s.findings] == []


def test_a_new_struct_that_differs_between_abis_is_noted(compared):
    old = "struct t { __u32 a; };"
    found = compared(old, old + "struct s { __u32 a; __u64 b; };")

    assert change(found, "b") == ("ABIs differ", OK, OK)
    assert compared(old, old + "struct s { __u32 a; __u32 c; __aligned_u64 b; };").verdict is OK


def test_a_difference_between_abis_that_was_there_before_breaks_nothing(header, compared):
    old = "struct s { __u32 a; __u64 b; };"
    unchanged = compat.compare(*[compat.read(str(header(old)))] * 2)

    assert subject(unchanged, "s").findings == ()
    assert change(compared(old, "struct s { __u32 a; __u64 b; __u32 c; };"), "b") == ("ABIs differ", OK, OK)


def test_packed_structs_are_known_on_the_abi_of_the_compiler_only(header):
    text = "struct s { __u8 a; __u32 b; } __attribute__((packed));"
    models = [compat.read(str(header(text))) for _ in range(2)]

    assert compat.compare(*models).verdict is OK
    with pytest.raises(UsageError, match=r"struct s is packed .* not on m68k"):
        compat.compare(*models, layout.ABIS["m68k"])


def test_headers_are_compared_for_other_abis(compared):
    old, new = "struct s { __u32 a; __u64 b; };", "struct s { __u32 a; __u32 c; __u64 b; };"

    assert change(compared(old, new, "s", layout.ABIS["i386"]), "c") == ("inserted", BREAKING, BREAKING)


KERNEL_TYPES = """typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32;
typedef unsigned long long __u64; typedef __u64 __attribute__((aligned(8))) __aligned_u64;
typedef __u32 __be32;
"""
ALL_KINDS = (
    KERNEL_TYPES
    + PTC_V12
    + "\nstruct kinds { __u8 a; long l; void *p; enum { A, B } e; __u32 x:3; __u32 y:7;"
    " __u16 z; struct { __u8 c; __be32 d; } in[2]; __aligned_u64 g; __u8 m[2][3]; __u64 tail[]; };"
)
CLANG_TARGETS = {
    "x86_64": "x86_64-linux-gnu", "x32": "x86_64-linux-gnux32", "i386": "i386-linux-gnu",
    "aarch64": "aarch64-linux-gnu", "aarch64_be": "aarch64_be-linux-gnu", "arm": "arm-linux-gnueabihf",
    "armeb": "armeb-linux-gnueabihf", "powerpc64": "powerpc64-linux-gnu", "s390x": "s390x-linux-gnu",
    "powerpc64le": "powerpc64le-linux-gnu", "mips": "mips-linux-gnu", "mipsel": "mipsel-linux-gnu",
    "mips64": "mips64-linux-gnuabi64", "mips64n32": "mips64-linux-gnuabin32",
}  # fmt: skip


def clang_object(directory, abi):
    """Everything in ALL_KINDS, compiled for an ABI."""
    if not shutil.which("clang"):
        pytest.skip("no clang here")
    source, made = directory / "x.c", directory / f"{abi}.o"
    source.write_text(ALL_KINDS)
    flags = ("-g", "-c", "-fno-eliminate-unused-debug-types", "-target", CLANG_TARGETS[abi])
    subprocess.run(["clang", *flags, source, "-o", made], check=True)
    return compat.read(str(made))


@pytest.mark.parametrize("abi", CLANG_TARGETS)
def test_the_layout_in_an_object_of_any_abi_is_the_computed_one(tmp_path, abi):
    model = clang_object(tmp_path, abi)

    assert model.abi == layout.ABIS[abi]
    assert set(model.structs()) == {"iommu_pasid_table_config", "kinds"}
    assert all(map(model.portable, model.structs()))
    report = compat.compare(model, compat.read("ptc_v12"))
    assert subject(report, "iommu_pasid_table_config").findings == ()
    assert report.abi == abi


@pytest.mark.parametrize("version", [3, 4, 5])
def test_the_layout_in_an_object_of_any_version_of_dwarf_is_the_computed_one(header, version):
    model = compat.read(str(compile_object(header(ALL_KINDS[len(KERNEL_TYPES) :]), f"-gdwarf-{version}")))

    assert model.portable("kinds")


def test_objects_of_two_abis_are_compared_each_on_its_own(tmp_path):
    report = compat.compare(clang_object(tmp_path, "x86_64"), clang_object(tmp_path, "i386"))

    assert report.abi == "x86_64 and i386"
    assert change(subject(report, "iommu_pasid_table_config"), "base_ptr")[0] == "moved"


# ---------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("old", "new", "what", "verdict"),
    [
        ("enum e { A_B, C_D };", "enum e { C_D, A_B };", "renumbered", BREAKING),
        ("enum e { A_B = 1 };", "#define A_B 1", None, OK),
        ("#define A_MAX 3", "#define A_MAX 4", "limit", OK),
        ("#define A_MAX 4", "#define A_MAX 3", "renumbered", BREAKING),
        ("#define A_MASK 3", "#define A_MASK 7", "limit", OK),
        ("#define A_MASK 3", "#define A_MASK 12", "renumbered", BREAKING),
        ("#define A_B 1\n#define B_C 1", "#define B_C 1", "withdrawn", BREAKING),
        ("#define A_B 1", "#define X_A_B 1", "renamed", OK),
        ("#define A_B 1", "#define A_B_RESERVED 1", "withdrawn", BREAKING),
        ("#define A_VERSION 1", "#define A_VERSION 2", "version", OK),
    ],
)
def test_constants(header, old, new, what, verdict):
    report = compat.compare(compat.read(str(header(old))), compat.read(str(header(new))))
    found = report.subjects[0]

    assert [f.change for f in found.findings] == ([what] if what else [])
    assert report.verdict is verdict


def test_a_struct_without_a_tag_is_called_by_its_typedef(compared):
    text = "typedef struct {{ __u32 size; {}}} item; struct all {{ item list[2]; }};"
    found = compared(text.format(""), text.format("__u32 more; "), "item")

    assert found.contract == "array element"
    assert found.verdict is BREAKING


def test_an_ioctl_number_that_holds_the_size_of_its_struct_changes_with_it(compared):
    text = "#include <linux/ioctl.h>\nstruct s {{ __u32 a[{}]; }};\n#define DO_IT _IOW(';', 1, struct s)"
    found = compared(text.format(1), text.format(2), "DO_IT")

    assert "the size of its struct is part of the number" in found.findings[0].reason


def test_macros_that_are_no_integers_are_left_out(header):
    path = header(
        '#define GUARD_H\n#define TEXT "x"\n#define CALL(x) (x)\n#define FLOAT 1.5\n#define OPEN (\n'
        "#define TYPE struct s\n#define BLOCK {1}\n#define UNKNOWN (NOT_DECLARED + 1)\n"
        "#define CHARACTER ';'\n#define NEGATIVE (-2)\n#define WIDE 0x8000000000ULL\n"
        "#define GONE 1\n#undef GONE\nenum { BASE = 7 };\n#define DERIVED (BASE | 8)\n"
    )
    model = compat.read(str(path))

    assert dict(model.macros) == {"CHARACTER": 59, "NEGATIVE": -2, "WIDE": 1 << 39, "DERIVED": 15}


def test_what_a_header_includes_with_brackets_is_not_its_own(header, tmp_path):
    (tmp_path / "part.h").write_text("struct part { __u32 a; };\n#define PART 1\n")
    model = compat.read(str(header('#include <linux/vfio.h>\n#include "part.h"\nstruct whole { __u32 b; };')))

    assert set(model.structs()) == {"part", "whole"}
    assert dict(model.macros) == {"PART": 1}


def test_a_header_in_linux_finds_its_neighbours_with_include(tmp_path):
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/words.h").write_text("#define WORD 5\n")
    (tmp_path / "linux/x.h").write_text("#include <linux/words.h>\n#define MINE (WORD + 1)\n")
    outside = tmp_path / "outside.h"
    outside.write_text("#include <linux/words.h>\n#define MINE (WORD + 1)\n")

    assert compat.read(str(tmp_path / "linux/x.h")).macros == {"MINE": 6}
    assert compat.read(str(outside), (str(tmp_path),)).macros == {"MINE": 6}


def test_clang_reads_headers_as_gcc_does(header, monkeypatch):
    if not shutil.which("clang"):
        pytest.skip("no clang here")
    path = str(header(PTC_V12 + "\nenum e { A = -1 };\n#define B (A - 1)\n#define NO (C)"))
    models = []
    for compiler in ("cc", "clang"):
        monkeypatch.setenv("CC", compiler)
        models.append(compat.read(path))

    assert models[0].structs() == models[1].structs()
    assert models[0].constants() == models[1].constants()
    assert models[0].constants()["B"].value == -2


# ---------------------------------------------------------------- the command


def test_exit_status_is_0_for_if_zero_and_1_for_breaking(capsys, header):
    a1, a2, a3 = map(header, (A1, A2, A3))

    assert run(capsys, "compat", a1, a2).status == 0
    assert run(capsys, "compat", a1, a3).status == 1


def test_json_has_everything(capsys):
    found = run(capsys, "compat", "iommufd_6_12", "iommufd_7_2", "--json").json

    assert found["verdict"] == found["old_program_new_kernel"] == "COMPATIBLE"
    assert found["new_program_old_kernel"] == "COMPATIBLE_IF_ZERO"
    assert len(found["subjects"]) == 37 + 99
    (info,) = (s for s in found["subjects"] if s["name"] == "iommu_hw_info")
    assert info["findings"][0]["field"] == "in_data_type"


def test_markdown_has_a_table_of_structs_and_of_fields(capsys):
    done = run(capsys, "compat", "linux_5_5", "linux_5_10", "--markdown")

    assert done.status == 1
    assert "| iommu_page_response | frozen | 20 -> 24 | BREAKING | BREAKING |" in done.out
    assert "| `iommu_page_response.argsz` | inserted | __u32 at offset 0, where version was |" in done.out


def test_text_names_the_verdicts_and_hides_what_did_not_change(capsys):
    done = run(capsys, "compat", "iommufd_6_12", "iommufd_7_2")
    everything = run(capsys, "compat", "iommufd_6_12", "iommufd_7_2", "--all")

    assert "new programs on the old kernel (new on old): COMPATIBLE_IF_ZERO" in done.out
    assert "structs: 20 unchanged, 1 changed, 16 added, 0 withdrawn" in done.out
    assert "iommu_destroy" not in done.out
    assert "iommu_destroy" in everything.out


def test_misuse_is_one_sentence(capsys, header, tmp_path):
    good = header(A1)
    broken = header("struct {")
    empty = tmp_path / "empty.o"
    empty.write_bytes(b"\x7fELF")
    bare = tmp_path / "bare.c"
    bare.write_text("int x;")
    subprocess.run(["cc", "-c", bare, "-o", tmp_path / "bare.o"], check=True)
    made = compile_object(good)
    for words, expected in [
        ((good, "iommufd_9_9"), "neither a file nor a generation"),
        ((good, tmp_path), "Is a directory"),
        ((good, broken), "refuses it"),
        ((good, empty), "not a usable ELF file"),
        ((good, tmp_path / "bare.o"), "no DWARF"),
        ((made, good, "--abi", "m68k"), "object file for another ABI"),
        ((good, good, "--abi", "vax"), "unknown ABI"),
        ((good, good, "--json", "--markdown"), "give one"),
        (("-", "-"), "not both"),
    ]:
        done = run(capsys, "compat", *words)

        assert done.status == 2, words
        assert expected in sentence(done), words


@pytest.mark.parametrize("text", ["", "/* a comment */\n", "typedef int a;"])
def test_a_side_with_nothing_of_an_abi_in_it_is_misuse_and_not_compatible(
    capsys, header, tmp_path, monkeypatch, text
):
    """What `git show TAG:abi.h` of a tag that is not there leaves in a pipe."""
    good, bare = header(A1), tmp_path / "bare.h"
    bare.write_text(text)

    for done in (
        run(capsys, "compat", bare, good),
        run(capsys, "compat", good, bare),
        run(capsys, "compat", "-", good, stdin=text.encode(), monkeypatch=monkeypatch),
    ):
        assert done.status == 2
        assert "nothing to compare in it" in sentence(done)


def test_a_damaged_object_file_is_misuse_wherever_it_is_damaged(capsys, header):
    made = compile_object(header(PTC_V12))
    whole = made.read_bytes()
    rng = random.Random(7)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(4):
            data[rng.randrange(64, len(data))] = rng.randrange(256)
        made.write_bytes(data)

        done = run(capsys, "compat", made, "ptc_v12")

        assert done.status in (0, 1, 2)
        assert done.status < 2 or sentence(done)


def test_standard_input_is_a_header_or_an_object(capsys, header, monkeypatch):
    old, new = header(A1), header(A3)
    for data in (old.read_bytes(), compile_object(old).read_bytes()):
        done = run(capsys, "compat", "-", new, stdin=data, monkeypatch=monkeypatch)

        assert done.status == 1
        assert done.out.startswith(f"standard input -> {new}")


def test_without_a_compiler_the_sentence_says_what_would_do(capsys, header, monkeypatch):
    compat_compiler = sys.modules["iommu_abi.compat.compiler"]
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compat_compiler.shutil, "which", lambda _: None)
    monkeypatch.setattr(compat_compiler, "find_spec", lambda _: None)
    compat_compiler.command.cache_clear()

    done = run(capsys, "compat", header(A1), "iommufd_7_2")

    compat_compiler.command.cache_clear()
    assert done.status == 2
    assert "expected $CC, cc, gcc, clang or the package ziglang" in done.err
