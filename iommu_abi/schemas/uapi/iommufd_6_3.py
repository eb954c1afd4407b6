"""iommufd as Linux 6.3 has it: address spaces (IOAS) and their mappings.

Source: <linux/iommufd.h> of Linux 6.3. The scheme of every command: the struct begins with ``size``, may
grow at its end, and what a kernel does not know there must be 0. Every 64-bit field is aligned to 8 on
every ABI.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Use,
    aligned_u64,
    enumeration,
    flags,
    reserved,
    struct,
    u16,
    u32,
)
from iommu_abi.schemas.uapi.generation import Ioctl, generation

BASE = 0x80  # IOMMUFD_CMD_BASE
SIZE = u32("size", "bytes that the caller gives")
NO_FLAGS = u32("flags", "0")
RESERVED = reserved("__reserved", type_=u32)

_IOVA_RANGE = struct(
    "iommu_iova_range", aligned_u64("start", "first IOVA"), aligned_u64("last", "last IOVA, inclusive")
)
_MAP_FLAGS = u32("flags", "", values="iommufd_ioas_map_flags")

IOMMUFD_6_3 = generation(
    "iommufd_6_3",
    "<linux/iommufd.h> of Linux 6.3",
    structs=[
        struct("iommu_destroy", SIZE, u32("id", "any object that can be destroyed")),
        struct("iommu_ioas_alloc", SIZE, NO_FLAGS, u32("out_ioas_id", "the new IOAS", use=Use.OUT)),
        _IOVA_RANGE,
        struct(
            "iommu_ioas_iova_ranges",
            SIZE,
            u32("ioas_id"),
            u32("num_iovas", "room of the array; ranges that there are", use=Use.BOTH),
            RESERVED,
            aligned_u64("allowed_iovas", "user pointer to struct iommu_iova_range[]"),
            aligned_u64("out_iova_alignment", "of start and length of a mapping", use=Use.OUT),
        ),
        struct(
            "iommu_ioas_allow_iovas",
            SIZE,
            u32("ioas_id"),
            u32("num_iovas", "ranges in the array"),
            RESERVED,
            aligned_u64(
                "allowed_iovas", "user pointer to struct iommu_iova_range[], replaces the former list"
            ),
        ),
        struct(
            "iommu_ioas_map",
            SIZE,
            _MAP_FLAGS,
            u32("ioas_id"),
            RESERVED,
            aligned_u64("user_va", "address in the process"),
            aligned_u64("length", "bytes"),
            aligned_u64("iova", "where, if FIXED_IOVA; where it is", use=Use.BOTH),
        ),
        struct(
            "iommu_ioas_copy",
            SIZE,
            _MAP_FLAGS,
            u32("dst_ioas_id"),
            u32("src_ioas_id"),
            aligned_u64("length", "bytes"),
            aligned_u64("dst_iova", "where, if FIXED_IOVA; where it is", use=Use.BOTH),
            aligned_u64("src_iova"),
        ),
        struct(
            "iommu_ioas_unmap",
            SIZE,
            u32("ioas_id"),
            aligned_u64("iova"),
            aligned_u64("length", "bytes; bytes that were unmapped", use=Use.BOTH),
        ),
        struct(
            "iommu_option",
            SIZE,
            u32("option_id", "", values="iommufd_option"),
            u16("op", "", values="iommufd_option_ops"),
            reserved("__reserved", type_=u16),
            u32("object_id", "an IOAS, 0 for RLIMIT_MODE"),
            aligned_u64("val64", "value to set; value that is set", use=Use.BOTH),
        ),
        struct(
            "iommu_vfio_ioas",
            SIZE,
            u32("ioas_id", "of SET; the answer to GET", use=Use.BOTH),
            u16("op", "", values="iommufd_vfio_ioas_op"),
            reserved("__reserved", type_=u16),
        ),
    ],
    enums=[
        flags(
            "iommufd_ioas_map_flags",
            "IOMMU_IOAS_MAP_FIXED_IOVA",
            "IOMMU_IOAS_MAP_WRITEABLE",
            "IOMMU_IOAS_MAP_READABLE",
        ),
        enumeration("iommufd_option", "IOMMU_OPTION_RLIMIT_MODE", "IOMMU_OPTION_HUGE_PAGES"),
        enumeration("iommufd_option_ops", "IOMMU_OPTION_OP_SET", "IOMMU_OPTION_OP_GET"),
        enumeration(
            "iommufd_vfio_ioas_op", "IOMMU_VFIO_IOAS_GET", "IOMMU_VFIO_IOAS_SET", "IOMMU_VFIO_IOAS_CLEAR"
        ),
    ],
    ioctls=[
        Ioctl("IOMMU_DESTROY", BASE, "iommu_destroy", "id"),
        Ioctl("IOMMU_IOAS_ALLOC", BASE + 1, "iommu_ioas_alloc", "out_ioas_id"),
        Ioctl("IOMMU_IOAS_ALLOW_IOVAS", BASE + 2, "iommu_ioas_allow_iovas", "allowed_iovas"),
        Ioctl("IOMMU_IOAS_COPY", BASE + 3, "iommu_ioas_copy", "src_iova"),
        Ioctl("IOMMU_IOAS_IOVA_RANGES", BASE + 4, "iommu_ioas_iova_ranges", "out_iova_alignment"),
        Ioctl("IOMMU_IOAS_MAP", BASE + 5, "iommu_ioas_map", "iova"),
        Ioctl("IOMMU_IOAS_UNMAP", BASE + 6, "iommu_ioas_unmap", "length"),
        Ioctl("IOMMU_OPTION", BASE + 7, "iommu_option", "val64"),
        Ioctl("IOMMU_VFIO_IOAS", BASE + 8, "iommu_vfio_ioas", "__reserved"),
    ],
)
