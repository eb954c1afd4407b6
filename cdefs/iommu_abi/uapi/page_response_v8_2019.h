/* SPDX-License-Identifier: MIT */
/*
 * Generation page_response_v8_2019: page_response_msg of v8, 2019, in the kernel's own headers. The
 * bit field moved before the code, and two fields got other names.
 */
#ifndef IOMMU_ABI_UAPI_PAGE_RESPONSE_V8_2019_H
#define IOMMU_ABI_UAPI_PAGE_RESPONSE_V8_2019_H

#include "iommu_abi/uapi/part/generation.h"

#include "iommu_abi/uapi/part/page_response_code.h"

struct page_response_msg {
	__u64 addr;
	__u32 pasid;
	__u32 pasid_present : 1;
	enum page_response_code resp_code;
	__u32 grpid;
	__u64 iommu_data;
};

#endif
