"""VFIO ioctls that carried PASID tables, invalidations and bindings: proposed 2019 to 2021, none merged.

Sources: "SMMUv3 Nested Stage Setup (VFIO part)" v8, v9 and v10, v11, v12 and v13 (vfio_ptc_v8, ...); "vfio:
expose virtual Shared Virtual Addressing to VMs" v1, v5 to v7 and v8 (vfio_sva_v1, ...). Every struct
begins with argsz and flags. One number stands for several commands between the series.
"""

from __future__ import annotations

from iommu_abi.schemas.uapi.fields import (
    Field,
    Struct,
    Use,
    enumeration,
    flags,
    member,
    struct,
    tail,
    u16,
    u32,
    u64,
    union,
)
from iommu_abi.schemas.uapi.generation import Generation, Ioctl, Payload
from iommu_abi.schemas.uapi.linux_iommu import LINUX_5_5, LINUX_5_10
from iommu_abi.schemas.uapi.nesting import NESTING_V2, NESTING_V7, NESTING_V8
from iommu_abi.schemas.uapi.ptc import PTC_V4, PTC_V12, PTC_V14

BASE = 100
_ARGSZ = u32("argsz", "bytes that the caller gives")
_NO_FLAGS = u32("flags", "0")
_IOVA = u64("iova", "where the guest's device writes")
_GPA = u64("gpa", "the doorbell as the guest sees it")
_SIZE = u64("size", "bytes")


def _carrier(name: str, config: Field, values: str = "") -> Struct:
    return struct(name, _ARGSZ, u32("flags", "", values=values) if values else _NO_FLAGS, config)


def _command(name: str, number: int, struct_name: str = "", least: str = "") -> Ioctl:
    return Ioctl(f"VFIO_IOMMU_{name}", BASE + number, struct_name, least)


# ---------------------------------------------------------------- PASID tables of SMMUv3

_INVALIDATION = "iommu_cache_invalidate_info"


def _carries(kernel: Generation, tables: Generation | None = None) -> Generation:
    """The structs that a carrier carries: a table's configuration, and an invalidation of a kernel."""
    names = ("iommu_inv_addr_info", "iommu_inv_pasid_info", _INVALIDATION)
    info = kernel.structs[_INVALIDATION]
    start = tables or Generation("", "", {})
    return start.then(
        start.name,
        start.source,
        structs=[
            *(kernel.structs[name] for name in names),
            _carrier("vfio_iommu_type1_cache_invalidate", member("info", info)),
        ],
        enums=[e for tag, e in kernel.enums.items() if "INV" in tag or "inv" in tag],
        payloads=[p for p in kernel.payloads if p.struct == _INVALIDATION],
    )


CAP_HEADER = struct(
    "vfio_info_cap_header",
    u16("id", "which capability", use=Use.OUT),
    u16("version", use=Use.OUT),
    u32("next", "offset of the next one, 0 for the last", use=Use.OUT),
)

_CAP_FAULT = struct("vfio_region_info_cap_fault", member("header", CAP_HEADER), u32("version", use=Use.OUT))
_CONFIG = "iommu_pasid_table_config"

V8 = _carries(LINUX_5_5, PTC_V4).then(
    "vfio_ptc_v8",
    "VFIO part, v8 of 2019",
    structs=[
        _carrier("vfio_iommu_type1_attach_pasid_table", member("config", PTC_V4.structs[_CONFIG])),
        struct("vfio_iommu_type1_bind_msi", _ARGSZ, _NO_FLAGS, _IOVA, _GPA, _SIZE),
        struct("vfio_iommu_type1_unbind_msi", _ARGSZ, _NO_FLAGS, _IOVA),
        struct(
            "vfio_region_fault_prod",
            u32("version", use=Use.OUT),
            u32("nb_entries", "of the ring", use=Use.OUT),
            u32("entry_size", "bytes", use=Use.OUT),
            u32("offset", "of the ring", use=Use.OUT),
            u32("prod", "index that the kernel writes", use=Use.OUT),
        ),
        struct("vfio_region_fault_cons", u32("version"), u32("cons", "index that the caller writes")),
        CAP_HEADER,
        _CAP_FAULT,
    ],
    ioctls=[
        _command("ATTACH_PASID_TABLE", 22, "vfio_iommu_type1_attach_pasid_table", "config"),
        _command("DETACH_PASID_TABLE", 23),
        _command("CACHE_INVALIDATE", 24, "vfio_iommu_type1_cache_invalidate", "info"),
        _command("BIND_MSI", 25, "vfio_iommu_type1_bind_msi", "size"),
        _command("UNBIND_MSI", 26, "vfio_iommu_type1_unbind_msi", "iova"),
    ],
)


def _numbers(first: int) -> list[Ioctl]:
    return [
        _command("SET_PASID_TABLE", first, "vfio_iommu_type1_set_pasid_table", "flags"),
        _command("CACHE_INVALIDATE", first + 1, "vfio_iommu_type1_cache_invalidate", "info"),
        _command("SET_MSI_BINDING", first + 2, "vfio_iommu_type1_set_msi_binding", "size"),
    ]


_SET_MSI_BINDING = struct(
    "vfio_iommu_type1_set_msi_binding",
    _ARGSZ,
    u32("flags", "exactly one", values="VFIO_IOMMU_MSI_BINDING_FLAG"),
    _IOVA,
    _GPA,
    _SIZE,
)


def _set_and_unset(kernel: Generation, tables: Generation, name: str, source: str, first: int) -> Generation:
    """v9 to v13: one command that sets and unsets a table, and its neighbours."""
    config = member("config", tables.structs[_CONFIG])
    return _carries(kernel, tables).then(
        name,
        source,
        structs=[
            _carrier("vfio_iommu_type1_set_pasid_table", config, "VFIO_PASID_TABLE_FLAG"),
            _SET_MSI_BINDING,
            CAP_HEADER,
            _CAP_FAULT,
        ],
        enums=[
            flags("VFIO_PASID_TABLE_FLAG", "VFIO_PASID_TABLE_FLAG_SET", "VFIO_PASID_TABLE_FLAG_UNSET"),
            flags("VFIO_IOMMU_MSI_BINDING_FLAG", "VFIO_IOMMU_BIND_MSI", "VFIO_IOMMU_UNBIND_MSI"),
        ],
        ioctls=_numbers(first),
    )


V9 = _set_and_unset(LINUX_5_5, PTC_V4, "vfio_ptc_v9", "VFIO part, v9 and v10 of 2020", 22).then(
    "vfio_ptc_v9",
    "VFIO part, v9 and v10 of 2020",
    ioctls=[_command("SET_PASID_TABLE", 22, "vfio_iommu_type1_set_pasid_table", "config")],
)
V11 = _set_and_unset(LINUX_5_10, PTC_V12, "vfio_ptc_v11", "VFIO part, v11 of November 2020", 22)
V12 = _set_and_unset(LINUX_5_10, PTC_V14, "vfio_ptc_v12", "VFIO part, v12 and v13 of 2021", 18).then(
    "vfio_ptc_v12",
    "VFIO part, v12 and v13 of 2021",
    structs=[
        struct(
            "vfio_region_dma_fault",
            u32("tail", "index that the caller writes"),
            u32("entry_size", "bytes", use=Use.OUT),
            u32("nb_entries", "of the ring", use=Use.OUT),
            u32("offset", "of the ring", use=Use.OUT),
            u32("head", "index that the kernel writes", use=Use.OUT),
        ),
        struct(
            "vfio_region_dma_fault_response",
            u32("head", "index that the caller writes"),
            u32("entry_size", "bytes", use=Use.OUT),
            u32("nb_entries", "of the ring", use=Use.OUT),
            u32("offset", "of the ring", use=Use.OUT),
            u32("tail", "index that the kernel writes", use=Use.OUT),
        ),
    ],
)

# ---------------------------------------------------------------- PASIDs and page tables of VT-d

_TAIL = tail("data", "as the operation needs")

VSVA_V1 = _carries(LINUX_5_5).then(
    "vfio_sva_v1",
    "vSVA v1 of March 2020",
    structs=[
        struct(
            "vfio_iommu_type1_pasid_request",
            _ARGSZ,
            u32("flags", "exactly one", values="VFIO_IOMMU_PASID"),
            union(
                "",
                member(
                    "alloc_pasid",
                    struct("", u32("min"), u32("max"), u32("result", "the PASID", use=Use.OUT)),
                ),
                u32("free_pasid", "the PASID to free"),
            ),
        ),
        struct("vfio_iommu_type1_bind", _ARGSZ, u32("flags", "exactly one", values="VFIO_IOMMU_BIND"), _TAIL),
    ],
    enums=[
        flags("VFIO_IOMMU_PASID", "VFIO_IOMMU_PASID_ALLOC", "VFIO_IOMMU_PASID_FREE"),
        flags("VFIO_IOMMU_BIND", "VFIO_IOMMU_BIND_GUEST_PGTBL", "VFIO_IOMMU_UNBIND_GUEST_PGTBL"),
    ],
    ioctls=[
        _command("PASID_REQUEST", 22, "vfio_iommu_type1_pasid_request"),
        _command("BIND", 23, "vfio_iommu_type1_bind"),
        _command("CACHE_INVALIDATE", 24, "vfio_iommu_type1_cache_invalidate", "info"),
    ],
    payloads=[
        Payload(
            "vfio_iommu_type1_pasid_request",
            "flags",
            "",
            {"VFIO_IOMMU_PASID_ALLOC": "alloc_pasid", "VFIO_IOMMU_PASID_FREE": "free_pasid"},
        )
    ],
)


_NESTING_OP = struct(
    "vfio_iommu_type1_nesting_op",
    _ARGSZ,
    u32("flags", "the operation in the low 16 bits", values="VFIO_IOMMU_NESTING_OP"),
    _TAIL,
)
_OPERATIONS = enumeration(
    "VFIO_IOMMU_NESTING_OP",
    "VFIO_IOMMU_NESTING_OP_BIND_PGTBL",
    "VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL",
    "VFIO_IOMMU_NESTING_OP_CACHE_INVLD",
)


def _with_nesting(earlier: Generation, name: str, source: str, op: int, *structs: Struct) -> Generation:
    """A version of the series that says by ``iommu_nesting_info`` what a host can."""
    return earlier.then(
        name,
        source,
        structs=[_NESTING_OP, *structs],
        enums=[_OPERATIONS],
        ioctls=[_command("NESTING_OP", op, "vfio_iommu_type1_nesting_op", "flags")],
    )


VSVA_V2 = _with_nesting(NESTING_V2, "vfio_sva_v2", "vSVA v2 of June 2020", 23)
VSVA_V7 = _with_nesting(
    NESTING_V7,
    "vfio_sva_v7",
    "vSVA v5 to v7 of 2020",
    19,
    struct(
        "vfio_iommu_type1_pasid_request",
        _ARGSZ,
        u32("flags", "exactly one", values="VFIO_IOMMU_PASID"),
        member("range", struct("", u32("min"), u32("max"))),
    ),
).then(
    "vfio_sva_v7",
    "vSVA v5 to v7 of 2020",
    enums=[flags("VFIO_IOMMU_PASID", "VFIO_IOMMU_FLAG_ALLOC_PASID", "VFIO_IOMMU_FLAG_FREE_PASID")],
    ioctls=[_command("PASID_REQUEST", 18, "vfio_iommu_type1_pasid_request", "range")],
)
VSVA_V8 = _with_nesting(
    NESTING_V8,
    "vfio_sva_v8",
    "vSVA v8 of March 2021",
    18,
    CAP_HEADER,
    struct(
        "vfio_iommu_type1_info_cap_nesting",
        member("header", CAP_HEADER, "id 4"),
        member("info", NESTING_V8.structs["iommu_nesting_info"]),
    ),
)

GENERATIONS = (V8, V9, V11, V12, VSVA_V1, VSVA_V2, VSVA_V7, VSVA_V8)
