/* SPDX-License-Identifier: MIT */
/*
 * Generation linux_5_17: linux/iommu.h as it was before
 * binding and invalidation were removed after Linux 5.17: as 5.10, one more flag, and so another LAST.
 */
#ifndef IOMMU_ABI_UAPI_LINUX_5_17_H
#define IOMMU_ABI_UAPI_LINUX_5_17_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 517
#define IOMMU_ABI_FAULT IOMMU_ABI_FAULT_MERGED
#define IOMMU_ABI_RESPONSE_NEEDS_PASID
#define GPASID_BIND_DATA iommu_gpasid_bind_data
#define VTD_BIND_DATA iommu_gpasid_bind_data_vtd
#include "iommu_abi/uapi/part/fault.h"
#include "iommu_abi/uapi/part/page_response.h"
#include "iommu_abi/uapi/part/cache_invalidate.h"
#include "iommu_abi/uapi/part/gpasid_bind.h"

#endif
