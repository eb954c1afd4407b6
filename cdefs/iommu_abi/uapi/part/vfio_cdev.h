/* SPDX-License-Identifier: MIT */
/* Devices as character devices that iommufd serves. 6.19 gave each struct one more field. */

/* Posted as macros. */
enum {
	VFIO_DEVICE_BIND_IOMMUFD = _IO(VFIO_TYPE, VFIO_BASE + 18),
	VFIO_DEVICE_ATTACH_IOMMUFD_PT = _IO(VFIO_TYPE, VFIO_BASE + 19),
	VFIO_DEVICE_DETACH_IOMMUFD_PT = _IO(VFIO_TYPE, VFIO_BASE + 20),
#if IOMMU_ABI_LINUX >= 619
	VFIO_DEVICE_BIND_FLAG_TOKEN = 1 << 0,
	VFIO_DEVICE_ATTACH_PASID = 1 << 0,
	VFIO_DEVICE_DETACH_PASID = 1 << 0,
#endif
};

struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_BIND_FLAG_TOKEN */
	__s32 iommufd;
	__u32 out_devid;
#if IOMMU_ABI_LINUX >= 619
	__aligned_u64 token_uuid_ptr; /* with VFIO_DEVICE_BIND_FLAG_TOKEN */
#endif
};

struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_ATTACH_PASID */
	__u32 pt_id; /* in: an IOAS or a table; out: the table */
#if IOMMU_ABI_LINUX >= 619
	__u32 pasid; /* with VFIO_DEVICE_ATTACH_PASID */
#endif
};

struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags; /* VFIO_DEVICE_DETACH_PASID */
#if IOMMU_ABI_LINUX >= 619
	__u32 pasid; /* with VFIO_DEVICE_DETACH_PASID */
#endif
};
