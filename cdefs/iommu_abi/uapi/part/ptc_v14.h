/* SPDX-License-Identifier: MIT */
/* struct iommu_pasid_table_config as of v14; a carrier in VFIO may have been behind by a version. */

#include "iommu_abi/uapi/part/ptc_config.h"

/* format and base_ptr changed places to close the hole of ptc_v12; version stayed 1. */
struct iommu_pasid_table_config {
	__u32 argsz;
	__u32 version;
	__u64 base_ptr;
	__u32 format;
	__u8 pasid_bits;
	__u8 config;
	__u8 padding[2];
	union {
		struct iommu_pasid_smmuv3 smmuv3;
	} vendor_data;
};
