/* SPDX-License-Identifier: MIT */
/* Granularity and type of an invalidation since v5_2018: another numbering than v4_2018's. */

enum iommu_inv_granularity {
	IOMMU_INV_GRANU_DOMAIN_ALL_PASID,
	IOMMU_INV_GRANU_PASID_SEL,
	IOMMU_INV_GRANU_PAGE_PASID, /* not for the PASID cache */
	IOMMU_INV_NR_GRANU,
};

enum iommu_inv_type {
	IOMMU_INV_TYPE_DTLB,
	IOMMU_INV_TYPE_TLB,
	IOMMU_INV_TYPE_PASID,
	IOMMU_INV_NR_TYPE,
};

/* Posted as macros. */
enum {
	TLB_INV_HDR_VERSION_1 = 1,
	IOMMU_INVALIDATE_ADDR_LEAF = 1 << 0,
	IOMMU_INVALIDATE_GLOBAL_PAGE = 1 << 1,
};
