"""2018: ``pasid_table_config`` with a version and its own size, and invalidations by granularity.

Sources: the older form of 2018 ("v4") and version 5 of May 2018; ``page_response_msg`` is of the kernel's
own header, with version 8 of 2019 as its later form. ``bytes`` is sizeof the struct, which differs
between ABIs: 24, 20 on i386, 18 on m68k.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Struct,
    c_enum,
    enumeration,
    flags,
    member,
    one_bit,
    struct,
    u8,
    u32,
    u64,
)
from iommu_abi.schemas.uapi.generation import generation

PASID_TABLE_CONFIG = struct(
    "pasid_table_config",
    u32("version", "1", values="PASID_TABLE_CFG_VERSION"),
    u32("bytes", "size of this struct"),
    u64("base_ptr", "guest-physical address of the PASID table"),
    u8("pasid_bits", "bits of a PASID, at most the host's"),
)


def tlb_invalidate_hdr(name: str = "tlb_invalidate_hdr") -> Struct:
    """The head of an invalidation; a later series has it under another name."""
    return struct(
        name,
        u32("version", "1", values="TLB_INV_HDR_VERSION"),
        c_enum("type", "which cache", values="iommu_inv_type"),
    )


V4_2018 = generation(
    "v4_2018",
    "the older form of 2018, before version 5 of May",
    structs=[
        PASID_TABLE_CONFIG,
        tlb_invalidate_hdr(),
        struct(
            "tlb_invalidate_info",
            member("hdr", tlb_invalidate_hdr()),
            c_enum("granularity", "how much", values="iommu_inv_granularity"),
            u32("flags", "", values="IOMMU_INVALIDATE"),
            u8("size", "log2 of the number of 4 KiB pages"),
            u32("pasid"),
            u64("addr"),
        ),
    ],
    enums=[
        enumeration("PASID_TABLE_CFG_VERSION", "PASID_TABLE_CFG_VERSION", first=1),
        enumeration("TLB_INV_HDR_VERSION", "TLB_INV_HDR_VERSION_1", first=1),
        enumeration(
            "iommu_inv_granularity",
            "IOMMU_INV_GRANU_DOMAIN",
            "IOMMU_INV_GRANU_DEVICE",
            "IOMMU_INV_GRANU_DOMAIN_PAGE",
            "IOMMU_INV_GRANU_ALL_PASID",
            "IOMMU_INV_GRANU_PASID_SEL",
            "IOMMU_INV_GRANU_NG_ALL_PASID",
            "IOMMU_INV_GRANU_NG_PASID",
            "IOMMU_INV_GRANU_PAGE_PASID",
            first=1,
            bounds={"IOMMU_INV_NR_GRANU": 9},
        ),
        enumeration(
            "iommu_inv_type",
            "IOMMU_INV_TYPE_DTLB",
            "IOMMU_INV_TYPE_TLB",
            "IOMMU_INV_TYPE_PASID",
            "IOMMU_INV_TYPE_CONTEXT",
            bounds={"IOMMU_INV_NR_TYPE": 4},
        ),
        flags(
            "IOMMU_INVALIDATE",
            "IOMMU_INVALIDATE_NO_PASID",
            "IOMMU_INVALIDATE_ADDR_LEAF",
            "IOMMU_INVALIDATE_GLOBAL_PAGE",
            "IOMMU_INVALIDATE_PASID_TAGGED",
        ),
    ],
)

V5_2018 = V4_2018.then(
    "v5_2018",
    "version 5 of May 2018",
    structs=[
        struct(
            "tlb_invalidate_info",
            member("hdr", tlb_invalidate_hdr()),
            c_enum("granularity", "how much", values="iommu_inv_granularity"),
            u32("flags", "", values="IOMMU_INVALIDATE"),
            u8("size", "log2 of 4 KiB pages in a page"),
            u64("nr_pages", "pages of that size"),
            u32("pasid"),
            u64("addr"),
        ),
        struct(
            "page_response_msg",
            u64("addr", "address that was asked for"),
            u32("pasid"),
            c_enum("resp_code", "", values="page_response_code"),
            one_bit("pasid_present", "pasid is valid"),
            u32("page_req_group_id"),
            u64("private_data", "as the request had it"),
        ),
    ],
    enums=[
        enumeration("PASID_TABLE_CFG_VERSION", "PASID_TABLE_CFG_VERSION_1", first=1),
        enumeration(
            "iommu_inv_granularity",
            "IOMMU_INV_GRANU_DOMAIN_ALL_PASID",
            "IOMMU_INV_GRANU_PASID_SEL",
            "IOMMU_INV_GRANU_PAGE_PASID",
            bounds={"IOMMU_INV_NR_GRANU": 3},
        ),
        enumeration(
            "iommu_inv_type",
            "IOMMU_INV_TYPE_DTLB",
            "IOMMU_INV_TYPE_TLB",
            "IOMMU_INV_TYPE_PASID",
            bounds={"IOMMU_INV_NR_TYPE": 3},
        ),
        enumeration(
            "page_response_code",
            "IOMMU_PAGE_RESP_SUCCESS",
            "IOMMU_PAGE_RESP_INVALID",
            "IOMMU_PAGE_RESP_FAILURE",
        ),
        flags("IOMMU_INVALIDATE", "IOMMU_INVALIDATE_ADDR_LEAF", "IOMMU_INVALIDATE_GLOBAL_PAGE"),
    ],
)

PAGE_RESPONSE_V8_2019 = generation(
    "page_response_v8_2019",
    "version 8 of 2019: the fields of page_response_msg in another order and with other names",
    structs=[
        struct(
            "page_response_msg",
            u64("addr", "address that was asked for"),
            u32("pasid"),
            one_bit("pasid_present", "pasid is valid"),
            c_enum("resp_code", "", values="page_response_code"),
            u32("grpid"),
            u64("iommu_data", "as the request had it"),
        ),
    ],
    enums=[V5_2018.enums["page_response_code"]],
)

GENERATIONS = (V4_2018, V5_2018, PAGE_RESPONSE_V8_2019)
