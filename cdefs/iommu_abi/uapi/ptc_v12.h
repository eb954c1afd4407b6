/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_v12: iommu_pasid_table_config, v12 and v13, November 2020, never merged.
 */
#ifndef IOMMU_ABI_UAPI_PTC_V12_H
#define IOMMU_ABI_UAPI_PTC_V12_H

#include "iommu_abi/uapi/part/generation.h"

#include "iommu_abi/uapi/part/ptc_v12.h"

#endif
