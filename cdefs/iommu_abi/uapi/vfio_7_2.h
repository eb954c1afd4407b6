/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_7_2: linux/vfio.h of Linux 7.2.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_7_2_H
#define IOMMU_ABI_UAPI_VFIO_7_2_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 702
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
