"""What is typed at Python's prompt and what it prints: units, requests, reprs, help()."""

from __future__ import annotations

import json
import pydoc
from pathlib import Path

import pytest

from iommu_abi import Access, Memory, Request, Unit, mappings
from iommu_abi.errors import AbiError, UsageError
from iommu_abi.terms import At, Fault, Purpose, Reason, Ref, Stage, Target, Translation
from iommu_abi.uapi import iommufd_7_2, linux_5_10, types, v1_2017, v5_2018
from iommu_abi.virtio.words import Blocked, BlockedBy

CAPTURES = Path(__file__).parent / "data/captures"
METAS = [path for path in sorted(CAPTURES.glob("*/meta.json")) if "registers" in path.read_text()]


@pytest.mark.parametrize("path", METAS, ids=lambda path: path.parent.name)
def test_a_unit_takes_kind_and_registers_of_a_meta_json_as_they_are(path):
    meta = json.loads(path.read_text())

    unit = Unit(meta["kind"], meta["registers"])

    numbers = {name: int(text, 16) for name, text in meta["registers"].items() if name != "base"}
    assert unit.registers == numbers
    assert repr(unit) == repr(Unit(unit.kind, numbers))


@pytest.mark.parametrize("value", ["0x1000", "4096", 4096])
def test_a_register_is_a_number_or_text_of_one(value):
    assert Unit("vtd", {"RTADDR": value}).registers == {"RTADDR": 4096}


@pytest.mark.parametrize("value", ["4096h", "", -1, 1 << 64, 1.5, None, True])
def test_another_register_is_refused_by_its_name(value):
    with pytest.raises(UsageError, match=r"register RTADDR: got .*, expected"):
        Unit("vtd", {"RTADDR": value})


def test_a_register_that_a_kind_does_not_have_is_still_refused():
    with pytest.raises(AbiError, match="RTADR"):
        Unit("vtd", {"RTADR": 0x1000})


def test_a_request_names_its_device_as_people_write_it():
    assert Request(rid="00:03.0", iova=0) == Request(rid=0x18, iova=0)
    with pytest.raises(UsageError, match="00:33"):
        Request(rid="00:33.0", iova=0)


@pytest.mark.parametrize("wrong", [{"iova": "0x1000"}, {"rid": 1.5}, {"iova": -1}, {"rid": 1 << 32}], ids=str)
def test_a_request_with_what_is_no_number_is_refused_with_its_fields(wrong):
    unit = Unit("riscv", {"DDTP": 0x402})
    request = Request(**{"rid": 0x18, "iova": 0x1000, **wrong})

    with pytest.raises(UsageError, match=r"request out of range, .*: Request\(rid="):
        unit.translate(Memory(), request)


FAULT = Fault(Reason.NOT_PRESENT, Stage.S2, 2, 16, 0x1000, entry_gpa=0x5777000, raw=0)
SHOWN = (
    "reason=Reason.NOT_PRESENT, stage=Stage.S2, level=2, native=0x10, input=0x1000, entry_gpa=0x5777000,"
    " entry_hpa=None, raw=0, purpose=Purpose.DATA, for_level=0, recorded=True, detail=0"
)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (
            Request("00:03.0", 0xFFFFC000, 20, Access.WRITE, True, At.TRANSLATED),
            "Request(rid=0x18, iova=0xffffc000, pasid=20, access=Access.WRITE, priv=True, at=At.TRANSLATED)",
        ),
        (
            Translation(0x5F8C000, 0xFFFFC000, 12, Access.READ | Access.WRITE),
            (
                "Translation(hpa=0x5f8c000, gpa=0xffffc000, size_lg2=12, access=Access.READ|Access.WRITE,"
                " target=Target.MEMORY, detail=0, fault=None, refs=())"
            ),
        ),
        (
            FAULT,
            f"Fault({SHOWN})",
        ),
        (
            Ref(Stage.S1, 0, 0x1000, 0x2000, 0x67, 0x67),
            (
                "Ref(stage=Stage.S1, level=0, gpa=0x1000, hpa=0x2000, raw=0x67, updated=0x67, len=8,"
                " purpose=Purpose.DATA, for_level=0)"
            ),
        ),
        (
            mappings.Mapping(0x1000, 0x1FFF, 0x1000, 0x8000, Access.NONE, 0, 0x1000),
            (
                "Mapping(first=0x1000, last=0x1fff, gpa=0x1000, hpa=0x8000, access=Access.NONE, s1_sizes=0,"
                " s2_sizes=0x1000, target=Target.MEMORY, detail=0)"
            ),
        ),
        (
            Blocked(BlockedBy.MAPPING, 3, 0x1000, Access.READ),
            "Blocked(by=BlockedBy.MAPPING, endpoint=3, address=0x1000, access=Access.READ)",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_has_addresses_in_hex_and_can_be_typed_again(record, shown):
    names = {
        each.__name__: each
        for each in (Access, At, Blocked, BlockedBy, Fault, Purpose, Reason, Ref, Request, Stage, Target)
    }

    assert repr(record) == shown
    assert eval(shown, names | {"Translation": Translation, "Mapping": mappings.Mapping}) == record


def helped(thing: object) -> str:
    return pydoc.plain(pydoc.render_doc(thing)).replace(" |  ", "")


def test_help_of_a_struct_lists_its_fields_with_types_units_and_source():
    # offsets and types: <linux/iommufd.h>; "__aligned_u64 data_uptr" at 32 of 48 bytes
    text = helped(iommufd_7_2.iommu_hwpt_alloc)

    assert "struct iommu_hwpt_alloc of iommufd_7_2: 48 bytes, aligned to 8, on this machine.\n" in text
    assert "\n    28      4  data_len: __u32, bytes of the data\n" in text
    assert "\n    16      4  out_hwpt_id: __u32, the new HWPT (out)\n" in text
    assert "\n    32      8  data_uptr: __aligned_u64, user pointer to the data\n" in text
    assert "\nSource: <linux/iommufd.h> of Linux 7.2.\n" in text


def test_help_of_a_struct_with_a_tail_a_bit_field_or_a_union_has_them():
    assert "    24      0  opaque: __u8[], what the model needs\n" in helped(v1_2017.pasid_table_info)
    assert "    16  1 bit  pasid_present: __u32, pasid is valid\n" in helped(v5_2018.page_response_msg)
    bind = linux_5_10.iommu_gpasid_bind_data
    assert "vendor.vtd.flags: __u64" in helped(bind)
    assert (
        helped(type(bind().vendor)).count("union iommu_gpasid_bind_data.vendor of linux_5_10: 16 bytes") == 1
    )


def test_help_of_the_bases_says_what_they_are():
    assert "Base of every struct of the user API." in helped(types.UapiStruct)
    assert "makes objects of ``sized(n)`` classes" in helped(types.FlexibleStruct)
