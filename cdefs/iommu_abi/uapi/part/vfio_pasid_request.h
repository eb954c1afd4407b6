/* SPDX-License-Identifier: MIT */
/* A range of PASIDs to allocate or to free; the PASID is what the ioctl returns. */

/* Posted as macros. */
enum {
	VFIO_IOMMU_FLAG_ALLOC_PASID = 1 << 0,
	VFIO_IOMMU_FLAG_FREE_PASID = 1 << 1,
	VFIO_IOMMU_PASID_REQUEST = _IO(VFIO_TYPE, VFIO_BASE + 18),
};

struct vfio_iommu_type1_pasid_request {
	__u32 argsz;
	__u32 flags;
	struct {
		__u32 min;
		__u32 max;
	} range;
};
