"""``iommu_pasid_table_config``: sixteen revisions from August 2018 to October 2021, five layouts.

Sources: the series "SMMUv3 Nested Stage Setup", RFC v1 (ptc_v1), RFC v3 (ptc_v3), v4 to v11 (ptc_v4),
v12 and v13 (ptc_v12), v14 to RFC v16 (ptc_v14), and the RFC of January and February 2021 that puts ASIDs
into v12's padding (ptc_asid_2021). RFC v2's header was not found. ``version`` stayed 1 while the layout
changed twice. ``ptc_v12`` has a hole at 12 but on i386 and m68k.
"""

from __future__ import annotations

from collections.abc import Sequence

from iommu_abi.schemas.uapi.fields import (
    Field,
    Struct,
    Values,
    c_enum,
    enumeration,
    flags,
    member,
    reserved,
    struct,
    u8,
    u16,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Payload, generation
from iommu_abi.schemas.uapi.nesting import FORMATS_SMMUV3, NESTING_SMMUV3
from iommu_abi.schemas.uapi.tables_2018 import PASID_TABLE_CONFIG, V5_2018, tlb_invalidate_hdr

_VERSION = u32("version", "1", values="PASID_TABLE_CFG_VERSION")
_FORMAT = u32("format", "whose table it is", values="IOMMU_PASID_FORMAT")
_BASE_PTR = u64("base_ptr", "guest-physical address of the PASID table")
_PASID_BITS = u8("pasid_bits", "bits of a PASID, at most the host's")
_S1FMT = u8("s1fmt", "STE.S1Fmt, ignored by the driver")
_S1DSS = u8("s1dss", "STE.S1DSS, ignored by the driver")
_CONFIG = u8("config", "what stage 1 does", values="IOMMU_PASID_CONFIG")

_FORMATS = enumeration("IOMMU_PASID_FORMAT", "IOMMU_PASID_FORMAT_SMMUV3", first=1)
_SMMUV3 = Payload("iommu_pasid_table_config", "format", "smmuv3", {"IOMMU_PASID_FORMAT_SMMUV3": "smmuv3"})

# ---------------------------------------------------------------- RFC v1, August 2018

_TABLE_V1 = Struct("iommu_pasid_table_config", PASID_TABLE_CONFIG.fields)
_SMMU_S1 = struct(
    "iommu_smmu_s1_config",
    u32("flags", "", values="IOMMU_SMMU_S1"),
    u64("cdptr_dma", "guest-physical address of the context descriptors"),
    u8("asid_bits"),
)

PTC_V1 = generation(
    "ptc_v1",
    "RFC v1 of August 2018",
    structs=[
        _TABLE_V1,
        _SMMU_S1,
        struct(
            "iommu_guest_stage_config",
            u32("flags", "which member of the union", values="IOMMU_GUEST_STAGE"),
            union("", member("pasidt", _TABLE_V1), member("smmu_s1", _SMMU_S1)),
        ),
    ],
    enums=[
        V5_2018.enums["PASID_TABLE_CFG_VERSION"],
        flags("IOMMU_SMMU_S1", "IOMMU_SMMU_S1_DISABLED", "IOMMU_SMMU_S1_BYPASSED", "IOMMU_SMMU_S1_ABORTED"),
        flags("IOMMU_GUEST_STAGE", "PASID_TABLE", "SMMUV3_S1_CFG"),
    ],
    payloads=[
        Payload(
            "iommu_guest_stage_config",
            "flags",
            "",
            {"PASID_TABLE": "pasidt", "SMMUV3_S1_CFG": "smmu_s1"},
        )
    ],
)

# ---------------------------------------------------------------- RFC v3, January 2019

_SMMUV3_V3 = struct("iommu_pasid_smmuv3", u8("abort", "1: refuse everything"), _S1FMT, _S1DSS)
_HDR_V3 = tlb_invalidate_hdr("iommu_cache_invalidate_hdr")

PTC_V3 = generation(
    "ptc_v3",
    "RFC v3 of January 2019",
    structs=[
        _SMMUV3_V3,
        struct(
            "iommu_pasid_table_config",
            _VERSION,
            _FORMAT,
            _BASE_PTR,
            _PASID_BITS,
            u8("bypass", "1: stage 1 passes everything"),
            union("", member("smmuv3", _SMMUV3_V3)),
        ),
        _HDR_V3,
        struct(
            "iommu_cache_invalidate_info",
            member("hdr", _HDR_V3),
            c_enum("granularity", "how much", values="iommu_inv_granularity"),
            u32("flags", "", values="IOMMU_INVALIDATE"),
            u8("size", "log2 of 4 KiB pages in a page"),
            u64("nr_pages", "pages of that size"),
            u32("pasid"),
            u64("arch_id", "ASID or the like"),
            u64("addr"),
        ),
        struct(
            "iommu_fault",
            u32("type", "", values="iommu_fault_type"),
            u32("reason"),
            u64("addr"),
            u64("fetch_addr"),
            u32("pasid"),
            u32("page_req_group_id"),
            u32("last_req"),
            u32("pasid_valid"),
            u32("prot"),
            u32("access"),
        ),
        struct(
            "iommu_guest_msi_binding",
            u64("iova", "where the guest's device writes"),
            u64("gpa", "the doorbell as the guest sees it"),
            u32("granule", "bytes"),
        ),
    ],
    enums=[
        V5_2018.enums["PASID_TABLE_CFG_VERSION"],
        _FORMATS,
        V5_2018.enums["TLB_INV_HDR_VERSION"],
        V5_2018.enums["iommu_inv_granularity"],
        V5_2018.enums["iommu_inv_type"],
        V5_2018.enums["IOMMU_INVALIDATE"],
        enumeration("iommu_fault_type", "IOMMU_FAULT_DMA_UNRECOV", "IOMMU_FAULT_PAGE_REQ", first=1),
    ],
    payloads=[_SMMUV3],
)

# ---------------------------------------------------------------- v4 to RFC v16


def _smmuv3(*last: Field) -> Struct:
    version = u32("version", "1", values="PASID_TABLE_SMMUV3_CFG_VERSION")
    return struct("iommu_pasid_smmuv3", version, _S1FMT, _S1DSS, *last)


SMMUV3 = _smmuv3(reserved("padding", 2))


def _table_v12(smmuv3: Struct) -> Struct:
    return struct(
        "iommu_pasid_table_config",
        u32("argsz", "bytes that the caller gives"),
        _VERSION,
        _FORMAT,
        _BASE_PTR,
        _PASID_BITS,
        _CONFIG,
        reserved("padding", 2),
        union("vendor_data", member("smmuv3", smmuv3)),
    )


CONFIG_V4 = struct(
    "iommu_pasid_table_config",
    _VERSION,
    _FORMAT,
    _BASE_PTR,
    _PASID_BITS,
    _CONFIG,
    reserved("padding", 6),
    union("", member("smmuv3", SMMUV3)),
)
CONFIG_V12 = _table_v12(SMMUV3)
CONFIG_V14 = struct(
    "iommu_pasid_table_config",
    u32("argsz", "bytes that the caller gives"),
    _VERSION,
    _BASE_PTR,
    _FORMAT,
    _PASID_BITS,
    _CONFIG,
    reserved("padding", 2),
    union("vendor_data", member("smmuv3", SMMUV3)),
)

_ENUMS: Sequence[Values] = (
    V5_2018.enums["PASID_TABLE_CFG_VERSION"],
    enumeration("PASID_TABLE_SMMUV3_CFG_VERSION", "PASID_TABLE_SMMUV3_CFG_VERSION_1", first=1),
    _FORMATS,
    enumeration(
        "IOMMU_PASID_CONFIG",
        "IOMMU_PASID_CONFIG_TRANSLATE",
        "IOMMU_PASID_CONFIG_BYPASS",
        "IOMMU_PASID_CONFIG_ABORT",
        first=1,
    ),
)
_VENDOR = Payload("iommu_pasid_table_config", "format", "vendor_data", _SMMUV3.types)

PTC_V4 = generation(
    "ptc_v4", "v4 of February 2019 to v11 of April 2020", [SMMUV3, CONFIG_V4], _ENUMS, payloads=[_SMMUV3]
)
PTC_V12 = generation(
    "ptc_v12", "v12 and v13 of November 2020", [SMMUV3, CONFIG_V12], _ENUMS, payloads=[_VENDOR]
)
_WITH_ASID = _smmuv3(u16("asid_bits", "bits of an ASID"))
PTC_ASID_2021 = PTC_V12.then(
    "ptc_asid_2021",
    "RFC of January and February 2021 on top of v12",
    structs=[_WITH_ASID, _table_v12(_WITH_ASID), NESTING_SMMUV3],
    enums=[FORMATS_SMMUV3],
)
PTC_V14 = generation(
    "ptc_v14", "v14 of February 2021 to RFC v16 of October 2021", [SMMUV3, CONFIG_V14], _ENUMS,
    payloads=[_VENDOR],
)  # fmt: skip

GENERATIONS = (PTC_V1, PTC_V3, PTC_V4, PTC_V12, PTC_ASID_2021, PTC_V14)
