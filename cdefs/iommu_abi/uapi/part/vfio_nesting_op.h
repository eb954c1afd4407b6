/* SPDX-License-Identifier: MIT */
/* One ioctl for all that a nested guest does to stage 1; its number is NESTING_OP_NR. */

enum {
	VFIO_IOMMU_NESTING_OP_BIND_PGTBL,
	VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL,
	VFIO_IOMMU_NESTING_OP_CACHE_INVLD,
};

/* Posted as a macro. */
enum {
	VFIO_IOMMU_NESTING_OP = _IO(VFIO_TYPE, VFIO_BASE + NESTING_OP_NR),
};

struct vfio_iommu_type1_nesting_op {
	__u32 argsz;
	__u32 flags; /* the low 16 bits are the operation */
	__u8 data[]; /* struct iommu_gpasid_bind_data or iommu_cache_invalidate_info */
};
