"""The construct schemas of every generation against layouts.json: sizes, offsets, and where bytes go.

layouts.json holds what compilers made of the kernels' headers (5.10, 6.1, 6.12, 7.2) and of the posted
structs, on 8 ABIs; from 6.3, 6.13 and 6.19 it holds what changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi.errors import AbiError, UsageError
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi.blobs import build, parse

LAYOUTS = json.loads((Path(__file__).parent / "data/layouts.json").read_text())
HEADERS = {
    "linux_5_10": ("5.10.223", "iommu.h"),
    "linux_6_1": ("6.1.187", "iommu.h"),
    "iommufd_6_12": ("6.12.95", "iommufd.h"),
    "iommufd_7_2": ("7.2.13", "iommufd.h"),
}
#: Structs as posted, "name__revision" in layouts.json -> the generations that have them.
REVISIONS = {
    "2017rfc": ["rfc2017"],
    "2017v1": ["v1_2017"],
    "2018v4": ["v4_2018"],
    "2018v5": ["v5_2018"],
    "2018": ["v4_2018", "v5_2018"],
    "2018rfc1": ["ptc_v1"],
    "2019rfc3": ["ptc_v3"],
    "2019v3": ["sva_v3_2019"],
    "2019v4_v5": ["sva_v4_2019"],
    "2019v8": ["page_response_v8_2019"],
    "2019jun": ["fault_jun_2019"],
    "5_3": ["linux_5_5"],
    "5_5": ["linux_5_5", "vfio_ptc_v8", "vfio_ptc_v9", "vfio_sva_v1"],
    "v4_v11": ["ptc_v4", "vfio_ptc_v8", "vfio_ptc_v9"],
    "v4": ["ptc_v4", "ptc_v12", "ptc_v14"],
    "v14_v16": ["ptc_v14", "vfio_ptc_v12"],
    "gautam2021": ["ptc_asid_2021"],
    "2020v1": ["vfio_sva_v1"],
    "2020v2": ["argsz_v2_2020", "vfio_sva_v2"],
    "2020v7": ["vfio_sva_v7"],
    "2021v8": ["vfio_sva_v8"],
    "v8": ["vfio_ptc_v8"],
    "v9_v10": ["vfio_ptc_v9"],
    "v9_v13": ["vfio_ptc_v9", "vfio_ptc_v11", "vfio_ptc_v12"],
    "v11": ["vfio_ptc_v11"],
    "v13": ["vfio_ptc_v12"],
    "2021": ["virtio_2021", "ptc_asid_2021"],
    "h": list(uapi.GENERATIONS),  # the same in every generation that has it
    # VFIO's series has version numbers of its own
    "iommu_pasid_table_config__v12_v13": ["ptc_v12", "vfio_ptc_v11"],
    "vfio_iommu_type1_set_pasid_table__v12_v13": ["vfio_ptc_v12"],
}


def expected() -> list[tuple[str, str, Any]]:
    """(generation, struct, rows of layouts.json) for all that layouts.json has."""
    found = []
    for generation, (kernel, header) in HEADERS.items():
        structs = LAYOUTS["kernels"][kernel]["headers"][header]["structs"]
        found += [(generation, name, row["layouts"]) for name, row in structs.items()]
    vfio = LAYOUTS["kernels"]["7.2.13"]["headers"]["vfio.h"]["structs"]
    for name in uapi.GENERATIONS["vfio_7_2"].structs:
        found += [
            (gen, name, vfio[name]["layouts"])
            for gen in ("vfio_6_19", "vfio_7_2")
            if name in uapi.GENERATIONS[gen].structs and name in vfio
        ]
    for posted, row in LAYOUTS["kernels"]["historical"]["headers"]["hist.h"]["structs"].items():
        name, _, revision = posted.partition("__")
        holders = [
            gen
            for gen in REVISIONS.get(posted) or REVISIONS[revision]
            if name in uapi.GENERATIONS[gen].structs
        ]
        assert holders, posted
        found += [(gen, name, row["layouts"]) for gen in holders]
    return found


def on_each_abi() -> list[Any]:
    return [
        pytest.param(gen, name, abi, layout, id=f"{name}@{gen}-{abi}")
        for gen, name, layouts in expected()
        for layout in layouts
        for abi in layout["arches"]
    ]


def shape(layout: Any) -> dict[str, tuple[int, int]]:
    """Leaf path -> (offset, bytes) of a layout in layouts.json; a bit field counts as its byte."""
    found = {}
    for field in layout["fields"]:
        if field["type"].startswith(("struct", "union")) and not field["type"].endswith("[]"):
            continue
        path = field["name"].replace("(anon).", "")
        if "bit_offset" in field:
            found[path] = (field["bit_offset"] // 8, 1)
        else:
            found[path] = (field["offset"], 0 if field["type"].endswith("[]") else field["size"])
    return found


@pytest.mark.parametrize(("generation", "name", "abi", "layout"), on_each_abi())
def test_sizes_offsets_and_holes_are_the_compilers(generation: str, name: str, abi: str, layout: Any) -> None:
    struct, machine = uapi.get(name, generation), uapi.abi(abi)
    made = uapi.layout(struct, machine)

    assert (made.size, made.align) == (layout["size"], layout["align"])
    places = {leaf.path: (leaf.offset, leaf.size) for leaf in uapi.leaves(struct, machine)}
    if machine.name in ("riscv64", "m68k"):  # for which layouts.json has no bit fields
        places.pop("pasid_present", None)
    assert places == shape(layout)
    if struct.tail is None:
        assert uapi.schema(struct, machine).sizeof() == layout["size"]


def value_at(parsed: Any, path: str) -> Any:
    for name in path.split("."):
        parsed = parsed[name]
    return parsed


def plain(field: Any) -> bool:
    """A number or an array with a length, as opposed to a struct, union or tail."""
    return not field["type"].startswith(("struct", "union")) and not field["type"].endswith("[]")


def numbers(field: Any, data: bytes, order: str) -> int | list[int]:
    """What a field's bytes say, by layouts.json."""
    if "bit_offset" in field:
        byte = data[field["bit_offset"] // 8]
        return byte & 1 if order == "<" else byte >> 7
    raw = data[field["offset"] : field["offset"] + field["size"]]
    little = order == "<" or "le" in field["type"]
    step = field.get("elem_size", field["size"])
    parts = [raw[i : i + step] for i in range(0, len(raw), step)]
    found = [int.from_bytes(part, "little" if little else "big") for part in parts]
    return found if "count" in field else found[0]


@pytest.mark.parametrize(("generation", "name", "abi", "layout"), on_each_abi())
def test_construct_reads_each_field_from_the_bytes_where_the_compiler_puts_it(
    generation: str, name: str, abi: str, layout: Any
) -> None:
    machine, struct = uapi.abi(abi), uapi.get(name, generation)
    data = bytearray(range(1, 1 + layout["size"]))
    if struct.tail and struct.tail.length:  # nothing follows
        at = next(field for field in layout["fields"] if field["name"] == struct.tail.length)
        data[at["offset"] : at["offset"] + at["size"]] = bytes(at["size"])

    parsed = parse(struct, bytes(data), machine)

    for field in filter(plain, layout["fields"]):
        got = value_at(parsed, field["name"].replace("(anon).", ""))
        assert (got if isinstance(got, int) else list(got)) == numbers(field, data, machine.order)


# ---------------------------------------------------------------- round trips


EVERY = [(gen.name, name) for gen in uapi.GENERATIONS.values() for name in gen.structs]


@st.composite
def blobs(draw: st.DrawFn) -> tuple[uapi.Struct, uapi.Abi, bytes]:
    """Any bytes that are a blob of any struct, its bytes in holes and unused bits 0."""
    generation, name = draw(st.sampled_from(EVERY))
    struct, abi = uapi.get(name, generation), uapi.abi(draw(st.sampled_from(sorted(uapi.ABIS))))
    made = uapi.layout(struct, abi)
    data = bytearray(draw(st.binary(min_size=made.size, max_size=made.size)))
    tail = draw(st.binary(max_size=9)) if struct.tail else b""
    tail *= uapi.element_size(struct.tail, abi) if struct.tail else 1
    used = bytearray(made.size)
    for leaf in uapi.leaves(struct, abi):
        bit = isinstance(leaf.field.type, uapi.Integer) and leaf.field.type.kind == "bit"
        mask = (1 if abi.order == "<" else 0x80) if bit else 0xFF
        used[leaf.offset : leaf.offset + leaf.size] = bytes([mask]) * leaf.size
        if struct.tail and leaf.path == struct.tail.length:
            length = len(tail).to_bytes(leaf.size, "little" if abi.order == "<" else "big")
            data[leaf.offset : leaf.offset + leaf.size] = length
    return struct, abi, bytes(byte & mask for byte, mask in zip(data, used)) + tail


@settings(max_examples=600)
@given(blobs())
def test_a_blob_that_was_taken_apart_is_built_again(blob: tuple[uapi.Struct, uapi.Abi, bytes]) -> None:
    struct, abi, data = blob

    parsed = parse(struct, data, abi)

    assert build(struct, parsed, abi) == data
    assert parse(struct, build(struct, parsed, abi), abi) == parsed


# ---------------------------------------------------------------- what does not fit


X86 = uapi.abi("x86_64")


@pytest.mark.parametrize(("generation", "name"), EVERY)
def test_a_truncated_blob_names_the_first_field_that_is_not_whole(generation: str, name: str) -> None:
    struct = uapi.get(name, generation)
    size = uapi.layout(struct, X86).size
    leaves = list(uapi.leaves(struct, X86))

    for given_ in range(size):
        with pytest.raises(AbiError) as caught:
            parse(struct, bytes(given_), X86)
        error = caught.value
        first = next((leaf for leaf in leaves if leaf.offset + leaf.size > given_), None)
        assert (error.rule.name, error.got, error.want) == (f"{name}.truncated", given_, size)
        assert (error.field, error.offset) == ((first.path, first.offset) if first else ("", size))


@pytest.mark.parametrize(("generation", "name"), EVERY)
def test_a_byte_too_many_is_e2big_unless_the_tail_takes_all(generation: str, name: str) -> None:
    struct = uapi.get(name, generation)
    size = uapi.layout(struct, X86).size

    if struct.tail and not struct.tail.length and uapi.element_size(struct.tail, X86) == 1:
        assert parse(struct, bytes(size) + b"x", X86)[struct.tail.name] == b"x"
        return
    with pytest.raises(AbiError, match="E2BIG") as caught:
        parse(struct, bytes(size) + b"x", X86)
    assert (caught.value.offset, caught.value.got, caught.value.want) == (size, size + 1, size)


def test_a_length_beyond_the_bytes_is_einval_at_the_length() -> None:
    struct = uapi.get("tlb_invalidate_info", "v1_2017")

    with pytest.raises(AbiError) as caught:
        parse(struct, bytes([0, 0, 0, 0, 3, 0, 0, 0, 1, 2]), X86)
    assert str(caught.value) == (
        "tlb_invalidate_info.length at offset 4: got 3, expected at most the 2 bytes that follow (EINVAL)"
    )


def test_errors_name_what_is_known() -> None:
    with pytest.raises(UsageError, match=r"unknown generation 'iommufd', did you mean iommufd_7_3, "):
        uapi.get("iommu_option", "iommufd")
    with pytest.raises(
        UsageError, match="iommufd_6_3: unknown struct 'iommu_hwpt_alloc', did you mean iommu_ioas_alloc"
    ):
        uapi.get("iommu_hwpt_alloc", "iommufd_6_3")
    with pytest.raises(UsageError, match="unknown ABI 'vax'"):
        uapi.abi("vax")
    with pytest.raises(UsageError, match="iommu_destroy has no field 'ids', did you mean id"):
        build(uapi.get("iommu_destroy", "iommufd_6_3"), {"size": 8, "id": 1, "ids": 1}, X86)
    with pytest.raises(UsageError, match=r"iommu_destroy\.id is missing"):
        build(uapi.get("iommu_destroy", "iommufd_6_3"), {"size": 8}, X86)
    with pytest.raises(UsageError, match=r"iommu_destroy\.id: got 4294967296, expected 0 to 0xffffffff"):
        build(uapi.get("iommu_destroy", "iommufd_6_3"), {"size": 8, "id": 1 << 32}, X86)
    map_file = dict.fromkeys(
        (field.name for field in uapi.get("iommu_ioas_map_file", "iommufd_7_2").fields), 0
    )
    for fd in (-(1 << 31) - 1, 1 << 31):
        with pytest.raises(UsageError, match=rf"\.fd: got {fd}, expected -2147483648 to 0x7fffffff"):
            build(uapi.get("iommu_ioas_map_file", "iommufd_7_2"), map_file | {"fd": fd}, X86)
    for count in (1, 3):
        with pytest.raises(UsageError, match=rf"\.ste: got {count} elements, expected 2"):
            build(uapi.get("iommu_hwpt_arm_smmuv3", "iommufd_7_2"), {"ste": [0] * count}, X86)


def test_members_of_a_union_that_differ_cannot_be_built() -> None:
    struct = uapi.get("iommu_hw_info", "iommufd_7_2")
    values = parse(struct, bytes(40), X86)

    assert build(struct, {**values, "in_data_type": 1, "out_data_type": 1}, X86)[24] == 1
    with pytest.raises(UsageError, match="in_data_type differs from other members"):
        build(struct, {**values, "in_data_type": 1, "out_data_type": 2}, X86)


# ---------------------------------------------------------------- what the fields mean


def test_every_enumeration_that_a_field_names_is_in_its_generation() -> None:
    def tags(struct: uapi.Struct) -> set[str]:
        found = {each.values for each in struct.fields if each.values}
        return found.union(*(tags(each.type) for each in struct.fields if isinstance(each.type, uapi.Struct)))

    for gen in uapi.GENERATIONS.values():
        for struct in gen.structs.values():
            assert tags(struct) <= set(gen.enums), (gen.name, struct.name)


@pytest.mark.parametrize(("generation", "header"), HEADERS.items())
def test_enumerators_and_macros_are_those_of_the_header(generation: str, header: tuple[str, str]) -> None:
    row = LAYOUTS["kernels"][header[0]]["headers"][header[1]]
    expected = {name: number for enum in row["enums"].values() for name, number in enum.items()}
    expected |= {name: number for name, number in row["macros"].items() if isinstance(number, int)}
    commands = {name for name in expected if name.startswith(("IOMMUFD_CMD_", "IOMMUFD_TYPE"))}

    gen = uapi.GENERATIONS[generation]
    found = {
        name: n for values in gen.enums.values() for name, n in {**values.names, **values.bounds}.items()
    }

    assert found == {name: number for name, number in expected.items() if name not in commands}
    numbers_ = {name.removeprefix("IOMMUFD_CMD_"): n for name, n in expected.items() if name in commands}
    for ioctl in gen.ioctls.values():
        assert numbers_[ioctl.name.removeprefix("IOMMU_")] == ioctl.nr


@pytest.mark.parametrize("generation", ["vfio_sva_v2", "vfio_sva_v7", "vfio_sva_v8"])
def test_nesting_information_has_the_formats_of_linux_5_10(generation: str) -> None:
    # The series were posted on top of that header, and name its IOMMU_PASID_FORMAT_INTEL_VTD.
    merged = LAYOUTS["kernels"]["5.10.223"]["headers"]["iommu.h"]
    known = {name: number for enum in merged["enums"].values() for name, number in enum.items()}
    known |= merged["macros"]

    found = uapi.GENERATIONS[generation].enums["IOMMU_PASID_FORMAT"].names

    assert found == {name: known[name] for name in found}
    assert "IOMMU_PASID_FORMAT_INTEL_VTD" in found


def test_what_changed_between_6_3_6_12_and_6_13_is_what_the_headers_say() -> None:
    for row, earlier, later in zip(LAYOUTS["iommufd_h_evolution"], uapi.IOMMUFD, uapi.IOMMUFD[1:]):
        names = [{n: v for e in gen.enums.values() for n, v in e.names.items()} for gen in (earlier, later)]
        added = {name: n for name, n in names[1].items() if names[0].get(name) != n}

        assert sorted(set(later.structs) - set(earlier.structs)) == row["structs_added"]
        assert {n for n in names[0] if n not in names[1]} == set(row["enumerators_removed"])
        assert added == {n: v for n, v in row["enumerators_added"].items() if "CMD" not in n}


def test_minimum_sizes_and_numbers_of_7_2_are_the_kernels() -> None:
    rows = LAYOUTS["iommufd_7_2_min_sizes"]["ioctl"]
    ioctls = uapi.GENERATIONS["iommufd_7_2"].ioctls

    assert set(ioctls) == {row["ioctl"] for row in rows}
    for row in rows:
        ioctl = ioctls[row["ioctl"]]
        places = uapi.leaves(uapi.get(ioctl.struct, "iommufd_7_2"), X86)
        end = next(leaf.offset + leaf.size for leaf in places if leaf.path == ioctl.least)
        assert (ioctl.nr, ioctl.struct, ioctl.least, end) == (
            row["nr"],
            row["struct"],
            row["min_last"],
            row["min_size"],
        )


def test_every_payload_names_enumerators_fields_and_structs_that_there_are() -> None:
    for gen in uapi.GENERATIONS.values():
        for payload in gen.payloads:
            struct = gen.struct(payload.struct)
            names = gen.enums[struct.field(payload.by).values].names
            members = [f.name for f in struct.fields if not f.name or f.name == payload.at]
            assert set(payload.types) <= set(names), (gen.name, payload)
            assert members or struct.field(payload.at), (gen.name, payload)


def test_a_field_is_asked_for_by_header_and_not_by_version() -> None:
    later = ("iommufd_6_19", "iommufd_7_2", "iommufd_7_3")

    assert uapi.holders("iommu_hw_info") == ("iommufd_6_12", "iommufd_6_13", *later)
    assert uapi.holders("iommu_hw_info", "out_max_pasid_log2") == ("iommufd_6_12", *later)
    assert uapi.holders("iommu_hw_info", "in_data_type") == later
    assert uapi.holders("iommu_viommu_alloc", "data_uptr") == later
    assert uapi.holders("pasid_table_info") == ("rfc2017", "v1_2017")
    assert uapi.holders("iommu_gpasid_bind_data", "argsz") == ("linux_5_10", "linux_5_17")


def test_a_field_of_a_named_member_is_no_field_of_the_struct_around_it() -> None:
    # C has bind.vendor.vtd.pat and no bind.pat; iommu_hw_info has in_data_type in a union without a name
    bind = uapi.get("iommu_gpasid_bind_data", "linux_5_10")

    assert bind.has("vendor")
    assert not bind.has("vtd")
    assert not bind.has("pat")
    assert uapi.get("iommu_hw_info", "iommufd_7_2").has("in_data_type")


def test_a_struct_without_holes_has_none_not_even_empty_ones() -> None:
    # 12 bytes of three __u32, and the hole before base_ptr that lineage A4 found
    x86 = uapi.abi("x86_64")

    assert uapi.layout(uapi.get("iommu_ioas_alloc", "iommufd_7_2"), x86).holes == ()
    assert uapi.layout(uapi.get("iommu_pasid_table_config", "ptc_v12"), x86).holes[0] == (12, 4)
