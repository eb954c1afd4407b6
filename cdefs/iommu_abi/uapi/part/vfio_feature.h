/* SPDX-License-Identifier: MIT */
/* Features of a device, since 5.7: one ioctl, the feature's number in the low 16 bits of flags. */

/* Posted as macros. */
enum {
	VFIO_DEVICE_FEATURE_MASK = 0xffff,
	VFIO_DEVICE_FEATURE_GET = 1 << 16,
	VFIO_DEVICE_FEATURE_SET = 1 << 17,
	VFIO_DEVICE_FEATURE_PROBE = 1 << 18,
	VFIO_DEVICE_FEATURE = _IO(VFIO_TYPE, VFIO_BASE + 17),
	VFIO_DEVICE_FEATURE_PCI_VF_TOKEN = 0, /* data is a UUID of 16 bytes */
#if IOMMU_ABI_LINUX >= 601
	VFIO_DEVICE_FEATURE_MIGRATION = 1,
	VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE = 2,
	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY = 3,
	VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP = 4,
	VFIO_DEVICE_FEATURE_LOW_POWER_EXIT = 5,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_START = 6,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP = 7,
	VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT = 8,
#endif
#if IOMMU_ABI_LINUX >= 602
	VFIO_DEVICE_FEATURE_MIG_DATA_SIZE = 9,
#endif
#if IOMMU_ABI_LINUX >= 606
	VFIO_DEVICE_FEATURE_BUS_MASTER = 10,
	VFIO_DEVICE_FEATURE_CLEAR_MASTER = 0,
	VFIO_DEVICE_FEATURE_SET_MASTER = 1,
#endif
#if IOMMU_ABI_LINUX >= 619
	VFIO_DEVICE_FEATURE_DMA_BUF = 11,
#endif
#if IOMMU_ABI_LINUX >= 702
	VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 = 12,
#endif
#if IOMMU_ABI_LINUX >= 703
	VFIO_DEVICE_FEATURE_ZPCI_ERROR = 13,
#endif
};

struct vfio_device_feature {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_FEATURE_* */
	__u8 data[];
};

#if IOMMU_ABI_LINUX >= 601
struct vfio_device_low_power_entry_with_wakeup {
	__s32 wakeup_eventfd;
	__u32 reserved;
};
#endif

#if IOMMU_ABI_LINUX >= 606
struct vfio_device_feature_bus_master {
	__u32 op; /* VFIO_DEVICE_FEATURE_CLEAR_MASTER, _SET_MASTER */
};
#endif

#if IOMMU_ABI_LINUX >= 619
struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags; /* 0 */
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#endif

#if IOMMU_ABI_LINUX >= 703
struct vfio_device_feature_zpci_err {
	__aligned_u64 data; /* user pointer */
};
#endif
