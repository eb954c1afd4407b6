/* SPDX-License-Identifier: MIT */
/* What the IOMMU of a device can do, in the vendor's own registers. */

enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

struct iommu_hw_info_vtd {
	__u32 flags; /* enum iommu_hw_info_vtd_flags */
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

#if IOMMU_ABI_LINUX >= 703
enum iommu_hw_info_arm_smmuv3_flags {
	IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI = 1 << 0,
};
#endif

#if IOMMU_ABI_LINUX >= 613
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags; /* enum iommu_hw_info_arm_smmuv3_flags */
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};
#endif

#if IOMMU_ABI_LINUX >= 619
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};
#endif

#if IOMMU_ABI_LINUX >= 702
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};
#endif

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
#if IOMMU_ABI_LINUX >= 619
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
#endif
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
#if IOMMU_ABI_LINUX >= 613
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
#endif
#if IOMMU_ABI_LINUX >= 619
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
#endif
#if IOMMU_ABI_LINUX >= 702
	IOMMU_HW_INFO_TYPE_AMD = 4,
#endif
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
#if IOMMU_ABI_LINUX != 613
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
#endif
#if IOMMU_ABI_LINUX >= 702
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
#endif
};

#if IOMMU_ABI_LINUX >= 619
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};
#endif

struct iommu_hw_info {
	__u32 size;
	__u32 flags; /* 0; since 6.19 enum iommufd_hw_info_flags */
	__u32 dev_id;
	__u32 data_len; /* in: room; out: what the kernel has */
	__aligned_u64 data_uptr;
#if IOMMU_ABI_LINUX >= 619
	union {
		__u32 in_data_type;  /* enum iommu_hw_info_type, with INPUT_TYPE */
		__u32 out_data_type; /* enum iommu_hw_info_type */
	};
#else
	__u32 out_data_type;     /* enum iommu_hw_info_type */
#endif
#if IOMMU_ABI_LINUX == 613
	__u32 __reserved; /* 0 */
#else
	__u8 out_max_pasid_log2; /* 0: no PASID */
	__u8 __reserved[3];      /* 0 */
#endif
	__aligned_u64 out_capabilities; /* enum iommufd_hw_capabilities */
};
