/* SPDX-License-Identifier: MIT */
/* How a page request was answered. */
enum page_response_code {
	IOMMU_PAGE_RESP_SUCCESS,
	IOMMU_PAGE_RESP_INVALID,
	IOMMU_PAGE_RESP_FAILURE,
};
