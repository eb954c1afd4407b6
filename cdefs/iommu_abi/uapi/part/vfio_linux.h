/* SPDX-License-Identifier: MIT */
/* linux/vfio.h as of IOMMU_ABI_LINUX, without what concerns neither PCI nor the IOMMU. */

/* 6.6 aligned these numbers on every ABI. */
#if IOMMU_ABI_LINUX >= 606
#define IOMMU_ABI_VFIO_U64 __aligned_u64
#else
#define IOMMU_ABI_VFIO_U64 __u64
#endif

#include "iommu_abi/uapi/part/vfio.h"
#include "iommu_abi/uapi/part/vfio_cap.h"
#include "iommu_abi/uapi/part/vfio_container.h"
#include "iommu_abi/uapi/part/vfio_device.h"
#include "iommu_abi/uapi/part/vfio_pci.h"
#include "iommu_abi/uapi/part/vfio_type1.h"
#if IOMMU_ABI_LINUX >= 507
#include "iommu_abi/uapi/part/vfio_feature.h"
#endif
#if IOMMU_ABI_LINUX >= 601
#include "iommu_abi/uapi/part/vfio_migration.h"
#endif
#if IOMMU_ABI_LINUX >= 606
#include "iommu_abi/uapi/part/vfio_cdev.h"
#endif

#undef IOMMU_ABI_VFIO_U64
