/* SPDX-License-Identifier: MIT */
/* struct iommu_pasid_table_config as of v4; a carrier in VFIO may have been behind by a version. */

#include "iommu_abi/uapi/part/ptc_config.h"

struct iommu_pasid_table_config {
	__u32 version;
	__u32 format;
	__u64 base_ptr;
	__u8 pasid_bits;
	__u8 config;
	__u8 padding[6]; /* should be 0 */
	union {
		struct iommu_pasid_smmuv3 smmuv3;
	};
};
