/* SPDX-License-Identifier: MIT */
/*
 * linux/iommufd.h as of the kernel that IOMMU_ABI_LINUX names: 603, 612, 613, 619, 702 or 703.
 *
 * Every struct that an ioctl takes begins with its own size and grows at the end. What a field
 * means is said where its name does not: "out" is written by the kernel, "0" must be zero,
 * "0, unchecked" is documented as zero and not looked at by Linux 7.2.
 *
 * History is not monotonic: 6.12.95 is a stable kernel with fields that 6.13.4 does not have.
 */
#include "iommu_abi/uapi/part/iommufd_ioctls.h"
#include "iommu_abi/uapi/part/iommufd_ioas.h"

#if IOMMU_ABI_LINUX >= 612
#include "iommu_abi/uapi/part/iommufd_hwpt.h"
#include "iommu_abi/uapi/part/iommufd_hw_info.h"
#include "iommu_abi/uapi/part/iommufd_dirty.h"
#include "iommu_abi/uapi/part/iommufd_invalidate.h"
#include "iommu_abi/uapi/part/iommufd_fault.h"
#endif

#if IOMMU_ABI_LINUX >= 613
#include "iommu_abi/uapi/part/iommufd_viommu.h"
#endif

#if IOMMU_ABI_LINUX >= 619
#include "iommu_abi/uapi/part/iommufd_vevent.h"
#include "iommu_abi/uapi/part/iommufd_hw_queue.h"
#endif
