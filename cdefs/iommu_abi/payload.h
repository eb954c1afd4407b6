/* SPDX-License-Identifier: MIT */
/*
 * What pasid_table_info.opaque[] holds. The seed leaves that to the model; these two
 * layouts are ours, made of what its successors carried:
 * - VT-d: the per-context controls of an extended context entry (VT-d 2.x, 9.4), in the
 *   manner of struct iommu_gpasid_bind_data_vtd (Linux 5.8);
 * - Arm: struct iommu_pasid_smmuv3 of the pasid_table_config series (v4, 2019).
 * An empty opaque[] means: all defaults, every field 0.
 */
#ifndef IOMMU_ABI_PAYLOAD_H
#define IOMMU_ABI_PAYLOAD_H

#include "iommu_abi/types.h"

enum iommu_abi_payload_version {
	IOMMU_ABI_PAYLOAD_VERSION_1 = 1,
};

enum iommu_abi_vtd_flags {
	IOMMU_ABI_VTD_WPE = 1 << 0,  /* supervisor writes obey R/W */
	IOMMU_ABI_VTD_NXE = 1 << 1,  /* execute-disable is honoured */
	IOMMU_ABI_VTD_SMEP = 1 << 2, /* supervisor may not execute user pages */
	IOMMU_ABI_VTD_PGE = 1 << 3,  /* global pages */
	IOMMU_ABI_VTD_EAFE = 1 << 4, /* extended accessed flag */
	IOMMU_ABI_VTD_ERE = 1 << 5,  /* requests for execute are allowed */
	IOMMU_ABI_VTD_SLEE = 1 << 6, /* second stage has an execute bit */
	IOMMU_ABI_VTD_CD = 1 << 7,   /* cache disable */
	IOMMU_ABI_VTD_EMTE = 1 << 8, /* extended memory type */
	IOMMU_ABI_VTD_FLAGS = (1 << 9) - 1,
};

/**
 * struct iommu_abi_pasid_vtd - opaque[] for IOMMU_MODEL_INTEL_VTD, 16 bytes
 * @version: IOMMU_ABI_PAYLOAD_VERSION_1
 * @flags: enum iommu_abi_vtd_flags; other bits must be 0
 * @pat: page attribute table, 8 fields of 4 bits of which the top one must be 0
 * @emt: memory type of table reads, 0..7; other than 0 only with IOMMU_ABI_VTD_EMTE
 */
struct iommu_abi_pasid_vtd {
	__u32 version;
	__u32 flags;
	__u32 pat;
	__u32 emt;
};

enum iommu_abi_s1fmt {
	IOMMU_ABI_S1FMT_LINEAR, /* one table of context descriptors */
	IOMMU_ABI_S1FMT_4K_L2,  /* two levels, leaves of 64 descriptors */
	IOMMU_ABI_S1FMT_64K_L2, /* two levels, leaves of 1024 descriptors */
};

enum iommu_abi_s1dss {
	IOMMU_ABI_S1DSS_TERMINATE, /* a request without PASID is refused */
	IOMMU_ABI_S1DSS_BYPASS,    /* ... passes stage 1 untranslated */
	IOMMU_ABI_S1DSS_SSID0,     /* ... uses entry 0 */
};

/**
 * struct iommu_abi_pasid_smmuv3 - opaque[] for IOMMU_MODEL_ARM_SMMU, 8 bytes
 * @version: IOMMU_ABI_PAYLOAD_VERSION_1
 * @s1fmt: enum iommu_abi_s1fmt, STE.S1Fmt
 * @s1dss: enum iommu_abi_s1dss, STE.S1DSS
 * @padding: must be 0
 */
struct iommu_abi_pasid_smmuv3 {
	__u32 version;
	__u8 s1fmt;
	__u8 s1dss;
	__u8 padding[2];
};

#endif
