/* SPDX-License-Identifier: MIT */
/* Containers, groups, devices and type 1 mappings, as of Linux 7.2. */

/* Posted as macros. */
enum {
	VFIO_API_VERSION = 0,
	VFIO_TYPE1_IOMMU = 1,
	VFIO_SPAPR_TCE_IOMMU = 2,
	VFIO_TYPE1v2_IOMMU = 3,
	VFIO_DMA_CC_IOMMU = 4,
	VFIO_SPAPR_TCE_v2_IOMMU = 7,
	VFIO_NOIOMMU_IOMMU = 8,
	VFIO_GROUP_FLAGS_VIABLE = 1 << 0,
	VFIO_GROUP_FLAGS_CONTAINER_SET = 1 << 1,
	VFIO_IOMMU_INFO_PGSIZES = 1 << 0,
	VFIO_IOMMU_INFO_CAPS = 1 << 1,
	VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1,
	VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2,
	VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1 << 0,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 1 << 1,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 1 << 2,
};

/* Posted as macros. A number means another thing on a container, a group, a device, or SPAPR. */
enum {
	VFIO_GET_API_VERSION = _IO(VFIO_TYPE, VFIO_BASE + 0),
	VFIO_CHECK_EXTENSION = _IO(VFIO_TYPE, VFIO_BASE + 1),
	VFIO_SET_IOMMU = _IO(VFIO_TYPE, VFIO_BASE + 2),
	VFIO_GROUP_GET_STATUS = _IO(VFIO_TYPE, VFIO_BASE + 3),
	VFIO_GROUP_SET_CONTAINER = _IO(VFIO_TYPE, VFIO_BASE + 4),
	VFIO_GROUP_UNSET_CONTAINER = _IO(VFIO_TYPE, VFIO_BASE + 5),
	VFIO_GROUP_GET_DEVICE_FD = _IO(VFIO_TYPE, VFIO_BASE + 6),
	VFIO_DEVICE_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 7),
	VFIO_DEVICE_GET_REGION_INFO = _IO(VFIO_TYPE, VFIO_BASE + 8),
	VFIO_DEVICE_GET_IRQ_INFO = _IO(VFIO_TYPE, VFIO_BASE + 9),
	VFIO_DEVICE_SET_IRQS = _IO(VFIO_TYPE, VFIO_BASE + 10),
	VFIO_DEVICE_RESET = _IO(VFIO_TYPE, VFIO_BASE + 11),
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_DEVICE_PCI_HOT_RESET = _IO(VFIO_TYPE, VFIO_BASE + 13),
	VFIO_DEVICE_QUERY_GFX_PLANE = _IO(VFIO_TYPE, VFIO_BASE + 14),
	VFIO_DEVICE_GET_GFX_DMABUF = _IO(VFIO_TYPE, VFIO_BASE + 15),
	VFIO_DEVICE_IOEVENTFD = _IO(VFIO_TYPE, VFIO_BASE + 16),
	VFIO_DEVICE_FEATURE = _IO(VFIO_TYPE, VFIO_BASE + 17),
	VFIO_IOMMU_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_IOMMU_MAP_DMA = _IO(VFIO_TYPE, VFIO_BASE + 13),
	VFIO_IOMMU_UNMAP_DMA = _IO(VFIO_TYPE, VFIO_BASE + 14),
	VFIO_IOMMU_ENABLE = _IO(VFIO_TYPE, VFIO_BASE + 15),
	VFIO_IOMMU_DISABLE = _IO(VFIO_TYPE, VFIO_BASE + 16),
	VFIO_IOMMU_DIRTY_PAGES = _IO(VFIO_TYPE, VFIO_BASE + 17),
	VFIO_IOMMU_SPAPR_TCE_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_IOMMU_SPAPR_REGISTER_MEMORY = _IO(VFIO_TYPE, VFIO_BASE + 17),
	VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY = _IO(VFIO_TYPE, VFIO_BASE + 18),
	VFIO_IOMMU_SPAPR_TCE_CREATE = _IO(VFIO_TYPE, VFIO_BASE + 19),
	VFIO_IOMMU_SPAPR_TCE_REMOVE = _IO(VFIO_TYPE, VFIO_BASE + 20),
	VFIO_EEH_PE_OP = _IO(VFIO_TYPE, VFIO_BASE + 21),
};

struct vfio_region_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 cap_offset;
	__aligned_u64 size;
	__aligned_u64 offset;
};

struct vfio_irq_info {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 count;
};

struct vfio_irq_set {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};

struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags; /* VFIO_IOMMU_INFO_* */
	__aligned_u64 iova_pgsizes;
	__u32 cap_offset;
	__u32 pad;
};

/* Both ends are inside. */
struct vfio_iova_range {
	__u64 start;
	__u64 end;
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
	struct vfio_iova_range iova_ranges[];
};

struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u64 pgsize_bitmap;
	__u64 max_dirty_bitmap_size;
};

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};

struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags;
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};

struct vfio_bitmap {
	__u64 pgsize;
	__u64 size;
	__u64 *data; /* a pointer: the layout differs by ABI */
};

struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
	__u64 size;
	__u8 data[];
};
