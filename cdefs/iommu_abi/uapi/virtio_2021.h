/* SPDX-License-Identifier: MIT */
/*
 * Generation virtio_2021: requests of virtio-iommu that attach a guest's tables, RFCs of January and
 * April 2021, never merged. Little-endian everywhere.
 */
#ifndef IOMMU_ABI_UAPI_VIRTIO_2021_H
#define IOMMU_ABI_UAPI_VIRTIO_2021_H

#include "iommu_abi/uapi/part/generation.h"

/* Posted as macros. */
enum {
	VIRTIO_IOMMU_F_ATTACH_TABLE = 6,
	VIRTIO_IOMMU_T_ATTACH_TABLE = 0x06,
	VIRTIO_IOMMU_T_INVALIDATE = 0x07,
	VIRTIO_IOMMU_T_PAGE_RESP = 0x08,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_LINEAR = 0x0,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_4KL2 = 0x1,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_64KL2 = 0x2,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_DSS_TERM = 0x0,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_DSS_BYPASS = 0x1,
	VIRTIO_IOMMU_PSTF_ARM_SMMU_V3_DSS_0 = 0x2,
	VIRTIO_IOMMU_PAGE_RESP_PASID_VALID = 1 << 0,
	VIRTIO_IOMMU_PAGE_RESP_SUCCESS = 0x0,
	VIRTIO_IOMMU_PAGE_RESP_INVALID = 0x1,
	VIRTIO_IOMMU_PAGE_RESP_FAILURE = 0x2,
};

struct virtio_iommu_req_head {
	__u8 type;
	__u8 reserved[3];
};

struct virtio_iommu_req_tail {
	__u8 status;
	__u8 reserved[3];
};

struct virtio_iommu_req_attach_table {
	struct virtio_iommu_req_head head;
	__le32 domain;
	__le32 endpoint;
	__le16 format;
	__u8 reserved[62];
	struct virtio_iommu_req_tail tail;
};

struct virtio_iommu_req_attach_pst_arm {
	struct virtio_iommu_req_head head;
	__le32 domain;
	__le32 endpoint;
	__le16 format;
	__u8 s1fmt;
	__u8 s1dss;
	__le64 s1contextptr;
	__le32 s1cdmax;
	__u8 reserved[48];
	struct virtio_iommu_req_tail tail;
};

struct virtio_iommu_req_invalidate {
	struct virtio_iommu_req_head head;
	__le16 inv_gran;
	__le16 inv_type;
	__le16 flags;
	__u8 reserved1[2];
	__le32 domain;
	__le32 pasid;
	__u8 reserved2[4];
	__le64 archid;
	__le64 virt_start;
	__le64 nr_pages;
	__u8 granule;
	__u8 reserved3[11];
	struct virtio_iommu_req_tail tail;
};

struct virtio_iommu_req_page_resp {
	struct virtio_iommu_req_head head;
	__le32 domain;
	__le32 endpoint;
	__le32 flags;
	__le32 pasid;
	__le32 grpid;
	__le16 resp_code;
	__u8 pasid_valid;
	__u8 reserved[9];
	struct virtio_iommu_req_tail tail;
};

#endif
