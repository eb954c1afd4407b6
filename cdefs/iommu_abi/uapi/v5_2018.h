/* SPDX-License-Identifier: MIT */
/*
 * Generation v5_2018: the May 2018 posting, never merged. page_response_msg was in the kernel's
 * own headers: a bit field and an enum, so that its layout differs by ABI and byte order.
 */
#ifndef IOMMU_ABI_UAPI_V5_2018_H
#define IOMMU_ABI_UAPI_V5_2018_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as a macro. */
enum {
	PASID_TABLE_CFG_VERSION_1 = 1,
};

#define PASID_TABLE_CONFIG pasid_table_config
#include "iommu_abi/uapi/part/pasid_table_config_2018.h"
#include "iommu_abi/uapi/part/invalidate_2018.h"

/* An enum in a user API: one byte where enums are short. */
struct tlb_invalidate_hdr {
	__u32 version;
	enum iommu_inv_type type;
};

struct tlb_invalidate_info {
	struct tlb_invalidate_hdr hdr;
	enum iommu_inv_granularity granularity;
	__u32 flags;
	__u8 size; /* bytes of a page, as a power of two of 4 KiB */
	__u64 nr_pages;
	__u32 pasid;
	__u64 addr;
};

#include "iommu_abi/uapi/part/page_response_code.h"

struct page_response_msg {
	__u64 addr;
	__u32 pasid;
	enum page_response_code resp_code;
	__u32 pasid_present : 1;
	__u32 page_req_group_id;
	__u64 private_data;
};

#endif
