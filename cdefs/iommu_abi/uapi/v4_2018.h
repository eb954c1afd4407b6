/* SPDX-License-Identifier: MIT */
/*
 * Generation v4_2018: the successor of the 2017 patch in the form before May 2018, never merged.
 * Its granularities and types of invalidation were renumbered in v5_2018.
 */
#ifndef IOMMU_ABI_UAPI_V4_2018_H
#define IOMMU_ABI_UAPI_V4_2018_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as a macro. */
enum {
	PASID_TABLE_CFG_VERSION = 1,
};

#define PASID_TABLE_CONFIG pasid_table_config
#include "iommu_abi/uapi/part/pasid_table_config_2018.h"

enum iommu_inv_granularity {
	IOMMU_INV_GRANU_DOMAIN = 1,
	IOMMU_INV_GRANU_DEVICE = 2,
	IOMMU_INV_GRANU_DOMAIN_PAGE = 3,
	IOMMU_INV_GRANU_ALL_PASID = 4,
	IOMMU_INV_GRANU_PASID_SEL = 5,
	IOMMU_INV_GRANU_NG_ALL_PASID = 6,
	IOMMU_INV_GRANU_NG_PASID = 7,
	IOMMU_INV_GRANU_PAGE_PASID = 8,
	IOMMU_INV_NR_GRANU = 9,
};

enum iommu_inv_type {
	IOMMU_INV_TYPE_DTLB,
	IOMMU_INV_TYPE_TLB,
	IOMMU_INV_TYPE_PASID,
	IOMMU_INV_TYPE_CONTEXT,
	IOMMU_INV_NR_TYPE,
};

/* An enum in a user API: one byte where enums are short. */
struct tlb_invalidate_hdr {
	__u32 version;
	enum iommu_inv_type type;
};

/* Posted as macros. */
enum {
	TLB_INV_HDR_VERSION_1 = 1,
	IOMMU_INVALIDATE_NO_PASID = 1 << 0,
	IOMMU_INVALIDATE_ADDR_LEAF = 1 << 1,
	IOMMU_INVALIDATE_GLOBAL_PAGE = 1 << 2,
	IOMMU_INVALIDATE_PASID_TAGGED = 1 << 3,
};

struct tlb_invalidate_info {
	struct tlb_invalidate_hdr hdr;
	enum iommu_inv_granularity granularity;
	__u32 flags;
	__u8 size; /* pages of 4 KiB, as a power of two */
	__u32 pasid;
	__u64 addr;
};

#endif
