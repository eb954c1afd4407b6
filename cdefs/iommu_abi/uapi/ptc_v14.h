/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_v14: iommu_pasid_table_config, v14, v15 and RFC v16, 2021, never merged.
 */
#ifndef IOMMU_ABI_UAPI_PTC_V14_H
#define IOMMU_ABI_UAPI_PTC_V14_H

#include "iommu_abi/uapi/part/generation.h"

#include "iommu_abi/uapi/part/ptc_v14.h"

#endif
