/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_sva_v7: VFIO for shared virtual addressing, v7, September 2020, never merged; the
 * ioctls are those of v6, the request for PASIDs that of v5.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_SVA_V7_H
#define IOMMU_ABI_UAPI_VFIO_SVA_V7_H

#include "iommu_abi/uapi/part/generation.h"

#define NESTING_OP_NR 19
#define IOMMU_ABI_NESTING 7
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_pasid_request.h"
#include "iommu_abi/uapi/part/vfio_nesting_op.h"
#include "iommu_abi/uapi/part/nesting_info.h"

#endif
