"""VFIO with capabilities, dirty bit maps and features of devices: Linux 5.10 and 5.16.

Source: <linux/vfio.h> of these kernels. Between them, in 5.12, all of a container can be unmapped at once,
and mappings can get another address.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Use,
    Values,
    flags,
    member,
    pointer,
    reserved,
    struct,
    tail,
    u32,
    u64,
)
from iommu_abi.schemas.uapi.generation import Ioctl
from iommu_abi.schemas.uapi.vfio_4_19 import (
    ARGSZ,
    BASE,
    CAP_OFFSET,
    HEADER,
    VFIO_4_19,
    device_info,
    dma_unmap,
    type1_info,
)

_RANGE = struct("vfio_iova_range", u64("start", use=Use.OUT), u64("end", "inclusive", use=Use.OUT))
_BITMAP = struct(
    "vfio_bitmap", u64("pgsize", "bytes for each bit"), u64("size", "bytes"), pointer("data", "user pointer")
)
_FEATURE = {"GET": 1 << 16, "SET": 1 << 17, "PROBE": 1 << 18}

VFIO_5_10 = VFIO_4_19.then(
    "vfio_5_10",
    "<linux/vfio.h> of Linux 5.10",
    structs=[
        device_info(CAP_OFFSET),
        type1_info(u64, "VFIO_IOMMU_INFO", CAP_OFFSET),
        _RANGE,
        struct(
            "vfio_iommu_type1_info_cap_iova_range",
            HEADER,
            u32("nr_iovas", use=Use.OUT),
            reserved("reserved", type_=u32),
            Field("iova_ranges", _RANGE, "what may be mapped", use=Use.OUT, flexible=True),
        ),
        struct(
            "vfio_iommu_type1_info_cap_migration",
            HEADER,
            u32("flags", "0", use=Use.OUT),
            u64("pgsize_bitmap", "sizes of pages, a bit map", use=Use.OUT),
            u64("max_dirty_bitmap_size", "bytes", use=Use.OUT),
        ),
        struct("vfio_iommu_type1_info_dma_avail", HEADER, u32("avail", "mappings left", use=Use.OUT)),
        _BITMAP,
        dma_unmap(tail("data", "with its flag a vfio_bitmap")),
        struct(
            "vfio_iommu_type1_dirty_bitmap",
            ARGSZ,
            u32("flags", "exactly one", values="VFIO_IOMMU_DIRTY_PAGES_FLAG"),
            tail("data", "for GET_BITMAP a vfio_iommu_type1_dirty_bitmap_get"),
        ),
        struct(
            "vfio_iommu_type1_dirty_bitmap_get", u64("iova"), u64("size", "bytes"), member("bitmap", _BITMAP)
        ),
        struct(
            "vfio_device_feature",
            ARGSZ,
            u32("flags", "the feature's number and what is wanted", values="VFIO_DEVICE_FEATURE"),
            tail("data", "as the feature says"),
        ),
    ],
    enums=[
        VFIO_4_19.enums["VFIO_DEVICE_FLAGS"].and_also(
            VFIO_DEVICE_FLAGS_AP=1 << 5, VFIO_DEVICE_FLAGS_FSL_MC=1 << 6, VFIO_DEVICE_FLAGS_CAPS=1 << 7
        ),
        VFIO_4_19.enums["VFIO_IOMMU_INFO"].and_also(VFIO_IOMMU_INFO_CAPS=1 << 1),
        flags("VFIO_DMA_UNMAP_FLAG", "VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP"),
        flags(
            "VFIO_IOMMU_DIRTY_PAGES_FLAG",
            *(f"VFIO_IOMMU_DIRTY_PAGES_FLAG_{name}" for name in ("START", "STOP", "GET_BITMAP")),
        ),
        Values(
            "VFIO_DEVICE_FEATURE",
            {
                "VFIO_DEVICE_FEATURE_MASK": 0xFFFF,
                **{f"VFIO_DEVICE_FEATURE_{name}": bit for name, bit in _FEATURE.items()},
            },
            flags=True,
        ),
    ],
    ioctls=[
        Ioctl("VFIO_DEVICE_FEATURE", BASE + 17, "vfio_device_feature", "flags"),
        Ioctl("VFIO_IOMMU_DIRTY_PAGES", BASE + 17, "vfio_iommu_type1_dirty_bitmap", "flags"),
    ],
)

VFIO_5_16 = VFIO_5_10.then(
    "vfio_5_16",
    "<linux/vfio.h> of Linux 5.16",
    enums=[
        VFIO_5_10.enums["VFIO_DMA_MAP_FLAG"].and_also(VFIO_DMA_MAP_FLAG_VADDR=1 << 2),
        VFIO_5_10.enums["VFIO_DMA_UNMAP_FLAG"].and_also(
            VFIO_DMA_UNMAP_FLAG_ALL=1 << 1, VFIO_DMA_UNMAP_FLAG_VADDR=1 << 2
        ),
    ],
)
