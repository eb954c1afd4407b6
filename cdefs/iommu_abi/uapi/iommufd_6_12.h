/* SPDX-License-Identifier: MIT */
/*
 * Generation iommufd_6_12: linux/iommufd.h of Linux 6.12.95.
 */
#ifndef IOMMU_ABI_UAPI_IOMMUFD_6_12_H
#define IOMMU_ABI_UAPI_IOMMUFD_6_12_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 612
#include "iommu_abi/uapi/part/iommufd.h"

#endif
