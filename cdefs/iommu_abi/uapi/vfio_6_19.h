/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_6_19: the ioctls that attach devices and PASIDs to iommufd, Linux 6.19.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_6_19_H
#define IOMMU_ABI_UAPI_VFIO_6_19_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 619
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_cdev.h"

#endif
