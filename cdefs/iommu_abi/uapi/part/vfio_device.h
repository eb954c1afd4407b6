/* SPDX-License-Identifier: MIT */
/* What every device of VFIO says about itself: regions and interrupts. */

/* Posted as macros. */
enum {
	VFIO_DEVICE_FLAGS_RESET = 1 << 0,
	VFIO_DEVICE_FLAGS_PCI = 1 << 1,
	VFIO_DEVICE_FLAGS_PLATFORM = 1 << 2,
	VFIO_DEVICE_FLAGS_AMBA = 1 << 3,
	VFIO_DEVICE_FLAGS_CCW = 1 << 4,
#if IOMMU_ABI_LINUX >= 510
	VFIO_DEVICE_FLAGS_AP = 1 << 5,
	VFIO_DEVICE_FLAGS_FSL_MC = 1 << 6,
	VFIO_DEVICE_FLAGS_CAPS = 1 << 7,
#endif
#if IOMMU_ABI_LINUX >= 606
	VFIO_DEVICE_FLAGS_CDX = 1 << 8,
#endif
	VFIO_REGION_INFO_FLAG_READ = 1 << 0,
	VFIO_REGION_INFO_FLAG_WRITE = 1 << 1,
	VFIO_REGION_INFO_FLAG_MMAP = 1 << 2,
	VFIO_REGION_INFO_FLAG_CAPS = 1 << 3,
	VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1,
	VFIO_REGION_INFO_CAP_TYPE = 2,
	VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3, /* only a header */
	VFIO_IRQ_INFO_EVENTFD = 1 << 0,
	VFIO_IRQ_INFO_MASKABLE = 1 << 1,
	VFIO_IRQ_INFO_AUTOMASKED = 1 << 2,
	VFIO_IRQ_INFO_NORESIZE = 1 << 3,
	VFIO_IRQ_SET_DATA_NONE = 1 << 0,
	VFIO_IRQ_SET_DATA_BOOL = 1 << 1,
	VFIO_IRQ_SET_DATA_EVENTFD = 1 << 2,
	VFIO_IRQ_SET_ACTION_MASK = 1 << 3,
	VFIO_IRQ_SET_ACTION_UNMASK = 1 << 4,
	VFIO_IRQ_SET_ACTION_TRIGGER = 1 << 5,
};

/* Posted as macros. */
enum {
	VFIO_DEVICE_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 7),
	VFIO_DEVICE_GET_REGION_INFO = _IO(VFIO_TYPE, VFIO_BASE + 8),
	VFIO_DEVICE_GET_IRQ_INFO = _IO(VFIO_TYPE, VFIO_BASE + 9),
	VFIO_DEVICE_SET_IRQS = _IO(VFIO_TYPE, VFIO_BASE + 10),
	VFIO_DEVICE_RESET = _IO(VFIO_TYPE, VFIO_BASE + 11),
};

struct vfio_device_info {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_FLAGS_* */
	__u32 num_regions;
	__u32 num_irqs;
#if IOMMU_ABI_LINUX >= 510
	__u32 cap_offset;
#endif
#if IOMMU_ABI_LINUX >= 606
	__u32 pad;
#endif
};

struct vfio_region_info {
	__u32 argsz;
	__u32 flags; /* VFIO_REGION_INFO_FLAG_* */
	__u32 index;
	__u32 cap_offset;
	IOMMU_ABI_VFIO_U64 size;
	IOMMU_ABI_VFIO_U64 offset;
};

struct vfio_region_sparse_mmap_area {
	IOMMU_ABI_VFIO_U64 offset;
	IOMMU_ABI_VFIO_U64 size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	__u32 nr_areas;
	__u32 reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	__u32 type;
	__u32 subtype;
};

struct vfio_irq_info {
	__u32 argsz;
	__u32 flags; /* VFIO_IRQ_INFO_* */
	__u32 index;
	__u32 count;
};

struct vfio_irq_set {
	__u32 argsz;
	__u32 flags; /* VFIO_IRQ_SET_* */
	__u32 index;
	__u32 start;
	__u32 count;
	__u8 data[];
};
