/* SPDX-License-Identifier: MIT */
/* Hardware page tables: the nesting parent, and the guest's own stage 1 by vendor. */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
#if IOMMU_ABI_LINUX >= 613
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
#endif
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;      /* enum iommu_hwpt_vtd_s1_flags */
	__aligned_u64 pgtbl_addr; /* GPA of the guest's root table */
	__u32 addr_width;         /* 48 or 57, checked at attach */
	__u32 __reserved;         /* 0, unchecked */
};

#if IOMMU_ABI_LINUX >= 613
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2]; /* the first words of the guest's STE, the CD table's address in them */
};
#endif

#if IOMMU_ABI_LINUX >= 702
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4]; /* the guest's DTE, the GCR3 table's address in it */
};
#endif

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
#if IOMMU_ABI_LINUX >= 613
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
#endif
#if IOMMU_ABI_LINUX >= 702
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
#endif
};

struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags; /* enum iommufd_hwpt_alloc_flags */
	__u32 dev_id;
	__u32 pt_id; /* an IOAS or a nesting parent; since 6.13 a vIOMMU */
	__u32 out_hwpt_id;
	__u32 __reserved; /* 0 */
	__u32 data_type;  /* enum iommu_hwpt_data_type */
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;    /* with FAULT_ID_VALID */
	__u32 __reserved2; /* 0, unchecked */
};
