"""2017: a PASID table, an invalidation and a fault, each with an opaque tail that a model explains.

Sources: the RFC of April 2017 and version 1 of 27 June 2017, patches 1/9, 3/9 and 5/9. Neither has a
version or a size; between them the numbers of the models changed, and ``tlb_invalidate_info`` got a
length before its tail.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import enumeration, flags, pointer, struct, tail, u32, u64
from iommu_abi.schemas.uapi.generation import generation

_TABLE = struct(
    "pasid_table_info",
    u64("ptr", "guest-physical address of the PASID table"),
    u64("size", "bytes of the table"),
    u32("model", "whose table it is", values="iommu_model"),
    u32("length", "bytes of opaque[]"),
    tail("opaque", "what the model needs", length="length"),
)

RFC2017 = generation(
    "rfc2017",
    "RFC of April 2017",
    structs=[
        _TABLE,
        struct(
            "tlb_invalidate_info",
            u32("model", "whose format opaque[] has", values="iommu_model"),
            tail("opaque", "what to invalidate"),
        ),
    ],
    enums=[enumeration("iommu_model", "INTEL_IOMMU", "ARM_SMMU", first=1)],  # bits 0 and 1, as macros
)

V1_2017 = RFC2017.then(
    "v1_2017",
    "version 1 of 27 June 2017, patches 1/9, 3/9 and 5/9",
    structs=[
        struct(
            "tlb_invalidate_info",
            u32("model", "whose format opaque[] has", values="iommu_model"),
            u32("length", "bytes of opaque[]"),
            tail("opaque", "what to invalidate", length="length"),
        ),
        struct(
            "iommu_fault_event",
            pointer("dev", "struct device of the kernel, although this header is for user space"),
            u64("addr", "address of the fault"),
            u32("pasid", "PASID, if there was one"),
            u32("prot", "IOMMU_READ, IOMMU_WRITE"),
            u32("flags", "kind of fault", values="IOMMU_FAULT"),
            u32("length", "bytes of buf[]"),
            tail("buf", "the fault as hardware recorded it", length="length"),
        ),
    ],
    enums=[
        enumeration("iommu_model", "IOMMU_MODEL_INTEL_VTD", "IOMMU_MODEL_ARM_SMMU"),
        flags(
            "IOMMU_FAULT",
            "IOMMU_FAULT_PAGE_REQ",
            "IOMMU_FAULT_UNRECOV",
            "IOMMU_FAULT_IRQ_REMAP",
            "IOMMU_FAULT_INVAL",
        ),
    ],
)

GENERATIONS = (RFC2017, V1_2017)
