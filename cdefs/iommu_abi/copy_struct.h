/* SPDX-License-Identifier: MIT */
/*
 * The rule by which a kernel takes a struct that may have grown or shrunk since the caller
 * was compiled: copy_struct_from_user() of Linux, as iommufd uses it for every command.
 */
#ifndef IOMMU_ABI_COPY_STRUCT_H
#define IOMMU_ABI_COPY_STRUCT_H

#include "iommu_abi/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * iommu_abi_copy_struct_from_user() - take a caller's struct as a kernel would
 * @dst: room for @ksize bytes; unchanged if the struct is refused
 * @ksize: bytes of the struct that this kernel knows
 * @src: the caller's struct; may be NULL if @usize is 0; must not overlap @dst
 * @usize: bytes that the caller says it has
 * @err: filled on error; may be NULL
 *
 * A shorter struct is continued with zeros. Of a longer one, the bytes that this kernel does
 * not know must be 0, for they would ask for something. There is no upper bound on @usize.
 *
 * Reads @usize bytes of @src at most and writes @ksize bytes of @dst; where user memory is
 * not there, a kernel says EFAULT, which is for the caller to know.
 *
 * Return: 0, or -E2BIG with the first byte that is not 0 in err->offset and err->got.
 */
IOMMU_ABI_API int iommu_abi_copy_struct_from_user(void *dst, size_t ksize, const void *src, size_t usize,
						  struct iommu_abi_error *err);

#ifdef __cplusplus
}
#endif

#endif
