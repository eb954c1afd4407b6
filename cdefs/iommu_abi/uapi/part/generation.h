/* SPDX-License-Identifier: MIT */
/*
 * What every generation begins with. It has no guard of its own: the generations reuse names
 * with other layouts and values, so that a second one in the same translation unit is an error.
 */
#ifdef IOMMU_ABI_UAPI_GENERATION
#error "two generations of the ABI in one translation unit: they reuse names"
#endif
#define IOMMU_ABI_UAPI_GENERATION

#include "iommu_abi/types.h"

#ifdef __linux__
#include <linux/ioctl.h>
#else
#define _IO(type, nr) (((type) << 8) | (nr))
#endif
