/* SPDX-License-Identifier: MIT */
/* A hardware queue that belongs to a guest. */

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 viommu_id;
	__u32 type; /* enum iommu_hw_queue_type, not DEFAULT */
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova; /* GPA of the queue */
	__aligned_u64 length;
};
