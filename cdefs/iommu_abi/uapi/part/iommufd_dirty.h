/* SPDX-License-Identifier: MIT */
/* Which pages a device has written. */

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags; /* enum iommufd_hwpt_set_dirty_tracking_flags; 0 disables */
	__u32 hwpt_id;
	__u32 __reserved; /* 0, unchecked */
};

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;      /* enum iommufd_hwpt_get_dirty_bitmap_flags */
	__u32 __reserved; /* 0 */
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size; /* bytes that one bit stands for */
	__aligned_u64 data;      /* address of the bitmap */
};
