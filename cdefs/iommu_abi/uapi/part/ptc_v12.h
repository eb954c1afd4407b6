/* SPDX-License-Identifier: MIT */
/* struct iommu_pasid_table_config as of v12; a carrier in VFIO may have been behind by a version. */

#include "iommu_abi/uapi/part/ptc_config.h"

/* 4 bytes before base_ptr belong to nobody, except where 8-byte integers are aligned to 4 or 2. */
struct iommu_pasid_table_config {
	__u32 argsz;
	__u32 version;
	__u32 format;
	__u64 base_ptr;
	__u8 pasid_bits;
	__u8 config;
	__u8 padding[2];
	union {
		struct iommu_pasid_smmuv3 smmuv3;
	} vendor_data;
};
