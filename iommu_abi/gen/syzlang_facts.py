"""What no header says in a form that a machine reads, for a description in syzlang.

Which numbers are IDs of which objects, what lies behind a pointer, and what syzkaller has already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# ---------------------------------------------------------------- what syzkaller has, August 2026

#: Commands, or a command and one of its variants, that dev_iommu.txt describes completely.
COVERED = frozenset(
    {
        "IOMMU_DESTROY$ioas", "IOMMU_DESTROY$hwpt", "IOMMU_IOAS_ALLOC", "IOMMU_IOAS_ALLOW_IOVAS",
        "IOMMU_IOAS_COPY", "IOMMU_IOAS_IOVA_RANGES", "IOMMU_IOAS_MAP", "IOMMU_IOAS_UNMAP", "IOMMU_OPTION",
        "IOMMU_VFIO_IOAS", "IOMMU_GET_HW_INFO$IOMMU_HW_INFO_TYPE_NONE", "IOMMU_HWPT_SET_DIRTY_TRACKING",
        "IOMMU_HWPT_GET_DIRTY_BITMAP",
    }
)  # fmt: skip
#: Resources of dev_iommu.txt under names that we use as well.
THEIRS = frozenset({"fd_iommufd", "ioas_handle", "device_handle", "hwpt_handle"})
#: Names of dev_iommu.txt for something that has grown since; what is about every type of information is one
#: call there, as it is for kernels that cannot be asked for a type.
OUTGROWN = frozenset(
    {
        "iommufd_ioas_map_flags", "iommufd_hwpt_alloc_flags", "iommu_hwpt_alloc$IOMMU_HWPT_DATA_NONE",
        "iommu_hw_info", "ioctl$IOMMU_GET_HW_INFO",
    }
)  # fmt: skip

# ---------------------------------------------------------------- what numbers mean


@dataclass(frozen=True, slots=True)
class Handle:
    """A resource: a number that ``made_by`` returns and that the ``fields`` hold.

    ``object`` is what IOMMU_DESTROY can destroy, or "".
    """

    name: str
    base: str
    made_by: str
    fields: tuple[str, ...]
    object: str = ""


HANDLES = (
    Handle("fd_iommufd", "fd", "", ("iommufd",)),
    Handle("ioas_handle", "int32", "IOMMU_IOAS_ALLOC",
           ("ioas_id", "out_ioas_id", "dst_ioas_id", "src_ioas_id"), "ioas"),
    Handle("device_handle", "int32", "VFIO_DEVICE_BIND_IOMMUFD", ("dev_id", "out_devid")),
    Handle("hwpt_handle", "int32", "IOMMU_HWPT_ALLOC", ("hwpt_id", "out_hwpt_id"), "hwpt"),
    Handle("fault_queue_handle", "int32", "IOMMU_FAULT_QUEUE_ALLOC",
           ("fault_id", "out_fault_id"), "fault_queue"),
    Handle("fd_fault_queue", "fd", "IOMMU_FAULT_QUEUE_ALLOC", ("out_fault_fd",)),
    Handle("fault_cookie", "int32", "IOMMU_FAULT_QUEUE_ALLOC", ("cookie",)),
    Handle("viommu_handle", "int32", "IOMMU_VIOMMU_ALLOC", ("viommu_id", "out_viommu_id"), "viommu"),
    Handle("vdevice_handle", "int32", "IOMMU_VDEVICE_ALLOC", ("out_vdevice_id",), "vdevice"),
    Handle("veventq_handle", "int32", "IOMMU_VEVENTQ_ALLOC", ("out_veventq_id",), "veventq"),
    Handle("fd_veventq", "fd", "IOMMU_VEVENTQ_ALLOC", ("out_veventq_fd",)),
    Handle("hw_queue_handle", "int32", "IOMMU_HW_QUEUE_ALLOC", ("out_hw_queue_id",), "hw_queue"),
    Handle("fd_vfio_device", "fd", "", ()),
)  # fmt: skip

#: Field -> the handle that it holds.
OF_FIELD = {field: handle.name for handle in HANDLES for field in handle.fields}

#: (struct, field) -> its type, where neither the header nor the field's name says it.
TYPES: Mapping[tuple[str, str], str] = {
    ("iommu_ioas_iova_ranges", "num_iovas"): "len[allowed_iovas, int32]",
    ("iommu_ioas_iova_ranges", "allowed_iovas"): "ptr64[out, array[iommu_iova_range]]",
    ("iommu_ioas_allow_iovas", "num_iovas"): "len[allowed_iovas, int32]",
    ("iommu_ioas_allow_iovas", "allowed_iovas"): "ptr64[in, array[iommu_iova_range]]",
    ("iommu_ioas_map", "user_va"): "vma64",
    ("iommu_ioas_map", "length"): "len[user_va, int64]",
    ("iommu_ioas_map_file", "fd"): "fd_memfd",
    ("iommu_option", "object_id"): "iommufd_option_object",
    ("iommu_hwpt_get_dirty_bitmap", "data"): "ptr64[out, array[int8]]",
    ("iommu_hwpt_alloc", "pt_id"): "iommufd_parent",
    ("iommu_hwpt_alloc", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hw_info", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hw_info", "data_uptr"): "ptr64[out, array[int8]]",
    ("iommu_viommu_alloc", "data_len"): "bytesize[data_uptr, int32]",
    ("iommu_hwpt_invalidate", "hwpt_id"): "iommufd_nested",
    ("iommu_hwpt_invalidate", "entry_num"): "len[data_uptr, int32]",
    ("iommu_hwpt_vtd_s1", "addr_width"): "flags[iommu_hwpt_vtd_s1_widths, int32]",
    ("vfio_device_bind_iommufd", "token_uuid_ptr"): "ptr64[in, array[int8, 16]]",
    ("vfio_device_attach_iommufd_pt", "pt_id"): "iommufd_attached",
}

#: Unions: a field that takes the ID of any of these objects, an event of any of these kinds.
UNIONS: Mapping[str, Mapping[str, str]] = {
    "iommufd_parent": {"ioas": "ioas_handle", "hwpt": "hwpt_handle", "viommu": "viommu_handle"},
    "iommufd_nested": {"hwpt": "hwpt_handle", "viommu": "viommu_handle"},
    "iommufd_attached": {"ioas": "ioas_handle", "hwpt": "hwpt_handle"},
    "iommufd_option_object": {"process": "const[0, int32]", "ioas": "ioas_handle"},
    "iommufd_vevent_data": {
        "arm_smmuv3": "iommu_vevent_arm_smmuv3",
        "tegra241_cmdqv": "iommu_vevent_tegra241_cmdqv",
    },
}

#: Values of fields that have no enumeration.
VALUES: Mapping[str, str] = {"iommu_hwpt_vtd_s1_widths": "48, 57"}

#: Structs that the files of queues carry and no header has.
COMPOUNDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "iommufd_vevent": (("header", "iommufd_vevent_header"), ("data", "iommufd_vevent_data")),
}

_OPEN = 'file ptr[in, string["{}"]], flags flags[open_flags], mode const[0]'
#: Calls that are no commands, with the command without which there are none.
CALLS: tuple[tuple[str, str], ...] = (
    ("IOMMU_DESTROY", f"openat$iommufd(fd const[AT_FDCWD], {_OPEN.format('/dev/iommu')}) fd_iommufd"),
    (
        "VFIO_DEVICE_BIND_IOMMUFD",
        f"openat$vfio_device(fd const[AT_FDCWD], {_OPEN.format('/dev/vfio/devices/vfio0')}) fd_vfio_device",
    ),
    (
        "IOMMU_FAULT_QUEUE_ALLOC",
        "read$iommu_fault(fd fd_fault_queue, buf ptr[out, array[iommu_hwpt_pgfault]], n bytesize[buf])",
    ),
    (
        "IOMMU_FAULT_QUEUE_ALLOC",
        "write$iommu_fault(fd fd_fault_queue, buf ptr[in, array[iommu_hwpt_page_response]], n bytesize[buf])",
    ),
    (
        "IOMMU_VEVENTQ_ALLOC",
        "read$iommu_veventq(fd fd_veventq, buf ptr[out, array[iommufd_vevent]], n bytesize[buf])",
    ),
)
