/* SPDX-License-Identifier: MIT */
/* What only some devices have: resets of a whole bus or slot, eventfds that write to a BAR, planes of a screen. */

enum {
	VFIO_PCI_BAR0_REGION_INDEX,
	VFIO_PCI_BAR1_REGION_INDEX,
	VFIO_PCI_BAR2_REGION_INDEX,
	VFIO_PCI_BAR3_REGION_INDEX,
	VFIO_PCI_BAR4_REGION_INDEX,
	VFIO_PCI_BAR5_REGION_INDEX,
	VFIO_PCI_ROM_REGION_INDEX,
	VFIO_PCI_CONFIG_REGION_INDEX,
	VFIO_PCI_VGA_REGION_INDEX,
	VFIO_PCI_NUM_REGIONS,
};

enum {
	VFIO_PCI_INTX_IRQ_INDEX,
	VFIO_PCI_MSI_IRQ_INDEX,
	VFIO_PCI_MSIX_IRQ_INDEX,
	VFIO_PCI_ERR_IRQ_INDEX,
	VFIO_PCI_REQ_IRQ_INDEX,
	VFIO_PCI_NUM_IRQS,
};

/* Posted as macros. */
enum {
#if IOMMU_ABI_LINUX >= 606
	VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP = 5,
	VFIO_PCI_ATOMIC_COMP32 = 1 << 0,
	VFIO_PCI_ATOMIC_COMP64 = 1 << 1,
	VFIO_PCI_ATOMIC_COMP128 = 1 << 2,
	VFIO_PCI_HOT_RESET_FLAG_DEV_ID = 1 << 0,
	VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED = 1 << 1,
#endif
	VFIO_GFX_PLANE_TYPE_PROBE = 1 << 0,
	VFIO_GFX_PLANE_TYPE_DMABUF = 1 << 1,
	VFIO_GFX_PLANE_TYPE_REGION = 1 << 2,
	VFIO_DEVICE_IOEVENTFD_8 = 1 << 0,
	VFIO_DEVICE_IOEVENTFD_16 = 1 << 1,
	VFIO_DEVICE_IOEVENTFD_32 = 1 << 2,
	VFIO_DEVICE_IOEVENTFD_64 = 1 << 3,
	VFIO_DEVICE_IOEVENTFD_SIZE_MASK = 0xf,
};

/* Posted as macros. */
enum {
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = _IO(VFIO_TYPE, VFIO_BASE + 12),
	VFIO_DEVICE_PCI_HOT_RESET = _IO(VFIO_TYPE, VFIO_BASE + 13),
	VFIO_DEVICE_QUERY_GFX_PLANE = _IO(VFIO_TYPE, VFIO_BASE + 14),
	VFIO_DEVICE_GET_GFX_DMABUF = _IO(VFIO_TYPE, VFIO_BASE + 15), /* takes a pointer to an ID */
	VFIO_DEVICE_IOEVENTFD = _IO(VFIO_TYPE, VFIO_BASE + 16),
};

#if IOMMU_ABI_LINUX >= 606
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32 flags; /* VFIO_PCI_ATOMIC_COMP* */
	__u32 reserved;
};
#endif

struct vfio_pci_dependent_device {
#if IOMMU_ABI_LINUX >= 606
	union {
		__u32 group_id;
		__u32 devid; /* with VFIO_PCI_HOT_RESET_FLAG_DEV_ID; 0: the caller's, -1: not the caller's */
	};
#else
	__u32 group_id;
#endif
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};

struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags; /* VFIO_PCI_HOT_RESET_FLAG_* */
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};

struct vfio_pci_hot_reset {
	__u32 argsz;
	__u32 flags; /* 0 */
	__u32 count;
	__s32 group_fds[];
};

struct vfio_device_gfx_plane_info {
	__u32 argsz;
	__u32 flags; /* VFIO_GFX_PLANE_TYPE_* */
	__u32 drm_plane_type;
	__u32 drm_format;
	IOMMU_ABI_VFIO_U64 drm_format_mod;
	__u32 width;
	__u32 height;
	__u32 stride;
	__u32 size;
	__u32 x_pos;
	__u32 y_pos;
	__u32 x_hot;
	__u32 y_hot;
	union {
		__u32 region_index;
		__u32 dmabuf_id;
	};
#if IOMMU_ABI_LINUX >= 606
	__u32 reserved;
#endif
};

struct vfio_device_ioeventfd {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_IOEVENTFD_* */
	IOMMU_ABI_VFIO_U64 offset;
	IOMMU_ABI_VFIO_U64 data;
	__s32 fd; /* -1 takes it away again */
#if IOMMU_ABI_LINUX >= 606
	__u32 reserved;
#endif
};
