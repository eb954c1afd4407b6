/* SPDX-License-Identifier: MIT */
/*
 * Generation fault_jun_2019: faults of May and June 2019: permissions and flags renumbered. 48
 * bytes; padding to 64 came before they were merged.
 */
#ifndef IOMMU_ABI_UAPI_FAULT_JUN_2019_H
#define IOMMU_ABI_UAPI_FAULT_JUN_2019_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_FAULT IOMMU_ABI_FAULT_JUN
#include "iommu_abi/uapi/part/fault.h"

#endif
