/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_7_2: linux/iommufd.h of Linux 7.2.13.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_7_2_H
#define IOMMU_ABI_UAPI_IOMMUFD_7_2_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 702
#include "iommu_abi/uapi/part/iommufd.h"

#endif
