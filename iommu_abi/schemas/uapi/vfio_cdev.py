"""VFIO ioctls of a device's own file that tie it and its PASIDs to iommufd.

Source: <linux/vfio.h> of Linux 6.12, 6.13, 6.19 and 7.2; the growth happened between 6.13 and 6.19. The
scheme is argsz and flags.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Use,
    aligned_u64,
    flags,
    member,
    pointer,
    reserved,
    s32,
    struct,
    tail,
    u32,
    u64,
)
from iommu_abi.schemas.uapi.generation import Ioctl, generation
from iommu_abi.schemas.uapi.vfio_proposed import CAP_HEADER

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
    "<linux/vfio.h> of Linux 6.19",
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

# ---------------------------------------------------------------- the type 1 IOMMU and devices, as of 7.2

_FLAGS = u32("flags", "what is valid, or wanted")
_OUT_FLAGS = u32("flags", "", use=Use.OUT)
_HEADER = member("header", CAP_HEADER)
_RANGE = struct("vfio_iova_range", u64("start", use=Use.OUT), u64("end", "inclusive", use=Use.OUT))
_CAP_OFFSET = u32("cap_offset", "of the first capability, 0 for none", use=Use.OUT)

BASE = 100
#: Commands of containers, groups and devices from BASE on; numbers mean different things on their files.
_COMMANDS = (
    ("GET_API_VERSION",),
    ("CHECK_EXTENSION",),
    ("SET_IOMMU",),
    ("GROUP_GET_STATUS",),
    ("GROUP_SET_CONTAINER",),
    ("GROUP_UNSET_CONTAINER",),
    ("GROUP_GET_DEVICE_FD",),
    ("DEVICE_GET_INFO",),
    ("DEVICE_GET_REGION_INFO",),
    ("DEVICE_GET_IRQ_INFO",),
    ("DEVICE_SET_IRQS",),
    ("DEVICE_RESET",),
    ("DEVICE_GET_PCI_HOT_RESET_INFO", "IOMMU_GET_INFO", "IOMMU_SPAPR_TCE_GET_INFO"),
    ("DEVICE_PCI_HOT_RESET", "IOMMU_MAP_DMA"),
    ("DEVICE_QUERY_GFX_PLANE", "IOMMU_UNMAP_DMA"),
    ("DEVICE_GET_GFX_DMABUF", "IOMMU_ENABLE"),
    ("DEVICE_IOEVENTFD", "IOMMU_DISABLE"),
    ("DEVICE_FEATURE", "IOMMU_DIRTY_PAGES", "IOMMU_SPAPR_REGISTER_MEMORY"),
    ("IOMMU_SPAPR_UNREGISTER_MEMORY",),
    ("IOMMU_SPAPR_TCE_CREATE",),
    ("IOMMU_SPAPR_TCE_REMOVE",),
    ("EEH_PE_OP",),
)
#: Those whose struct is described here, and the last field that every caller gives.
_STRUCTS = {
    "DEVICE_GET_REGION_INFO": ("vfio_region_info", "offset"),
    "DEVICE_GET_IRQ_INFO": ("vfio_irq_info", "count"),
    "DEVICE_SET_IRQS": ("vfio_irq_set", "count"),
    "IOMMU_GET_INFO": ("vfio_iommu_type1_info", "iova_pgsizes"),
    "IOMMU_MAP_DMA": ("vfio_iommu_type1_dma_map", "size"),
    "IOMMU_UNMAP_DMA": ("vfio_iommu_type1_dma_unmap", "size"),
}

VFIO_7_2 = VFIO_6_19.then(
    "vfio_7_2",
    "<linux/vfio.h> of Linux 7.2; only here with what is older than iommufd",
    structs=[
        CAP_HEADER,
        struct(
            "vfio_region_info",
            _ARGSZ,
            _OUT_FLAGS,
            u32("index"),
            _CAP_OFFSET,
            aligned_u64("size", "bytes", use=Use.OUT),
            aligned_u64("offset", "in the device's file", use=Use.OUT),
        ),
        struct("vfio_irq_info", _ARGSZ, _OUT_FLAGS, u32("index"), u32("count", use=Use.OUT)),
        struct(
            "vfio_irq_set",
            _ARGSZ,
            _FLAGS,
            u32("index"),
            u32("start"),
            u32("count"),
            tail("data", "as the flags say"),
        ),
        struct(
            "vfio_iommu_type1_info",
            _ARGSZ,
            _OUT_FLAGS,
            aligned_u64("iova_pgsizes", "sizes of pages, a bit map", use=Use.OUT),
            _CAP_OFFSET,
            reserved("pad", type_=u32),
        ),
        _RANGE,
        struct(
            "vfio_iommu_type1_info_cap_iova_range",
            _HEADER,
            u32("nr_iovas", use=Use.OUT),
            reserved("reserved", type_=u32),
            Field("iova_ranges", _RANGE, "what may be mapped", use=Use.OUT, flexible=True),
        ),
        struct(
            "vfio_iommu_type1_info_cap_migration",
            _HEADER,
            _OUT_FLAGS,
            u64("pgsize_bitmap", "sizes of pages, a bit map", use=Use.OUT),
            u64("max_dirty_bitmap_size", "bytes", use=Use.OUT),
        ),
        struct("vfio_iommu_type1_info_dma_avail", _HEADER, u32("avail", "mappings left", use=Use.OUT)),
        struct("vfio_iommu_type1_dma_map", _ARGSZ, _FLAGS, u64("vaddr"), u64("iova"), u64("size")),
        struct("vfio_bitmap", u64("pgsize"), u64("size", "bytes"), pointer("data", "user pointer")),
        struct(
            "vfio_iommu_type1_dma_unmap",
            _ARGSZ,
            _FLAGS,
            u64("iova"),
            u64("size"),
            tail("data", "a vfio_bitmap"),
        ),
    ],
    ioctls=[
        Ioctl(f"VFIO_{name}", BASE + i, *_STRUCTS.get(name, ("",)))
        for i, names in enumerate(_COMMANDS)
        for name in names
    ],
)

GENERATIONS = (VFIO_6_12, VFIO_6_19, VFIO_7_2)
