"""What iommufd checks about the struct of each command, in the order of Linux 7.2.

Source: drivers/iommu/iommufd of Linux 7.2. Kernels before that have the same rows as far as they have the
fields and flags; their order is taken from 7.2 and not known. The generic checks of every command (its
number, ``size``, bytes that the kernel does not know) come before these.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import (
    EADDRINUSE,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EIO,
    EMSGSIZE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    ERANGE,
)

from iommu_abi.rules.predicates import (
    all_of,
    at_least,
    at_most,
    below_ulong_max,
    is_,
    is_not,
    known_flags,
    low_byte_of,
    multiple_of,
    nonzero,
    not_all_of,
    one_of,
    range_from,
    some_of,
    unless,
    up_to_ulong_max,
    where,
    zero,
    zero_like,
)
from iommu_abi.rules.row import Check, Row, Rows, State

U64 = (1 << 64) - 1
PAGE_SIZE = 4096  # of the kernel; arm64 and others may have more
MOST_ENTRIES = 1 << 19  # of an invalidation, and events of a queue


def _known_flags(row: Rows) -> Check:
    return row("flags", EOPNOTSUPP, known_flags, "no flags but %#llx")


def _no_reserved(row: Rows, errno: int = EOPNOTSUPP) -> Check:
    return row("__reserved", errno, zero, "0")


def _documented(row: Rows, field: str, errno: int = EOPNOTSUPP) -> Check:
    """Must be 0 by the header, and 7.2 does not look."""
    return row(field, errno, zero, "0", name="documented", enforced=False)


# ---------------------------------------------------------------- ioas.c

_IOAS = "Linux 7.2, drivers/iommu/iommufd/ioas.c"
READABLE_WRITEABLE = 6
_FIXED = where("flags", all_of(1))


def _map_flags(row: Rows) -> tuple[Check, Check]:
    readable = some_of(READABLE_WRITEABLE)
    return (
        _known_flags(row),
        row("flags", EINVAL, readable, "READABLE, WRITEABLE or both", name="access"),
    )


def _where(row: Rows, iova: str) -> tuple[Row, ...]:
    """What is checked where a mapping goes."""
    return (
        State(iova, EINVAL, "with FIXED_IOVA: not a multiple of the alignment that IOVA_RANGES says"),
        row(iova, EOVERFLOW, range_from(iova), "a range that ends below ULONG_MAX", name="end", when=_FIXED),
        State(iova, EINVAL, "with FIXED_IOVA: reserved or not allowed"),
        State(iova, EEXIST, "with FIXED_IOVA: something is mapped there"),
        State(iova, ENOSPC, "without FIXED_IOVA: no room"),
    )


def _ioas(ids: str, field: str = "ioas_id") -> State:
    return State(field, ENOENT, f"no {ids} has this ID")


_alloc = Rows("iommu_ioas_alloc", _IOAS)
_ranges = Rows("iommu_ioas_iova_ranges", _IOAS)
_allow = Rows("iommu_ioas_allow_iovas", _IOAS)
_map = Rows("iommu_ioas_map", _IOAS)
_file = Rows("iommu_ioas_map_file", _IOAS)
_copy = Rows("iommu_ioas_copy", _IOAS)
_unmap = Rows("iommu_ioas_unmap", _IOAS)
_option = Rows("iommu_option", _IOAS)
_change = Rows("iommu_ioas_change_process", _IOAS)
_vfio = Rows("iommu_vfio_ioas", "Linux 7.2, drivers/iommu/iommufd/vfio_compat.c")


_A_RANGE = unless(where("iova", is_(0)), where("length", is_(U64)))  # which is everything


_IOAS_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_destroy": (
        State("id", ENOENT, "no object has this ID"),
        State("id", EBUSY, "something uses the object"),
    ),
    "iommu_ioas_alloc": (_known_flags(_alloc), State("size", ENOMEM, "no memory")),
    "iommu_ioas_iova_ranges": (
        _no_reserved(_ranges),
        _ioas("IOAS"),
        State("allowed_iovas", EFAULT, "the array cannot be written"),
        State("num_iovas", EMSGSIZE, "more ranges than the array has room for; num_iovas says how many"),
    ),
    "iommu_ioas_allow_iovas": (
        _no_reserved(_allow),
        _ioas("IOAS"),
        State("allowed_iovas", EFAULT, "the array cannot be read"),
        State("allowed_iovas", EINVAL, "a range that does not begin before its last, or that overlaps one"),
        State("allowed_iovas", EADDRINUSE, "something outside is mapped or reserved"),
    ),
    "iommu_ioas_map": (
        _map_flags(_map)[0],
        _no_reserved(_map),
        _map("iova", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _map("length", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _map_flags(_map)[1],
        _ioas("IOAS"),
        *_where(_map, "iova"),
        State("user_va", EFAULT, "memory of the process that cannot be pinned"),
    ),
    "iommu_ioas_map_file": (
        _map_flags(_file)[0],
        _file("iova", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _file("length", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _map_flags(_file)[1],
        _ioas("IOAS"),
        State("fd", EINVAL, "no file whose memory can be mapped"),
        *_where(_file, "iova"),
    ),
    "iommu_ioas_copy": (
        _map_flags(_copy)[0],
        _copy("length", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _copy("dst_iova", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx"),
        _map_flags(_copy)[1],
        _ioas("IOAS", "src_ioas_id"),
        State("src_iova", ENOENT, "the range is no mapped one"),
        _ioas("IOAS", "dst_ioas_id"),
        *_where(_copy, "dst_iova"),
    ),
    "iommu_ioas_unmap": (
        _ioas("IOAS"),
        _unmap("iova", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx", when=_A_RANGE),
        _unmap("length", EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx", when=_A_RANGE),
        State("iova", ENOENT, "the range splits a mapping, or nothing is mapped there"),
        State("iova", EBUSY, "something uses the mapping"),
    ),
    "iommu_option": (
        _no_reserved(_option),
        _option("option_id", EOPNOTSUPP, one_of(0, 1), "RLIMIT_MODE (0) or HUGE_PAGES (1)"),
        _option("op", EOPNOTSUPP, one_of(0, 1), "SET (0) or GET (1)"),
        _option(
            "object_id",
            EOPNOTSUPP,
            zero,
            "0 for RLIMIT_MODE",
            name="rlimit_mode",
            when=where("option_id", is_(0)),
        ),
        State("option_id", EPERM, "SET of RLIMIT_MODE without CAP_SYS_RESOURCE"),
        State("option_id", EBUSY, "SET of RLIMIT_MODE while there are objects"),
        State("object_id", ENOENT, "HUGE_PAGES: no IOAS has this ID"),
        _option("val64", EINVAL, at_most(1), "0 or 1", when=where("op", is_(0))),
    ),
    "iommu_ioas_change_process": (
        _no_reserved(_change),
        State("size", EINVAL, "something is mapped that is of no file"),
        State("size", EBUSY, "an address space is in use"),
    ),
    "iommu_vfio_ioas": (
        _no_reserved(_vfio),
        _vfio("op", EOPNOTSUPP, one_of(0, 1, 2), "GET (0), SET (1) or CLEAR (2)"),
        State("ioas_id", ENODEV, "GET: none is set"),
        State("ioas_id", ENOENT, "SET: no IOAS has this ID"),
    ),
}

# ---------------------------------------------------------------- device.c, hw_pagetable.c

_HWPT = "Linux 7.2, drivers/iommu/iommufd/hw_pagetable.c"
_info = Rows("iommu_hw_info", "Linux 7.2, drivers/iommu/iommufd/device.c")
_hwpt = Rows("iommu_hwpt_alloc", _HWPT)
_dirty = Rows("iommu_hwpt_set_dirty_tracking", _HWPT)
_bitmap = Rows("iommu_hwpt_get_dirty_bitmap", _HWPT)
_inv = Rows("iommu_hwpt_invalidate", _HWPT)
NEST_PARENT, FAULT_ID_VALID = 1, 4


_SOME_ENTRIES = where("entry_num", at_least(1))


_HWPT_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_hw_info": (
        _known_flags(_info),
        _no_reserved(_info),
        State("dev_id", ENOENT, "no device has this ID"),
        State("in_data_type", EOPNOTSUPP, "the driver has no data of this type"),
        State("data_uptr", EFAULT, "the buffer cannot be written"),
    ),
    "iommu_hwpt_alloc": (
        _no_reserved(_hwpt),
        _hwpt("data_len", EINVAL, zero_like("data_type"), "0 if and only if data_type is NONE"),
        State("dev_id", ENOENT, "no device has this ID"),
        State("pt_id", EINVAL, "no object has this ID, or it is no parent"),
        _hwpt("flags", EOPNOTSUPP, known_flags, "no flags but %#llx"),
        _hwpt(
            "flags", EOPNOTSUPP, not_all_of(NEST_PARENT | FAULT_ID_VALID),
            "not FAULT_ID_VALID with NEST_PARENT", name="fault",
        ),
        State("flags", EOPNOTSUPP, "the driver, or this parent, cannot do that; on an HWPT or vIOMMU only"
              " FAULT_ID_VALID and PASID"),
        State("data_len", EOPNOTSUPP, "data with an IOAS, or none with an HWPT or vIOMMU"),
        State("data_type", EINVAL, "another type of data than the driver's, or another length"),
        State("data_uptr", EFAULT, "the data cannot be read"),
        State("fault_id", ENOENT, "with its flag: no fault queue has this ID"),
        _documented(_hwpt, "__reserved2"),
    ),
    "iommu_hwpt_set_dirty_tracking": (
        _known_flags(_dirty),
        State("hwpt_id", ENOENT, "no paging HWPT has this ID"),
        State("hwpt_id", EOPNOTSUPP, "the HWPT cannot track"),
        _documented(_dirty, "__reserved"),
    ),
    "iommu_hwpt_get_dirty_bitmap": (
        _known_flags(_bitmap),
        _no_reserved(_bitmap),
        State("hwpt_id", ENOENT, "no paging HWPT has this ID"),
        State("hwpt_id", EOPNOTSUPP, "the HWPT cannot track"),
        _bitmap(
            "length", EOVERFLOW, range_from("iova"), "a range that ends below ULONG_MAX",
        ),
        _bitmap("page_size", EINVAL, nonzero, "not 0"),
        State("iova", EINVAL, "iova or length is no multiple of the IOAS's alignment or of page_size"),
        State("data", EFAULT, "the bit map cannot be written"),
    ),
    "iommu_hwpt_invalidate": (
        _no_reserved(_inv),
        _inv("data_uptr", EINVAL, nonzero, "an address", when=_SOME_ENTRIES),
        _inv("entry_len", EINVAL, nonzero, "not 0", when=_SOME_ENTRIES),
        _inv("entry_len", EINVAL, at_most(PAGE_SIZE), "at most %llu", name="page", when=_SOME_ENTRIES),
        _inv("entry_num", EINVAL, at_most(MOST_ENTRIES), "at most %llu"),
        State("hwpt_id", ENOENT, "no HWPT or vIOMMU has this ID"),
        State("hwpt_id", EOPNOTSUPP, "the driver has no invalidation for it"),
        State("hwpt_id", EINVAL, "neither a nested HWPT nor a vIOMMU"),
        State("data_type", EINVAL, "another type of data than the driver's, or another length"),
        State("data_uptr", EFAULT, "the entries cannot be read"),
    ),
}  # fmt: skip

# ---------------------------------------------------------------- viommu.c, eventq.c

_VIOMMU = "Linux 7.2, drivers/iommu/iommufd/viommu.c"
_viommu = Rows("iommu_viommu_alloc", _VIOMMU)
_vdevice = Rows("iommu_vdevice_alloc", _VIOMMU)
_queue = Rows("iommu_hw_queue_alloc", _VIOMMU)
_events = Rows("iommu_veventq_alloc", "Linux 7.2, drivers/iommu/iommufd/eventq.c")
_faults = Rows("iommu_fault_alloc", "Linux 7.2, drivers/iommu/iommufd/eventq.c")


def _not_default(row: Rows) -> Check:
    return row("type", EOPNOTSUPP, is_not(0), "a type other than DEFAULT")


_viommu_id = State("viommu_id", ENOENT, "no vIOMMU has this ID")

_VIOMMU_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_viommu_alloc": (
        _known_flags(_viommu),
        _not_default(_viommu),
        State("dev_id", ENOENT, "no device has this ID"),
        State("type", EOPNOTSUPP, "the driver has no vIOMMU of this type"),
        State("hwpt_id", ENOENT, "no paging HWPT has this ID"),
        State("hwpt_id", EINVAL, "the HWPT is no nesting parent"),
        _documented(_viommu, "__reserved"),
    ),
    "iommu_vdevice_alloc": (
        _vdevice("virt_id", EINVAL, up_to_ulong_max, "at most ULONG_MAX of the kernel"),
        _viommu_id,
        State("dev_id", ENOENT, "no device has this ID, or it goes away"),
        State("dev_id", EINVAL, "the device is behind another IOMMU"),
        State("dev_id", EEXIST, "the device has a vdevice"),
        State("virt_id", EEXIST, "another vdevice has this ID"),
    ),
    "iommu_veventq_alloc": (
        _known_flags(_events),
        _no_reserved(_events),
        _not_default(_events),
        _events("veventq_depth", EINVAL, at_least(1), "at least 1"),
        _events("veventq_depth", EINVAL, at_most(MOST_ENTRIES), "at most %llu", name="most"),
        _viommu_id,
        State("type", EEXIST, "the vIOMMU has a queue of this type"),
    ),
    "iommu_hw_queue_alloc": (
        _known_flags(_queue),
        _not_default(_queue),
        _queue("length", EINVAL, nonzero, "not 0"),
        _queue(
            "length", EOVERFLOW, range_from("nesting_parent_iova", U64), "a range that ends below 2^64",
            name="end",
        ),
        _viommu_id,
        State("type", EOPNOTSUPP, "the driver has no queue of this type"),
        State("length", ERANGE, "the number of pages cannot be computed"),
        State("nesting_parent_iova", EFAULT, "the pages do not follow each other in memory"),
        State("index", EEXIST, "there is a queue of this index"),
    ),
    "iommu_fault_alloc": (_known_flags(_faults),),
}  # fmt: skip

#: Struct of a command -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {**_IOAS_ROWS, **_HWPT_ROWS, **_VIOMMU_ROWS}

# ---------------------------------------------------------------- data behind pointers

_s1 = Rows("iommu_hwpt_vtd_s1", "Linux 7.2, drivers/iommu/intel/nested.c and pasid.c")
_s1_inv = Rows("iommu_hwpt_vtd_s1_invalidate", "Linux 7.2, drivers/iommu/intel/nested.c")
_cmd = Rows("iommu_viommu_arm_smmuv3_invalidate", "Linux 7.2, arm-smmu-v3-iommufd.c")
_response = Rows("iommu_hwpt_page_response", "Linux 7.2, drivers/iommu/iommufd/eventq.c")

#: CFGI_CD, CFGI_CD_ALL, TLBI_NH_ALL, NH_ASID, NH_VA, NH_VAA, TLBI_NSNH_ALL, ATC_INV
SMMUV3_COMMANDS = (0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x30, 0x40)


#: Struct behind a pointer -> its rows; its length must be that of the struct.
DATA: Mapping[str, tuple[Row, ...]] = {
    "iommu_hwpt_arm_smmuv3": (),  # guest entries: iommu_abi.nesting checks them
    "iommu_hwpt_amd_guest": (),
    "iommu_hwpt_vtd_s1": (
        _s1("addr_width", EINVAL, one_of(48, 57), "48 or 57; looked at when a device is attached"),
        State("addr_width", EINVAL, "when a device is attached: 57 without 5-level first stage"),
        State("flags", EINVAL, "when a device is attached: SRE or EAFE that the IOMMU does not have"),
        _s1("flags", EOPNOTSUPP, known_flags, "no flags but %#llx", name="documented", enforced=False),
        _documented(_s1, "__reserved"),
    ),
    "iommu_hwpt_vtd_s1_invalidate": (
        _s1_inv("flags", EOPNOTSUPP, known_flags, "no flags but %#llx"),
        _no_reserved(_s1_inv),
        _s1_inv("addr", EINVAL, multiple_of(4096), "a multiple of %llu"),
        _s1_inv("npages", EINVAL, is_not(U64), "all ones only with addr 0", when=where("addr", nonzero)),
    ),
    "iommu_viommu_arm_smmuv3_invalidate": (
        _cmd("cmd", EIO, low_byte_of(*SMMUV3_COMMANDS), "an opcode that guests may send"),
        State("cmd", EIO, "ATC_INV, CFGI_CD, CFGI_CD_ALL: no vdevice has the vSID"),
    ),
    "iommu_hwpt_page_response": (
        _response("code", EINVAL, one_of(0, 1), "SUCCESS (0) or INVALID (1)"),
        State("cookie", EINVAL, "no group of faults waits with this cookie"),
    ),
}
