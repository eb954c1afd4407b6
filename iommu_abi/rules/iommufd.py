"""What iommufd checks about the struct of each command, in the order of Linux 7.2.

Source: drivers/iommu/iommufd of Linux 7.2. Kernels before that have the same rows as far as they have the
fields and flags; their order is taken from 7.2 and not known. The generic checks of every command (its
number, ``size``, bytes that the kernel does not know) come before these.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import (
    EADDRINUSE,
    EBADF,
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
    PAGE_SIZE,
    a_page_below_size_max,
    all_of,
    an_id,
    at_least,
    at_most,
    below_half_of_ulong_max,
    below_ulong_max,
    is_,
    is_not,
    known_flags,
    low_byte_of,
    multiple_of,
    none_of,
    nonzero,
    not_all_of,
    one_of,
    range_from,
    some_of,
    unless,
    up_to_ulong_max,
    where,
    whole_pages,
    zero,
    zero_like,
)
from iommu_abi.rules.row import ANY, Check, Condition, Row, Rows, State, Version

U64 = (1 << 64) - 1
MOST_ENTRIES = 1 << 19  # of an invalidation, and events of a queue


def _known_flags(row: Rows) -> Check:
    return row("flags", EOPNOTSUPP, known_flags, "no flags but %#llx")


def _no_reserved(row: Rows, errno: int = EOPNOTSUPP) -> Check:
    return row("__reserved", errno, zero, "0")


def _documented(row: Rows, field: str, errno: int = EOPNOTSUPP) -> Check:
    """Must be 0 by the header, and 7.2 does not look."""
    return row(field, errno, zero, "0", name="documented", enforced=False)


def _object(
    row: Rows, field: str, what: str, errno: int = ENOENT, when: Condition | None = None
) -> tuple[Row, Row]:
    """What looks an object up. Source of the numbers: main.c, where each gets one of xa_limit_31b, from 1."""
    want = f"1 to %#llx: no {what} has another ID"
    by_bytes = row(field, errno, an_id, want, name="object", when=when)
    return by_bytes, State(field, errno, f"no {what} has this ID", when)


# ---------------------------------------------------------------- ioas.c

_IOAS = "Linux 7.2, drivers/iommu/iommufd/ioas.c"
READABLE_WRITEABLE = 6
_FIXED = where("flags", all_of(1))
_SEARCHED = where("flags", none_of(1))


def _map_flags(row: Rows) -> tuple[Check, Check]:
    readable = some_of(READABLE_WRITEABLE)
    return (
        _known_flags(row),
        row("flags", EINVAL, readable, "READABLE, WRITEABLE or both", name="access"),
    )


def _below_max(row: Rows, field: str, when: Condition | None = None) -> Check:
    return row(field, EOVERFLOW, below_ulong_max, "less than ULONG_MAX, %#llx", when=when)


def _wraps(row: Rows, start: str, name: str = "end", when: Condition | None = None) -> Check:
    return row(start, EOVERFLOW, range_from(start), "a range that ends below ULONG_MAX", name=name, when=when)


def _some(row: Rows) -> Check:
    return row("length", EINVAL, nonzero, "not 0", name="some")


def _pages(row: Rows, since: Version = ANY, until: Version = ANY) -> Check:
    want = "at most %#llx, so that it can be rounded up to pages"
    below = where("length", below_ulong_max)
    return row(
        "length", EINVAL, a_page_below_size_max, want, name="pages", when=below, since=since, until=until
    )


def _where(row: Rows, iova: str) -> tuple[Row, ...]:
    """What is checked where a mapping goes."""
    return (
        State("length", EINVAL, "not a multiple of the alignment that IOVA_RANGES says"),
        row("length", EOVERFLOW, below_half_of_ulong_max, "less than %#llx without FIXED_IOVA", name="half",
            when=_SEARCHED),
        State(iova, EINVAL, "with FIXED_IOVA: not a multiple of the alignment that IOVA_RANGES says", _FIXED),
        _wraps(row, iova, when=_FIXED),
        State(iova, EINVAL, "with FIXED_IOVA: reserved", _FIXED),
        State(iova, EEXIST, "with FIXED_IOVA: something is mapped there", _FIXED),
        State(iova, EINVAL, "without FIXED_IOVA: the address is aligned to less than the IOAS", _SEARCHED),
        State(iova, ENOSPC, "without FIXED_IOVA: no room", _SEARCHED),
    )  # fmt: skip


def _ioas(row: Rows, field: str = "ioas_id", when: Condition | None = None) -> tuple[Row, Row]:
    return _object(row, field, "IOAS", when=when)


_destroy = Rows("iommu_destroy", "Linux 7.2, drivers/iommu/iommufd/main.c")
_alloc = Rows("iommu_ioas_alloc", _IOAS)
_ranges = Rows("iommu_ioas_iova_ranges", _IOAS)
_allow = Rows("iommu_ioas_allow_iovas", _IOAS)
_map = Rows("iommu_ioas_map", f"{_IOAS}, io_pagetable.c and pages.c")
_file = Rows("iommu_ioas_map_file", f"{_IOAS}, io_pagetable.c and pages.c")
_copy = Rows("iommu_ioas_copy", f"{_IOAS} and io_pagetable.c")
_unmap = Rows("iommu_ioas_unmap", f"{_IOAS} and io_pagetable.c")
_get_pa = Rows("iommu_ioas_noiommu_get_pa", "Linux 7.3, drivers/iommu/iommufd/ioas.c")
_option = Rows("iommu_option", f"{_IOAS} and main.c")
_change = Rows("iommu_ioas_change_process", _IOAS)
_vfio = Rows("iommu_vfio_ioas", "Linux 7.2, drivers/iommu/iommufd/vfio_compat.c")


_EVERYTHING = (where("iova", is_(0)), where("length", is_(U64)))
_A_RANGE = unless(*_EVERYTHING)
_RLIMIT, _HUGE_PAGES = where("option_id", is_(0)), where("option_id", is_(1))


_IOAS_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_destroy": (*_object(_destroy, "id", "object"), State("id", EBUSY, "something uses the object")),
    "iommu_ioas_alloc": (_known_flags(_alloc), State("size", ENOMEM, "no memory")),
    "iommu_ioas_iova_ranges": (
        _no_reserved(_ranges),
        *_ioas(_ranges),
        State("allowed_iovas", EFAULT, "the array cannot be written"),
        _ranges("num_iovas", EMSGSIZE, at_least(1), "at least %llu: there is always a range"),
        State("num_iovas", EMSGSIZE, "more ranges than the array has room for; num_iovas says how many"),
    ),
    "iommu_ioas_allow_iovas": (
        _no_reserved(_allow),
        *_ioas(_allow),
        State("allowed_iovas", EFAULT, "the array cannot be read"),
        State("allowed_iovas", EINVAL, "a range that does not begin before its last, or that overlaps one"),
        State("allowed_iovas", EADDRINUSE, "something outside is mapped or reserved"),
    ),
    "iommu_ioas_map": (
        _map_flags(_map)[0],
        _no_reserved(_map),
        _below_max(_map, "iova"),
        _below_max(_map, "length"),
        _map_flags(_map)[1],
        *_ioas(_map),
        _pages(_map, until=(6, 12)),
        _map("user_va", EOVERFLOW, range_from("user_va", past=True), "a range that ends below ULONG_MAX"),
        _some(_map),
        _pages(_map, since=(6, 13)),
        *_where(_map, "iova"),
        State("user_va", EFAULT, "memory of the process that cannot be pinned"),
    ),
    "iommu_ioas_map_file": (
        _map_flags(_file)[0],
        _below_max(_file, "iova"),
        _below_max(_file, "length"),
        _map_flags(_file)[1],
        *_ioas(_file),
        _file("fd", EBADF, at_least(0), "a file descriptor"),
        State("fd", EBADF, "no file has this number"),
        _some(_file),
        _wraps(_file, "start"),
        _pages(_file),
        State("fd", EINVAL, "no file whose memory can be mapped, or not that much of it"),
        *_where(_file, "iova"),
    ),
    "iommu_ioas_copy": (
        _map_flags(_copy)[0],
        _below_max(_copy, "length"),
        _below_max(_copy, "src_iova"),
        _below_max(_copy, "dst_iova"),
        _map_flags(_copy)[1],
        *_ioas(_copy, "src_ioas_id"),
        _some(_copy),
        _wraps(_copy, "src_iova"),
        State("src_iova", ENOENT, "the range is no mapped one"),
        *_ioas(_copy, "dst_ioas_id"),
        *_where(_copy, "dst_iova"),
        State("flags", EPERM, "WRITEABLE of what is mapped without"),
    ),
    "iommu_ioas_unmap": (
        *_ioas(_unmap),
        _below_max(_unmap, "iova", when=_A_RANGE),
        _below_max(_unmap, "length", when=_A_RANGE),
        _some(_unmap),
        _unmap("iova", EOVERFLOW, range_from("iova"), "a range that ends below ULONG_MAX", name="end",
               when=_A_RANGE),
        State("iova", ENOENT, "the range splits a mapping, or nothing is mapped there"),
        State("iova", EBUSY, "something uses the mapping"),
    ),
    "iommu_ioas_noiommu_get_pa": (
        State("", EPERM, "CAP_SYS_RAWIO is missing"),
        _known_flags(_get_pa),
        _no_reserved(_get_pa),
        _some(_get_pa),
        _below_max(_get_pa, "iova"),
        *_ioas(_get_pa),
        State("iova", ENOENT, "nothing is mapped there"),
        State("iova", EINVAL, "a dma-buf that was revoked"),
        State("ioas_id", EOPNOTSUPP, "the IOAS is not that of a device without an IOMMU"),
    ),
    "iommu_option": (
        _no_reserved(_option),
        _option("option_id", EOPNOTSUPP, one_of(0, 1), "RLIMIT_MODE (0) or HUGE_PAGES (1)"),
        _option("object_id", EOPNOTSUPP, zero, "0 for RLIMIT_MODE", name="rlimit_mode", when=_RLIMIT),
        *_ioas(_option, "object_id", when=_HUGE_PAGES),
        _option("op", EOPNOTSUPP, one_of(0, 1), "SET (0) or GET (1)"),
        State("option_id", EPERM, "SET of RLIMIT_MODE without CAP_SYS_RESOURCE"),
        State("option_id", EBUSY, "SET of RLIMIT_MODE while there are objects"),
        _option("val64", EINVAL, at_most(1), "0 or 1", when=where("op", is_(0))),
        State("val64", EINVAL, "SET of HUGE_PAGES to 0 while there are mappings and a domain"),
        State("val64", EADDRINUSE, "SET of HUGE_PAGES to 0 while a mapping is no multiple of a page"),
    ),
    "iommu_ioas_change_process": (
        _no_reserved(_change),
        State("size", EINVAL, "something is mapped that is of no file"),
        State("size", EBUSY, "an address space is in use"),
    ),
    "iommu_vfio_ioas": (
        _no_reserved(_vfio),
        _vfio("op", EOPNOTSUPP, one_of(0, 1, 2), "GET (0), SET (1) or CLEAR (2)"),
        State("ioas_id", ENODEV, "GET: none is set", where("op", is_(0))),
        *_ioas(_vfio, when=where("op", is_(1))),
    ),
}  # fmt: skip

# ---------------------------------------------------------------- device.c, hw_pagetable.c

_HWPT = "Linux 7.2, drivers/iommu/iommufd/hw_pagetable.c"
_info = Rows("iommu_hw_info", "Linux 7.2, drivers/iommu/iommufd/device.c")
_hwpt = Rows("iommu_hwpt_alloc", _HWPT)
_dirty = Rows("iommu_hwpt_set_dirty_tracking", _HWPT)
_bitmap = Rows("iommu_hwpt_get_dirty_bitmap", _HWPT)
_inv = Rows("iommu_hwpt_invalidate", _HWPT)
NEST_PARENT, DIRTY_TRACKING, FAULT_ID_VALID = 1, 2, 4


_SOME_ENTRIES = where("entry_num", at_least(1))


_HWPT_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_hw_info": (
        _known_flags(_info),
        _no_reserved(_info),
        *_object(_info, "dev_id", "device"),
        State("in_data_type", EOPNOTSUPP, "the driver has no data of this type"),
        State("data_uptr", EFAULT, "the buffer cannot be written"),
    ),
    "iommu_hwpt_alloc": (
        _no_reserved(_hwpt),
        _hwpt("data_len", EINVAL, zero_like("data_type"), "0 if and only if data_type is NONE"),
        *_object(_hwpt, "dev_id", "device"),
        *_object(_hwpt, "pt_id", "IOAS, HWPT or vIOMMU", EINVAL),
        State("pt_id", EINVAL, "the HWPT is no nesting parent, or the vIOMMU is another IOMMU's"),
        _hwpt("flags", EOPNOTSUPP, known_flags, "no flags but %#llx"),
        _hwpt(
            "flags", EOPNOTSUPP, not_all_of(NEST_PARENT | FAULT_ID_VALID),
            "not FAULT_ID_VALID with NEST_PARENT", name="fault",
        ),
        _hwpt(
            "flags", EOPNOTSUPP, none_of(NEST_PARENT | DIRTY_TRACKING),
            "neither NEST_PARENT nor DIRTY_TRACKING with data", name="data", when=where("data_len", nonzero),
        ),
        State("flags", EOPNOTSUPP, "the driver, or this parent, cannot do that; on an HWPT or vIOMMU only"
              " FAULT_ID_VALID and PASID"),
        State("data_len", EOPNOTSUPP, "data with an IOAS, or none with an HWPT or vIOMMU"),
        State("data_type", EINVAL, "another type of data than the driver's, or another length"),
        State("data_uptr", EFAULT, "the data cannot be read"),
        *_object(_hwpt, "fault_id", "fault queue", when=where("flags", all_of(FAULT_ID_VALID))),
        _documented(_hwpt, "__reserved2"),
    ),
    "iommu_hwpt_set_dirty_tracking": (
        _known_flags(_dirty),
        *_object(_dirty, "hwpt_id", "paging HWPT"),
        State("hwpt_id", EOPNOTSUPP, "the HWPT cannot track"),
        _documented(_dirty, "__reserved"),
    ),
    "iommu_hwpt_get_dirty_bitmap": (
        _known_flags(_bitmap),
        _no_reserved(_bitmap),
        *_object(_bitmap, "hwpt_id", "paging HWPT"),
        _bitmap("length", EINVAL, nonzero, "not 0", name="some", since=(7, 3)),
        _bitmap("length", EOVERFLOW, range_from("iova"), "a range of some bytes that ends below ULONG_MAX"),
        State("iova", EINVAL, "iova or its end is no multiple of the IOAS's alignment"),
        _bitmap("page_size", EINVAL, nonzero, "not 0"),
        _bitmap("iova", EINVAL, whole_pages("length", "page_size"), "a range of whole"
                " pages of page_size bytes", name="pages", when=where("page_size", nonzero)),
        State("hwpt_id", EOPNOTSUPP, "the HWPT cannot track"),
        State("data", EFAULT, "the bit map cannot be written"),
    ),
    "iommu_hwpt_invalidate": (
        _no_reserved(_inv),
        _inv("data_uptr", EINVAL, nonzero, "an address", when=_SOME_ENTRIES),
        _inv("entry_len", EINVAL, nonzero, "not 0", when=_SOME_ENTRIES),
        _inv("entry_len", EINVAL, at_most(PAGE_SIZE), "at most %llu", name="page", when=_SOME_ENTRIES),
        _inv("entry_num", EINVAL, at_most(MOST_ENTRIES), "at most %llu"),
        *_object(_inv, "hwpt_id", "HWPT or vIOMMU"),
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


def _viommu_id(row: Rows) -> tuple[Row, Row]:
    return _object(row, "viommu_id", "vIOMMU")


_VIOMMU_ROWS: Mapping[str, tuple[Row, ...]] = {
    "iommu_viommu_alloc": (
        _known_flags(_viommu),
        _not_default(_viommu),
        *_object(_viommu, "dev_id", "device"),
        State("type", EOPNOTSUPP, "the driver has no vIOMMU of this type"),
        *_object(_viommu, "hwpt_id", "paging HWPT"),
        State("hwpt_id", EINVAL, "the HWPT is no nesting parent"),
        _documented(_viommu, "__reserved"),
    ),
    "iommu_vdevice_alloc": (
        _vdevice("virt_id", EINVAL, up_to_ulong_max, "at most ULONG_MAX of the kernel"),
        *_viommu_id(_vdevice),
        *_object(_vdevice, "dev_id", "device"),
        State("dev_id", ENOENT, "the device goes away"),
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
        *_viommu_id(_events),
        State("type", EEXIST, "the vIOMMU has a queue of this type"),
    ),
    "iommu_hw_queue_alloc": (
        _known_flags(_queue),
        _not_default(_queue),
        _queue("length", EINVAL, nonzero, "not 0"),
        _queue(
            "length", EOVERFLOW, range_from("nesting_parent_iova", top=U64), "a range that ends below 2^64",
            name="end",
        ),
        *_viommu_id(_queue),
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
        _response("cookie", EINVAL, nonzero, "not 0: cookies count from 1"),
        State("cookie", EINVAL, "no group of faults waits with this cookie"),
    ),
}
