/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_6_3: linux/iommufd.h of Linux 6.3.8.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_6_3_H
#define IOMMU_ABI_UAPI_IOMMUFD_6_3_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 603
#include "iommu_abi/uapi/part/iommufd.h"

#endif
