/* SPDX-License-Identifier: MIT */
/* Containers, groups, and what an IOMMU behind them can do. */

/* Posted as macros. What VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU take. */
enum {
	VFIO_API_VERSION = 0,
	VFIO_TYPE1_IOMMU = 1,
	VFIO_SPAPR_TCE_IOMMU = 2,
	VFIO_TYPE1v2_IOMMU = 3,
	VFIO_DMA_CC_IOMMU = 4,
	VFIO_EEH = 5,
#if IOMMU_ABI_LINUX < 612 /* 6.13, which shares the generation of 6.12, only reserves the number */
	VFIO_TYPE1_NESTING_IOMMU = 6,
#endif
	VFIO_SPAPR_TCE_v2_IOMMU = 7,
	VFIO_NOIOMMU_IOMMU = 8,
#if IOMMU_ABI_LINUX >= 512
	VFIO_UNMAP_ALL = 9,
	VFIO_UPDATE_VADDR = 10,
#endif
	VFIO_GROUP_FLAGS_VIABLE = 1 << 0,
	VFIO_GROUP_FLAGS_CONTAINER_SET = 1 << 1,
};

/* Posted as macros. */
enum {
	VFIO_GET_API_VERSION = _IO(VFIO_TYPE, VFIO_BASE + 0),
	VFIO_CHECK_EXTENSION = _IO(VFIO_TYPE, VFIO_BASE + 1), /* takes a number */
	VFIO_SET_IOMMU = _IO(VFIO_TYPE, VFIO_BASE + 2),       /* takes a number */
	VFIO_GROUP_GET_STATUS = _IO(VFIO_TYPE, VFIO_BASE + 3),
	VFIO_GROUP_SET_CONTAINER = _IO(VFIO_TYPE, VFIO_BASE + 4),
	VFIO_GROUP_UNSET_CONTAINER = _IO(VFIO_TYPE, VFIO_BASE + 5),
	VFIO_GROUP_GET_DEVICE_FD = _IO(VFIO_TYPE, VFIO_BASE + 6),
};

struct vfio_group_status {
	__u32 argsz;
	__u32 flags; /* VFIO_GROUP_FLAGS_* */
};
