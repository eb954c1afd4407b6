"""Ioctl numbers of every family.

Expected numbers: the kernels' headers, compiled (layouts.json), and asm/ioctl.h of the families worked
out by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommu_abi import ioctl
from iommu_abi.errors import UsageError
from iommu_abi.ioctl import Direction, Request

LAYOUTS = json.loads((Path(__file__).parent / "data/layouts.json").read_text())


@pytest.mark.parametrize(
    ("kernel", "header", "generation"),
    [("6.12.95", "iommufd.h", "iommufd_6_12"), ("7.2.13", "iommufd.h", "iommufd_7_2")],
)
def test_every_command_has_the_number_that_the_compiler_gives_it(
    kernel: str, header: str, generation: str
) -> None:
    macros = LAYOUTS["kernels"][kernel]["headers"][header]["macros"]
    numbers = {name: row for name, row in macros.items() if isinstance(row, dict)}

    assert set(numbers) == set(ioctl.uapi.GENERATIONS[generation].ioctls)
    for name, row in numbers.items():
        for number, abis in row.items():
            for abi in abis:
                assert ioctl.number(name, generation, abi) == int(number, 16)
                assert (name, generation) in ioctl.commands(int(number, 16), abi)


@pytest.mark.parametrize(
    ("abi", "none", "read", "write", "both"),
    [
        # 16 bytes, type ';', number 0x81: bits 31:30 direction and 29:16 size
        ("x86_64", 0x00003B81, 0x80103B81, 0x40103B81, 0xC0103B81),
        ("arm", 0x00003B81, 0x80103B81, 0x40103B81, 0xC0103B81),
        # bits 31:29 direction (none 1, read 2, write 4) and 28:16 size
        ("mips", 0x20003B81, 0x40103B81, 0x80103B81, 0xC0103B81),
        ("powerpc64le", 0x20003B81, 0x40103B81, 0x80103B81, 0xC0103B81),
        ("alpha", 0x20003B81, 0x40103B81, 0x80103B81, 0xC0103B81),
        ("sparc64", 0x20003B81, 0x40103B81, 0x80103B81, 0xC0103B81),
        # generic, with read and write the other way round
        ("parisc", 0x00003B81, 0x40103B81, 0x80103B81, 0xC0103B81),
    ],
)
def test_directions_of_each_family(abi: str, none: int, read: int, write: int, both: int) -> None:
    assert ioctl.io(0x3B, 0x81, abi) == none
    assert ioctl.ior(0x3B, 0x81, 16, abi) == read
    assert ioctl.iow(0x3B, 0x81, 16, abi) == write
    assert ioctl.iowr(0x3B, 0x81, 16, abi) == both
    assert ioctl.family(abi).decode(write) == Request(Direction.WRITE, 0x3B, 0x81, 16)


@given(
    abi=st.sampled_from(["x86_64", "mips", "sparc", "parisc"]),
    direction=st.sampled_from(
        [Direction.NONE, Direction.READ, Direction.WRITE, Direction.READ | Direction.WRITE]
    ),
    type_=st.integers(0, 255),
    nr=st.integers(0, 255),
    size=st.integers(0, (1 << 13) - 1),
)
def test_a_number_taken_apart_gives_its_parts(
    abi: str, direction: Direction, type_: int, nr: int, size: int
) -> None:
    family = ioctl.family(abi)
    size = size if direction else 0

    assert family.decode(family.encode(direction, type_, nr, size)) == Request(direction, type_, nr, size)


def test_sparc_has_14_bits_of_size_where_something_is_transferred() -> None:
    sparc = ioctl.family("sparc")

    assert sparc.decode(sparc.encode(Direction.READ, 1, 2, 0x3FFF)) == Request(Direction.READ, 1, 2, 0x3FFF)
    with pytest.raises(UsageError, match="expected 0 where nothing is transferred"):
        sparc.encode(Direction.NONE, 1, 2, 3)


def test_one_number_is_or_was_proposed_for_several_commands() -> None:
    names = {name for name, _ in ioctl.commands(ioctl.io(ioctl.TYPE, 118))}

    assert names == {
        "VFIO_IOMMU_PASID_REQUEST",
        "VFIO_IOMMU_NESTING_OP",
        "VFIO_IOMMU_SET_PASID_TABLE",
        "VFIO_DEVICE_BIND_IOMMUFD",
        "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY",
    }


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(UsageError, match="ioctl size: got 8192, expected 0 to 0x1fff"):
        ioctl.ior(0x3B, 1, 8192, "mips")
    with pytest.raises(UsageError, match="ioctl type: got 256"):
        ioctl.io(256, 1)
    with pytest.raises(UsageError, match=r"0x3b80: no direction is written as 0 \(alpha, mips, powerpc\)"):
        ioctl.family("mips").decode(0x3B80)
    with pytest.raises(UsageError, match="32 bits"):
        ioctl.family().decode(1 << 32)
    with pytest.raises(UsageError, match="unknown ABI 'vax'"):
        ioctl.family("vax")
    with pytest.raises(
        UsageError, match="no ioctl 'IOMMU_HWPT_ALLOC' in iommufd_6_3, did you mean IOMMU_IOAS"
    ):
        ioctl.number("IOMMU_HWPT_ALLOC", "iommufd_6_3")
    assert ioctl.commands(ioctl.ior(0x3B, 0x80, 8)) == []
