"""What Linux checks about the structs of <linux/iommu.h>, in its order; 5.10 to 5.17, responses to 6.8.

Source: drivers/iommu/iommu.c of Linux 5.10. The scheme is argsz and version: a caller gives at least the
part before the union, and the member of the union that it means. Bytes that the kernel does not know are
ignored. Neither VFIO nor any other caller of these functions was merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EFAULT, EINVAL, ENODEV

from iommu_abi.rules.predicates import (
    at_most,
    given_up_to,
    is_,
    known_flags,
    not_all_of,
    readable,
    readable_up_to,
    where,
    zero,
)
from iommu_abi.rules.row import Row, Rows, State

_SOURCE = "Linux 5.10, drivers/iommu/iommu.c"
_inv = Rows("iommu_cache_invalidate_info", _SOURCE)
_bind = Rows("iommu_gpasid_bind_data", _SOURCE)
_response = Rows("iommu_page_response", _SOURCE)
DOMAIN, PASID, ADDR = range(3)
DEV_IOTLB, PASID_CACHE = 2, 4


def _granularity(number: int) -> where:
    return where("granularity", is_(number))


def _copied(row: Rows, union: str) -> tuple[Row, ...]:
    """The part before the union."""
    return (
        row("", EFAULT, readable_up_to(union, start=True), "%llu bytes in memory", name="read"),
        row("argsz", EINVAL, given_up_to(union, start=True), "at least %llu"),
    )


STRUCTS: Mapping[str, tuple[Row, ...]] = {
    "iommu_cache_invalidate_info": (
        State("", ENODEV, "the IOMMU's driver has no invalidation"),
        *_copied(_inv, "granu"),
        _inv(
            "argsz", EINVAL, given_up_to("granu.pasid_info"), "at least %llu", name="pasid",
            when=_granularity(PASID),
        ),
        _inv(
            "argsz", EINVAL, given_up_to("granu.addr_info"), "at least %llu", name="addr",
            when=_granularity(ADDR),
        ),
        _inv("", EFAULT, readable, "%llu bytes in memory", name="rest"),
        _inv("version", EINVAL, is_(1), "%llu"),
        _inv("cache", EINVAL, known_flags, "no caches but %#llx"),
        _inv("granularity", EINVAL, at_most(ADDR), "at most %llu, ADDR"),
        _inv(
            "cache", EINVAL, not_all_of(PASID_CACHE), "no PASID cache with ADDR", name="addr",
            when=_granularity(ADDR),
        ),
        _inv(
            "granu.addr_info.flags", EINVAL, known_flags, "no flags but %#llx", when=_granularity(ADDR)
        ),
        _inv(
            "granu.pasid_info.flags", EINVAL, known_flags, "no flags but %#llx", when=_granularity(PASID)
        ),
        _inv(
            "cache", EINVAL, not_all_of(DEV_IOTLB), "no device IOTLB with DOMAIN", name="domain",
            when=_granularity(DOMAIN),
        ),
        _inv("padding", EINVAL, zero, "0"),
        State("", EINVAL, "the driver refuses: no nested domain, a granule or an ID that it cannot use"),
    ),
    "iommu_gpasid_bind_data": (
        State("", ENODEV, "the IOMMU's driver cannot bind"),
        *_copied(_bind, "vendor"),
        _bind("", EFAULT, readable, "%llu bytes in memory", name="rest"),
        _bind("version", EINVAL, is_(1), "%llu"),
        _bind("format", EINVAL, at_most(1), "at most %llu, INTEL_VTD"),
        _bind("flags", EINVAL, known_flags, "no flags but %#llx"),
        _bind("padding", EINVAL, zero, "0"),
        State("", EINVAL, "the driver refuses: see the VT-d driver's checks of format, flags and PASIDs"),
    ),
    "iommu_page_response": (
        State("", ENODEV, "no domain, or its driver takes no responses"),
        State("", EINVAL, "the device reports no faults"),
        _response("version", EINVAL, is_(1), "%llu"),
        _response("flags", EINVAL, known_flags, "no flags but %#llx"),
        State("grpid", EINVAL, "no fault of this group, or of this PASID, waits"),
    ),
}  # fmt: skip
