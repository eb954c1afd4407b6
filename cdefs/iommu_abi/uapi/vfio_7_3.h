/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_7_3: linux/vfio.h of Linux 7.3.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_7_3_H
#define IOMMU_ABI_UAPI_VFIO_7_3_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 703
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
