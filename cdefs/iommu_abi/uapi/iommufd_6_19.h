/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_6_19: linux/iommufd.h of Linux 6.19.0.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_6_19_H
#define IOMMU_ABI_UAPI_IOMMUFD_6_19_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 619
#include "iommu_abi/uapi/part/iommufd.h"

#endif
