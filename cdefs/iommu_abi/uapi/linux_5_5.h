/* SPDX-License-Identifier: MIT */
/*
 * Generation linux_5_5: linux/iommu.h of Linux 5.5 to 5.9.
 */
#ifndef IOMMU_ABI_UAPI_LINUX_5_5_H
#define IOMMU_ABI_UAPI_LINUX_5_5_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 505
#define IOMMU_ABI_FAULT IOMMU_ABI_FAULT_MERGED
#define GPASID_BIND_DATA iommu_gpasid_bind_data
#define VTD_BIND_DATA iommu_gpasid_bind_data_vtd
#include "iommu_abi/uapi/part/fault.h"
#include "iommu_abi/uapi/part/page_response.h"
#include "iommu_abi/uapi/part/cache_invalidate.h"
#include "iommu_abi/uapi/part/gpasid_bind.h"

#endif
