"""iommufd as Linux 6.12 has it: page tables of user space (HWPT), hardware information, faults.

Source: <linux/iommufd.h> of Linux 6.12 as its stable series ships it, with ``out_max_pasid_log2``, which
6.13 does not have.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Struct,
    Use,
    aligned_u64,
    enumeration,
    flags,
    reserved,
    struct,
    u8,
    u32,
)
from iommu_abi.schemas.uapi.generation import Ioctl, Payload
from iommu_abi.schemas.uapi.iommufd_6_3 import BASE, IOMMUFD_6_3, NO_FLAGS, RESERVED, SIZE

DATA_LEN = u32("data_len", "bytes of the data")
DATA_UPTR = aligned_u64("data_uptr", "user pointer to the data")


def hw_info(*middle: Field, flags_: Field = NO_FLAGS) -> Struct:
    """What is asked about a device's IOMMU: the kernels differ in flags and in bytes 24 to 31."""
    return struct(
        "iommu_hw_info",
        SIZE,
        flags_,
        u32("dev_id"),
        u32("data_len", "room of the buffer; bytes that the kernel has", use=Use.BOTH),
        aligned_u64("data_uptr", "user pointer to the buffer"),
        *middle,
        aligned_u64("out_capabilities", "", values="iommufd_hw_capabilities", use=Use.OUT),
    )


OUT_DATA_TYPE = u32("out_data_type", "type of the data", values="iommu_hw_info_type", use=Use.OUT)
MAX_PASID = (u8("out_max_pasid_log2", "bits of a PASID, 0 for none", use=Use.OUT), reserved("__reserved", 3))

_HWPT_STRUCTS = [
    struct(
        "iommu_hwpt_alloc",
        SIZE,
        u32("flags", "", values="iommufd_hwpt_alloc_flags"),
        u32("dev_id"),
        u32("pt_id", "IOAS, nesting parent, or vIOMMU where there are some"),
        u32("out_hwpt_id", "the new HWPT", use=Use.OUT),
        RESERVED,
        u32("data_type", "type of the data", values="iommu_hwpt_data_type"),
        DATA_LEN,
        DATA_UPTR,
        u32("fault_id", "fault queue, with its flag"),
        reserved("__reserved2", type_=u32),
    ),
    struct(
        "iommu_hwpt_vtd_s1",
        aligned_u64("flags", "", values="iommu_hwpt_vtd_s1_flags"),
        aligned_u64("pgtbl_addr", "guest-physical address of the first-stage table"),
        u32("addr_width", "48 or 57"),
        RESERVED,
    ),
    struct(
        "iommu_hwpt_set_dirty_tracking",
        SIZE,
        u32("flags", "", values="iommufd_hwpt_set_dirty_tracking_flags"),
        u32("hwpt_id"),
        RESERVED,
    ),
    struct(
        "iommu_hwpt_get_dirty_bitmap",
        SIZE,
        u32("hwpt_id"),
        u32("flags", "", values="iommufd_hwpt_get_dirty_bitmap_flags"),
        RESERVED,
        aligned_u64("iova"),
        aligned_u64("length", "bytes"),
        aligned_u64("page_size", "bytes that a bit stands for"),
        aligned_u64("data", "user pointer to the bit map"),
    ),
    struct(
        "iommu_hwpt_invalidate",
        SIZE,
        u32("hwpt_id", "nested HWPT, or vIOMMU where there are some"),
        aligned_u64("data_uptr", "user pointer to an array"),
        u32("data_type", "type of an entry", values="iommu_hwpt_invalidate_data_type"),
        u32("entry_len", "bytes from an entry to the next"),
        u32("entry_num", "entries; entries that were handled", use=Use.BOTH),
        RESERVED,
    ),
    struct(
        "iommu_hwpt_vtd_s1_invalidate",
        aligned_u64("addr", "first address, a multiple of 4 KiB"),
        aligned_u64("npages", "pages of 4 KiB, all ones for everything"),
        u32("flags", "", values="iommu_hwpt_vtd_s1_invalidate_flags"),
        RESERVED,
    ),
]
_FAULT_STRUCTS = [
    struct(
        "iommu_fault_alloc",
        SIZE,
        NO_FLAGS,
        u32("out_fault_id", "the new queue", use=Use.OUT),
        u32("out_fault_fd", "its file", use=Use.OUT),
    ),
    struct(
        "iommu_hwpt_pgfault",
        u32("flags", "", values="iommu_hwpt_pgfault_flags", use=Use.OUT),
        u32("dev_id", use=Use.OUT),
        u32("pasid", "with its flag", use=Use.OUT),
        u32("grpid", "page request group", use=Use.OUT),
        u32("perm", "", values="iommu_hwpt_pgfault_perm", use=Use.OUT),
        RESERVED,
        aligned_u64("addr", use=Use.OUT),
        u32("length", "a hint, 0 today", use=Use.OUT),
        u32("cookie", "for the response", use=Use.OUT),
    ),
    struct(
        "iommu_hwpt_page_response",
        u32("cookie", "of the group's last fault"),
        u32("code", "", values="iommufd_page_response_code"),
    ),
]

IOMMUFD_6_12 = IOMMUFD_6_3.then(
    "iommufd_6_12",
    "<linux/iommufd.h> of Linux 6.12",
    structs=[
        *_HWPT_STRUCTS,
        hw_info(OUT_DATA_TYPE, *MAX_PASID),
        struct(
            "iommu_hw_info_vtd",
            u32("flags", "", values="iommu_hw_info_vtd_flags", use=Use.OUT),
            RESERVED,
            aligned_u64("cap_reg", "CAP_REG", use=Use.OUT),
            aligned_u64("ecap_reg", "ECAP_REG", use=Use.OUT),
        ),
        *_FAULT_STRUCTS,
    ],
    enums=[
        flags(
            "iommufd_hwpt_alloc_flags",
            "IOMMU_HWPT_ALLOC_NEST_PARENT",
            "IOMMU_HWPT_ALLOC_DIRTY_TRACKING",
            "IOMMU_HWPT_FAULT_ID_VALID",
        ),
        flags("iommu_hwpt_vtd_s1_flags", "IOMMU_VTD_S1_SRE", "IOMMU_VTD_S1_EAFE", "IOMMU_VTD_S1_WPE"),
        enumeration("iommu_hwpt_data_type", "IOMMU_HWPT_DATA_NONE", "IOMMU_HWPT_DATA_VTD_S1"),
        flags("iommu_hw_info_vtd_flags", "IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17"),
        enumeration("iommu_hw_info_type", "IOMMU_HW_INFO_TYPE_NONE", "IOMMU_HW_INFO_TYPE_INTEL_VTD"),
        flags(
            "iommufd_hw_capabilities",
            "IOMMU_HW_CAP_DIRTY_TRACKING",
            "IOMMU_HW_CAP_PCI_PASID_EXEC",
            "IOMMU_HW_CAP_PCI_PASID_PRIV",
        ),
        flags("iommufd_hwpt_set_dirty_tracking_flags", "IOMMU_HWPT_DIRTY_TRACKING_ENABLE"),
        flags("iommufd_hwpt_get_dirty_bitmap_flags", "IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR"),
        enumeration("iommu_hwpt_invalidate_data_type", "IOMMU_HWPT_INVALIDATE_DATA_VTD_S1"),
        flags("iommu_hwpt_vtd_s1_invalidate_flags", "IOMMU_VTD_INV_FLAGS_LEAF"),
        flags("iommu_hwpt_pgfault_flags", "IOMMU_PGFAULT_FLAGS_PASID_VALID", "IOMMU_PGFAULT_FLAGS_LAST_PAGE"),
        flags(
            "iommu_hwpt_pgfault_perm",
            "IOMMU_PGFAULT_PERM_READ",
            "IOMMU_PGFAULT_PERM_WRITE",
            "IOMMU_PGFAULT_PERM_EXEC",
            "IOMMU_PGFAULT_PERM_PRIV",
        ),
        enumeration("iommufd_page_response_code", "IOMMUFD_PAGE_RESP_SUCCESS", "IOMMUFD_PAGE_RESP_INVALID"),
    ],
    ioctls=[
        Ioctl("IOMMU_HWPT_ALLOC", BASE + 9, "iommu_hwpt_alloc", "__reserved"),
        Ioctl("IOMMU_GET_HW_INFO", BASE + 10, "iommu_hw_info", "__reserved"),
        Ioctl("IOMMU_HWPT_SET_DIRTY_TRACKING", BASE + 11, "iommu_hwpt_set_dirty_tracking", "__reserved"),
        Ioctl("IOMMU_HWPT_GET_DIRTY_BITMAP", BASE + 12, "iommu_hwpt_get_dirty_bitmap", "data"),
        Ioctl("IOMMU_HWPT_INVALIDATE", BASE + 13, "iommu_hwpt_invalidate", "__reserved"),
        Ioctl("IOMMU_FAULT_QUEUE_ALLOC", BASE + 14, "iommu_fault_alloc", "out_fault_fd"),
    ],
    payloads=[
        Payload(
            "iommu_hwpt_alloc",
            "data_type",
            "data_uptr",
            {"IOMMU_HWPT_DATA_NONE": None, "IOMMU_HWPT_DATA_VTD_S1": "iommu_hwpt_vtd_s1"},
        ),
        Payload(
            "iommu_hw_info",
            "out_data_type",
            "data_uptr",
            {"IOMMU_HW_INFO_TYPE_NONE": None, "IOMMU_HW_INFO_TYPE_INTEL_VTD": "iommu_hw_info_vtd"},
        ),
        Payload(
            "iommu_hwpt_invalidate",
            "data_type",
            "data_uptr",
            {"IOMMU_HWPT_INVALIDATE_DATA_VTD_S1": "iommu_hwpt_vtd_s1_invalidate"},
        ),
    ],
)
