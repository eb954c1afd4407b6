/* SPDX-License-Identifier: MIT */
/* A region through which faults reach user space, v8 to v13 by IOMMU_ABI_VFIO_PTC; none was merged. */

/* Posted as macros. */
enum {
#if IOMMU_ABI_VFIO_PTC >= 12
	VFIO_REGION_TYPE_NESTED = 4,
	VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT = 1,
	VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT_RESPONSE = 2,
	VFIO_REGION_INFO_CAP_DMA_FAULT = 6,
	VFIO_REGION_INFO_CAP_DMA_FAULT_RESPONSE = 7,
	VFIO_IRQ_TYPE_NESTED = 1,
	VFIO_IRQ_SUBTYPE_DMA_FAULT = 1,
#elif IOMMU_ABI_VFIO_PTC >= 9
	VFIO_REGION_TYPE_NESTED = 2,
	VFIO_REGION_SUBTYPE_NESTED_DMA_FAULT = 1,
#else
	VFIO_REGION_TYPE_NESTED = 2,
	VFIO_REGION_SUBTYPE_NESTED_FAULT_PROD = 1,
	VFIO_REGION_SUBTYPE_NESTED_FAULT_CONS = 2,
#endif
};

struct vfio_region_info_cap_fault {
	struct vfio_info_cap_header header;
	__u32 version;
};

#if IOMMU_ABI_VFIO_PTC >= 12
struct vfio_region_dma_fault {
	__u32 tail; /* the only field that user space writes */
	__u32 entry_size;
	__u32 nb_entries;
	__u32 offset;
	__u32 head;
};

struct vfio_region_dma_fault_response {
	__u32 head; /* the only field that user space writes */
	__u32 entry_size;
	__u32 nb_entries;
	__u32 offset;
	__u32 tail;
};
#elif IOMMU_ABI_VFIO_PTC < 9
struct vfio_region_fault_prod {
	__u32 version;
	__u32 nb_entries;
	__u32 entry_size;
	__u32 offset;
	__u32 prod;
};

struct vfio_region_fault_cons {
	__u32 version;
	__u32 cons;
};
#endif
