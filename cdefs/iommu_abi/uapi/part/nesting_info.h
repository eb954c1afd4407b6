/* SPDX-License-Identifier: MIT */
/* What nesting can do, v7 and v8 by IOMMU_ABI_NESTING. The features were renumbered. */

/* Posted as macros. */
enum {
#if IOMMU_ABI_NESTING >= 8
	IOMMU_NESTING_FEAT_BIND_PGTBL = 1 << 0,
	IOMMU_NESTING_FEAT_CACHE_INVLD = 1 << 1,
#else
	IOMMU_NESTING_FEAT_SYSWIDE_PASID = 1 << 0,
	IOMMU_NESTING_FEAT_BIND_PGTBL = 1 << 1,
	IOMMU_NESTING_FEAT_CACHE_INVLD = 1 << 2,
#endif
};

struct iommu_nesting_info_vtd {
	__u32 flags;
#if IOMMU_ABI_NESTING >= 8
	__u8 padding[12];
#endif
	__u64 cap_reg;
	__u64 ecap_reg;
};

struct iommu_nesting_info {
	__u32 argsz;
	__u32 flags;
	__u32 format;
	__u32 features; /* IOMMU_NESTING_FEAT_* */
	__u16 addr_width;
	__u16 pasid_bits;
	__u8 padding[12];
	union {
		struct iommu_nesting_info_vtd vtd;
	} vendor;
};
