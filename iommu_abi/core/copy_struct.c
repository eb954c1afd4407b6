/* SPDX-License-Identifier: MIT */
/* copy_struct.c - structs that grew: Linux, include/linux/uaccess.h, copy_struct_from_user(). */
#include <string.h>

#include "error.h"
#include "iommu_abi/copy_struct.h"

int iommu_abi_copy_struct_from_user(void *dst, size_t ksize, const void *src, size_t usize,
				    struct iommu_abi_error *err)
{
	const unsigned char *bytes = src;
	size_t known = usize < ksize ? usize : ksize;

	for (size_t i = known; i < usize; i++)
		if (bytes[i])
			return refuse(err, RULE_COPY_STRUCT_TAIL, i, bytes[i], ksize);
	if (known)
		memcpy(dst, src, known);
	if (ksize > known)
		memset((unsigned char *)dst + known, 0, ksize - known);
	return 0;
}
