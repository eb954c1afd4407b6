/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_6_12: linux/vfio.h of Linux 6.12 and 6.13: devices attach to iommufd.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_6_12_H
#define IOMMU_ABI_UAPI_VFIO_6_12_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 612
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
