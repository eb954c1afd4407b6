"""iommu-abi errno --arg: ioctls of VFIO without a struct.

What kernels answer to each number is in tests/data/vfio_calls.txt; here is what is asked on POWER, and what
the command says. Sources: Linux 7.2, drivers/vfio/vfio_iommu_spapr_tce.c and vfio_iommu_type1.c, and
<linux/vfio.h>.
"""

from __future__ import annotations

import json

import pytest

from iommu_abi.cli import main


def asked(capsys, *words):
    status = main(["errno", *words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("abi", ["powerpc64le", "powerpc64", "powerpc"])
@pytest.mark.parametrize(
    "words", [("VFIO_SET_IOMMU", "--arg", "2"), ("VFIO_SET_IOMMU", "--arg", "7"), ("VFIO_IOMMU_ENABLE",)]
)
def test_what_only_power_has_is_accepted_there_and_nowhere_else(words, abi, capsys):
    assert asked(capsys, *words, "--abi", abi)[0] == 0
    assert asked(capsys, *words, "--abi", "aarch64")[0] == 1


def test_power_may_not_have_the_type_that_its_switch_needs(capsys):
    _, out, _ = asked(capsys, "VFIO_IOMMU_DISABLE", "--abi", "powerpc64le", "--json")

    assert [each["errno"] for each in json.loads(out)["may_refuse"]] == ["EINVAL", "ENOTTY", "EPERM"]


def test_a_refused_number_is_told_with_its_name_and_with_what_would_do(capsys):
    status, out, _ = asked(capsys, "VFIO_SET_IOMMU", "--arg", "0x9", "--kernel", "7.2")

    assert status == 1
    assert out.splitlines()[0] == "EINVAL: Linux 7.2 refuses VFIO_SET_IOMMU"
    assert "got 9, expected a type" in out
    assert "note: 9 is VFIO_UNMAP_ALL" in out


def test_json_has_the_command_and_no_struct(capsys):
    status, out, _ = asked(capsys, "VFIO_SET_IOMMU", "--arg", "12", "--json")
    found = json.loads(out)

    assert status == 1
    assert (found["struct"], found["ioctl"], found["ok"]) == (None, "VFIO_SET_IOMMU", False)
    assert {key: found["refused"][key] for key in ("errno", "got", "offset")} == {
        "errno": "ENODEV",
        "got": 12,
        "offset": None,
    }


@pytest.mark.parametrize(
    ("number", "kernel", "returned"),
    [
        (1, "4.19", "it returns 1 where"),
        (6, "6.12", "it returns 1 where"),
        (6, "6.13", "it returns 0, always"),  # <linux/vfio.h>: __VFIO_RESERVED_TYPE1_NESTING_IOMMU
        (9, "5.10", "it returns 0, always"),
        (10, "5.16", "it returns 1 where"),
        (11, "7.3", "it returns 0, always"),
    ],
)
def test_what_check_extension_returns_is_said(number, kernel, returned, capsys):
    status, out, _ = asked(capsys, "VFIO_CHECK_EXTENSION", "--arg", str(number), "--kernel", kernel)

    assert status == 0
    assert f"note: {returned}" in out


def test_rules_say_what_the_number_decides_and_what_state_does(capsys):
    status, out, _ = asked(capsys, "VFIO_SET_IOMMU", "--rules", "--json", "--kernel", "6.12")
    found = json.loads(out)

    assert (status, found["ioctl"], found["length"]) == (
        0,
        "VFIO_SET_IOMMU",
        "no struct: its argument is a number",
    )
    assert {row["kind"] for row in found["rules"]} == {"number", "state"}
    assert "1, 3, 6 or 8, or 2 or 7 on POWER" in {row.get("expected") for row in found["rules"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("VFIO_SET_IOMMU",), "VFIO_SET_IOMMU takes a number: --arg N"),
        (("VFIO_SET_IOMMU", "x.bin"), "VFIO_SET_IOMMU takes no struct: --arg N, not x.bin"),
        (("VFIO_DEVICE_RESET", "--arg", ""), "--arg: got '', expected a number: 0x.. or decimal"),
        (("VFIO_SET_IOMMU", "--arg", "-1"), "--arg: got '-1', expected a number: 0x.. or decimal"),
        (
            ("VFIO_SET_IOMMU", "--arg", "0x100000000", "--abi", "i386"),
            "--arg: got 0x100000000, expected 0 to 0xffffffff",
        ),
        (("VFIO_IOMMU_MAP_DMA", "--arg", "1"), "VFIO_IOMMU_MAP_DMA takes a struct: FILE, not --arg"),
        (
            ("0x3b74", "--arg", "1"),  # <linux/vfio.h>: VFIO_BASE + 16
            "0x3b74 is VFIO_DEVICE_IOEVENTFD or VFIO_IOMMU_DISABLE: say which",
        ),
        (
            ("VFIO_GROUP_SET_CONTAINER", "--arg", "1"),
            "VFIO_GROUP_SET_CONTAINER takes a struct or an address of which nothing is known here",
        ),
    ],
)
def test_misuse_is_told_in_a_sentence(words, said, capsys):
    assert asked(capsys, *words) == (2, "", f"iommu-abi: {said}\n")
