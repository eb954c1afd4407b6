"""virtio-iommu requests that attach tables, invalidate and answer page requests; RFC of 2021.

Source: the RFC of January and April 2021. Never in <linux/virtio_iommu.h>. All integers are little
endian; every request begins with a head and ends with a tail that the device writes.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Use,
    enumeration,
    le16,
    le32,
    le64,
    member,
    reserved,
    struct,
    u8,
)
from iommu_abi.schemas.uapi.generation import generation

_HEAD = struct(
    "virtio_iommu_req_head", u8("type", "which request", values="VIRTIO_IOMMU_T"), reserved("reserved", 3)
)
_TAIL = struct("virtio_iommu_req_tail", u8("status", use=Use.OUT), reserved("reserved", 3))
_START = (member("head", _HEAD), le32("domain"), le32("endpoint"))
_END = member("tail", _TAIL)

VIRTIO_2021 = generation(
    "virtio_2021",
    "RFC of January and April 2021",
    structs=[
        _HEAD,
        _TAIL,
        struct("virtio_iommu_req_attach_table", *_START, le16("format"), reserved("reserved", 62), _END),
        struct(
            "virtio_iommu_req_attach_pst_arm",
            *_START,
            le16("format"),
            u8("s1fmt", "STE.S1Fmt"),
            u8("s1dss", "STE.S1DSS"),
            le64("s1contextptr", "guest-physical address of the context descriptors"),
            le32("s1cdmax", "bits of a PASID"),
            reserved("reserved", 48),
            _END,
        ),
        struct(
            "virtio_iommu_req_invalidate",
            member("head", _HEAD),
            le16("inv_gran"),
            le16("inv_type"),
            le16("flags"),
            reserved("reserved1", 2),
            le32("domain"),
            le32("pasid"),
            reserved("reserved2", 4),
            le64("archid"),
            le64("virt_start"),
            le64("nr_pages"),
            u8("granule"),
            reserved("reserved3", 11),
            _END,
        ),
        struct(
            "virtio_iommu_req_page_resp",
            *_START,
            le32("flags"),
            le32("pasid"),
            le32("grpid"),
            le16("resp_code"),
            u8("pasid_valid"),
            reserved("reserved", 9),
            _END,
        ),
    ],
    enums=[
        enumeration(
            "VIRTIO_IOMMU_T",
            "VIRTIO_IOMMU_T_ATTACH_TABLE",
            "VIRTIO_IOMMU_T_INVALIDATE",
            "VIRTIO_IOMMU_T_PAGE_RESP",
            first=6,
        )
    ],
)

GENERATIONS = (VIRTIO_2021,)
