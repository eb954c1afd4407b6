/* SPDX-License-Identifier: MIT */
/* Migration of devices, version 2, since 5.18, and what a device writes meanwhile, since 6.1. */

/* Posted as macros. */
enum {
	VFIO_MIGRATION_STOP_COPY = 1 << 0,
	VFIO_MIGRATION_P2P = 1 << 1,
#if IOMMU_ABI_LINUX >= 602
	VFIO_MIGRATION_PRE_COPY = 1 << 2,
	VFIO_MIG_GET_PRECOPY_INFO = _IO(VFIO_TYPE, VFIO_BASE + 21), /* on the file of the device's state */
#endif
#if IOMMU_ABI_LINUX >= 702
	VFIO_PRECOPY_INFO_REINIT = 1 << 0,
#endif
};

enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
#if IOMMU_ABI_LINUX >= 602
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
#endif
#if IOMMU_ABI_LINUX >= 612
	VFIO_DEVICE_STATE_NR,
#endif
};

struct vfio_device_feature_migration {
	__aligned_u64 flags; /* VFIO_MIGRATION_* */
};

struct vfio_device_feature_mig_state {
	__u32 device_state; /* enum vfio_device_mig_state */
	__s32 data_fd;
};

struct vfio_device_feature_dma_logging_control {
	__aligned_u64 page_size; /* in: wanted; out: used */
	__u32 num_ranges;
	__u32 __reserved;
	__aligned_u64 ranges; /* user pointer to struct vfio_device_feature_dma_logging_range */
};

struct vfio_device_feature_dma_logging_range {
	__aligned_u64 iova;
	__aligned_u64 length;
};

struct vfio_device_feature_dma_logging_report {
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 bitmap; /* user pointer */
};

#if IOMMU_ABI_LINUX >= 602
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags; /* VFIO_PRECOPY_INFO_REINIT */
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#endif
