/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_7_3: linux/iommufd.h of Linux 7.3.4.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_7_3_H
#define IOMMU_ABI_UAPI_IOMMUFD_7_3_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 703
#include "iommu_abi/uapi/part/iommufd.h"

#endif
