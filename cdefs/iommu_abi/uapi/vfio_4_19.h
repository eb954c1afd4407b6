/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_4_19: linux/vfio.h of Linux 4.19: containers, type 1 mappings, devices.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_4_19_H
#define IOMMU_ABI_UAPI_VFIO_4_19_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 419
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
