"""VFIO ioctls of a device's own file that tie it and its PASIDs to iommufd.

Source: <linux/vfio.h> of Linux 6.12, 6.13, 6.19 and 7.2; the growth happened between 6.13 and 6.19. The
scheme is argsz and flags.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import Use, aligned_u64, flags, s32, struct, u32
from iommu_abi.schemas.uapi.generation import Ioctl, generation

_ARGSZ = u32("argsz", "bytes that the caller gives")
_IOMMUFD = s32("iommufd", "file of /dev/iommu")
_OUT_DEVID = u32("out_devid", "ID of the device in iommufd", use=Use.OUT)
_PT_ID = u32("pt_id", "ID of what to attach; the HWPT that was used", use=Use.BOTH)
_PASID = u32("pasid", "with its flag")

VFIO_6_12 = generation(
    "vfio_6_12",
    "<linux/vfio.h> of Linux 6.12 and 6.13",
    structs=[
        struct("vfio_device_bind_iommufd", _ARGSZ, u32("flags", "0"), _IOMMUFD, _OUT_DEVID),
        struct("vfio_device_attach_iommufd_pt", _ARGSZ, u32("flags", "0"), _PT_ID),
        struct("vfio_device_detach_iommufd_pt", _ARGSZ, u32("flags", "0")),
    ],
    ioctls=[
        Ioctl("VFIO_DEVICE_BIND_IOMMUFD", 118, "vfio_device_bind_iommufd", "out_devid"),
        Ioctl("VFIO_DEVICE_ATTACH_IOMMUFD_PT", 119, "vfio_device_attach_iommufd_pt", "pt_id"),
        Ioctl("VFIO_DEVICE_DETACH_IOMMUFD_PT", 120, "vfio_device_detach_iommufd_pt", "flags"),
    ],
)


VFIO_6_19 = VFIO_6_12.then(
    "vfio_6_19",
    "<linux/vfio.h> of Linux 6.19 and 7.2",
    structs=[
        struct(
            "vfio_device_bind_iommufd",
            _ARGSZ,
            u32("flags", "", values="VFIO_DEVICE_BIND_FLAG"),
            _IOMMUFD,
            _OUT_DEVID,
            aligned_u64("token_uuid_ptr", "user pointer to 16 bytes, with its flag"),
        ),
        struct(
            "vfio_device_attach_iommufd_pt",
            _ARGSZ,
            u32("flags", "", values="VFIO_DEVICE_ATTACH"),
            _PT_ID,
            _PASID,
        ),
        struct(
            "vfio_device_detach_iommufd_pt", _ARGSZ, u32("flags", "", values="VFIO_DEVICE_DETACH"), _PASID
        ),
    ],
    enums=[
        flags("VFIO_DEVICE_BIND_FLAG", "VFIO_DEVICE_BIND_FLAG_TOKEN"),
        flags("VFIO_DEVICE_ATTACH", "VFIO_DEVICE_ATTACH_PASID"),
        flags("VFIO_DEVICE_DETACH", "VFIO_DEVICE_DETACH_PASID"),
    ],
)

GENERATIONS = (VFIO_6_12, VFIO_6_19)
