/* SPDX-License-Identifier: MIT */
/*
 * Generation sva_v3_2019: guest PASID bind and cache invalidation, v3, May 2019, never merged.
 */
#ifndef IOMMU_ABI_UAPI_SVA_V3_2019_H
#define IOMMU_ABI_UAPI_SVA_V3_2019_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 0
#include "iommu_abi/uapi/part/cache_invalidate.h"

/* Posted as a macro. */
enum {
	IOMMU_SVA_GPASID_SRE = 1 << 0,
};

/* Neither version nor size. */
struct gpasid_bind_data {
	__u64 gcr3;
	__u32 pasid;
	__u32 addr_width;
	__u32 flags;
	__u8 padding[4];
};

#endif
