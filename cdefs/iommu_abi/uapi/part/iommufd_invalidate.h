/* SPDX-License-Identifier: MIT */
/* Invalidating what hardware has cached of a guest's tables: arrays of entries by type. */

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
#if IOMMU_ABI_LINUX >= 613
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
#endif
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;   /* multiple of 4 KiB */
	__aligned_u64 npages; /* of 4 KiB; all ones with addr 0 means everything */
	__u32 flags;          /* enum iommu_hwpt_vtd_s1_invalidate_flags */
	__u32 __reserved;     /* 0 */
};

#if IOMMU_ABI_LINUX >= 613
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2]; /* a command of the guest's queue */
};
#endif

struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id; /* a nested table; since 6.13 a vIOMMU */
	__aligned_u64 data_uptr;
	__u32 data_type;  /* enum iommu_hwpt_invalidate_data_type */
	__u32 entry_len;  /* bytes from one entry to the next */
	__u32 entry_num;  /* in: entries; out: entries handled */
	__u32 __reserved; /* 0 */
};
