/* SPDX-License-Identifier: MIT */
/* A slice of a physical IOMMU for one guest, and the devices in it by the guest's names. */

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
#if IOMMU_ABI_LINUX >= 619
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
#endif
};

#if IOMMU_ABI_LINUX >= 619
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};
#endif

struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 type;  /* enum iommu_viommu_type, not DEFAULT */
	__u32 dev_id;
	__u32 hwpt_id; /* the nesting parent */
	__u32 out_viommu_id;
#if IOMMU_ABI_LINUX >= 619
	__u32 data_len;
	__u32 __reserved; /* 0, unchecked */
	__aligned_u64 data_uptr;
#endif
};

struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id; /* the device's number in the guest's IOMMU */
};
