/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_6_3: linux/vfio.h of Linux 6.3: migration with a phase before the copy.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_6_3_H
#define IOMMU_ABI_UAPI_VFIO_6_3_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 603
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
