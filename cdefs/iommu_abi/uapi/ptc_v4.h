/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_v4: iommu_pasid_table_config, v4 to v11, February 2019 to April 2020, never merged.
 */
#ifndef IOMMU_ABI_UAPI_PTC_V4_H
#define IOMMU_ABI_UAPI_PTC_V4_H

#include "iommu_abi/uapi/part/generation.h"

#include "iommu_abi/uapi/part/ptc_v4.h"

#endif
