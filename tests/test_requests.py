"""Requests that make no sense are refused by both ledgers; the largest that do are not.

Facts: a PASID has 20 bits and a PCI requester ID 16 (PCI Express), an Arm StreamID up to 32, a RISC-V
device_id up to 24; a request has exactly one of three accesses, one of three address types, and two flags
(walk.h).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iommu_abi._core import ffi, lib
from iommu_abi.memory import Memory
from iommu_abi.schemas import plain_walk
from iommu_abi.terms import Access, Request
from iommu_abi.walk import Unit

EINVAL = 22
UNITS = {
    "vtd": {"RTADDR": 0x1000, "CAP": 0x1D2008C222F0606, "ECAP": 0x880000F00F4A},
    "amdvi": {"DEVTAB_BASE": 0x1000, "CONTROL": 1, "EXT_FEATURES": 0},
    "smmuv3": {"STRTAB_BASE": 0x1000, "STRTAB_BASE_CFG": 6, "IDR0": 0xB, "IDR1": 32, "IDR5": 5},
    "riscv": {"DDTP": 0x402},
}
RID_BITS = {"vtd": 16, "amdvi": 16, "smmuv3": 32, "riscv": 24}
SENSIBLE = {"iova": (1 << 64) - 1, "pasid": (1 << 20) - 1, "access": 2, "at": 2, "flags": 3}


def asked(kind: str, **changes: int) -> int:
    """What C returns for a request; memory is empty."""
    fields = SENSIBLE | {"rid": (1 << RID_BITS[kind]) - 1} | changes
    out = ffi.new("struct iommu_abi_translation *")
    request = ffi.new("struct iommu_abi_request *", fields)
    return lib.iommu_abi_translate(Unit(kind, UNITS[kind]).c, Memory().table.c, request, ffi.NULL, out)


@pytest.mark.parametrize("kind", UNITS)
def test_the_largest_numbers_are_sensible_to_c(kind: str) -> None:
    assert asked(kind) in (0, 1)
    assert asked(kind, access=1, at=0, flags=0) in (0, 1)
    assert asked(kind, access=4, at=1) in (0, 1)


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize(
    "changes",
    [{"access": 0}, {"access": 3}, {"access": 8}, {"at": 3}, {"at": 255}, {"flags": 4}, {"flags": 0x83},
     {"at": 3, "flags": 4}, {"pasid": 1 << 20}, {"pasid": 0xFFFFFFFF}],
    ids=str,
)  # fmt: skip
def test_each_number_that_is_too_large_is_refused_by_c(kind: str, changes: dict[str, int]) -> None:
    assert asked(kind, **changes) == -EINVAL


@pytest.mark.parametrize("kind", ["vtd", "amdvi", "riscv"])
def test_a_requester_with_a_bit_too_many_is_refused_by_c(kind: str) -> None:
    assert asked(kind, rid=1 << RID_BITS[kind]) == -EINVAL


LARGEST = Request((1 << 16) - 1, (1 << 64) - 1, (1 << 20) - 1, Access.WRITE, True)


def nothing(address: int, length: int) -> None:
    return None


@pytest.mark.parametrize("kind", UNITS)
def test_the_largest_numbers_are_sensible_to_the_plain_ledger(kind: str) -> None:
    plain_walk.translate(kind, UNITS[kind], nothing, replace(LARGEST, rid=(1 << RID_BITS[kind]) - 1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"access": Access.READ | Access.WRITE}, "one of read, write and exec"),
        ({"pasid": 1 << 20}, "PASID 0x100000 has more than 20 bits"),
        ({"pasid": -1}, "has more than 20 bits"),
        ({"iova": 1 << 64}, "iova has more than 64 bits"),
        ({"iova": -1}, "iova has more than 64 bits"),
        ({"rid": 1 << 32}, "rid has more than 32 bits"),
        ({"rid": -1}, "rid has more than 32 bits"),
    ],
)
def test_each_number_that_is_too_large_is_refused_by_the_plain_ledger(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        plain_walk.translate("smmuv3", UNITS["smmuv3"], nothing, replace(LARGEST, **changes))


def test_the_plain_ledger_names_a_kind_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="unknown kind of IOMMU 'vax'"):
        plain_walk.translate("vax", {}, lambda address, length: None, Request(0, 0))
