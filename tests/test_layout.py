"""Layouts against compilers: layouts.json was computed from real headers by clang on 8 ABIs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import witness

from iommu_abi import _build, uapi
from iommu_abi.errors import UsageError
from iommu_abi.uapi import layout, reader
from iommu_abi.uapi._generation import declarations, struct_names

KERNELS = json.loads((Path(__file__).parent / "data/layouts.json").read_text())["kernels"]
HISTORY = KERNELS["historical"]["headers"]["hist.h"]["structs"]

#: Generations of which layouts.json has a kernel's own header.
MERGED = {
    "linux_5_10": KERNELS["5.10.223"]["headers"]["iommu.h"],
    "linux_6_1": KERNELS["6.1.187"]["headers"]["iommu.h"],
    "iommufd_6_12": KERNELS["6.12.95"]["headers"]["iommufd.h"],
    "iommufd_7_2": KERNELS["7.2.13"]["headers"]["iommufd.h"],
    "vfio_7_2": KERNELS["7.2.13"]["headers"]["vfio.h"],
}

#: Transcribed structs of layouts.json, NAME__REVISION, by generation: those that were never merged,
#: and those of kernels whose headers it does not have.
FAULTS = ("iommu_fault_unrecoverable__h", "iommu_fault_page_request__h")
INVALIDATE_5_5 = ("iommu_inv_addr_info__h", "iommu_inv_pasid_info__h", "iommu_cache_invalidate_info__5_5")
VTD = "iommu_gpasid_bind_data_vtd__h"
PTC_V4 = ("iommu_pasid_smmuv3__v4", "iommu_pasid_table_config__v4_v11")
VFIO_FAULT = ("vfio_info_cap_header__h", "vfio_region_info_cap_fault__h")
TRANSCRIBED = {
    "rfc2017": ("pasid_table_info__2017rfc", "tlb_invalidate_info__2017rfc"),
    "v1_2017": ("pasid_table_info__2017v1", "tlb_invalidate_info__2017v1", "iommu_fault_event__2017v1"),
    "v4_2018": ("pasid_table_config__2018", "tlb_invalidate_hdr__2018v4", "tlb_invalidate_info__2018v4"),
    "v5_2018": (
        "pasid_table_config__2018", "tlb_invalidate_hdr__2018v5", "tlb_invalidate_info__2018v5",
        "page_response_msg__2018",
    ),
    "page_response_v8_2019": ("page_response_msg__2019v8",),
    "ptc_v1": (
        "iommu_pasid_table_config__2018rfc1", "iommu_smmu_s1_config__2018rfc1",
        "iommu_guest_stage_config__2018rfc1",
    ),
    "ptc_v3": (
        "iommu_pasid_smmuv3__2019rfc3", "iommu_pasid_table_config__2019rfc3", "iommu_fault__2019rfc3",
        "iommu_cache_invalidate_info__2019rfc3", "iommu_guest_msi_binding__2019rfc3",
    ),
    "ptc_v4": PTC_V4,
    "ptc_v12": ("iommu_pasid_smmuv3__v4", "iommu_pasid_table_config__v12_v13"),
    "ptc_v14": ("iommu_pasid_smmuv3__v4", "iommu_pasid_table_config__v14_v16"),
    "ptc_asid_2021": ("iommu_pasid_smmuv3__gautam2021", "iommu_nesting_info_arm_smmuv3__2021"),
    "sva_v3_2019": (
        "gpasid_bind_data__2019v3", "iommu_cache_invalidate_info__2019v3", "iommu_inv_addr_info__h",
    ),
    "sva_v4_2019": ("gpasid_bind_data__2019v4_v5",),
    "sva_v5_2019": (VTD,),
    "fault_early_2019": FAULTS,
    "fault_jun_2019": ("iommu_fault__2019jun", *FAULTS),
    "linux_5_5": (
        *FAULTS, *INVALIDATE_5_5, "iommu_page_response__5_3", "iommu_gpasid_bind_data__5_5", VTD,
    ),
    "argsz_v2_2020": ("iommu_gpasid_unbind_data__2020v2",),
    "vfio_ptc_v8": (
        *PTC_V4, *INVALIDATE_5_5, *VFIO_FAULT, "vfio_iommu_type1_attach_pasid_table__v8",
        "vfio_iommu_type1_cache_invalidate__v8", "vfio_iommu_type1_bind_msi__v8",
        "vfio_iommu_type1_unbind_msi__v8", "vfio_region_fault_prod__v8", "vfio_region_fault_cons__v8",
    ),
    "vfio_ptc_v9": (
        *PTC_V4, *INVALIDATE_5_5, *VFIO_FAULT, "vfio_iommu_type1_set_pasid_table__v9_v10",
        "vfio_iommu_type1_set_msi_binding__v9_v13",
    ),
    "vfio_ptc_v11": (
        "iommu_pasid_table_config__v12_v13", *VFIO_FAULT, "vfio_iommu_type1_set_pasid_table__v11",
        "vfio_iommu_type1_set_msi_binding__v9_v13",
    ),
    "vfio_ptc_v12": (
        "iommu_pasid_table_config__v14_v16", *VFIO_FAULT, "vfio_iommu_type1_set_pasid_table__v12_v13",
        "vfio_iommu_type1_set_msi_binding__v9_v13", "vfio_region_dma_fault__v13",
        "vfio_region_dma_fault_response__v13",
    ),
    "vfio_sva_v1": (
        *INVALIDATE_5_5, "vfio_iommu_type1_pasid_request__2020v1", "vfio_iommu_type1_bind__2020v1",
    ),
    "vfio_sva_v2": ("iommu_nesting_info__2020v2", "vfio_iommu_type1_nesting_op__2021v8"),
    "vfio_sva_v7": (
        "iommu_nesting_info_vtd__2020v7", "iommu_nesting_info__2020v7",
        "vfio_iommu_type1_pasid_request__2020v7", "vfio_iommu_type1_nesting_op__2021v8",
    ),
    "vfio_sva_v8": (
        "iommu_nesting_info_vtd__2021v8", "iommu_nesting_info__2021v8",
        "vfio_iommu_type1_info_cap_nesting__2021v8", "vfio_iommu_type1_nesting_op__2021v8",
        "vfio_info_cap_header__h",
    ),
    "virtio_2021": (
        "virtio_iommu_req_head__h", "virtio_iommu_req_tail__h", "virtio_iommu_req_attach_table__2021",
        "virtio_iommu_req_attach_pst_arm__2021", "virtio_iommu_req_invalidate__2021",
        "virtio_iommu_req_page_resp__2021",
    ),
}  # fmt: skip

WITNESSED = {
    **{(gen, name): rows for gen, header in MERGED.items() for name, rows in header["structs"].items()},
    **{
        (gen, name.split("__")[0]): HISTORY[name] for gen, names in TRANSCRIBED.items() for name in names
    },
}  # fmt: skip


def _expected(group):
    """(name, offset, size) of the fields that hold values; names without those of unnamed unions.

    The measurement lost flexible arrays of structs, and bit fields on two ABIs.
    """
    for f in group["fields"]:
        if "bit_offset" in f:
            yield f["name"], f["bit_offset"], f["bit_size"]
        elif not f["type"].startswith(("struct ", "union ")):
            yield f["name"].replace("(anon).", ""), f["offset"], f["size"]


def _computed(made, names):
    for f in made.fields:
        if f.name in names:
            yield (f.name, f.bit_offset, f.bits) if f.bits else (f.name, f.offset, f.size)


@pytest.mark.parametrize(
    ("gen", "struct"), [pytest.param(*each, id="@".join(reversed(each))) for each in sorted(WITNESSED)]
)
def test_a_struct_has_the_layout_that_compilers_give_it(gen, struct):
    for group in WITNESSED[gen, struct]["layouts"]:
        expected = list(_expected(group))
        for abi in group["arches"]:
            made = uapi.layout_of(f"{struct}@{gen}", abi)
            unseen = {f.name for f in made.fields} - {name for name, _, _ in expected}
            assert (made.size, made.align) == (group["size"], group["align"]), abi
            assert list(_computed(made, {name for name, _, _ in expected})) == expected, abi
            assert unseen <= {"iova_ranges", "pasid_present"}, abi
            if "pasid_present" not in unseen:
                assert [list(hole) for hole in made.holes] == group["holes"], abi


def test_every_struct_of_the_measurement_is_in_a_generation():
    used = {name for names in TRANSCRIBED.values() for name in names}

    assert sorted(HISTORY.keys() - used) == []


#: Structs that were not measured in a generation, but under another name or in another one: there
#: only a prefix, a flag or an enumerator changed.
TWINS = {
    **{("linux_5_17", struct): f"{struct}@linux_5_10" for struct in MERGED["linux_5_10"]["structs"]},
    **{
        (gen, struct): f"{struct}@linux_5_10"
        for gen in ("vfio_ptc_v11", "vfio_ptc_v12")
        for struct in ("iommu_inv_addr_info", "iommu_inv_pasid_info", "iommu_cache_invalidate_info")
    },
    ("linux_5_5", "iommu_fault"): "iommu_fault@linux_5_10",
    ("vfio_ptc_v11", "iommu_pasid_smmuv3"): "iommu_pasid_smmuv3@ptc_v12",
    ("vfio_ptc_v12", "iommu_pasid_smmuv3"): "iommu_pasid_smmuv3@ptc_v12",
    ("vfio_ptc_v9", "vfio_iommu_type1_cache_invalidate"): "vfio_iommu_type1_cache_invalidate@vfio_ptc_v8",
    ("vfio_sva_v1", "vfio_iommu_type1_cache_invalidate"): "vfio_iommu_type1_cache_invalidate@vfio_ptc_v8",
    ("sva_v4_2019", "gpasid_bind_data_vtd"): "iommu_gpasid_bind_data_vtd@sva_v5_2019",
    ("sva_v5_2019", "iommu_gpasid_bind_data"): "gpasid_bind_data@sva_v4_2019",
}

#: Measured as parts of another struct, or never: the carriers were inferred (docs/generations.md).
UNSEEN = {
    ("ptc_v3", "iommu_cache_invalidate_hdr"),
    ("fault_early_2019", "iommu_fault"),
    ("ptc_asid_2021", "iommu_pasid_table_config"),
    ("vfio_ptc_v11", "vfio_iommu_type1_cache_invalidate"),
    ("vfio_ptc_v12", "vfio_iommu_type1_cache_invalidate"),
}


def test_every_struct_of_every_generation_was_measured_or_is_named_here():
    by_make_cross = {gen for gens in witness.KERNELS.values() for gen in gens}
    every = {(gen, struct) for struct, gens in uapi.structs().items() for gen in gens}

    assert {
        pair for pair in every - WITNESSED.keys() if pair[0] not in by_make_cross
    } == TWINS.keys() | UNSEEN


@pytest.mark.parametrize(("gen", "struct"), [pytest.param(*each, id="@".join(each[::-1])) for each in TWINS])
def test_a_struct_that_was_not_measured_has_the_layout_of_its_twin(gen, struct):
    for abi in layout.ABIS:
        first, second = uapi.layout_of(f"{struct}@{gen}", abi), uapi.layout_of(TWINS[gen, struct], abi)
        assert (first.size, first.align) == (second.size, second.align)
        assert [(f.name, f.offset, f.size) for f in first.fields] == [
            (f.name, f.offset, f.size) for f in second.fields
        ]


def test_twenty_two_abis_are_known():
    assert len(layout.ABIS) == 22


# sizeof, alignof and offsets of {__u32 a; __u64 b; __u8 c; __u64 d;}: 32 on x86_64, 24 on i386, 22 on m68k
# (gcc 12.2 and clang, in the same measurements as layouts.json)
MIXED = "typedef unsigned int __u32; struct s { __u32 a; __u64 b; __u8 c; __u64 d; };"


@pytest.mark.parametrize(("abi", "size"), [("x86_64", 32), ("i386", 24), ("m68k", 22)])
def test_eight_byte_integers_are_aligned_as_the_abi_says(abi, size):
    text = "typedef unsigned long long __u64; typedef unsigned char __u8; " + MIXED

    record = reader.parse(text).records["s"]

    assert layout.layout(record, layout.abi(abi)).size == size


def test_an_aligned_u64_is_aligned_everywhere():
    text = "typedef unsigned long long __u64; typedef __u64 __aligned_u64;"
    text += "struct s { __u8 a; __aligned_u64 b; };"

    record = reader.parse("typedef unsigned char __u8;" + text).records["s"]

    assert {layout.layout(record, abi).fields[1].offset for abi in layout.ABIS.values()} == {8}


def test_holes_are_the_bytes_that_no_field_covers():
    text = "typedef unsigned long long __u64; typedef unsigned char __u8; typedef unsigned int __u32; "

    record = reader.parse(text + "struct s { __u32 a; __u64 b; __u8 c; };").records["s"]

    assert layout.layout(record, layout.abi("x86_64")).holes == ((4, 4), (17, 7))


def test_members_of_an_unnamed_union_share_their_place():
    text = "typedef unsigned int __u32;"
    text += "struct s { __u32 a; union { __u32 b; struct { __u32 c; __u32 d; } e; }; };"

    made = layout.layout(reader.parse(text).records["s"], layout.abi("x86_64"))

    assert [(f.name, f.offset) for f in made.fields] == [("a", 0), ("b", 4), ("e.c", 4), ("e.d", 8)]
    assert made.size == 12


def test_an_unknown_abi_is_refused_with_the_list():
    with pytest.raises(UsageError, match="unknown ABI 'vax'"):
        layout.abi("vax")


def test_the_models_of_the_rfc_are_bits_and_those_of_v1_are_not():
    # lineage: RFC macros INTEL_IOMMU=1<<0, ARM_SMMU=1<<1; v1 enum iommu_model 0, 1
    assert declarations("rfc2017").constants() == {"INTEL_IOMMU": 1, "ARM_SMMU": 2}
    assert dict(declarations("v1_2017").enums["iommu_model"].constants) == {
        "IOMMU_MODEL_INTEL_VTD": 0,
        "IOMMU_MODEL_ARM_SMMU": 1,
    }


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


@pytest.mark.parametrize("gen", uapi.GENERATIONS)
def test_what_the_build_has_stored_is_what_the_header_declares_now(gen):
    declared = reader.parse(_build.flatten(f"iommu_abi/uapi/{gen}.h"))

    assert declarations(gen) == declared
    assert {name for name, record in declared.records.items() if record.kind == "struct"} == set(
        struct_names(gen)
    )
