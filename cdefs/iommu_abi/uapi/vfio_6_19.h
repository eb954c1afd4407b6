/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_6_19: linux/vfio.h of Linux 6.19: PASIDs attach to iommufd, regions become dma-bufs.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_6_19_H
#define IOMMU_ABI_UAPI_VFIO_6_19_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 619
#include "iommu_abi/uapi/part/vfio_linux.h"

#endif
