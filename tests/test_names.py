"""Names that are not known, and other spellings of those that are."""

from __future__ import annotations

import pytest
from cli_support import run, sentence

from iommu_abi import Request, names, requesters, uapi
from iommu_abi.errors import UsageError
from iommu_abi.schemas.uapi import abi as plain_abi
from iommu_abi.uapi.layout import ABIS, abi

ASK = ("--rid", "1", "--iova", "1")

#: dpkg-architecture(1), `uname -m` and GCC's -march name the same machines.
USUAL = {
    "amd64": "x86_64", "arm64": "aarch64", "ppc64le": "powerpc64le", "ppc64el": "powerpc64le",
    "i686": "i386", "armhf": "arm", "X86-64": "x86_64",
}  # fmt: skip


@pytest.mark.parametrize("given", USUAL)
def test_an_abi_goes_by_the_names_that_distributions_use(given):
    assert abi(given).name == plain_abi(given).name == USUAL[given]


def test_every_other_name_of_an_abi_is_of_one_that_is_known():
    assert set(names.ABI_ALIASES.values()) <= set(ABIS)
    assert set(names.ABI_ALIASES).isdisjoint(ABIS)


def test_a_kernel_is_its_generation_where_that_has_the_struct():
    assert uapi.resolve("iommu_hwpt_alloc@7.2") == ("iommu_hwpt_alloc", "iommufd_7_2")
    assert uapi.resolve("iommu_hwpt_alloc@v6.12") == ("iommu_hwpt_alloc", "iommufd_6_12")
    assert uapi.resolve("vfio_device_bind_iommufd@7.2") == ("vfio_device_bind_iommufd", "vfio_7_2")


def test_a_kernel_of_several_generations_has_to_be_said_in_full():
    with pytest.raises(UsageError, match=r"^7\.2 is iommufd_7_2 or vfio_7_2: say which$"):
        uapi.generation("7.2")


#: What lspci, sysfs, `virsh nodedev-list` and FreeBSD's pciconf print, and Linux in its messages.
SPELLINGS = {
    "00:03.0": (None, 0x18), "0000:00:03.0": (0, 0x18), "0001:3a:1f.7": (1, 0x3AFF),
    "[00:1f.2]": (None, 0xFA), "pci_0000_00_03_0": (0, 0x18), "pci0:0:31:2": (0, 0xFA),
    "/sys/bus/pci/devices/0001:00:03.0": (1, 0x18),
    "0x18": (None, 0x18), "24": (None, 24), "10000:e1:00.0": (0x10000, 0xE100),
}  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_requester_is_read_as_it_is_usually_written(text):
    assert requesters.parse(text) == SPELLINGS[text]


@pytest.mark.parametrize("text", ["00:20.0", "00:03.8", "3.0", "", "00:03", "pci0:256:0:0", "100:00.0", "zz"])
def test_what_is_no_requester_is_refused(text):
    with pytest.raises(UsageError, match=r"^rid: got .*, expected \[SSSS:\]BB:DD\.F "):
        requesters.parse(text)


def test_a_request_takes_a_requester_as_text():
    assert Request(rid="00:03.0", iova=0) == Request(rid=0x18, iova=0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="rid: got 'x'"):
        Request(rid="x", iova=0)  # type: ignore[arg-type]


def test_flags_and_sizes_as_people_write_them(capsys):
    words = ("pack", "iommu_hwpt_alloc@7.2", "dev_id=1", "pt_id=2", "--json")
    bars = run(capsys, *words, "flags=NEST_PARENT|ALLOC_PASID").json
    commas = run(capsys, *words, "flags=NEST_PARENT,ALLOC_PASID").json
    size = run(capsys, "pack", "pasid_table_info", "size=4K", "ptr=0x1M", "--json").json

    assert bars["hex"] == commas["hex"]
    assert size["hex"].startswith("00001000000000000010000000000000")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("transalte",), "translate"),
        (("layout", "IOMMU_OPTION"), "iommu_option"),
        (("layout", "iommu_option@iommufd_72"), "iommufd_7_2"),
        (("layout", "iommu_option", "--abi", "x86_46"), "x86_64"),
        (("errno", "IOMMU_HWPT_ALOC", "--rules"), "IOMMU_HWPT_ALLOC"),
        (("errno", "iommu_hwpt_aloc", "--rules"), "iommu_hwpt_alloc"),
        (("pack", "iommu_option", "object=1"), "object_id"),
        (("pack", "iommu_option", "op=OPTION_OP_GET"), "IOMMU_OPTION_OP_GET"),
        (("translate", "/dev/null", "--iommu", "vdt", "--reg", "X=1", *ASK), "vtd"),
        (
            ("translate", "/dev/null", "--iommu", "vtd", "--reg", "rtadr=1", *ASK),
            "RTADDR",
        ),
        (("fuzz", "walk-vdt-ecs"), "walk-vtd-ecs"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_a_name_that_is_not_known_is_told_with_the_nearest(capsys, words, meant):
    done = run(capsys, *words)

    assert done.status == 2
    assert f", did you mean {meant}" in sentence(done)
    assert len(sentence(done)) < 160
