/* SPDX-License-Identifier: MIT */
/* Destroying objects, address spaces and what is mapped in them, options. */

struct iommu_destroy {
	__u32 size;
	__u32 id; /* of any object that can be destroyed */
};

struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 out_ioas_id;
};

/* Both ends are inside. */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;             /* in: room in the array; out: ranges there are */
	__u32 __reserved;            /* 0 */
	__aligned_u64 allowed_iovas; /* address of struct iommu_iova_range[] */
	__aligned_u64 out_iova_alignment;
};

/* Replaces the whole list. */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;            /* 0 */
	__aligned_u64 allowed_iovas; /* address of struct iommu_iova_range[] */
};

enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

struct iommu_ioas_map {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 ioas_id;
	__u32 __reserved; /* 0 */
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova; /* in with FIXED_IOVA, always out */
};

#if IOMMU_ABI_LINUX >= 613
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start; /* byte in the file */
	__aligned_u64 length;
	__aligned_u64 iova; /* as in iommu_ioas_map */
};
#endif

struct iommu_ioas_copy {
	__u32 size;
	__u32 flags; /* enum iommufd_ioas_map_flags */
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova; /* in with FIXED_IOVA, always out */
	__aligned_u64 src_iova;
};

/* iova 0 and the largest length mean everything. */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length; /* out: bytes unmapped */
};

enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	__u32 size;
	__u32 option_id;     /* enum iommufd_option */
	__u16 op;            /* enum iommufd_option_ops */
	__u16 __reserved;    /* 0 */
	__u32 object_id;     /* 0 for RLIMIT_MODE, an IOAS for HUGE_PAGES */
	__aligned_u64 val64; /* in for SET, out for GET */
};

enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;    /* in for SET, out for GET */
	__u16 op;         /* enum iommufd_vfio_ioas_op */
	__u16 __reserved; /* 0 */
};

#if IOMMU_ABI_LINUX >= 613
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved; /* 0 */
};
#endif

#if IOMMU_ABI_LINUX >= 703
/* Where memory of an IOAS without an IOMMU is, for programs with CAP_SYS_RAWIO. */
struct iommu_ioas_noiommu_get_pa {
	__u32 size;
	__u32 flags; /* 0 */
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length; /* in: at most; out: bytes that are together */
	__aligned_u64 out_phys;
};
#endif
