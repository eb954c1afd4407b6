/* SPDX-License-Identifier: MIT */
/* int.h - the kernel's short names for the integers of the public headers, and for bits of them. */
#ifndef IOMMU_ABI_CORE_INT_H
#define IOMMU_ABI_CORE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "iommu_abi/types.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

/* Bits of 64, by the numbers that manuals give them: "51:12" is BITS(51, 12). */
#define BIT(n) (1ull << (n))
#define BITS(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))

#endif
