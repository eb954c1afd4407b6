/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_6_1: linux/vfio.h of Linux 6.1: migration of devices, version 2, and low power.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_6_1_H
#define IOMMU_ABI_UAPI_VFIO_6_1_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 601
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
