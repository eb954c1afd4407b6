/* SPDX-License-Identifier: MIT */
/*
 * Generation rfc2017: the RFC that came before v1_2017, posted in April 2017. The layout
 * is the same and the models are other numbers: this "Intel" is v1's "Arm".
 */
#ifndef IOMMU_ABI_UAPI_RFC2017_H
#define IOMMU_ABI_UAPI_RFC2017_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as macros; bits, of which a request sets one. */
enum {
	INTEL_IOMMU = 1 << 0,
	ARM_SMMU = 1 << 1,
};

/**
 * struct pasid_table_info - a guest's PASID table, for the host IOMMU
 * @ptr: guest-physical address of the table
 * @size: size of the table, at most the host's; the RFC did not say in what unit
 * @model: INTEL_IOMMU or ARM_SMMU
 * @length: bytes of @opaque
 * @opaque: what the model needs beyond this header
 */
struct pasid_table_info {
	__u64 ptr;
	__u64 size;
	__u32 model;
	__u32 length;
	__u8 opaque[];
};

/* Nothing says how long the tail is. */
struct tlb_invalidate_info {
	__u32 model;
	__u8 opaque[];
};

#endif
