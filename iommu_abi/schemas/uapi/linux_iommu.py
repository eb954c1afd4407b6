"""``<linux/iommu.h>``: guest PASID binding, cache invalidation, faults and page responses, 2019 to 6.8.

Sources: the series of May to September 2019 (sva_v3_2019, v4, v5), and the header of Linux 5.5, 5.10
and 6.1. 5.10 put ``argsz`` first everywhere and left every version at 1; its ``iommu_gpasid_bind_data``
has the size of 5.5's and another layout. 5.18 removed binding and invalidation; 6.9 the header.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Struct,
    Use,
    Values,
    enumeration,
    flags,
    member,
    reserved,
    struct,
    u8,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Payload, generation

_ARGSZ = u32("argsz", "bytes that the caller gives")

# ---------------------------------------------------------------- invalidation

_INV_PASID = struct(
    "iommu_inv_pasid_info",
    u32("flags", "at least one", values="IOMMU_INV_PASID_FLAGS"),
    u32("archid", "ASID or the like, with its flag"),
    u64("pasid", "with its flag"),
)
_INV_ADDR = struct(
    "iommu_inv_addr_info",
    u32("flags", "", values="IOMMU_INV_ADDR_FLAGS"),
    u32("archid", "ASID or the like, with its flag"),
    u64("pasid", "with its flag"),
    u64("addr", "first address"),
    u64("granule_size", "bytes of a granule, a power of two"),
    u64("nb_granules"),
)
_CACHE = u8("cache", "which caches, a bit map", values="IOMMU_CACHE_INV_TYPE")
_GRANULARITY = u8("granularity", "how much", values="iommu_inv_granularity")
_INV_VERSION = u32("version", "1", values="IOMMU_CACHE_INVALIDATE_INFO_VERSION")

CACHE_INVALIDATE_INFO_5_5 = struct(
    "iommu_cache_invalidate_info",
    _INV_VERSION,
    _CACHE,
    _GRANULARITY,
    reserved("padding", 2),
    union("", member("pasid_info", _INV_PASID), member("addr_info", _INV_ADDR)),
)
_CACHES = flags(
    "IOMMU_CACHE_INV_TYPE",
    "IOMMU_CACHE_INV_TYPE_IOTLB",
    "IOMMU_CACHE_INV_TYPE_DEV_IOTLB",
    "IOMMU_CACHE_INV_TYPE_PASID",
    bounds={"IOMMU_CACHE_INV_TYPE_NR": 3},
)
_INV_ENUMS = (
    enumeration("IOMMU_CACHE_INVALIDATE_INFO_VERSION", "IOMMU_CACHE_INVALIDATE_INFO_VERSION_1", first=1),
    _CACHES,
    enumeration(
        "iommu_inv_granularity",
        "IOMMU_INV_GRANU_DOMAIN",
        "IOMMU_INV_GRANU_PASID",
        "IOMMU_INV_GRANU_ADDR",
        bounds={"IOMMU_INV_GRANU_NR": 3},
    ),
    flags(
        "IOMMU_INV_ADDR_FLAGS",
        "IOMMU_INV_ADDR_FLAGS_PASID",
        "IOMMU_INV_ADDR_FLAGS_ARCHID",
        "IOMMU_INV_ADDR_FLAGS_LEAF",
    ),
    flags("IOMMU_INV_PASID_FLAGS", "IOMMU_INV_PASID_FLAGS_PASID", "IOMMU_INV_PASID_FLAGS_ARCHID"),
)


def _by_granularity(union_name: str, pasid: str) -> Payload:
    types = {
        "IOMMU_INV_GRANU_DOMAIN": None,
        "IOMMU_INV_GRANU_PASID": pasid,
        "IOMMU_INV_GRANU_ADDR": "addr_info",
    }
    return Payload("iommu_cache_invalidate_info", "granularity", union_name, types)


# ---------------------------------------------------------------- guest PASID binding

_FORMAT = u32("format", "whose table it is", values="IOMMU_PASID_FORMAT")
_BIND_VERSION = u32("version", "1", values="IOMMU_GPASID_BIND_VERSION")
_ADDR_WIDTH = u32("addr_width", "bits of a guest-virtual address")
_BIND_FLAGS = u64("flags", "", values="IOMMU_SVA_GPASID")
_GPGD = u64("gpgd", "guest-physical address of the first-level table")
_HPASID = u64("hpasid", "PASID of the host")
_GPASID = u64("gpasid", "PASID of the guest, with its flag")


def _bind_vtd(name: str) -> Struct:
    return struct(
        name,
        u64("flags", "", values="IOMMU_SVA_VTD_GPASID"),
        u32("pat", "page attribute table"),
        u32("emt", "extended memory type"),
    )


def _bind_2019(name: str, padding: int) -> Struct:
    return struct(
        name,
        _BIND_VERSION,
        _FORMAT,
        _BIND_FLAGS,
        _GPGD,
        _HPASID,
        _GPASID,
        _ADDR_WIDTH,
        reserved("padding", padding),
        union("", member("vtd", _bind_vtd(f"{name}_vtd"))),
    )


_VTD_BITS = ("SRE", "EAFE", "PCD", "PWT", "EMTE", "CD")
_BIND_ENUMS = (
    enumeration("IOMMU_GPASID_BIND_VERSION", "IOMMU_GPASID_BIND_VERSION_1", first=1),
    enumeration("IOMMU_PASID_FORMAT", "IOMMU_PASID_FORMAT_INTEL_VTD", first=1),
    flags("IOMMU_SVA_GPASID", "IOMMU_SVA_GPASID_VAL"),
    flags("IOMMU_SVA_VTD_GPASID", *(f"IOMMU_SVA_VTD_GPASID_{bit}" for bit in _VTD_BITS)),
)


def _vtd_flags(*bits: str) -> Values:
    """From 5.10 on with the end of the flags, and those that are about memory types."""
    return flags(
        "IOMMU_SVA_VTD_GPASID",
        *(f"IOMMU_SVA_VTD_GPASID_{bit}" for bit in bits),
        bounds={
            "IOMMU_SVA_VTD_GPASID_LAST": 1 << len(bits),
            "IOMMU_SVA_VTD_GPASID_MTS_MASK": 0x3C,  # CD, EMTE, PCD, PWT
        },
    )


def _by_format(struct_name: str, union_name: str) -> Payload:
    return Payload(struct_name, "format", union_name, {"IOMMU_PASID_FORMAT_INTEL_VTD": "vtd"})


# ---------------------------------------------------------------- faults and page responses

_UNRECOVERABLE = struct(
    "iommu_fault_unrecoverable",
    u32("reason", "", values="iommu_fault_reason", use=Use.OUT),
    u32("flags", "which fields are valid", values="IOMMU_FAULT_UNRECOV", use=Use.OUT),
    u32("pasid", use=Use.OUT),
    u32("perm", "", values="IOMMU_FAULT_PERM", use=Use.OUT),
    u64("addr", use=Use.OUT),
    u64("fetch_addr", "where the walk stopped", use=Use.OUT),
)
_PAGE_REQUEST = struct(
    "iommu_fault_page_request",
    u32("flags", "which fields are valid", values="IOMMU_FAULT_PAGE_REQUEST", use=Use.OUT),
    u32("pasid", use=Use.OUT),
    u32("grpid", "page request group", use=Use.OUT),
    u32("perm", "", values="IOMMU_FAULT_PERM", use=Use.OUT),
    u64("addr", use=Use.OUT),
    u64("private_data", count=2, use=Use.OUT),
)


def _fault(*more: Field, second: str = "padding") -> Struct:
    return struct(
        "iommu_fault",
        u32("type", "which member of the union", values="iommu_fault_type", use=Use.OUT),
        reserved(second, type_=u32),
        union("", member("event", _UNRECOVERABLE), member("prm", _PAGE_REQUEST), *more),
    )


_FAULT_2019 = _fault()
_FAULT = _fault(reserved("padding2", 56))
_RESPONSE_FIELDS = (
    u32("version", "1", values="IOMMU_PAGE_RESP_VERSION"),
    u32("flags", "which fields are valid", values="IOMMU_PAGE_RESP"),
    u32("pasid"),
    u32("grpid", "page request group"),
    u32("code", "", values="iommu_page_response_code"),
)
_FAULT_ENUMS = (
    enumeration("iommu_fault_type", "IOMMU_FAULT_DMA_UNRECOV", "IOMMU_FAULT_PAGE_REQ", first=1),
    flags("IOMMU_FAULT_PERM", *(f"IOMMU_FAULT_PERM_{name}" for name in ("READ", "WRITE", "EXEC", "PRIV"))),
    flags(
        "IOMMU_FAULT_UNRECOV",
        "IOMMU_FAULT_UNRECOV_PASID_VALID",
        "IOMMU_FAULT_UNRECOV_ADDR_VALID",
        "IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID",
    ),
    flags(
        "IOMMU_FAULT_PAGE_REQUEST",
        "IOMMU_FAULT_PAGE_REQUEST_PASID_VALID",
        "IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE",
        "IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA",
    ),
    enumeration(
        "iommu_fault_reason",
        "IOMMU_FAULT_REASON_UNKNOWN",
        "IOMMU_FAULT_REASON_PASID_FETCH",
        "IOMMU_FAULT_REASON_BAD_PASID_ENTRY",
        "IOMMU_FAULT_REASON_PASID_INVALID",
        "IOMMU_FAULT_REASON_WALK_EABT",
        "IOMMU_FAULT_REASON_PTE_FETCH",
        "IOMMU_FAULT_REASON_PERMISSION",
        "IOMMU_FAULT_REASON_ACCESS",
        "IOMMU_FAULT_REASON_OOR_ADDRESS",
    ),
)
_RESPONSE_ENUMS = (
    enumeration("IOMMU_PAGE_RESP_VERSION", "IOMMU_PAGE_RESP_VERSION_1", first=1),
    flags("IOMMU_PAGE_RESP", "IOMMU_PAGE_RESP_PASID_VALID"),
    enumeration(
        "iommu_page_response_code",
        "IOMMU_PAGE_RESP_SUCCESS",
        "IOMMU_PAGE_RESP_INVALID",
        "IOMMU_PAGE_RESP_FAILURE",
    ),
)
_BY_TYPE = Payload(
    "iommu_fault", "type", "", {"IOMMU_FAULT_DMA_UNRECOV": "event", "IOMMU_FAULT_PAGE_REQ": "prm"}
)

# ---------------------------------------------------------------- generations

SVA_V3_2019 = generation(
    "sva_v3_2019",
    "v3 of May 2019",
    structs=[
        struct(
            "gpasid_bind_data",
            u64("gcr3", "guest-physical address of the first-level table"),
            u32("pasid"),
            _ADDR_WIDTH,
            u32("flags", "", values="IOMMU_SVA_GPASID"),
            reserved("padding", 4),
        ),
        _INV_ADDR,
        struct(
            "iommu_cache_invalidate_info",
            _INV_VERSION,
            _CACHE,
            _GRANULARITY,
            reserved("padding", 2),
            union("", u64("pasid"), member("addr_info", _INV_ADDR)),
        ),
    ],
    enums=[
        *(Values(e.tag, e.names, e.flags) for e in _INV_ENUMS if e.tag != "IOMMU_INV_PASID_FLAGS"),
        flags("IOMMU_SVA_GPASID", "IOMMU_SVA_GPASID_SRE"),
    ],
    payloads=[_by_granularity("", "pasid")],
)

FAULT_JUN_2019 = generation(
    "fault_jun_2019",
    "May and June 2019, before padding2",
    structs=[_UNRECOVERABLE, _PAGE_REQUEST, _FAULT_2019],
    enums=_FAULT_ENUMS,
    payloads=[_BY_TYPE],
)

FAULT_EARLY_2019 = FAULT_JUN_2019.then(
    "fault_early_2019",
    "early 2019: the union, with flags that were renumbered by May",
    structs=[_fault(second="reserved")],
    enums=[
        flags("IOMMU_FAULT_PERM", *(f"IOMMU_FAULT_PERM_{name}" for name in ("WRITE", "EXEC", "PRIV"))),
        flags(
            "IOMMU_FAULT_UNRECOV",
            "IOMMU_FAULT_UNRECOV_PASID_VALID",
            "IOMMU_FAULT_UNRECOV_PERM_VALID",
            "IOMMU_FAULT_UNRECOV_ADDR_VALID",
            "IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID",
        ),
    ],
)

SVA_V4_2019 = generation(
    "sva_v4_2019",
    "v4 of June 2019",
    structs=[_bind_vtd("gpasid_bind_data_vtd"), _bind_2019("gpasid_bind_data", 4)],
    enums=_BIND_ENUMS,
    payloads=[_by_format("gpasid_bind_data", "")],
)
SVA_V5_2019 = SVA_V4_2019.then(
    "sva_v5_2019",
    "v5 of August 2019: other names",
    structs=[_bind_vtd("iommu_gpasid_bind_data_vtd"), _bind_2019("iommu_gpasid_bind_data", 4)],
    payloads=[_by_format("iommu_gpasid_bind_data", "")],
    without=["gpasid_bind_data_vtd", "gpasid_bind_data"],
)

LINUX_5_5 = generation(
    "linux_5_5",
    "Linux 5.5 to 5.9",
    structs=[
        _UNRECOVERABLE,
        _PAGE_REQUEST,
        _FAULT,
        struct("iommu_page_response", *_RESPONSE_FIELDS),
        _INV_ADDR,
        _INV_PASID,
        CACHE_INVALIDATE_INFO_5_5,
        _bind_vtd("iommu_gpasid_bind_data_vtd"),
        _bind_2019("iommu_gpasid_bind_data", 12),
    ],
    enums=[*_FAULT_ENUMS, *_RESPONSE_ENUMS, *_INV_ENUMS, *_BIND_ENUMS],
    payloads=[
        _BY_TYPE,
        _by_granularity("", "pasid_info"),
        _by_format("iommu_gpasid_bind_data", ""),
    ],
)

_BIND_VTD = _bind_vtd("iommu_gpasid_bind_data_vtd")
LINUX_5_10 = LINUX_5_5.then(
    "linux_5_10",
    "Linux 5.10 to 5.17",
    structs=[
        struct("iommu_page_response", _ARGSZ, *_RESPONSE_FIELDS),
        struct(
            "iommu_cache_invalidate_info",
            _ARGSZ,
            _INV_VERSION,
            _CACHE,
            _GRANULARITY,
            reserved("padding", 6),
            union("granu", member("pasid_info", _INV_PASID), member("addr_info", _INV_ADDR)),
        ),
        struct(
            "iommu_gpasid_bind_data",
            _ARGSZ,
            _BIND_VERSION,
            _FORMAT,
            _ADDR_WIDTH,
            _BIND_FLAGS,
            _GPGD,
            _HPASID,
            _GPASID,
            reserved("padding", 8),
            union("vendor", member("vtd", _BIND_VTD)),
        ),
    ],
    enums=[
        next(e for e in _FAULT_ENUMS if e.tag == "IOMMU_FAULT_PAGE_REQUEST").and_also(
            IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID=8
        ),
        enumeration(
            "IOMMU_PASID_FORMAT",
            "IOMMU_PASID_FORMAT_INTEL_VTD",
            first=1,
            bounds={"IOMMU_PASID_FORMAT_LAST": 2},
        ),
        _vtd_flags(*_VTD_BITS),
    ],
    payloads=[_by_granularity("granu", "pasid_info"), _by_format("iommu_gpasid_bind_data", "vendor")],
)
LINUX_5_17 = LINUX_5_10.then(
    "linux_5_17",
    "Linux 5.11 to 5.17: a flag more for VT-d, and the end of the flags moved",
    enums=[_vtd_flags(*_VTD_BITS, "WPE")],
)
LINUX_6_1 = LINUX_5_17.then(
    "linux_6_1",
    "Linux 5.18 to 6.8, seen in 6.1 and 6.3",
    without=[
        "iommu_inv_addr_info",
        "iommu_inv_pasid_info",
        "iommu_cache_invalidate_info",
        "iommu_gpasid_bind_data_vtd",
        "iommu_gpasid_bind_data",
        *(e.tag for e in (*_INV_ENUMS, *_BIND_ENUMS)),
    ],
)

ARGSZ_V2_2020 = generation(
    "argsz_v2_2020",
    "v2 of 2020, dropped",
    structs=[
        struct("iommu_gpasid_unbind_data", _ARGSZ, u64("flags"), u64("pasid", "the PASID to unbind")),
    ],
    enums=[
        enumeration("IOMMU_UAPI_VERSION", "IOMMU_UAPI_VERSION", first=1),
        enumeration("IOMMU_UAPI", "IOMMU_UAPI_BIND_GPASID", "IOMMU_UAPI_CACHE_INVAL", "IOMMU_UAPI_PAGE_RESP"),
    ],
)

#: v7 to v10 of the series that put argsz first; only this enumeration of it is on record.
ARGSZ_V7_2020 = generation(
    "argsz_v7_2020",
    "v7 to v10 of 2020: formats as an enumeration, a macro again in v11",
    structs=[],
    enums=[
        enumeration(
            "iommu_pasid_data_format",
            "IOMMU_PASID_FORMAT_INTEL_VTD",
            first=1,
            bounds={"IOMMU_PASID_FORMAT_LAST": 2},
        )
    ],
)

GENERATIONS = (
    SVA_V3_2019,
    FAULT_EARLY_2019,
    FAULT_JUN_2019,
    SVA_V4_2019,
    SVA_V5_2019,
    LINUX_5_5,
    LINUX_5_10,
    LINUX_5_17,
    LINUX_6_1,
    ARGSZ_V2_2020,
    ARGSZ_V7_2020,
)
