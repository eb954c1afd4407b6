/* SPDX-License-Identifier: MIT */
/* Invalidating caches by granularity, from May 2019 to the end of 5.17. */

enum iommu_inv_granularity {
	IOMMU_INV_GRANU_DOMAIN,
	IOMMU_INV_GRANU_PASID,
	IOMMU_INV_GRANU_ADDR,
#if IOMMU_ABI_LINUX
	IOMMU_INV_GRANU_NR,
#endif
};

/* Posted as macros. */
enum {
	IOMMU_INV_ADDR_FLAGS_PASID = 1 << 0,
	IOMMU_INV_ADDR_FLAGS_ARCHID = 1 << 1,
	IOMMU_INV_ADDR_FLAGS_LEAF = 1 << 2,
#if IOMMU_ABI_LINUX
	IOMMU_INV_PASID_FLAGS_PASID = 1 << 0,
	IOMMU_INV_PASID_FLAGS_ARCHID = 1 << 1,
#endif
	IOMMU_CACHE_INVALIDATE_INFO_VERSION_1 = 1,
	IOMMU_CACHE_INV_TYPE_IOTLB = 1 << 0,
	IOMMU_CACHE_INV_TYPE_DEV_IOTLB = 1 << 1,
	IOMMU_CACHE_INV_TYPE_PASID = 1 << 2,
#if IOMMU_ABI_LINUX
	IOMMU_CACHE_INV_TYPE_NR = 3,
#endif
};

struct iommu_inv_addr_info {
	__u32 flags; /* IOMMU_INV_ADDR_FLAGS_* */
	__u32 archid;
	__u64 pasid;
	__u64 addr;
	__u64 granule_size; /* bytes */
	__u64 nb_granules;
};

#if IOMMU_ABI_LINUX
struct iommu_inv_pasid_info {
	__u32 flags; /* IOMMU_INV_PASID_FLAGS_*, at least one */
	__u32 archid;
	__u64 pasid;
};
#endif

/* 5.10 put argsz first and widened the padding; version stayed 1. */
struct iommu_cache_invalidate_info {
#if IOMMU_ABI_LINUX >= 510
	__u32 argsz;
	__u32 version;
	__u8 cache;       /* IOMMU_CACHE_INV_TYPE_* */
	__u8 granularity; /* enum iommu_inv_granularity */
	__u8 padding[6];  /* 0 */
	union {
		struct iommu_inv_pasid_info pasid_info;
		struct iommu_inv_addr_info addr_info;
	} granu;
#else
	__u32 version;
	__u8 cache;       /* IOMMU_CACHE_INV_TYPE_* */
	__u8 granularity; /* enum iommu_inv_granularity */
	__u8 padding[2];
	union {
#if IOMMU_ABI_LINUX
		struct iommu_inv_pasid_info pasid_info;
#else
		__u64 pasid;
#endif
		struct iommu_inv_addr_info addr_info;
	};
#endif
};
