"""Every generation: constants and ioctl numbers against kernels' headers, its types, its history."""

from __future__ import annotations

import copy
import ctypes
import json
import pickle
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import AbiError, UsageError, uapi
from iommu_abi.structs import kind
from iommu_abi.structs.unpack import broken
from iommu_abi.uapi.layout import host

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ROOT / "cdefs/iommu_abi/uapi"
DATA = json.loads((ROOT / "tests/data/layouts.json").read_text())
KERNELS = DATA["kernels"]
EVERY_STRUCT = [
    pytest.param(gen, struct, id=f"{struct}@{gen}") for struct, gens in uapi.structs().items() for gen in gens
]
#: Those without rules of their own; pasid_table_info has its tests in test_types.py.
PLAIN_STRUCTS = [param for param in EVERY_STRUCT if param.values[1] != "pasid_table_info"]


def constants(kernel, header):
    """Enumerators and macros as a compiler read them from a kernel's header, on this machine."""
    found = KERNELS[kernel]["headers"][header]
    values = {name: value for each in found["enums"].values() for name, value in each.items()}
    for name, value in found["macros"].items():
        if isinstance(value, dict):
            value = next(int(number, 0) for number, abis in value.items() if host().name in abis)
        values[name] = value
    return values


def declared(gen):
    return {name: value for name, value in vars(uapi.generation(gen)).items() if type(value) is int}


@pytest.mark.parametrize(
    ("gen", "kernel", "header"),
    [
        ("linux_5_10", "5.10.223", "iommu.h"),
        ("linux_6_1", "6.1.187", "iommu.h"),
        ("iommufd_6_12", "6.12.95", "iommufd.h"),
        ("iommufd_7_2", "7.2.13", "iommufd.h"),
    ],
)
def test_a_merged_generation_has_exactly_the_constants_of_its_kernel(gen, kernel, header):
    assert declared(gen) == constants(kernel, header)


def test_the_constants_of_vfio_are_those_of_its_kernel_and_every_ioctl_is_there():
    expected = constants("7.2.13", "vfio.h")
    # not in layouts.json; Debian's <linux/vfio.h> of Linux 6.1 has them
    expected |= {"VFIO_DEVICE_PCI_HOT_RESET": 0x3B71, "VFIO_DEVICE_QUERY_GFX_PLANE": 0x3B72}
    expected |= {"VFIO_DEVICE_IOEVENTFD": 0x3B74, "VFIO_EEH_PE_OP": 0x3B79}
    found = declared("vfio_7_2")

    # what stays out: indices of s390's channels and crypto cards, SPAPR windows
    wanted = {name: n for name, n in expected.items() if not re.search(r"_CCW_|_AP_|SPAPR_INFO", name)}
    assert {name: found.get(name) for name in wanted} == wanted
    # layouts.json has only some of the header's; `make cross` holds every constant against the header itself
    assert len(found) > len(expected)


def test_history_between_kernels_is_what_the_headers_say():
    # additions and removals between real headers; 6.13.4 lost what the stable 6.12.95 had been given
    names = {"6.3.8": "iommufd_6_3", "6.12.95": "iommufd_6_12", "6.13.4": "iommufd_6_13"}
    for step in DATA["iommufd_h_evolution"]:
        if step["to"] not in names:
            continue
        old, new = names[step["from"]], names[step["to"]]
        before, after = declared(old), declared(new)
        ioctls = {name for name in after if re.fullmatch(r"IOMMU_[A-Z_]+", name) and after[name] >= 0x3B00}
        added = {name: value for name, value in after.items() if name not in before and name not in ioctls}
        assert added == step["enumerators_added"]
        assert {n: v for n, v in before.items() if n not in after} == step["enumerators_removed"]
        structs = [set(uapi.generation(gen).__structs__) for gen in (old, new)]
        assert sorted(structs[1] - structs[0]) == step["structs_added"]
        assert structs[0] <= structs[1]


def test_linux_7_2_has_37_structs_23_enums_and_21_ioctls():
    gen = uapi.generation("iommufd_7_2")
    ioctls = [n for n, v in declared("iommufd_7_2").items() if v >= 0x3B00]

    assert len(gen.__structs__) == 37
    assert len(ioctls) == 21
    assert len(KERNELS["7.2.13"]["headers"]["iommufd.h"]["enums"]) == 23  # one of them has no name
    named = [e for e in vars(gen).values() if isinstance(e, type) and hasattr(e, "__members__")]
    assert len(named) == 22


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # lineage of the postings: the same name with other values, or the same number for another thing
        ("IOMMU_FAULT_PERM_WRITE", {"fault_early_2019": 1, "fault_jun_2019": 2, "linux_5_10": 2}),
        ("IOMMU_FAULT_UNRECOV_ADDR_VALID", {"fault_early_2019": 4, "fault_jun_2019": 2, "linux_5_10": 2}),
        ("IOMMU_FAULT_REASON_PASID_FETCH", {"ptc_v3": 2, "linux_5_10": 1}),
        ("IOMMU_NESTING_FEAT_BIND_PGTBL", {"vfio_sva_v2": 2, "vfio_sva_v7": 2, "vfio_sva_v8": 1}),
        ("IOMMU_INVALIDATE_ADDR_LEAF", {"v4_2018": 2, "v5_2018": 1, "ptc_v3": 1}),
        ("IOMMU_INV_GRANU_PAGE_PASID", {"v4_2018": 8, "v5_2018": 2, "ptc_v3": 2}),
        ("IOMMU_SVA_VTD_GPASID_LAST", {"linux_5_10": 0x40, "linux_5_17": 0x80}),
        ("VFIO_IOMMU_NESTING_OP", {"vfio_sva_v2": 0x3B7B, "vfio_sva_v7": 0x3B77, "vfio_sva_v8": 0x3B76}),
        ("VFIO_IOMMU_SET_PASID_TABLE", {"vfio_ptc_v9": 0x3B7A, "vfio_ptc_v12": 0x3B76}),
        ("VFIO_IOMMU_CACHE_INVALIDATE", {"vfio_ptc_v8": 0x3B7C, "vfio_ptc_v9": 0x3B7B}),
        ("VFIO_IOMMU_PASID_REQUEST", {"vfio_sva_v1": 0x3B7A, "vfio_sva_v2": 0x3B7A, "vfio_sva_v7": 0x3B76}),
        ("VFIO_DEVICE_BIND_IOMMUFD", {"vfio_6_12": 0x3B76, "vfio_7_2": 0x3B76}),
    ],
)  # fmt: skip
def test_a_name_that_was_reused_has_its_value_of_each_time(name, values):
    none = declared("vfio_7_2")["VFIO_DEVICE_BIND_IOMMUFD"] - 0x3B76  # _IOC_NONE of this machine

    for gen, value in values.items():
        assert declared(gen)[name] == value + (none if value >= 0x3B00 else 0), gen


# ---------------------------------------------------------------- headers


def test_the_generations_of_python_are_the_headers():
    assert sorted(uapi.GENERATIONS) == sorted(path.stem for path in HEADERS.glob("*.h"))


def test_every_generation_has_a_row_in_the_document():
    text = (ROOT / "docs/generations.md").read_text()

    assert [gen for gen in uapi.GENERATIONS if not re.search(rf"\b{gen}\b", text)] == []


def test_every_part_belongs_to_a_generation():
    included = "".join(path.read_text() for path in HEADERS.rglob("*.h"))

    assert [p.name for p in (HEADERS / "part").glob("*.h") if f"part/{p.name}" not in included] == []


def test_two_generations_in_one_translation_unit_are_an_error():
    text = '#include "iommu_abi/uapi/linux_5_5.h"\n#include "iommu_abi/uapi/iommufd_7_2.h"\n'

    done = subprocess.run(
        ["gcc", "-fsyntax-only", f"-I{ROOT}/cdefs", "-x", "c", "-"],
        input=text,
        capture_output=True,
        text=True,
    )

    assert done.returncode
    assert "two generations of the ABI in one translation unit" in done.stderr


# ---------------------------------------------------------------- types


def concrete(gen, struct):
    """The struct's class; of a flexible one, that with three elements."""
    cls = getattr(uapi.generation(gen), struct)
    return cls.sized(3) if hasattr(cls, "sized") else cls


@pytest.mark.parametrize(("gen", "struct"), EVERY_STRUCT)
def test_every_field_can_be_set_and_lies_where_the_layout_says(gen, struct):
    cls = concrete(gen, struct)
    for field in cls._layout_info.fields:
        made = cls()
        *path, last = field.name.split(".")
        owner = made
        for name in path:
            owner = getattr(owner, name)
        if not isinstance(getattr(owner, last), int):
            continue
        expected = bytearray(bytes(made))
        setattr(owner, last, 1)
        where = field.offset + (field.size - 1 if host().order == ">" and not field.bits else 0)
        if not field.bits:
            expected[field.offset : field.offset + field.size] = bytes(field.size)
        expected[where] = 1
        assert bytes(made) == expected, field.name
        assert dict(made.items())[field.name] == 1
        assert copy.copy(made) == made == cls.from_buffer_copy(expected)


@pytest.mark.parametrize(("gen", "struct"), PLAIN_STRUCTS)
def test_any_bytes_of_the_right_length_survive_unpack_and_pack(gen, struct):
    cls = getattr(uapi.generation(gen), struct)
    data = bytes(range(1, ctypes.sizeof(concrete(gen, struct)) + 1))
    if "length" in dict(concrete(gen, struct)().items()) and hasattr(cls, "sized"):
        at = next(f.offset for f in cls._layout_info.fields if f.name == "length")
        data = data[:at] + (3).to_bytes(4, "little" if host().order == "<" else "big") + data[at + 4 :]

    made = cls.unpack(data, strict=False)

    assert made.pack() == data
    assert made == pickle.loads(pickle.dumps(made))
    with pytest.raises(AbiError, match="expected at least"):
        cls.unpack(data[: cls._layout_info.size - 1], strict=False)
    if not hasattr(cls, "sized"):
        assert cls.unpack(data + b"\0", strict=False).pack() == data


@pytest.mark.parametrize(("gen", "struct"), PLAIN_STRUCTS)
def test_unpack_refuses_what_the_command_refuses_and_by_the_same_rule(gen, struct):
    asked = kind(f"{struct}@{gen}", host())
    cls = getattr(uapi.generation(gen), struct)
    made = bytes(concrete(gen, struct)())
    blobs = [made, bytes(len(made)), made[:-1], made[:4], b"", made + b"\0", made + b"\1"]
    blobs += [made[:at] + b"\xff" * (len(made) - at) for at in range(0, len(made), 4)]
    for data in blobs:
        refused = broken(asked, data)
        if refused is None:
            taken = bytes(cls.unpack(data))
            assert taken[: len(data)] == data[: len(taken)]
            continue
        with pytest.raises(AbiError) as caught:
            cls.unpack(data)
        assert (caught.value.rule, str(caught.value)) == (refused.rule, str(refused))


@pytest.mark.parametrize(("gen", "struct"), EVERY_STRUCT)
def test_what_a_constructor_makes_without_more_is_as_long_as_it_says(gen, struct):
    cls = getattr(uapi.generation(gen), struct)
    made = concrete(gen, struct)()
    first = cls._layout_info.record.members[0].name

    if first == "argsz" or (first == "size" and gen.startswith("iommufd")):
        assert getattr(made, first) == len(bytes(made))
        assert cls.unpack(bytes(made)).pack() == bytes(made)


def test_sizes_are_filled_in_unless_they_are_given():
    hwpt = uapi.iommufd_7_2.iommu_hwpt_alloc(dev_id=1, pt_id=2)
    assert hwpt.size == 48  # sizeof, by layouts.json
    assert uapi.iommufd_7_2.iommu_hwpt_alloc.unpack(hwpt.pack()) == hwpt
    with pytest.raises(AbiError, match=r"iommu_hwpt_alloc.size at offset 0: got 0, expected at least 24"):
        uapi.iommufd_7_2.iommu_hwpt_alloc.unpack(bytes(48))
    assert uapi.iommufd_7_2.iommu_hwpt_alloc(size=24).size == 24
    older = uapi.iommufd_7_2.iommu_hwpt_alloc.unpack(uapi.iommufd_7_2.iommu_hwpt_alloc(size=24).pack()[:24])
    assert (older.size, older.data_len, len(older.pack())) == (24, 0, 48)
    irqs = uapi.vfio_7_2.vfio_irq_set(flags=4 | 32, count=1, data=bytes(4))
    assert (irqs.argsz, len(irqs.pack())) == (24, 24)
    assert uapi.linux_5_10.iommu_gpasid_bind_data(version=1).argsz == 72
    table = uapi.vfio_ptc_v12.vfio_iommu_type1_set_pasid_table(flags=1, config={"version": 1})
    assert (table.argsz, table.config.argsz) == (40, 32)
    assert uapi.v1_2017.pasid_table_info().length == 0


def test_nested_values_are_given_as_dicts_or_set_one_by_one():
    bind = uapi.linux_5_10.iommu_gpasid_bind_data(argsz=72, vendor={"vtd": {"flags": 3}})
    bind.vendor.vtd.pat = 0x0007040600070406 & 0xFFFFFFFF

    assert bytes(bind)[56:68] == (3).to_bytes(8, host_order()) + (0x00070406).to_bytes(4, host_order())
    with pytest.raises(UsageError, match=r"iommu_gpasid_bind_data_vtd.flags: got -1"):
        bind.vendor.vtd.flags = -1
    with pytest.raises(AttributeError, match="no field 'flag'"):
        bind.vendor.vtd.flag = 1
    with pytest.raises(UsageError, match=r"got 5, expected a .*vendor or a dict"):
        bind.vendor = 5


def host_order():
    return "little" if host().order == "<" else "big"


def test_members_of_an_unnamed_union_are_the_structs_own():
    info = uapi.iommufd_7_2.iommu_hw_info(in_data_type=2)

    assert info.out_data_type == 2
    with pytest.raises(UsageError, match="in_data_type"):
        info.in_data_type = 1 << 32


def test_a_reserved_field_is_reached_without_its_underscores():
    made = uapi.iommufd_7_2.iommu_hw_info(reserved=b"\1\2\3")
    made.reserved[0] = 9

    assert bytes(made.__reserved) == b"\x09\2\3" == bytes(made)[29:32]
    assert [name for name, _ in made.items() if "reserved" in name] == ["__reserved"]
    with pytest.raises(UsageError, match=r"iommu_hwpt_alloc.reserved2: got -1"):
        uapi.iommufd_7_2.iommu_hwpt_alloc(reserved2=-1)


def test_a_bit_field_takes_as_many_values_as_it_has_bits():
    message = uapi.v5_2018.page_response_msg(pasid_present=1)

    assert bytes(message)[16] == (1 if host().order == "<" else 0x80)
    with pytest.raises(UsageError, match="pasid_present: got 2, expected an integer from 0 to 0x1"):
        message.pasid_present = 2


@given(st.integers(0, 2**64 - 1))
def test_little_endian_words_are_so_on_every_machine(word):
    assert bytes(uapi.iommufd_7_2.iommu_hwpt_arm_smmuv3(ste=[word, 0]))[:8] == word.to_bytes(8, "little")


def test_a_flexible_array_of_structs_is_made_of_structs():
    gen = uapi.vfio_7_2
    ranges = [gen.vfio_iova_range(start=0, end=0xFFF), gen.vfio_iova_range(start=0x2000, end=0x2FFF)]

    made = gen.vfio_iommu_type1_info_cap_iova_range(nr_iovas=2, iova_ranges=ranges)

    assert len(bytes(made)) == 48
    assert made.iova_ranges[1].start == 0x2000
    with pytest.raises(UsageError, match="got 15 bytes, expected 16 for each"):
        gen.vfio_iommu_type1_info_cap_iova_range(iova_ranges=bytes(15))


def test_a_tail_that_is_announced_must_be_there():
    data = bytes(uapi.v1_2017.tlb_invalidate_info(model=1, opaque=b"abc"))

    with pytest.raises(
        AbiError, match=r"tlb_invalidate_info.length at offset 4: got 3, expected at most the 2 bytes"
    ):
        uapi.v1_2017.tlb_invalidate_info.unpack(data[:-1])
    with pytest.raises(AbiError, match="11 bytes in all"):
        uapi.v1_2017.tlb_invalidate_info.unpack(data + b"d")


# ---------------------------------------------------------------- names


def test_a_bare_name_is_accepted_when_all_generations_agree_on_its_layout():
    assert uapi.resolve("iommu_ioas_map") == ("iommu_ioas_map", "iommufd_7_3")
    assert uapi.resolve("iommu_hwpt_amd_guest") == ("iommu_hwpt_amd_guest", "iommufd_7_3")
    assert uapi.resolve("tlb_invalidate_info") == ("tlb_invalidate_info", "v1_2017")


@pytest.mark.parametrize("name", ["iommu_hw_info", "iommu_pasid_table_config", "vfio_device_bind_iommufd"])
def test_a_bare_name_whose_layout_changed_is_refused_with_the_generations(name):
    with pytest.raises(UsageError, match=f"{name} differs between .*: say {name}@GENERATION"):
        uapi.resolve(name)


def test_a_struct_that_its_generation_does_not_have_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match="iommu_viommu_alloc is not in iommufd_6_12, it is in: iommufd_6_13"):
        uapi.resolve("iommu_viommu_alloc@iommufd_6_12")


def test_an_attribute_that_is_no_generation_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'linux_9_9'"):
        uapi.linux_9_9  # noqa: B018


def test_half_an_element_at_the_end_of_a_list_is_e2big_as_in_the_schemas():
    """iova_ranges[] has 16 bytes each. Found by fuzzing: the byte was dropped in silence."""
    ranges = uapi.generation("vfio_7_2").vfio_iommu_type1_info_cap_iova_range

    assert len(bytes(ranges.unpack(bytes(16 + 32)))) == 48
    with pytest.raises(AbiError, match="E2BIG") as caught:
        ranges.unpack(bytes(16 + 17))
    assert (caught.value.offset, caught.value.got, caught.value.want) == (32, 33, 32)
    assert len(bytes(ranges.unpack(bytes(16 + 17), strict=False))) == 32


def test_a_blob_that_lacks_only_the_hole_at_its_end_names_no_field():
    """Found by fuzzing: the last field, which is there, was called missing."""
    config = uapi.generation("v5_2018").pasid_table_config  # 17 bytes of fields, 7 of hole

    with pytest.raises(AbiError) as caught:
        config.unpack(bytes(20))
    assert (caught.value.field, caught.value.offset, caught.value.got, caught.value.want) == ("", 24, 20, 24)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        # ptr, size: __u64; model, length: __u32; then length bytes: the patch of 27 June 2017, 3/9
        (10, "got 10 (0xa) bytes, expected at least 24 bytes; size at offset 8 is not all there (EINVAL)"),
        (
            23,
            "got 23 (0x17) bytes, expected at least 24 bytes; length at offset 20 is not all there (EINVAL)",
        ),
        (27, "got 27 (0x1b) bytes, expected 26 bytes in all (E2BIG)"),
    ],
)
def test_a_blob_of_another_length_is_said_to_have_it_and_no_field_is_blamed(length, said):
    blob = uapi.v1_2017.pasid_table_info(ptr=0x1000, size=4096, model=1, opaque=b"\1\2").pack()

    with pytest.raises(AbiError) as caught:
        uapi.v1_2017.pasid_table_info.unpack((blob + b"\3")[:length])

    assert str(caught.value) == f"pasid_table_info: {said}"
