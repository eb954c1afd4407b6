/* SPDX-License-Identifier: MIT */
/*
 * Generation argsz_v7_2020: the same series, v7 to v10: the format of a PASID was an enum, which v11 took back.
 */
#ifndef IOMMU_ABI_UAPI_ARGSZ_V7_2020_H
#define IOMMU_ABI_UAPI_ARGSZ_V7_2020_H

#include "iommu_abi/uapi/part/generation.h"

enum iommu_pasid_data_format {
	IOMMU_PASID_FORMAT_INTEL_VTD = 1,
	IOMMU_PASID_FORMAT_LAST = 2,
};

#endif
