/* SPDX-License-Identifier: MIT */
/* A guest's MSI doorbell, bound by one ioctl since v9 and by two before. */
#if IOMMU_ABI_VFIO_PTC >= 9
/* Posted as macros. */
enum {
	VFIO_IOMMU_BIND_MSI = 1 << 0,
	VFIO_IOMMU_UNBIND_MSI = 1 << 1,
};

struct vfio_iommu_type1_set_msi_binding {
	__u32 argsz;
	__u32 flags; /* exactly one */
	__u64 iova;
	__u64 gpa;
	__u64 size;
};
#else
struct vfio_iommu_type1_bind_msi {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
	__u64 gpa;
	__u64 size;
};

struct vfio_iommu_type1_unbind_msi {
	__u32 argsz;
	__u32 flags;
	__u64 iova;
};
#endif
