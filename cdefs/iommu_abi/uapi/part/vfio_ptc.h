/* SPDX-License-Identifier: MIT */
/*
 * Carriers of struct iommu_pasid_table_config in VFIO, v8 to v13 by IOMMU_ABI_VFIO_PTC, which were
 * up to two versions behind the struct; none was merged.
 */
#if IOMMU_ABI_VFIO_PTC >= 9
/* Posted as macros. */
enum {
	VFIO_PASID_TABLE_FLAG_SET = 1 << 0,
	VFIO_PASID_TABLE_FLAG_UNSET = 1 << 1,
};

struct vfio_iommu_type1_set_pasid_table {
	__u32 argsz;
	__u32 flags; /* exactly one */
	struct iommu_pasid_table_config config;
};
#else
struct vfio_iommu_type1_attach_pasid_table {
	__u32 argsz;
	__u32 flags; /* 0 */
	struct iommu_pasid_table_config config;
};
#endif

struct vfio_iommu_type1_cache_invalidate {
	__u32 argsz;
	__u32 flags; /* 0 */
	struct iommu_cache_invalidate_info info;
};

/* Posted as macros. */
enum {
#if IOMMU_ABI_VFIO_PTC >= 12
	VFIO_IOMMU_SET_PASID_TABLE = _IO(VFIO_TYPE, VFIO_BASE + 18),
	VFIO_IOMMU_CACHE_INVALIDATE = _IO(VFIO_TYPE, VFIO_BASE + 19),
	VFIO_IOMMU_SET_MSI_BINDING = _IO(VFIO_TYPE, VFIO_BASE + 20),
#elif IOMMU_ABI_VFIO_PTC >= 9
	VFIO_IOMMU_SET_PASID_TABLE = _IO(VFIO_TYPE, VFIO_BASE + 22),
	VFIO_IOMMU_CACHE_INVALIDATE = _IO(VFIO_TYPE, VFIO_BASE + 23),
	VFIO_IOMMU_SET_MSI_BINDING = _IO(VFIO_TYPE, VFIO_BASE + 24),
#else
	VFIO_IOMMU_ATTACH_PASID_TABLE = _IO(VFIO_TYPE, VFIO_BASE + 22),
	VFIO_IOMMU_DETACH_PASID_TABLE = _IO(VFIO_TYPE, VFIO_BASE + 23),
	VFIO_IOMMU_CACHE_INVALIDATE = _IO(VFIO_TYPE, VFIO_BASE + 24),
	VFIO_IOMMU_BIND_MSI = _IO(VFIO_TYPE, VFIO_BASE + 25),
	VFIO_IOMMU_UNBIND_MSI = _IO(VFIO_TYPE, VFIO_BASE + 26),
#endif
};
