/* SPDX-License-Identifier: MIT */
/* How a page request was answered, as merged in Linux 5.3. */

enum iommu_page_response_code {
	IOMMU_PAGE_RESP_SUCCESS,
	IOMMU_PAGE_RESP_INVALID,
	IOMMU_PAGE_RESP_FAILURE,
};

/* Posted as macros. */
enum {
	IOMMU_PAGE_RESP_VERSION_1 = 1,
	IOMMU_PAGE_RESP_PASID_VALID = 1 << 0,
};

/* 5.10 put argsz first; version stayed 1. */
struct iommu_page_response {
#if IOMMU_ABI_LINUX >= 510
	__u32 argsz;
#endif
	__u32 version;
	__u32 flags; /* IOMMU_PAGE_RESP_PASID_VALID */
	__u32 pasid;
	__u32 grpid;
	__u32 code; /* enum iommu_page_response_code */
};
