"""VFIO before iommufd: containers with type 1 mappings, groups, devices and their PCI functions.

Source: <linux/vfio.h> of Linux 4.19, and what 6.6 made of these structs: numbers of 8 bytes are aligned on
every ABI, and holes at the end have a name. The scheme is argsz and flags. What concerns neither PCI nor
the IOMMU is left out; of powerpc's IOMMU there are only the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.schemas.uapi.fields import (
    Field,
    Integer,
    Struct,
    Use,
    flags,
    member,
    reserved,
    s32,
    struct,
    tail,
    u8,
    u16,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Ioctl, generation
from iommu_abi.schemas.uapi.vfio_proposed import CAP_HEADER

ARGSZ = u32("argsz", "bytes that the caller gives")
HEADER = member("header", CAP_HEADER)
CAP_OFFSET = u32("cap_offset", "of the first capability, 0 for none", use=Use.OUT)
PAD = reserved("pad", type_=u32)
BASE = 100


def out_flags(values: str) -> Field:
    """Flags that the kernel sets."""
    return u32("flags", "", values=values, use=Use.OUT)


def device_info(*grown: Field) -> Struct:
    """What 5.10 and 6.6 put behind it is not in the first one."""
    return struct(
        "vfio_device_info",
        ARGSZ,
        out_flags("VFIO_DEVICE_FLAGS"),
        u32("num_regions", use=Use.OUT),
        u32("num_irqs", "kinds of interrupts", use=Use.OUT),
        *grown,
    )


def type1_info(wide: Integer, values: str, *grown: Field) -> Struct:
    """What the type 1 IOMMU of a container can do."""
    pages = wide("iova_pgsizes", "sizes of pages, a bit map", use=Use.OUT)
    return struct("vfio_iommu_type1_info", ARGSZ, out_flags(values), pages, *grown)


def dma_unmap(*grown: Field) -> Struct:
    """How much was unmapped comes back in ``size``."""
    return struct(
        "vfio_iommu_type1_dma_unmap",
        ARGSZ,
        u32("flags", "", values="VFIO_DMA_UNMAP_FLAG" if grown else ""),
        u64("iova"),
        u64("size", "bytes", use=Use.BOTH),
        *grown,
    )


def dependent_device(*head: Field) -> Struct:
    """A function that is reset together with others."""
    return struct(
        "vfio_pci_dependent_device",
        *head,
        u16("segment", use=Use.OUT),
        u8("bus", use=Use.OUT),
        u8("devfn", use=Use.OUT),
    )


def hot_reset_info(device: Struct, values: str) -> Struct:
    """All that a hot reset of a function would reset."""
    return struct(
        "vfio_pci_hot_reset_info",
        ARGSZ,
        out_flags(values) if values else u32("flags", "0", use=Use.OUT),
        u32("count", "elements", use=Use.OUT),
        Field("devices", device, "what is reset", use=Use.OUT, flexible=True),
    )


def with_wide_numbers(wide: Integer, *end: Field) -> Iterator[Struct]:
    """The structs that 6.6 changed alike: how numbers of 8 bytes are aligned, and what ends a struct."""
    area = struct("vfio_region_sparse_mmap_area", wide("offset", use=Use.OUT), wide("size", use=Use.OUT))
    yield struct(
        "vfio_region_info",
        ARGSZ,
        out_flags("VFIO_REGION_INFO_FLAG"),
        u32("index"),
        CAP_OFFSET,
        wide("size", "bytes", use=Use.OUT),
        wide("offset", "in the device's file", use=Use.OUT),
    )
    yield area
    yield struct(
        "vfio_region_info_cap_sparse_mmap",
        HEADER,
        u32("nr_areas", use=Use.OUT),
        reserved("reserved", type_=u32),
        Field("areas", area, "what mmap() takes", use=Use.OUT, flexible=True),
    )
    yield struct(
        "vfio_device_gfx_plane_info",
        ARGSZ,
        u32("flags", "", values="VFIO_GFX_PLANE_TYPE"),
        u32("drm_plane_type"),
        u32("drm_format", use=Use.OUT),
        wide("drm_format_mod", use=Use.OUT),
        u32("width", use=Use.OUT),
        u32("height", use=Use.OUT),
        u32("stride", use=Use.OUT),
        u32("size", "bytes", use=Use.OUT),
        u32("x_pos", use=Use.OUT),
        u32("y_pos", use=Use.OUT),
        u32("x_hot", use=Use.OUT),
        u32("y_hot", use=Use.OUT),
        union("", u32("region_index", use=Use.OUT), u32("dmabuf_id", use=Use.OUT)),
        *end,
    )
    yield struct(
        "vfio_device_ioeventfd",
        ARGSZ,
        u32("flags", "how many bytes are written", values="VFIO_DEVICE_IOEVENTFD"),
        wide("offset", "in the device's file"),
        wide("data", "what is written there"),
        s32("fd", "an eventfd; -1 takes the one of this offset and data away"),
        *end,
    )


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
    ("IOMMU_SPAPR_REGISTER_MEMORY",),
    ("IOMMU_SPAPR_UNREGISTER_MEMORY",),
    ("IOMMU_SPAPR_TCE_CREATE",),
    ("IOMMU_SPAPR_TCE_REMOVE",),
    ("EEH_PE_OP",),
)
#: Those whose struct is described here, and the last field that every caller gives.
_STRUCTS = {
    "GROUP_GET_STATUS": ("vfio_group_status", "flags"),
    "DEVICE_GET_INFO": ("vfio_device_info", "num_irqs"),
    "DEVICE_GET_REGION_INFO": ("vfio_region_info", "offset"),
    "DEVICE_GET_IRQ_INFO": ("vfio_irq_info", "count"),
    "DEVICE_SET_IRQS": ("vfio_irq_set", "count"),
    "DEVICE_GET_PCI_HOT_RESET_INFO": ("vfio_pci_hot_reset_info", "count"),
    "DEVICE_PCI_HOT_RESET": ("vfio_pci_hot_reset", "count"),
    "DEVICE_QUERY_GFX_PLANE": ("vfio_device_gfx_plane_info", "dmabuf_id"),
    "DEVICE_IOEVENTFD": ("vfio_device_ioeventfd", "fd"),
    "IOMMU_GET_INFO": ("vfio_iommu_type1_info", "iova_pgsizes"),
    "IOMMU_MAP_DMA": ("vfio_iommu_type1_dma_map", "size"),
    "IOMMU_UNMAP_DMA": ("vfio_iommu_type1_dma_unmap", "size"),
}

_DEPENDENT = dependent_device(u32("group_id", use=Use.OUT))

VFIO_4_19 = generation(
    "vfio_4_19",
    "<linux/vfio.h> of Linux 4.19",
    structs=[
        CAP_HEADER,
        struct("vfio_group_status", ARGSZ, out_flags("VFIO_GROUP_FLAGS")),
        device_info(),
        struct("vfio_region_info_cap_type", HEADER, u32("type", use=Use.OUT), u32("subtype", use=Use.OUT)),
        struct("vfio_irq_info", ARGSZ, out_flags("VFIO_IRQ_INFO"), u32("index"), u32("count", use=Use.OUT)),
        struct(
            "vfio_irq_set",
            ARGSZ,
            u32("flags", "one DATA and one ACTION", values="VFIO_IRQ_SET"),
            u32("index"),
            u32("start"),
            u32("count"),
            tail("data", "as the flags say"),
        ),
        _DEPENDENT,
        hot_reset_info(_DEPENDENT, ""),
        struct(
            "vfio_pci_hot_reset",
            ARGSZ,
            u32("flags", "0"),
            u32("count", "elements"),
            Field("group_fds", s32, "files of all groups that are reset", flexible=True),
        ),
        *with_wide_numbers(u64),
        type1_info(u64, "VFIO_IOMMU_INFO"),
        struct(
            "vfio_iommu_type1_dma_map",
            ARGSZ,
            u32("flags", "", values="VFIO_DMA_MAP_FLAG"),
            u64("vaddr"),
            u64("iova"),
            u64("size", "bytes"),
        ),
        dma_unmap(),
    ],
    enums=[
        flags("VFIO_GROUP_FLAGS", "VFIO_GROUP_FLAGS_VIABLE", "VFIO_GROUP_FLAGS_CONTAINER_SET"),
        flags(
            "VFIO_DEVICE_FLAGS",
            *(f"VFIO_DEVICE_FLAGS_{name}" for name in ("RESET", "PCI", "PLATFORM", "AMBA", "CCW")),
        ),
        flags(
            "VFIO_REGION_INFO_FLAG",
            *(f"VFIO_REGION_INFO_FLAG_{name}" for name in ("READ", "WRITE", "MMAP", "CAPS")),
        ),
        flags(
            "VFIO_IRQ_INFO",
            *(f"VFIO_IRQ_INFO_{name}" for name in ("EVENTFD", "MASKABLE", "AUTOMASKED", "NORESIZE")),
        ),
        flags(
            "VFIO_IRQ_SET",
            *(f"VFIO_IRQ_SET_DATA_{name}" for name in ("NONE", "BOOL", "EVENTFD")),
            *(f"VFIO_IRQ_SET_ACTION_{name}" for name in ("MASK", "UNMASK", "TRIGGER")),
        ),
        flags(
            "VFIO_GFX_PLANE_TYPE", *(f"VFIO_GFX_PLANE_TYPE_{name}" for name in ("PROBE", "DMABUF", "REGION"))
        ),
        flags(
            "VFIO_DEVICE_IOEVENTFD",
            *(f"VFIO_DEVICE_IOEVENTFD_{bits}" for bits in (8, 16, 32, 64)),
            bounds={"VFIO_DEVICE_IOEVENTFD_SIZE_MASK": 0xF},
        ),
        flags("VFIO_IOMMU_INFO", "VFIO_IOMMU_INFO_PGSIZES"),
        flags("VFIO_DMA_MAP_FLAG", "VFIO_DMA_MAP_FLAG_READ", "VFIO_DMA_MAP_FLAG_WRITE"),
    ],
    ioctls=[
        Ioctl(f"VFIO_{name}", BASE + i, *_STRUCTS.get(name, ("",)))
        for i, names in enumerate(_COMMANDS)
        for name in names
    ],
)
