/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_6_13: linux/iommufd.h of Linux 6.13.4.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_6_13_H
#define IOMMU_ABI_UAPI_IOMMUFD_6_13_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 613
#include "iommu_abi/uapi/part/iommufd.h"

#endif
