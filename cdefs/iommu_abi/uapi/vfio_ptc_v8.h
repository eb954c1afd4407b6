/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_ptc_v8: VFIO for nested SMMUv3, never merged; v8: attach and detach are two ioctls.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_PTC_V8_H
#define IOMMU_ABI_UAPI_VFIO_PTC_V8_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 505
#define IOMMU_ABI_VFIO_PTC 8
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_cap.h"
#include "iommu_abi/uapi/part/ptc_v4.h"
#include "iommu_abi/uapi/part/cache_invalidate.h"
#include "iommu_abi/uapi/part/vfio_ptc.h"
#include "iommu_abi/uapi/part/vfio_msi.h"
#include "iommu_abi/uapi/part/vfio_fault.h"

#endif
