/* SPDX-License-Identifier: MIT */
/* What guest and host do with stage 1; posted as macros. */
enum {
	PASID_TABLE_CFG_VERSION_1 = 1,
	IOMMU_PASID_FORMAT_SMMUV3 = 1, /* a number since ptc_v4, a bit before */
	IOMMU_PASID_CONFIG_TRANSLATE = 1,
	IOMMU_PASID_CONFIG_BYPASS = 2,
	IOMMU_PASID_CONFIG_ABORT = 3,
};

/* Posted as a macro. */
enum {
	PASID_TABLE_SMMUV3_CFG_VERSION_1 = 1,
};

struct iommu_pasid_smmuv3 {
	__u32 version;
	__u8 s1fmt;
	__u8 s1dss;
#ifdef IOMMU_ABI_ASID_BITS
	__u16 asid_bits;
#else
	__u8 padding[2];
#endif
};
