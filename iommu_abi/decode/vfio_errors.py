"""What the errno of a VFIO ioctl can mean, whatever the kernel, and what its argument is called.

Facts of Linux 7.2: drivers/vfio/container.c, group.c and vfio_iommu_type1.c; <linux/vfio.h> for the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.rules import vfio_argument

Reason = tuple[str, str]

_NOT_SET = ("", "no IOMMU type was set on this container: VFIO_SET_IOMMU comes before")
_NOT_READABLE = ("", "the struct is not in memory")
_REMAPPING = (
    "",
    "interrupts are not remapped: turn that on, or set vfio_iommu_type1's allow_unsafe_interrupts=1",
)
_RMRR = ("", "firmware reserves memory for a device of the group (RMRR), which rules out assignment")
_OWNED = ("", "a device of the group still has a driver that uses DMA: bind all of them to vfio-pci")
_NOIOMMU = ("", "a group without an IOMMU takes CAP_SYS_RAWIO, and does not mix with others in a container")
_LIMIT = (
    "size",
    "RLIMIT_MEMLOCK (ulimit -l) is too low for all that is mapped: the kernel's log says by whom",
)

#: Command -> errno -> (field, reason), in the kernel's order.
REASONS: Mapping[str, Mapping[str, tuple[Reason, ...]]] = {
    "VFIO_IOMMU_MAP_DMA": {
        "EINVAL": (
            _NOT_SET,
            ("argsz", "expected at least 32"),
            ("flags", "expected READ (1), WRITE (2) or both, or VADDR (4) alone"),
            ("size", "it is 0"),
            ("iova, vaddr, size", "not all are multiples of the smallest page of the IOMMU, often 0x1000"),
            ("iova, vaddr", "iova + size - 1 or vaddr + size - 1 wraps around (newer kernels: EOVERFLOW)"),
            (
                "iova",
                "outside the IOVA ranges that VFIO_IOMMU_GET_INFO lists: reserved, or too wide",
            ),
            ("flags", "VADDR: that mapping has its address still, or another start or size"),
        ),
        "EOVERFLOW": (("iova, vaddr", "iova + size - 1 or vaddr + size - 1 wraps around"),),
        "EEXIST": (("iova", "part of the range is mapped"),),
        "ENOENT": (("iova", "VADDR: nothing is mapped there"),),
        "ENOSPC": (
            ("", "the container has as many mappings as it may (vfio_iommu_type1 dma_entry_limit, 65535)"),
        ),
        "ENOMEM": (_LIMIT, ("", "no memory for the page tables")),
        "EFAULT": (
            _NOT_READABLE,
            ("vaddr", "not all of the range is mapped in the process, or not writable as WRITE needs"),
            ("vaddr", "it is a mapping of a device's memory (BAR) that the kernel cannot pin"),
        ),
    },
    "VFIO_IOMMU_UNMAP_DMA": {
        "EINVAL": (
            _NOT_SET,
            ("argsz", "expected at least 24"),
            ("flags", "unknown, or ALL and VADDR together with a dirty bit map"),
            ("iova, size", "size is 0, or not a multiple of the smallest page of the IOMMU"),
            ("iova, size", "with ALL both are 0"),
            ("iova, size", "the range cuts a mapping in two, which type 1 v2 does not do"),
        ),
        "EOVERFLOW": (("iova", "iova + size - 1 wraps around"),),
        "EFAULT": (_NOT_READABLE,),
        "EBUSY": (("flags", "VADDR: the container has a device without an IOMMU of its own (mdev)"),),
    },
    "VFIO_SET_IOMMU": {
        "EINVAL": (
            ("", "the container has no group yet: VFIO_GROUP_SET_CONTAINER comes before"),
            ("", "the container has its IOMMU type already"),
            ("", "what is mapped, or reserved for a device, does not fit the IOVA ranges of a group"),
        ),
        "EPERM": (_REMAPPING, _RMRR, _NOIOMMU),
        "ENODEV": (
            ("", "no module offers this IOMMU type: modprobe vfio_iommu_type1; VFIO_CHECK_EXTENSION asks"),
            ("", "a device of the group has no IOMMU"),
        ),
        "EIO": (("", "the IOMMU's driver made no domain for the group"),),
        "EBUSY": (("", "a device of the group is attached to another domain"),),
        "ENOMEM": (("", "no memory for the IOMMU's tables, or the mappings do not fit RLIMIT_MEMLOCK"),),
    },
    "VFIO_GROUP_SET_CONTAINER": {
        "EINVAL": (
            ("", "the group has a container already"),
            ("", "the argument points to a descriptor that is not /dev/vfio/vfio (before Linux 6.2)"),
            ("", "the container has an IOMMU type that does not fit this group"),
        ),
        "EBADF": (("", "no file has the number that the argument points to"),),
        "EBADFD": (("", "the argument points to a descriptor of neither /dev/vfio/vfio nor /dev/iommu"),),
        "EFAULT": (("", "the argument is not the address of an int"),),
        "EPERM": (_NOIOMMU, _REMAPPING, _RMRR),
        "EBUSY": (_OWNED,),
        "ENODEV": (("", "no device of the group is bound to a VFIO driver"),),
    },
    "VFIO_GROUP_UNSET_CONTAINER": {
        "EINVAL": (("", "the group has no container"),),
        "EBUSY": (("", "a device of the group is still open"),),
    },
    "VFIO_GROUP_GET_DEVICE_FD": {
        "EINVAL": (
            ("", "the group has no container, or the container no IOMMU type"),
            ("", "the group is not viable: bind all its devices to vfio-pci (before Linux 5.19)"),
        ),
        "EPERM": (_NOIOMMU,),
        "ENODEV": (("", "no device of the group has this name, or it is not bound to a VFIO driver"),),
        "EFAULT": (("", "the name is not in memory"),),
    },
    "VFIO_GROUP_GET_STATUS": {
        "ENODEV": (("", "the device of the group is gone"),),
        "EINVAL": (("argsz", "expected at least 8"),),
        "EFAULT": (_NOT_READABLE,),
    },
    "VFIO_IOMMU_GET_INFO": {
        "EINVAL": (_NOT_SET, ("argsz", "expected at least 16")),
        "EFAULT": (_NOT_READABLE,),
    },
    "VFIO_CHECK_EXTENSION": {"EINVAL": (("", "the file is no container"),)},
}


def argument(command: str, value: int | None) -> str:
    """What the argument of a command is called, if it is no address."""
    if command not in vfio_argument.NUMBERED or value is None:
        return ""
    return vfio_argument.EXTENSIONS.get(value, "an IOMMU type that no known kernel has")


def reasons(command: str, errno: str) -> tuple[Reason, ...]:
    """Why a command fails so."""
    return REASONS.get(command, {}).get(errno, ())
