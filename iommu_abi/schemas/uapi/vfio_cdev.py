"""VFIO since its devices attach to iommufd: Linux 6.12, 6.13, 6.19, 7.2 and 7.3.

Source: <linux/vfio.h> of these kernels; the ioctls that tie a device to iommufd grew between 6.13 and 6.19.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Use,
    Values,
    aligned_u64,
    enumeration,
    flags,
    reserved,
    s32,
    struct,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Ioctl
from iommu_abi.schemas.uapi.vfio_4_19 import (
    ARGSZ,
    BASE,
    CAP_OFFSET,
    HEADER,
    PAD,
    dependent_device,
    device_info,
    hot_reset_info,
    out_flags,
    type1_info,
    with_wide_numbers,
)
from iommu_abi.schemas.uapi.vfio_6_1 import VFIO_6_3

_IOMMUFD = s32("iommufd", "file of /dev/iommu")
_OUT_DEVID = u32("out_devid", "ID of the device in iommufd", use=Use.OUT)
_PT_ID = u32("pt_id", "ID of what to attach; the HWPT that was used", use=Use.BOTH)
_PASID = u32("pasid", "with its flag")
_RESERVED = reserved("reserved", type_=u32)
_DEPENDENT = dependent_device(union("", u32("group_id", use=Use.OUT), u32("devid", use=Use.OUT)))

VFIO_6_12 = VFIO_6_3.then(
    "vfio_6_12",
    "<linux/vfio.h> of Linux 6.12 and 6.13",
    structs=[
        device_info(CAP_OFFSET, PAD),
        struct(
            "vfio_device_info_cap_pci_atomic_comp",
            HEADER,
            out_flags("VFIO_PCI_ATOMIC_COMP"),
            _RESERVED,
        ),
        _DEPENDENT,
        hot_reset_info(_DEPENDENT, "VFIO_PCI_HOT_RESET_FLAG"),
        *with_wide_numbers(aligned_u64, _RESERVED),
        type1_info(aligned_u64, "VFIO_IOMMU_INFO", CAP_OFFSET, PAD),
        struct("vfio_device_bind_iommufd", ARGSZ, u32("flags", "0"), _IOMMUFD, _OUT_DEVID),
        struct("vfio_device_attach_iommufd_pt", ARGSZ, u32("flags", "0"), _PT_ID),
        struct("vfio_device_detach_iommufd_pt", ARGSZ, u32("flags", "0")),
        struct("vfio_device_feature_bus_master", u32("op", "", values="VFIO_DEVICE_FEATURE_MASTER")),
    ],
    enums=[
        VFIO_6_3.enums["VFIO_DEVICE_FLAGS"].and_also(VFIO_DEVICE_FLAGS_CDX=1 << 8),
        flags("VFIO_PCI_ATOMIC_COMP", *(f"VFIO_PCI_ATOMIC_COMP{bits}" for bits in (32, 64, 128))),
        flags(
            "VFIO_PCI_HOT_RESET_FLAG",
            "VFIO_PCI_HOT_RESET_FLAG_DEV_ID",
            "VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED",
        ),
        enumeration(
            "VFIO_DEVICE_FEATURE_MASTER",
            "VFIO_DEVICE_FEATURE_CLEAR_MASTER",
            "VFIO_DEVICE_FEATURE_SET_MASTER",
        ),
        Values(
            "vfio_device_mig_state",
            VFIO_6_3.enums["vfio_device_mig_state"].names,
            bounds={"VFIO_DEVICE_STATE_NR": 8},
        ),
    ],
    ioctls=[
        Ioctl("VFIO_DEVICE_BIND_IOMMUFD", BASE + 18, "vfio_device_bind_iommufd", "out_devid"),
        Ioctl("VFIO_DEVICE_ATTACH_IOMMUFD_PT", BASE + 19, "vfio_device_attach_iommufd_pt", "pt_id"),
        Ioctl("VFIO_DEVICE_DETACH_IOMMUFD_PT", BASE + 20, "vfio_device_detach_iommufd_pt", "flags"),
    ],
)

_DMA_RANGE = struct("vfio_region_dma_range", u64("offset"), u64("length", "bytes"))

VFIO_6_19 = VFIO_6_12.then(
    "vfio_6_19",
    "<linux/vfio.h> of Linux 6.19",
    structs=[
        struct(
            "vfio_device_bind_iommufd",
            ARGSZ,
            u32("flags", "", values="VFIO_DEVICE_BIND_FLAG"),
            _IOMMUFD,
            _OUT_DEVID,
            aligned_u64("token_uuid_ptr", "user pointer to 16 bytes, with its flag"),
        ),
        struct(
            "vfio_device_attach_iommufd_pt",
            ARGSZ,
            u32("flags", "", values="VFIO_DEVICE_ATTACH"),
            _PT_ID,
            _PASID,
        ),
        struct("vfio_device_detach_iommufd_pt", ARGSZ, u32("flags", "", values="VFIO_DEVICE_DETACH"), _PASID),
        _DMA_RANGE,
        struct(
            "vfio_device_feature_dma_buf",
            u32("region_index", "a BAR"),
            u32("open_flags", "of open()"),
            u32("flags", "0"),
            u32("nr_ranges", "elements"),
            Field("dma_ranges", _DMA_RANGE, "parts of the region", flexible=True),
        ),
    ],
    enums=[
        flags("VFIO_DEVICE_BIND_FLAG", "VFIO_DEVICE_BIND_FLAG_TOKEN"),
        flags("VFIO_DEVICE_ATTACH", "VFIO_DEVICE_ATTACH_PASID"),
        flags("VFIO_DEVICE_DETACH", "VFIO_DEVICE_DETACH_PASID"),
    ],
)

VFIO_7_2 = VFIO_6_19.then(
    "vfio_7_2",
    "<linux/vfio.h> of Linux 7.2",
    structs=[
        struct(
            "vfio_precopy_info",
            ARGSZ,
            out_flags("VFIO_PRECOPY_INFO"),
            aligned_u64("initial_bytes", use=Use.OUT),
            aligned_u64("dirty_bytes", use=Use.OUT),
        ),
    ],
    enums=[flags("VFIO_PRECOPY_INFO", "VFIO_PRECOPY_INFO_REINIT")],
)

VFIO_7_3 = VFIO_7_2.then(
    "vfio_7_3",
    "<linux/vfio.h> of Linux 7.3",
    structs=[struct("vfio_device_feature_zpci_err", aligned_u64("data", "user pointer, of an event"))],
)
