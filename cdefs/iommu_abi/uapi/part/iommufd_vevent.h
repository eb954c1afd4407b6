/* SPDX-License-Identifier: MIT */
/* Events for a vIOMMU: a queue of a header and the vendor's record each. */

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1 << 0,
};

struct iommufd_vevent_header {
	__u32 flags;    /* enum iommu_veventq_flag */
	__u32 sequence; /* 31 bits, wraps to 0 */
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4]; /* an event record with the guest's StreamID */
};

struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 viommu_id;
	__u32 type; /* enum iommu_veventq_type, not DEFAULT */
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved; /* 0 */
};
