/* SPDX-License-Identifier: MIT */
/*
 * Generation sva_v5_2019: guest PASID bind, v5, August 2019, never merged: v4's with a prefix.
 */
#ifndef IOMMU_ABI_UAPI_SVA_V5_2019_H
#define IOMMU_ABI_UAPI_SVA_V5_2019_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 0
#define GPASID_BIND_DATA iommu_gpasid_bind_data
#define VTD_BIND_DATA iommu_gpasid_bind_data_vtd
#include "iommu_abi/uapi/part/gpasid_bind.h"

#endif
