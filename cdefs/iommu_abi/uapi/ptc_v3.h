/* SPDX-License-Identifier: MIT */
/*
 * Generation ptc_v3: "SMMUv3 Nested Stage Setup", RFC v3, January 2019, never merged.
 */
#ifndef IOMMU_ABI_UAPI_PTC_V3_H
#define IOMMU_ABI_UAPI_PTC_V3_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as macros. */
enum {
	PASID_TABLE_CFG_VERSION_1 = 1,
	IOMMU_PASID_FORMAT_SMMUV3 = 1 << 0,
};

struct iommu_pasid_smmuv3 {
	__u8 abort;
	__u8 s1fmt;
	__u8 s1dss;
};

struct iommu_pasid_table_config {
	__u32 version;
	__u32 format;
	__u64 base_ptr;
	__u8 pasid_bits;
	__u8 bypass;
	union {
		struct iommu_pasid_smmuv3 smmuv3;
	};
};

#include "iommu_abi/uapi/part/invalidate_2018.h"

struct iommu_cache_invalidate_hdr {
	__u32 version;
	enum iommu_inv_type type;
};

struct iommu_cache_invalidate_info {
	struct iommu_cache_invalidate_hdr hdr;
	enum iommu_inv_granularity granularity;
	__u32 flags;
	__u8 size;
	__u64 nr_pages;
	__u32 pasid;
	__u64 arch_id;
	__u64 addr;
};

struct iommu_guest_msi_binding {
	__u64 iova;
	__u64 gpa;
	__u32 granule;
};

enum iommu_fault_type {
	IOMMU_FAULT_DMA_UNRECOV = 1,
	IOMMU_FAULT_PAGE_REQ = 2,
};

/* More reasons than were merged, so that the same names have other values. */
enum iommu_fault_reason {
	IOMMU_FAULT_REASON_UNKNOWN,
	IOMMU_FAULT_REASON_INTERNAL,
	IOMMU_FAULT_REASON_PASID_FETCH,
	IOMMU_FAULT_REASON_DEVICE_CONTEXT_FETCH,
	IOMMU_FAULT_REASON_BAD_PASID_ENTRY,
	IOMMU_FAULT_REASON_BAD_DEVICE_CONTEXT_ENTRY,
	IOMMU_FAULT_REASON_PASID_INVALID,
	IOMMU_FAULT_REASON_SOURCEID_INVALID,
	IOMMU_FAULT_REASON_WALK_EABT,
	IOMMU_FAULT_REASON_PTE_FETCH,
	IOMMU_FAULT_REASON_PERMISSION,
	IOMMU_FAULT_REASON_ACCESS,
	IOMMU_FAULT_REASON_OOR_ADDRESS,
};

/* The only form of a fault without a union. */
struct iommu_fault {
	__u32 type;
	__u32 reason;
	__u64 addr;
	__u64 fetch_addr;
	__u32 pasid;
	__u32 page_req_group_id;
	__u32 last_req;
	__u32 pasid_valid;
	__u32 prot;
	__u32 access;
};

#endif
