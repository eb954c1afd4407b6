/* SPDX-License-Identifier: MIT */
/*
 * Generation linux_6_1: linux/iommu.h of Linux 6.1 to 6.8: faults and responses are what was left.
 */
#ifndef IOMMU_ABI_UAPI_LINUX_6_1_H
#define IOMMU_ABI_UAPI_LINUX_6_1_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 601
#define IOMMU_ABI_FAULT IOMMU_ABI_FAULT_MERGED
#define IOMMU_ABI_RESPONSE_NEEDS_PASID
#include "iommu_abi/uapi/part/fault.h"
#include "iommu_abi/uapi/part/page_response.h"

#endif
