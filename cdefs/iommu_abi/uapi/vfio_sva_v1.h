/* SPDX-License-Identifier: MIT */
/*
 * Generation vfio_sva_v1: VFIO for shared virtual addressing, v1, 2020, never merged. The PASID comes
 * back in the request.
 */
#ifndef IOMMU_ABI_UAPI_VFIO_SVA_V1_H
#define IOMMU_ABI_UAPI_VFIO_SVA_V1_H

#include "iommu_abi/uapi/part/generation.h"

#define IOMMU_ABI_LINUX 505
#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/cache_invalidate.h"

/* Posted as macros. */
enum {
	VFIO_NESTING_IOMMU_UAPI = 9,
	VFIO_IOMMU_PASID_ALLOC = 1 << 0,
	VFIO_IOMMU_PASID_FREE = 1 << 1,
	VFIO_IOMMU_BIND_GUEST_PGTBL = 1 << 0,
	VFIO_IOMMU_UNBIND_GUEST_PGTBL = 1 << 1,
	VFIO_IOMMU_PASID_REQUEST = _IO(VFIO_TYPE, VFIO_BASE + 22),
	VFIO_IOMMU_BIND = _IO(VFIO_TYPE, VFIO_BASE + 23),
	VFIO_IOMMU_CACHE_INVALIDATE = _IO(VFIO_TYPE, VFIO_BASE + 24),
};

struct vfio_iommu_type1_pasid_request {
	__u32 argsz;
	__u32 flags;
	union {
		struct {
			__u32 min;
			__u32 max;
			__u32 result;
		} alloc_pasid;
		__u32 free_pasid;
	};
};

struct vfio_iommu_type1_bind {
	__u32 argsz;
	__u32 flags;
	__u8 data[]; /* struct iommu_gpasid_bind_data */
};

struct vfio_iommu_type1_cache_invalidate {
	__u32 argsz;
	__u32 flags; /* 0 */
	struct iommu_cache_invalidate_info info;
};

#endif
