/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_5_16: linux/vfio.h of Linux 5.16: all is unmapped at once, addresses of mappings change.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_5_16_H
#define IOMMU_ABI_UAPI_VFIO_5_16_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 516
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
