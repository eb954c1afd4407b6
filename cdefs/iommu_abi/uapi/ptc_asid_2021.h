/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_asid_2021: an RFC of January and February 2021 on top of ptc_v12, never merged:
 * SMMUv3 tells the width of ASIDs, and formats of page tables in struct iommu_nesting_info.
 */
#ifndef IOMMU_ABI_UAPI_PTC_ASID_2021_H
#define IOMMU_ABI_UAPI_PTC_ASID_2021_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_ASID_BITS
#include "iommu_abi/uapi/part/ptc_v12.h"

/* Posted as macros. */
enum {
	IOMMU_PASID_FORMAT_INTEL_VTD = 1,
	IOMMU_PASID_FORMAT_ARM_SMMU_V3 = 2,
	IOMMU_PASID_FORMAT_LAST = 3,
};

struct iommu_nesting_info_arm_smmuv3 {
	__u32 flags;
	__u16 asid_bits;
	__u8 pgtbl_fmt;
	__u8 padding[9];
};

#endif
