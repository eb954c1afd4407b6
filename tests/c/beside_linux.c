/* SPDX-License-Identifier: MIT */
/* The umbrella beside the system's own header of the user API; compiled, in both orders. */
#ifdef LINUX_LAST
#include <iommu_abi.h>
#include <linux/iommufd.h>
#else
#include <linux/iommufd.h>
#include <iommu_abi.h>
#endif

int main(void)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = 1 };
	struct pasid_table_info info = { .ptr = 4096 };

	return !(destroy.size == 8 && info.ptr == 4096 && iommu_abi_version());
}
