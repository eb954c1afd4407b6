"""The pytest plugin, run by pytest: what passes, how failures read. Layouts: Linux 7.2, linux/iommufd.h."""

from __future__ import annotations

import ctypes
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI

from iommu_abi import UsageError
from iommu_abi.testing import AssertAbi
from iommu_abi.uapi import iommufd_7_2, linux_5_10

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent
ALLOC = "iommu_hwpt_alloc@iommufd_7_2"
FORMAT = "=8IQ2I"
assert_that = AssertAbi()


def hwpt_alloc(flags: int = 0, reserved: int = 0) -> bytes:
    return struct.pack(FORMAT, 48, flags, 3, 1, 0, reserved, 0, 0, 0, 0, 0)


def message(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# ---------------------------------------------------------------- blobs


def test_a_blob_with_the_named_fields_passes() -> None:
    assert_that(hwpt_alloc(flags=8), ALLOC, size=48, flags=8, dev_id=3)
    assert_that(hwpt_alloc(flags=8), ALLOC, {"flags": 8, "reserved": 0}, pt_id=1)
    assert_that(hwpt_alloc(), ALLOC, hwpt_alloc())
    assert_that(iommufd_7_2.iommu_hwpt_alloc(size=48, dev_id=3, pt_id=1), ALLOC, hwpt_alloc())
    assert_that(b"\0\0\0\x08\0\0\0\7", "iommu_destroy@iommufd_7_2", abi="s390x", size=8, id=7)


def test_every_difference_has_a_line_with_offset_names_got_and_expected() -> None:
    text = message(assert_that, hwpt_alloc(flags=0x18, reserved=7), ALLOC, flags=8)

    assert text.splitlines() == [
        "iommu_hwpt_alloc@iommufd_7_2 on x86_64: 2 differences",
        "  offset  field       got                                         expected",
        "       4  flags       0x18 IOMMU_HWPT_ALLOC_PASID 0x10 (no flag)  8 IOMMU_HWPT_ALLOC_PASID",
        "      20  __reserved  7                                           0 (reserved)",
    ]


def test_a_length_a_hole_and_a_tail_are_named() -> None:
    # Linux 5.10: iommu_fault_page_request; ptc_v12 has a hole of 4 bytes before base_ptr at 16
    table = bytearray(40)
    table[13] = 0xAA
    assert "     13  (hole)  0xaa  0x00" in message(
        assert_that, table, "iommu_pasid_table_config@ptc_v12", abi="x86_64"
    )
    short = message(assert_that, hwpt_alloc()[:44], ALLOC)
    assert re.search(r"\(length\) +44 bytes +48 bytes", short)
    info = struct.pack("=QQII", 0, 0, 0, 2)
    assert re.search(
        r"24  \(tail\) +61 62 +61 63", message(assert_that, info + b"ab", "pasid_table_info", info + b"ac")
    )


def test_an_enumeration_has_the_name_of_its_number() -> None:
    text = message(assert_that, hwpt_alloc(), ALLOC, data_type=1)

    assert re.search(r"24  data_type  0 IOMMU_HWPT_DATA_NONE  1 IOMMU_HWPT_DATA_VTD_S1", text)


def test_a_field_inside_others_is_named_by_its_path() -> None:
    bind = linux_5_10.iommu_gpasid_bind_data(argsz=72, vendor={"vtd": {"flags": 3}})

    assert_that(bind, "iommu_gpasid_bind_data@linux_5_10", {"vendor.vtd.flags": 3})
    assert "vendor.vtd.flags" in message(
        assert_that, bind, "iommu_gpasid_bind_data@linux_5_10", {"vendor.vtd.flags": 1}
    )


def test_a_field_that_does_not_exist_is_misuse_and_no_failure() -> None:
    with pytest.raises(UsageError, match="iommu_hwpt_alloc has no field 'flag', did you mean flags"):
        assert_that(hwpt_alloc(), ALLOC, flag=1)
    with pytest.raises(UsageError, match="unknown struct"):
        assert_that(b"", "iommu_hwpt_aloc")


# ---------------------------------------------------------------- layouts


class Alloc(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_uint32)
            for name in ["size", "flags", "dev_id", "pt_id", "out_hwpt_id", "reserved"]
        ),
        ("data_type", ctypes.c_uint32),
        ("data_len", ctypes.c_uint32),
        ("data_uptr", ctypes.c_uint64),
        ("fault_id", ctypes.c_uint32),
        ("__reserved2", ctypes.c_uint32),
    ]


class Swapped(ctypes.Structure):
    _fields_ = [*Alloc._fields_[:6], Alloc._fields_[7], Alloc._fields_[6], *Alloc._fields_[8:10]]


def test_layouts_of_ctypes_cffi_and_struct_formats_pass() -> None:
    ffi = FFI()
    ffi.cdef(
        "struct a { unsigned size, flags, dev_id, pt_id, out_hwpt_id, __reserved, data_type, data_len;"
        " unsigned long long data_uptr; unsigned fault_id, __reserved2; };"
    )
    for theirs in (
        Alloc,
        FORMAT,
        struct.Struct(FORMAT),
        ffi.typeof("struct a"),
        iommufd_7_2.iommu_hwpt_alloc,
    ):
        assert_that.layout(theirs, ALLOC)


def test_our_own_types_have_our_layout_holes_unions_and_all() -> None:
    for name in linux_5_10.__structs__:
        assert_that.layout(getattr(linux_5_10, name), f"{name}@linux_5_10")


def test_a_layout_that_differs_names_each_field_with_both_places() -> None:
    text = message(assert_that.layout, Swapped, ALLOC)

    assert "iommu_hwpt_alloc@iommufd_7_2 on x86_64: 3 differences" in text
    assert re.search(r"24  data_type +offset 28, 4 bytes +offset 24, 4 bytes", text)
    assert re.search(r"28  data_len +offset 24, 4 bytes +offset 28, 4 bytes", text)
    assert re.search(r"44  __reserved2 +none +offset 44, 4 bytes", text)
    assert re.search(
        r"32  data_uptr +offset 32, 4 bytes +offset 32, 8 bytes", message(assert_that.layout, "=11I", ALLOC)
    )
    with pytest.raises(UsageError, match="got 5, expected a class of ctypes"):
        assert_that.layout(5, ALLOC)


# ---------------------------------------------------------------- errnos


def test_the_errno_of_a_kernel_is_compared_by_name_or_number() -> None:
    for expected in ("EOPNOTSUPP", 95, -95):
        assert_that.errno(hwpt_alloc(flags=16), ALLOC, expected)
    assert_that.errno(hwpt_alloc(flags=8), "iommu_hwpt_alloc", "EOPNOTSUPP", kernel="6.12")
    assert_that.errno(hwpt_alloc(flags=8), "iommu_hwpt_alloc", 0, kernel="7.2")

    text = message(assert_that.errno, hwpt_alloc(flags=16), ALLOC, "EINVAL")
    assert text.splitlines() == [
        "Linux 7.2 answers EOPNOTSUPP to these bytes of iommu_hwpt_alloc@iommufd_7_2, expected EINVAL",
        "  iommu_hwpt_alloc.flags at offset 4: got 16 (0x10), expected no flags but 0xf",
        "  rule iommu_hwpt_alloc.flags; source: Linux 7.2, drivers/iommu/iommufd/hw_pagetable.c",
    ]
    assert message(assert_that.errno, hwpt_alloc(), ALLOC, "EINVAL") == (
        "Linux 7.2 answers 0 to these bytes of iommu_hwpt_alloc@iommufd_7_2, expected EINVAL"
    )
    with pytest.raises(UsageError, match="got 'EWHAT', which is none"):
        assert_that.errno(hwpt_alloc(), ALLOC, "EWHAT")


# ---------------------------------------------------------------- the fixture, and the document


def test_a_failure_shows_the_users_line_and_the_differences_only(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test_packer(assert_abi):\n"
        "    assert_abi(b'\\x08\\0\\0\\0\\0\\0\\0\\0', 'iommu_destroy@iommufd_7_2', size=8, id=5)\n"
    )

    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            ">   *assert_abi(b'*id=5)",
            "E   *AssertionError: iommu_destroy@iommufd_7_2 on x86_64: 1 difference",
            "E   *offset  field  got  expected",
            "E   *     4  id     0    5",
        ]
    )
    assert "testing/__init__.py" not in done.stdout.str()


def test_the_example_of_the_document_runs(pytester: pytest.Pytester) -> None:
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/testing.md").read_text(), re.S)
    assert example
    pytester.makepyfile(example[1])

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=5)
