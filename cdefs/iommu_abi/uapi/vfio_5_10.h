/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_5_10: linux/vfio.h of Linux 5.10: capabilities, dirty bit maps, features of devices.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_5_10_H
#define IOMMU_ABI_UAPI_VFIO_5_10_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 510
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
