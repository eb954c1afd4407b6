/* SPDX-License-Identifier: MIT */
/*
 * Generation v1_2017: "iommu: Introduce bind_pasid_table API function", patch 1/9, and its
 * siblings in patches 3/9 and 5/9, posted 27 June 2017, never merged. Names and layouts as posted.
 */
#ifndef IOMMU_ABI_UAPI_V1_2017_H
#define IOMMU_ABI_UAPI_V1_2017_H

#include "iommu_abi/uapi/part/generation.h"

struct device;

/* The physical IOMMU that a guest's request was made for. */
enum iommu_model {
	IOMMU_MODEL_INTEL_VTD,
	IOMMU_MODEL_ARM_SMMU,
};

/**
 * struct pasid_table_info - a guest's PASID table, for the host IOMMU
 * @ptr: guest-physical address of the table
 * @size: bytes of the table; at most the size of the host's
 * @model: enum iommu_model; a request made for one model is refused by another's driver
 * @length: bytes of @opaque
 * @opaque: what the model needs beyond this header; empty means its defaults
 *
 * 24 bytes and @length more on every ABI. Native byte order.
 */
struct pasid_table_info {
	__u64 ptr;
	__u64 size;
	__u32 model;
	__u32 length;
	__u8 opaque[];
};

/**
 * struct tlb_invalidate_info - what to invalidate, patch 3/9
 * @model: enum iommu_model
 * @length: bytes of @opaque; the RFC had no such field, so @opaque began at 4
 */
struct tlb_invalidate_info {
	__u32 model;
	__u32 length;
	__u8 opaque[];
};

/*
 * Flags of struct iommu_fault_event; posted as macros. Linux 5.3 to 6.8 used the first name
 * for another thing, so that their <linux/iommu.h> does not go with this header.
 */
enum {
	IOMMU_FAULT_PAGE_REQ = 1 << 0,
	IOMMU_FAULT_UNRECOV = 1 << 1,
	IOMMU_FAULT_IRQ_REMAP = 1 << 2,
	IOMMU_FAULT_INVAL = 1 << 3,
};

/**
 * struct iommu_fault_event - a fault that the guest should handle, patch 5/9
 * @dev: a pointer of the kernel's, in a header for user space: the layout differs by ABI
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @flags: one of the bits above
 * @length: bytes of @buf
 */
struct iommu_fault_event {
	struct device *dev;
	__u64 addr;
	__u32 pasid;
	__u32 prot;
	__u32 flags;
	__u32 length;
	__u8 buf[];
};

#endif
