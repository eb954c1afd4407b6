"""What VFIO checks about the ioctls that tie a device to iommufd, in the order of Linux 7.2.

Source: drivers/vfio/device_cdev.c of Linux 6.12 and 7.2. BIND takes its struct by copy_struct_from_user()
since it has a token; before, and the other two, take what their flags need and ignore what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EBADF, EBADFD, EFAULT, EINVAL, ENOENT, EOPNOTSUPP

from iommu_abi.rules.predicates import (
    all_of,
    an_id,
    at_least,
    given_up_to,
    known_flags,
    readable_up_to,
    where,
)
from iommu_abi.rules.row import Row, Rows, State
from iommu_abi.rules.vfio_argsz import taken

_SOURCE = "Linux 7.2, drivers/vfio/device_cdev.c"
_bind = Rows("vfio_device_bind_iommufd", _SOURCE)
_attach = Rows("vfio_device_attach_iommufd_pt", _SOURCE)
_detach = Rows("vfio_device_detach_iommufd_pt", _SOURCE)


#: The last kernel whose BIND has no token.
LAST_WITHOUT = (6, 17)
#: A generation without PASIDs has no such flag and no such field.
_WITH_PASID = where("flags", all_of(1))


def _attaching(row: Rows, least: str) -> tuple[Row, ...]:
    return (
        *taken(row, least),
        row("flags", EINVAL, known_flags, "no flags but %#llx"),
        State("pasid", EOPNOTSUPP, "with its flag: the device cannot attach PASIDs"),
        row(
            "argsz", EINVAL, given_up_to("pasid"), "at least %llu with PASID", name="pasid", when=_WITH_PASID
        ),
        row("", EFAULT, readable_up_to("pasid"), "%llu bytes in memory", name="rest", when=_WITH_PASID),
        State("", EINVAL, "the device is not bound"),
    )


#: Struct of a command -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "vfio_device_bind_iommufd": (
        _bind(
            "", EFAULT, readable_up_to("out_devid"), "%llu bytes in memory", name="read", until=LAST_WITHOUT
        ),
        _bind("argsz", EINVAL, given_up_to("out_devid"), "at least %llu", until=LAST_WITHOUT),
        _bind("flags", EINVAL, known_flags, "no flags but %#llx"),
        _bind("iommufd", EINVAL, at_least(0), "a file descriptor"),
        State("", EINVAL, "the device is bound"),
        State("iommufd", EBADF, "no file has this number"),
        State("iommufd", EBADFD, "the file is not /dev/iommu"),
    ),
    "vfio_device_attach_iommufd_pt": (
        *_attaching(_attach, "pt_id"),
        _attach("pt_id", ENOENT, an_id, "an ID that an object can have: 1 to %#llx", name="object"),
        State("pt_id", ENOENT, "no object has this ID"),
        State("pt_id", EINVAL, "neither an IOAS nor an HWPT, or one that this device cannot have"),
    ),
    "vfio_device_detach_iommufd_pt": _attaching(_detach, "flags"),
}
