/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_v1: "SMMUv3 Nested Stage Setup", RFC v1, August 2018, never merged.
 */
#ifndef IOMMU_ABI_UAPI_PTC_V1_H
#define IOMMU_ABI_UAPI_PTC_V1_H

#include "iommu_abi/uapi/part/generation.h"

#define PASID_TABLE_CONFIG iommu_pasid_table_config
#include "iommu_abi/uapi/part/pasid_table_config_2018.h"

/* Posted as macros. */
enum {
	PASID_TABLE_CFG_VERSION_1 = 1,
	IOMMU_SMMU_S1_DISABLED = 1 << 0,
	IOMMU_SMMU_S1_BYPASSED = 1 << 1,
	IOMMU_SMMU_S1_ABORTED = 1 << 2,
	PASID_TABLE = 1 << 0,
	SMMUV3_S1_CFG = 1 << 1,
};

struct iommu_smmu_s1_config {
	__u32 flags;
	__u64 cdptr_dma;
	__u8 asid_bits;
};

struct iommu_guest_stage_config {
	__u32 flags; /* which of the two */
	union {
		struct iommu_pasid_table_config pasidt;
		struct iommu_smmu_s1_config smmu_s1;
	};
};

#endif
