/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_ptc_v11: VFIO for nested SMMUv3, never merged; v11: the struct has argsz, and a hole on most ABIs.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_PTC_V11_H
#define IOMMU_ABI_UAPI_VFIO_PTC_V11_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 510
#define IOMMU_ABI_VFIO_PTC 11
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_cap.h"
#include "iommu_abi/uapi/part/ptc_v12.h"
#include "iommu_abi/uapi/part/cache_invalidate.h"
#include "iommu_abi/uapi/part/vfio_ptc.h"
#include "iommu_abi/uapi/part/vfio_msi.h"
#include "iommu_abi/uapi/part/vfio_fault.h"

#endif
