/* SPDX-License-Identifier: MIT */
/*
 * Generation v1_2017: "iommu: Introduce bind_pasid_table API function", patch 1/9,
 * posted 27 June 2017, never merged. Names and layout as posted.
 */
#ifndef IOMMU_ABI_UAPI_V1_2017_H
#define IOMMU_ABI_UAPI_V1_2017_H

#ifdef IOMMU_ABI_UAPI_GENERATION
#error "two generations of the ABI in one translation unit: they reuse names"
#endif
#define IOMMU_ABI_UAPI_GENERATION v1_2017

#include "iommu_abi/types.h"

/* The physical IOMMU that a guest's request was made for. */
enum iommu_model {
	IOMMU_MODEL_INTEL_VTD,
	IOMMU_MODEL_ARM_SMMU,
};

/**
 * struct pasid_table_info - a guest's PASID table, for the host IOMMU
 * @ptr: guest-physical address of the table
 * @size: bytes of the table; at most the size of the host's
 * @model: enum iommu_model; a request made for one model is refused by another's driver
 * @length: bytes of @opaque
 * @opaque: what the model needs beyond this header; empty means its defaults
 *
 * 24 bytes and @length more on every ABI. Native byte order.
 */
struct pasid_table_info {
	__u64 ptr;
	__u64 size;
	__u32 model;
	__u32 length;
	__u8 opaque[];
};

#endif
