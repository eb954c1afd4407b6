/* SPDX-License-Identifier: MIT */
/* Faults as they were merged in Linux 5.3 and in the two forms before, by IOMMU_ABI_FAULT. */

#define IOMMU_ABI_FAULT_EARLY 1 /* no READ; a flag for "perm" */
#define IOMMU_ABI_FAULT_JUN 2   /* renumbered, still without room for more */
#define IOMMU_ABI_FAULT_MERGED 3

/* Posted as macros. */
enum {
#if IOMMU_ABI_FAULT == IOMMU_ABI_FAULT_EARLY
	IOMMU_FAULT_PERM_WRITE = 1 << 0,
	IOMMU_FAULT_PERM_EXEC = 1 << 1,
	IOMMU_FAULT_PERM_PRIV = 1 << 2,
	IOMMU_FAULT_UNRECOV_PASID_VALID = 1 << 0,
	IOMMU_FAULT_UNRECOV_PERM_VALID = 1 << 1,
	IOMMU_FAULT_UNRECOV_ADDR_VALID = 1 << 2,
	IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID = 1 << 3,
#else
	IOMMU_FAULT_PERM_READ = 1 << 0,
	IOMMU_FAULT_PERM_WRITE = 1 << 1,
	IOMMU_FAULT_PERM_EXEC = 1 << 2,
	IOMMU_FAULT_PERM_PRIV = 1 << 3,
	IOMMU_FAULT_UNRECOV_PASID_VALID = 1 << 0,
	IOMMU_FAULT_UNRECOV_ADDR_VALID = 1 << 1,
	IOMMU_FAULT_UNRECOV_FETCH_ADDR_VALID = 1 << 2,
#endif
	IOMMU_FAULT_PAGE_REQUEST_PASID_VALID = 1 << 0,
	IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE = 1 << 1,
	IOMMU_FAULT_PAGE_REQUEST_PRIV_DATA = 1 << 2,
#ifdef IOMMU_ABI_RESPONSE_NEEDS_PASID
	IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID = 1 << 3,
#endif
};

enum iommu_fault_type {
	IOMMU_FAULT_DMA_UNRECOV = 1,
	IOMMU_FAULT_PAGE_REQ = 2,
};

enum iommu_fault_reason {
	IOMMU_FAULT_REASON_UNKNOWN,
	IOMMU_FAULT_REASON_PASID_FETCH,
	IOMMU_FAULT_REASON_BAD_PASID_ENTRY,
	IOMMU_FAULT_REASON_PASID_INVALID,
	IOMMU_FAULT_REASON_WALK_EABT,
	IOMMU_FAULT_REASON_PTE_FETCH,
	IOMMU_FAULT_REASON_PERMISSION,
	IOMMU_FAULT_REASON_ACCESS,
	IOMMU_FAULT_REASON_OOR_ADDRESS,
};

struct iommu_fault_unrecoverable {
	__u32 reason; /* enum iommu_fault_reason */
	__u32 flags;  /* IOMMU_FAULT_UNRECOV_* */
	__u32 pasid;
	__u32 perm; /* IOMMU_FAULT_PERM_* */
	__u64 addr;
	__u64 fetch_addr;
};

struct iommu_fault_page_request {
	__u32 flags; /* IOMMU_FAULT_PAGE_REQUEST_* */
	__u32 pasid;
	__u32 grpid;
	__u32 perm; /* IOMMU_FAULT_PERM_* */
	__u64 addr;
	__u64 private_data[2];
};

struct iommu_fault {
	__u32 type; /* enum iommu_fault_type */
#if IOMMU_ABI_FAULT == IOMMU_ABI_FAULT_EARLY
	__u32 reserved;
#else
	__u32 padding;
#endif
	union {
		struct iommu_fault_unrecoverable event;
		struct iommu_fault_page_request prm;
#if IOMMU_ABI_FAULT == IOMMU_ABI_FAULT_MERGED
		__u8 padding2[56]; /* room for more kinds */
#endif
	};
};
