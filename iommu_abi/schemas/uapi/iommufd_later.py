"""iommufd as Linux 6.13, 6.19, 7.2 and 7.3 have it: virtual IOMMUs, their events and queues, vendors' data.

Sources: <linux/iommufd.h> of these kernels. A name's generation is that of the first header that was
seen with it. 6.13 lacks what the stable series of 6.12 has in bytes 28 to 31 of ``iommu_hw_info``.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Struct,
    Use,
    aligned_le64,
    aligned_u64,
    enumeration,
    flags,
    reserved,
    s32,
    struct,
    u8,
    u32,
    union,
)
from iommu_abi.schemas.uapi.generation import Ioctl, Payload
from iommu_abi.schemas.uapi.iommufd_6_3 import BASE, NO_FLAGS, RESERVED, SIZE
from iommu_abi.schemas.uapi.iommufd_6_12 import (
    DATA_LEN,
    DATA_UPTR,
    IOMMUFD_6_12,
    MAX_PASID,
    OUT_DATA_TYPE,
    hw_info,
)


def _data_types(earlier: Payload, **more: str | None) -> Payload:
    return Payload(earlier.struct, earlier.by, earlier.at, {**earlier.types, **more})


_HWPT_ALLOC, _HW_INFO, _INVALIDATE = IOMMUFD_6_12.payloads

# ---------------------------------------------------------------- 6.13


def _viommu_alloc(*data: Field) -> Struct:
    return struct(
        "iommu_viommu_alloc",
        SIZE,
        NO_FLAGS,
        u32("type", "", values="iommu_viommu_type"),
        u32("dev_id"),
        u32("hwpt_id", "a nesting parent"),
        u32("out_viommu_id", "the new vIOMMU", use=Use.OUT),
        *data,
    )


def _hw_info_arm_smmuv3(flags_: Field) -> Struct:
    return struct(
        "iommu_hw_info_arm_smmuv3",
        flags_,
        RESERVED,
        u32("idr", "IDR0 to IDR5", count=6, use=Use.OUT),
        u32("iidr", "IIDR", use=Use.OUT),
        u32("aidr", "AIDR", use=Use.OUT),
    )


_HWPT_ALLOC_6_13 = _data_types(_HWPT_ALLOC, IOMMU_HWPT_DATA_ARM_SMMUV3="iommu_hwpt_arm_smmuv3")
_HW_INFO_6_13 = _data_types(_HW_INFO, IOMMU_HW_INFO_TYPE_ARM_SMMUV3="iommu_hw_info_arm_smmuv3")

IOMMUFD_6_13 = IOMMUFD_6_12.then(
    "iommufd_6_13",
    "<linux/iommufd.h> of Linux 6.13",
    structs=[
        hw_info(OUT_DATA_TYPE, RESERVED),
        _hw_info_arm_smmuv3(u32("flags", "0", use=Use.OUT)),
        struct("iommu_hwpt_arm_smmuv3", aligned_le64("ste", "words 0 and 1 of the guest's STE", count=2)),
        struct(
            "iommu_ioas_map_file",
            SIZE,
            u32("flags", "", values="iommufd_ioas_map_flags"),
            u32("ioas_id"),
            s32("fd", "file whose memory is mapped"),
            aligned_u64("start", "offset in the file"),
            aligned_u64("length", "bytes"),
            aligned_u64("iova", "where, if FIXED_IOVA; where it is", use=Use.BOTH),
        ),
        struct("iommu_ioas_change_process", SIZE, RESERVED),
        _viommu_alloc(),
        struct(
            "iommu_vdevice_alloc",
            SIZE,
            u32("viommu_id"),
            u32("dev_id"),
            u32("out_vdevice_id", "the new vdevice", use=Use.OUT),
            aligned_u64("virt_id", "the device's ID in its vIOMMU"),
        ),
        struct(
            "iommu_viommu_arm_smmuv3_invalidate",
            aligned_le64("cmd", "a command as in the guest's queue", count=2),
        ),
    ],
    enums=[
        IOMMUFD_6_12.enums["iommufd_hwpt_alloc_flags"].and_also(IOMMU_HWPT_ALLOC_PASID=8),
        IOMMUFD_6_12.enums["iommu_hwpt_data_type"].and_also(IOMMU_HWPT_DATA_ARM_SMMUV3=2),
        IOMMUFD_6_12.enums["iommu_hw_info_type"].and_also(IOMMU_HW_INFO_TYPE_ARM_SMMUV3=2),
        flags("iommufd_hw_capabilities", "IOMMU_HW_CAP_DIRTY_TRACKING"),
        IOMMUFD_6_12.enums["iommu_hwpt_invalidate_data_type"].and_also(
            IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3=1
        ),
        enumeration("iommu_viommu_type", "IOMMU_VIOMMU_TYPE_DEFAULT", "IOMMU_VIOMMU_TYPE_ARM_SMMUV3"),
    ],
    ioctls=[
        Ioctl("IOMMU_IOAS_MAP_FILE", BASE + 15, "iommu_ioas_map_file", "iova"),
        Ioctl("IOMMU_VIOMMU_ALLOC", BASE + 16, "iommu_viommu_alloc", "out_viommu_id"),
        Ioctl("IOMMU_VDEVICE_ALLOC", BASE + 17, "iommu_vdevice_alloc", "virt_id"),
        Ioctl("IOMMU_IOAS_CHANGE_PROCESS", BASE + 18, "iommu_ioas_change_process", "__reserved"),
    ],
    payloads=[
        _HWPT_ALLOC_6_13,
        _HW_INFO_6_13,
        _data_types(
            _INVALIDATE, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3="iommu_viommu_arm_smmuv3_invalidate"
        ),
    ],
)

# ---------------------------------------------------------------- 6.19

_HW_INFO_6_19 = _data_types(
    _HW_INFO_6_13,
    IOMMU_HW_INFO_TYPE_DEFAULT=None,
    IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV="iommu_hw_info_tegra241_cmdqv",
)
_EVENT_STRUCTS = [
    struct(
        "iommu_veventq_alloc",
        SIZE,
        NO_FLAGS,
        u32("viommu_id"),
        u32("type", "", values="iommu_veventq_type"),
        u32("veventq_depth", "events that fit"),
        u32("out_veventq_id", "the new queue", use=Use.OUT),
        u32("out_veventq_fd", "its file", use=Use.OUT),
        RESERVED,
    ),
    struct(
        "iommufd_vevent_header",
        u32("flags", "", values="iommu_veventq_flag", use=Use.OUT),
        u32("sequence", "counts up, 0 after INT_MAX", use=Use.OUT),
    ),
    struct("iommu_vevent_arm_smmuv3", aligned_le64("evt", "an event record", count=4, use=Use.OUT)),
    struct(
        "iommu_vevent_tegra241_cmdqv",
        aligned_le64("lvcmdq_err_map", "which queues have errors", count=2, use=Use.OUT),
    ),
]
_TEGRA_STRUCTS = [
    struct(
        "iommu_hw_info_tegra241_cmdqv",
        u32("flags", "0", use=Use.OUT),
        u8("version", "PARAM[3:0]", use=Use.OUT),
        u8("log2vcmdqs", "PARAM[7:4]", use=Use.OUT),
        u8("log2vsids", "PARAM[15:12]", use=Use.OUT),
        reserved("__reserved"),
    ),
    struct(
        "iommu_viommu_tegra241_cmdqv",
        aligned_u64("out_vintf_mmap_offset", "for mmap()", use=Use.OUT),
        aligned_u64("out_vintf_mmap_length", "bytes", use=Use.OUT),
    ),
]

IOMMUFD_6_19 = IOMMUFD_6_13.then(
    "iommufd_6_19",
    "<linux/iommufd.h> of Linux 6.19",
    structs=[
        hw_info(
            union(
                "",
                u32("in_data_type", "type to ask for, with its flag", values="iommu_hw_info_type"),
                OUT_DATA_TYPE,
            ),
            *MAX_PASID,
            flags_=u32("flags", "", values="iommufd_hw_info_flags"),
        ),
        _viommu_alloc(DATA_LEN, RESERVED, DATA_UPTR),
        *_EVENT_STRUCTS,
        *_TEGRA_STRUCTS,
        struct(
            "iommu_hw_queue_alloc",
            SIZE,
            NO_FLAGS,
            u32("viommu_id"),
            u32("type", "", values="iommu_hw_queue_type"),
            u32("index", "among those of its type, in ascending order"),
            u32("out_hw_queue_id", "the new queue", use=Use.OUT),
            aligned_u64("nesting_parent_iova", "guest-physical address of the queue"),
            aligned_u64("length", "bytes"),
        ),
    ],
    enums=[
        IOMMUFD_6_13.enums["iommu_hw_info_type"].and_also(
            IOMMU_HW_INFO_TYPE_DEFAULT=0, IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV=3
        ),
        IOMMUFD_6_12.enums["iommufd_hw_capabilities"],
        flags("iommufd_hw_info_flags", "IOMMU_HW_INFO_FLAG_INPUT_TYPE"),
        IOMMUFD_6_13.enums["iommu_viommu_type"].and_also(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV=2),
        flags("iommu_veventq_flag", "IOMMU_VEVENTQ_FLAG_LOST_EVENTS"),
        enumeration(
            "iommu_veventq_type",
            "IOMMU_VEVENTQ_TYPE_DEFAULT",
            "IOMMU_VEVENTQ_TYPE_ARM_SMMUV3",
            "IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV",
        ),
        enumeration(
            "iommu_hw_queue_type", "IOMMU_HW_QUEUE_TYPE_DEFAULT", "IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV"
        ),
    ],
    ioctls=[
        Ioctl("IOMMU_VEVENTQ_ALLOC", BASE + 19, "iommu_veventq_alloc", "out_veventq_fd"),
        Ioctl("IOMMU_HW_QUEUE_ALLOC", BASE + 20, "iommu_hw_queue_alloc", "length"),
    ],
    payloads=[
        _HW_INFO_6_19,
        Payload(
            "iommu_viommu_alloc",
            "type",
            "data_uptr",
            {
                "IOMMU_VIOMMU_TYPE_ARM_SMMUV3": None,
                "IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV": "iommu_viommu_tegra241_cmdqv",
            },
        ),
    ],
)

# ---------------------------------------------------------------- 7.2

IOMMUFD_7_2 = IOMMUFD_6_19.then(
    "iommufd_7_2",
    "<linux/iommufd.h> of Linux 7.2",
    structs=[
        struct(
            "iommu_hw_info_amd",
            aligned_u64("efr", "extended feature register", use=Use.OUT),
            aligned_u64("efr2", "extended feature register 2", use=Use.OUT),
        ),
        struct("iommu_hwpt_amd_guest", aligned_u64("dte", "the guest's device table entry", count=4)),
    ],
    enums=[
        IOMMUFD_6_13.enums["iommu_hwpt_data_type"].and_also(IOMMU_HWPT_DATA_AMD_GUEST=3),
        IOMMUFD_6_19.enums["iommu_hw_info_type"].and_also(IOMMU_HW_INFO_TYPE_AMD=4),
        IOMMUFD_6_12.enums["iommufd_hw_capabilities"].and_also(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED=8),
    ],
    payloads=[
        _data_types(_HWPT_ALLOC_6_13, IOMMU_HWPT_DATA_AMD_GUEST="iommu_hwpt_amd_guest"),
        _data_types(_HW_INFO_6_19, IOMMU_HW_INFO_TYPE_AMD="iommu_hw_info_amd"),
    ],
)

# ---------------------------------------------------------------- 7.3

IOMMUFD_7_3 = IOMMUFD_7_2.then(
    "iommufd_7_3",
    "<linux/iommufd.h> of Linux 7.3",
    structs=[
        _hw_info_arm_smmuv3(u32("flags", "", values="iommu_hw_info_arm_smmuv3_flags", use=Use.OUT)),
        struct(
            "iommu_ioas_noiommu_get_pa",
            SIZE,
            NO_FLAGS,
            u32("ioas_id", "an IOAS of a device without an IOMMU"),
            RESERVED,
            aligned_u64("iova"),
            aligned_u64("length", "bytes at most; those that are together", use=Use.BOTH),
            aligned_u64("out_phys", "where they are", use=Use.OUT),
        ),
    ],
    enums=[
        flags("iommu_hw_info_arm_smmuv3_flags", "IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI"),
    ],
    ioctls=[Ioctl("IOMMU_IOAS_NOIOMMU_GET_PA", BASE + 21, "iommu_ioas_noiommu_get_pa", "out_phys")],
)
