/* SPDX-License-Identifier: MIT */
/* Binding one guest PASID's page table, from June 2019 to the end of 5.17; the tag is GPASID_BIND_DATA. */

/* Posted as macros. */
enum {
	IOMMU_SVA_VTD_GPASID_SRE = 1 << 0,
	IOMMU_SVA_VTD_GPASID_EAFE = 1 << 1,
	IOMMU_SVA_VTD_GPASID_PCD = 1 << 2,
	IOMMU_SVA_VTD_GPASID_PWT = 1 << 3,
	IOMMU_SVA_VTD_GPASID_EMTE = 1 << 4,
	IOMMU_SVA_VTD_GPASID_CD = 1 << 5,
#if IOMMU_ABI_LINUX >= 517
	IOMMU_SVA_VTD_GPASID_WPE = 1 << 6,
	IOMMU_SVA_VTD_GPASID_LAST = 1 << 7,
#elif IOMMU_ABI_LINUX >= 510
	IOMMU_SVA_VTD_GPASID_LAST = 1 << 6,
#endif
#if IOMMU_ABI_LINUX >= 510
	IOMMU_SVA_VTD_GPASID_MTS_MASK = 0x3c, /* PCD, PWT, EMTE, CD */
	IOMMU_PASID_FORMAT_LAST = 2,
#endif
	IOMMU_PASID_FORMAT_INTEL_VTD = 1,
	IOMMU_GPASID_BIND_VERSION_1 = 1,
	IOMMU_SVA_GPASID_VAL = 1 << 0,
};

struct VTD_BIND_DATA {
	__u64 flags; /* IOMMU_SVA_VTD_GPASID_* */
	__u32 pat;
	__u32 emt;
};

/* 72 bytes before and since 5.10, with other offsets and the same version. */
struct GPASID_BIND_DATA {
#if IOMMU_ABI_LINUX >= 510
	__u32 argsz;
	__u32 version;
	__u32 format;
	__u32 addr_width;
	__u64 flags; /* IOMMU_SVA_GPASID_VAL */
	__u64 gpgd;  /* GPA of the guest's root table */
	__u64 hpasid;
	__u64 gpasid;    /* with IOMMU_SVA_GPASID_VAL */
	__u8 padding[8]; /* 0 */
	union {
		struct VTD_BIND_DATA vtd;
	} vendor;
#else
	__u32 version;
	__u32 format;
	__u64 flags; /* IOMMU_SVA_GPASID_VAL */
	__u64 gpgd;  /* GPA of the guest's root table */
	__u64 hpasid;
	__u64 gpasid; /* with IOMMU_SVA_GPASID_VAL */
	__u32 addr_width;
#if IOMMU_ABI_LINUX
	__u8 padding[12];
#else
	__u8 padding[4];
#endif
	union {
		struct VTD_BIND_DATA vtd;
	};
#endif
};
