/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_sva_v2: VFIO for shared virtual addressing, v2, June 2020, never merged: one ioctl
 * for binding and invalidation, and the features that it has.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_SVA_V2_H
#define IOMMU_ABI_UAPI_VFIO_SVA_V2_H

#include "iommu_abi/uapi/part/generation.h"

#define NESTING_OP_NR 23
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_nesting_op.h"

/* Posted as macros. */
enum {
	VFIO_IOMMU_PASID_REQUEST = _IO(VFIO_TYPE, VFIO_BASE + 22),
	IOMMU_NESTING_FEAT_SYSWIDE_PASID = 1 << 0,
	IOMMU_NESTING_FEAT_BIND_PGTBL = 1 << 1,
	IOMMU_NESTING_FEAT_CACHE_INVLD = 1 << 2,
};

struct iommu_nesting_info {
	__u32 size;
	__u32 format;
	__u32 features; /* IOMMU_NESTING_FEAT_* */
	__u32 flags;
	__u8 data[];
};

#endif
