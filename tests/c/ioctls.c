// SPDX-License-Identifier: MIT
/*
 * Issues ioctls of iommufd and VFIO on the file that is named, for strace to record. Where there is no
 * IOMMU, that is /dev/null, and each of them fails with ENOTTY.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "iommu_abi/uapi/iommufd_7_2.h"

#define CALL(nr, ...) ioctl(fd, _IO(VFIO_TYPE, nr), ##__VA_ARGS__)

static void iommufd(int fd)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_iova_range ranges[2] = { { 0x1000, 0xfedfffff }, { 0xfef00000, 0xffffffff } };
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = 1,
		.num_iovas = 2,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = 1,
		.user_va = (uintptr_t)&alloc,
		.length = 0x1000,
		.iova = 0x100000,
	};
	struct iommu_hwpt_vtd_s1 stage1 = {
		.flags = IOMMU_VTD_S1_SRE,
		.pgtbl_addr = 0x12345000,
		.addr_width = 48,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.dev_id = 2,
		.pt_id = 3,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(stage1),
		.data_uptr = (uintptr_t)&stage1,
	};
	struct iommu_hwpt_vtd_s1_invalidate entries[2] = { { 0x1000, 1, 0, 0 }, { 0x4000, 4, 1, 0 } };
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.hwpt_id = 4,
		.data_uptr = (uintptr_t)entries,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(entries[0]),
		.entry_num = 2,
	};

	CALL(0x81, &alloc);
	CALL(0x82, &allow);
	CALL(0x85, &map);
	CALL(0x89, &hwpt);
	CALL(0x8d, &invalidate);
	CALL(0xff, 0);
}

static void vfio(int fd)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)&map,
		.iova = 0x100000,
		.size = 0x1000,
	};
	struct vfio_region_info region = { .argsz = sizeof(region), .index = 7 };
	uint32_t bind[4] = { sizeof(bind), 0, 5, 0 };

	ioctl(fd, VFIO_GET_API_VERSION);
	ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
	ioctl(fd, VFIO_IOMMU_MAP_DMA, &map);
	ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region);
	CALL(118, bind);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR) : -1;

	if (fd < 0)
		return 2;
	iommufd(fd);
	vfio(fd);
	return 0;
}
