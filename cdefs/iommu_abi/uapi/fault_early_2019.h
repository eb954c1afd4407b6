/* SPDX-License-Identifier: MIT */
/*
 * Generation fault_early_2019: faults with a union, early 2019, never merged: no READ among the
 * permissions, and a flag that says whether they are valid.
 */
#ifndef IOMMU_ABI_UAPI_FAULT_EARLY_2019_H
#define IOMMU_ABI_UAPI_FAULT_EARLY_2019_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_FAULT IOMMU_ABI_FAULT_EARLY
#include "iommu_abi/uapi/part/fault.h"

#endif
