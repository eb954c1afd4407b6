/* SPDX-License-Identifier: MIT */
/*
 * Generation sva_v4_2019: guest PASID bind, v4, June 2019, never merged.
 */
#ifndef IOMMU_ABI_UAPI_SVA_V4_2019_H
#define IOMMU_ABI_UAPI_SVA_V4_2019_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 0
#define GPASID_BIND_DATA gpasid_bind_data
#define VTD_BIND_DATA gpasid_bind_data_vtd
#include "iommu_abi/uapi/part/gpasid_bind.h"

#endif
