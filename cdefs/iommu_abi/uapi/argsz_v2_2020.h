/* SPDX-License-Identifier: MIT */
/*
 * Generation argsz_v2_2020: proposals of the series that put argsz first, v2, 2020, dropped: one
 * version for all structs, and unbinding with a struct of its own.
 */
#ifndef IOMMU_ABI_UAPI_ARGSZ_V2_2020_H
#define IOMMU_ABI_UAPI_ARGSZ_V2_2020_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as macros. */
enum {
	IOMMU_UAPI_VERSION = 1,
	IOMMU_UAPI_BIND_GPASID = 0,
	IOMMU_UAPI_CACHE_INVAL = 1,
	IOMMU_UAPI_PAGE_RESP = 2,
};

struct iommu_gpasid_unbind_data {
	__u32 argsz;
	__u64 flags;
	__u64 pasid;
};

#endif
