/* SPDX-License-Identifier: MIT */
/*
 * Fixed-width integers under the names that the kernel's headers use, and the marks
 * that this library puts on its functions.
 */
#ifndef IOMMU_ABI_TYPES_H
#define IOMMU_ABI_TYPES_H

#include <stddef.h>

#ifdef __linux__
#include <linux/types.h>
#else
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u64 __attribute__((aligned(8))) __aligned_u64;
typedef __u64 __attribute__((aligned(8))) __aligned_le64;
#endif

/* Exported from the shared library; everything else in it is hidden. */
#ifndef IOMMU_ABI_API
#if defined(__GNUC__) && !defined(_WIN32)
#define IOMMU_ABI_API __attribute__((visibility("default")))
#else
#define IOMMU_ABI_API
#endif
#endif

#endif
