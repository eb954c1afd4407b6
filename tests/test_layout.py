"""Layouts against compilers: layouts.json was computed from real headers by clang on 8 ABIs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iommu_abi import uapi
from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout
from iommu_abi.uapi._generation import declarations

DATA = Path(__file__).parent / "data"
HISTORY = json.loads((DATA / "layouts.json").read_text())["kernels"]["historical"]["headers"]["hist.h"]
NAMES = {"rfc2017": "pasid_table_info__2017rfc", "v1_2017": "pasid_table_info__2017v1"}


def witnesses():
    for gen, name in NAMES.items():
        for group in HISTORY["structs"][name]["layouts"]:
            for abi in group["arches"]:
                yield pytest.param(gen, abi, group, id=f"{gen}-{abi}")


@pytest.mark.parametrize(("gen", "abi", "expected"), list(witnesses()))
def test_pasid_table_info_has_the_layout_that_compilers_give_it(gen, abi, expected):
    record = declarations(gen).records["pasid_table_info"]

    made = layout.layout(record, layout.abi(abi))

    assert (made.size, made.align) == (expected["size"], expected["align"])
    assert [(f.name, f.offset, f.size) for f in made.fields] == [
        (f["name"], f["offset"], f["size"]) for f in expected["fields"]
    ]
    assert made.holes == ()


def test_twenty_two_abis_are_known():
    assert len(layout.ABIS) == 22


# sizeof, alignof and offsets of {__u32 a; __u64 b; __u8 c; __u64 d;}: 32 on x86_64, 24 on i386, 22 on m68k
# (gcc 12.2 and clang, in the same measurements as layouts.json)
MIXED = "typedef unsigned int __u32; struct s { __u32 a; __u64 b; __u8 c; __u64 d; };"


@pytest.mark.parametrize(("abi", "size"), [("x86_64", 32), ("i386", 24), ("m68k", 22)])
def test_eight_byte_integers_are_aligned_as_the_abi_says(abi, size):
    text = "typedef unsigned long long __u64; typedef unsigned char __u8; " + MIXED

    record = layout.parse(text).records["s"]

    assert layout.layout(record, layout.abi(abi)).size == size


def test_an_aligned_u64_is_aligned_everywhere():
    text = "typedef unsigned long long __u64; typedef __u64 __aligned_u64;"
    text += "struct s { __u8 a; __aligned_u64 b; };"

    record = layout.parse("typedef unsigned char __u8;" + text).records["s"]

    assert {layout.layout(record, abi).fields[1].offset for abi in layout.ABIS.values()} == {8}


def test_holes_are_the_bytes_that_no_field_covers():
    text = "typedef unsigned long long __u64; typedef unsigned char __u8; typedef unsigned int __u32; "

    record = layout.parse(text + "struct s { __u32 a; __u64 b; __u8 c; };").records["s"]

    assert layout.layout(record, layout.abi("x86_64")).holes == ((4, 4), (17, 7))


def test_members_of_an_unnamed_union_share_their_place():
    text = "typedef unsigned int __u32;"
    text += "struct s { __u32 a; union { __u32 b; struct { __u32 c; __u32 d; } e; }; };"

    made = layout.layout(layout.parse(text).records["s"], layout.abi("x86_64"))

    assert [(f.name, f.offset) for f in made.fields] == [("a", 0), ("b", 4), ("e.c", 4), ("e.d", 8)]
    assert made.size == 12


def test_an_unknown_abi_is_refused_with_the_list():
    with pytest.raises(UsageError, match="unknown ABI 'vax', expected one of: x86_64"):
        layout.abi("vax")


def test_the_models_of_the_rfc_are_bits_and_those_of_v1_are_not():
    # lineage: RFC macros INTEL_IOMMU=1<<0, ARM_SMMU=1<<1; v1 enum iommu_model 0, 1
    assert declarations("rfc2017").constants() == {"INTEL_IOMMU": 1, "ARM_SMMU": 2}
    assert declarations("v1_2017").constants() == {"IOMMU_MODEL_INTEL_VTD": 0, "IOMMU_MODEL_ARM_SMMU": 1}


def test_a_bare_name_means_the_seeds_generation():
    assert uapi.resolve("pasid_table_info") == ("pasid_table_info", "v1_2017")
    assert uapi.resolve("pasid_table_info@rfc2017") == ("pasid_table_info", "rfc2017")


@pytest.mark.parametrize("name", ["nonesuch", "pasid_table_info@linux_9_9", "@v1_2017", ""])
def test_an_unknown_struct_or_generation_is_refused(name):
    with pytest.raises(UsageError, match="unknown"):
        uapi.resolve(name)


def test_the_committed_stubs_are_what_the_headers_give():
    from iommu_abi.uapi import stubs

    for gen in uapi.GENERATIONS:
        path = Path(stubs.__file__).with_name(f"{gen}.pyi")
        assert path.read_text() == stubs.stub(gen), f"run: python -m iommu_abi.uapi.stubs ({gen})"
