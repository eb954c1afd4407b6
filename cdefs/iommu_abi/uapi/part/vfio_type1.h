/* SPDX-License-Identifier: MIT */
/* Type 1 mappings of a container; of powerpc's IOMMU only the numbers. */

/* Posted as macros. */
enum {
	VFIO_IOMMU_INFO_PGSIZES = 1 << 0,
	VFIO_DMA_MAP_FLAG_READ = 1 << 0,
	VFIO_DMA_MAP_FLAG_WRITE = 1 << 1,
#if IOMMU_ABI_LINUX >= 510
	VFIO_IOMMU_INFO_CAPS = 1 << 1,
	VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1,
	VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2,
	VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3,
	VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1 << 0,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1 << 0,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 1 << 1,
	VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 1 << 2,
#endif
#if IOMMU_ABI_LINUX >= 512
	VFIO_DMA_MAP_FLAG_VADDR = 1 << 2,
	VFIO_DMA_UNMAP_FLAG_ALL = 1 << 1,
	VFIO_DMA_UNMAP_FLAG_VADDR = 1 << 2,
#endif
};

/* Posted as macros. A number means another thing on a device's file. */
enum {
	VFIO_IOMMU_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_IOMMU_MAP_DMA = _IO(VFIO_TYPE, VFIO_BASE + 13),
	VFIO_IOMMU_UNMAP_DMA = _IO(VFIO_TYPE, VFIO_BASE + 14),
	VFIO_IOMMU_ENABLE = _IO(VFIO_TYPE, VFIO_BASE + 15),
	VFIO_IOMMU_DISABLE = _IO(VFIO_TYPE, VFIO_BASE + 16),
#if IOMMU_ABI_LINUX >= 510
	VFIO_IOMMU_DIRTY_PAGES = _IO(VFIO_TYPE, VFIO_BASE + 17),
#endif
	VFIO_IOMMU_SPAPR_TCE_GET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_IOMMU_SPAPR_REGISTER_MEMORY = _IO(VFIO_TYPE, VFIO_BASE + 17),
	VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY = _IO(VFIO_TYPE, VFIO_BASE + 18),
	VFIO_IOMMU_SPAPR_TCE_CREATE = _IO(VFIO_TYPE, VFIO_BASE + 19),
	VFIO_IOMMU_SPAPR_TCE_REMOVE = _IO(VFIO_TYPE, VFIO_BASE + 20),
	VFIO_EEH_PE_OP = _IO(VFIO_TYPE, VFIO_BASE + 21),
};

struct vfio_iommu_type1_info {
	__u32 argsz;
	__u32 flags; /* VFIO_IOMMU_INFO_* */
	IOMMU_ABI_VFIO_U64 iova_pgsizes;
#if IOMMU_ABI_LINUX >= 510
	__u32 cap_offset;
#endif
#if IOMMU_ABI_LINUX >= 606
	__u32 pad;
#endif
};

struct vfio_iommu_type1_dma_map {
	__u32 argsz;
	__u32 flags; /* VFIO_DMA_MAP_FLAG_* */
	__u64 vaddr;
	__u64 iova;
	__u64 size;
};

struct vfio_iommu_type1_dma_unmap {
	__u32 argsz;
	__u32 flags; /* VFIO_DMA_UNMAP_FLAG_* */
	__u64 iova;
	__u64 size;
#if IOMMU_ABI_LINUX >= 510
	__u8 data[]; /* struct vfio_bitmap */
#endif
};

#if IOMMU_ABI_LINUX >= 510
/* Both ends are inside. */
struct vfio_iova_range {
	__u64 start;
	__u64 end;
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	__u32 nr_iovas;
	__u32 reserved;
	struct vfio_iova_range iova_ranges[];
};

struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u64 pgsize_bitmap;
	__u64 max_dirty_bitmap_size;
};

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	__u32 avail;
};

struct vfio_bitmap {
	__u64 pgsize;
	__u64 size;
	__u64 *data; /* a pointer: the layout differs by ABI */
};

struct vfio_iommu_type1_dirty_bitmap {
	__u32 argsz;
	__u32 flags; /* one VFIO_IOMMU_DIRTY_PAGES_FLAG_* */
	__u8 data[]; /* struct vfio_iommu_type1_dirty_bitmap_get */
};

struct vfio_iommu_type1_dirty_bitmap_get {
	__u64 iova;
	__u64 size;
	struct vfio_bitmap bitmap;
};
#endif
