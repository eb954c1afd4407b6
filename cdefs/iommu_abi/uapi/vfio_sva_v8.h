/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_sva_v8: VFIO for shared virtual addressing, v8, March 2021, never merged: PASIDs
 * come from elsewhere, so the features moved down by a bit.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_SVA_V8_H
#define IOMMU_ABI_UAPI_VFIO_SVA_V8_H

#include "iommu_abi/uapi/part/generation.h"

#define NESTING_OP_NR 18
#define IOMMU_ABI_NESTING 8
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_cap.h"
#include "iommu_abi/uapi/part/vfio_nesting_op.h"
#include "iommu_abi/uapi/part/nesting_info.h"

/* Posted as a macro. */
enum {
	VFIO_IOMMU_TYPE1_INFO_CAP_NESTING = 4,
};

struct vfio_iommu_type1_info_cap_nesting {
	struct vfio_info_cap_header header;
	struct iommu_nesting_info info;
};

#endif
