"""``iommu_nesting_info``: what a host can nest; proposed 2020 and 2021, never merged.

Sources: v2 of June 2020, v7 of September 2020, v8 of March 2021, and the RFC of February 2021 that adds
SMMUv3 to it. v8 dropped the first feature, so that the others changed their bits.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Struct,
    Use,
    enumeration,
    flags,
    member,
    reserved,
    struct,
    tail,
    u8,
    u16,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Payload, generation

_FORMAT = u32("format", "whose capabilities", values="IOMMU_PASID_FORMAT", use=Use.OUT)
_FEATURES = u32("features", "", values="IOMMU_NESTING_FEAT", use=Use.OUT)
_FLAGS = u32("flags", "0", use=Use.OUT)
_FORMATS = enumeration("IOMMU_PASID_FORMAT", "IOMMU_PASID_FORMAT_INTEL_VTD", first=1)  # of linux_5_10

NESTING_V2 = generation(
    "nesting_v2",
    "v2 of June 2020",
    structs=[
        struct(
            "iommu_nesting_info",
            u32("size", "bytes of the struct and its data", use=Use.BOTH),
            _FORMAT,
            _FEATURES,
            _FLAGS,
            tail("data", "as the format says"),
        )
    ],
    enums=[
        _FORMATS,
        flags(
            "IOMMU_NESTING_FEAT",
            "IOMMU_NESTING_FEAT_SYSWIDE_PASID",
            "IOMMU_NESTING_FEAT_BIND_PGTBL",
            "IOMMU_NESTING_FEAT_CACHE_INVLD",
        ),
    ],
)


def _vtd(padding: int) -> Struct:
    return struct(
        "iommu_nesting_info_vtd",
        u32("flags", "0", use=Use.OUT),
        *([reserved("padding", padding)] if padding else []),
        u64("cap_reg", "CAP_REG", use=Use.OUT),
        u64("ecap_reg", "ECAP_REG", use=Use.OUT),
    )


def _info(vtd: Struct) -> Struct:
    return struct(
        "iommu_nesting_info",
        u32("argsz", "bytes that the caller gives", use=Use.BOTH),
        _FLAGS,
        _FORMAT,
        _FEATURES,
        u16("addr_width", "bits of an address", use=Use.OUT),
        u16("pasid_bits", "bits of a PASID", use=Use.OUT),
        reserved("padding", 12),
        union("vendor", member("vtd", vtd)),
    )


_VENDOR = Payload("iommu_nesting_info", "format", "vendor", {"IOMMU_PASID_FORMAT_INTEL_VTD": "vtd"})

NESTING_V7 = NESTING_V2.then(
    "nesting_v7", "v7 of September 2020", structs=[_vtd(0), _info(_vtd(0))], payloads=[_VENDOR]
)
NESTING_V8 = NESTING_V7.then(
    "nesting_v8",
    "v8 of March 2021",
    structs=[_vtd(12), _info(_vtd(12))],
    enums=[flags("IOMMU_NESTING_FEAT", "IOMMU_NESTING_FEAT_BIND_PGTBL", "IOMMU_NESTING_FEAT_CACHE_INVLD")],
)
#: What the RFC of January and February 2021 for SMMUv3 adds, part of ptc_asid_2021.
NESTING_SMMUV3 = struct(
    "iommu_nesting_info_arm_smmuv3",
    u32("flags", "0", use=Use.OUT),
    u16("asid_bits", "bits of an ASID", use=Use.OUT),
    u8("pgtbl_fmt", "format of a page table", use=Use.OUT),
    reserved("padding", 9),
)
FORMATS_SMMUV3 = enumeration(
    "IOMMU_PASID_FORMAT_2021",
    "IOMMU_PASID_FORMAT_INTEL_VTD",
    "IOMMU_PASID_FORMAT_ARM_SMMU_V3",
    first=1,
    bounds={"IOMMU_PASID_FORMAT_LAST": 3},
)
