"""What VFIO checks about ioctls whose argument is a number, or is not looked at, in the order of Linux 7.2.

Sources: drivers/vfio/container.c (before 6.1: vfio.c), group.c, vfio_iommu_type1.c, vfio_iommu_spapr_tce.c
and pci/vfio_pci_core.c, and drivers/iommu/iommufd/vfio_compat.c, of Linux 5.10, 5.15, 6.1, 6.12, 7.2 and
7.3. A container is VFIO's, or iommufd's: /dev/iommu, or what CONFIG_IOMMUFD_VFIO_CONTAINER puts in the place
of /dev/vfio/vfio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from errno import EAGAIN, EBUSY, EINVAL, EIO, ENODEV, ENOMEM, ENOTTY, EPERM

from iommu_abi.rules.predicates import at_most, of_power, one_of, where
from iommu_abi.rules.row import Row, Rows, State, Version, known_to
from iommu_abi.rules.vfio_device import NOT_BOUND
from iommu_abi.schemas.uapi import Struct
from iommu_abi.schemas.uapi.fields import pointer

#: What VFIO_SET_IOMMU and VFIO_CHECK_EXTENSION take, as <linux/vfio.h> names it.
EXTENSIONS: Mapping[int, str] = {
    1: "VFIO_TYPE1_IOMMU",
    2: "VFIO_SPAPR_TCE_IOMMU",
    3: "VFIO_TYPE1v2_IOMMU",
    4: "VFIO_DMA_CC_IOMMU",
    5: "VFIO_EEH",
    6: "VFIO_TYPE1_NESTING_IOMMU",
    7: "VFIO_SPAPR_TCE_v2_IOMMU",
    8: "VFIO_NOIOMMU_IOMMU",
    9: "VFIO_UNMAP_ALL",
    10: "VFIO_UPDATE_VADDR",
}
#: The commands whose argument is one of these; the other commands here do not look at theirs.
NUMBERED = ("VFIO_CHECK_EXTENSION", "VFIO_SET_IOMMU")

#: The first kernels that have iommufd's containers, that have ALL and VADDR, that offer VADDR only where a
#: container has its type, and that have no nested type 1; and the last ones before the last three.
_IOMMUFD, _VADDRS, _VADDR_LATER, _NO_NESTING = (6, 2), (5, 12), (6, 1), (6, 13)
_BEFORE_VADDRS, _BEFORE_LATER, _LAST_NESTING = (5, 11), (6, 0), (6, 12)


def _is(*numbers: int) -> where:
    """Where the argument is one of these."""
    return where("", one_of(*numbers))


# ---------------------------------------------------------------- the type of a container's IOMMU

_set = Rows("VFIO_SET_IOMMU", "Linux 7.2, drivers/vfio/container.c")
_type1 = Rows("VFIO_SET_IOMMU", "Linux 7.2, drivers/vfio/vfio_iommu_type1.c")
_OF_TYPE1 = _is(1, 3, 6)


def _types(*numbers: int, since: Version = (0, 0), until: Version = (0, 0)) -> Row:
    """The numbers for which a module of VFIO says that it has them."""
    types = "1, 3, 6 or 8, or 2 or 7" if 6 in numbers else "1, 3 or 8, or 2 or 7"
    return _set("", ENODEV, one_of(*numbers), f"{types} on POWER", name="type", since=since, until=until)


_SET_IOMMU: tuple[Row, ...] = (
    State(
        "",
        EINVAL,
        "the container is iommufd's: it has the types 1 and 3, or 8 alone for a group without an IOMMU",
        None,
        _IOMMUFD,
    ),
    State("", ENODEV, "the container is iommufd's and has no group", _is(1, 3), _IOMMUFD),
    State("", EINVAL, "the container has no group: VFIO_GROUP_SET_CONTAINER comes before"),
    State("", EINVAL, "the container has its IOMMU type already"),
    State("", EINVAL, "VFIO_EEH is no type, where a POWER machine has it", _is(5)),
    _types(1, 2, 3, 6, 7, 8, until=_BEFORE_VADDRS),
    _types(1, 2, 3, 6, 7, 8, 9, 10, since=_VADDRS, until=_BEFORE_LATER),
    _types(1, 2, 3, 6, 7, 8, 9, since=_VADDR_LATER, until=_LAST_NESTING),
    _types(1, 2, 3, 7, 8, 9, since=_NO_NESTING),
    _set("", ENODEV, of_power, "a POWER machine, for 2 and 7", name="power", when=_is(2, 7)),
    State("", ENODEV, "the kernel has no vfio_iommu_type1, or no group has an IOMMU", _is(1, 3, 6, 9, 10)),
    _type1("", EINVAL, at_most(8), "a type, which 9 and 10 are not", name="extension", since=_VADDRS),
    State("", ENODEV, "the kernel has no vfio_iommu_spapr_tce", _is(2, 7)),
    State("", ENODEV, "a group has an IOMMU, or vfio's enable_unsafe_noiommu_mode is not set", _is(8)),
    State("", EPERM, "a group without an IOMMU takes CAP_SYS_RAWIO", _is(8)),
    State("", EPERM, "interrupts are not remapped, and allow_unsafe_interrupts is not set", _OF_TYPE1),
    State("", EPERM, "firmware reserves memory for a device of a group (RMRR)", _OF_TYPE1),
    State("", EINVAL, "the IOMMU translates in no two stages", _is(6)),
    State("", EIO, "the IOMMU's driver made no domain for a group", _OF_TYPE1),
    State("", EBUSY, "a device of a group is attached to another domain", _OF_TYPE1),
    State("", EINVAL, "what is reserved for a device does not fit the IOVA ranges of a group", _OF_TYPE1),
    State("", ENOMEM, "no memory for the IOMMU's tables"),
)

# ---------------------------------------------------------------- POWER's switch

_NOT_SET = State("", EINVAL, "no IOMMU type was set on this container: VFIO_SET_IOMMU comes before")


def _switch(command: str, *states: State) -> tuple[Row, ...]:
    rule = Rows(command, "Linux 7.2, drivers/vfio/vfio_iommu_spapr_tce.c")
    return (
        _NOT_SET,
        rule("", ENOTTY, of_power, "a POWER machine, type VFIO_SPAPR_TCE_IOMMU", name="power"),
        State("", ENOTTY, "the type of the container is not VFIO_SPAPR_TCE_IOMMU"),
        State("", EPERM, "another process has set up this container"),
        *states,
    )


#: Command -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "VFIO_GET_API_VERSION": (),
    "VFIO_CHECK_EXTENSION": (
        State("", ENODEV, "the container is iommufd's and has no group", _is(4), _IOMMUFD),
    ),
    "VFIO_SET_IOMMU": _SET_IOMMU,
    "VFIO_IOMMU_ENABLE": _switch(
        "VFIO_IOMMU_ENABLE",
        State("", EBUSY, "the container is enabled"),
        State("", ENODEV, "the container has no group"),
        State("", EPERM, "the group has no 32-bit DMA window"),
        State("", ENOMEM, "RLIMIT_MEMLOCK (ulimit -l) is too low for the whole DMA window"),
    ),
    "VFIO_IOMMU_DISABLE": _switch("VFIO_IOMMU_DISABLE"),
    "VFIO_GROUP_UNSET_CONTAINER": (
        State("", EINVAL, "the group has no container"),
        State("", EBUSY, "a device of the group is open"),
    ),
    "VFIO_DEVICE_RESET": (
        NOT_BOUND,
        State("", EINVAL, "the device cannot be reset: VFIO_DEVICE_GET_INFO has no flag RESET (1)"),
        State("", EAGAIN, "the device is locked, by another reset for example"),
    ),
}


def argument(command: str) -> Struct:
    """The argument as a struct of one unsigned long, which has no name since it is the whole."""
    return Struct(command, (pointer(""),))


def rows(command: str, kernel: Version) -> tuple[Row, ...]:
    """The rows of a command that a kernel has."""
    return tuple(row for row in COMMANDS[command] if known_to(row, kernel))


def meaning(command: str, number: int, kernel: Version) -> Iterator[str]:
    """What a number is called, and what a call returns that only asks."""
    name = EXTENSIONS.get(number, "")
    if command in NUMBERED and name:
        yield f"{number} is {name}"
    if command == "VFIO_GET_API_VERSION":
        yield "it returns 0, the only version that there is"
    if command == "VFIO_CHECK_EXTENSION":
        later = number in (9, 10) and kernel < _VADDRS
        gone = number == 6 and kernel >= _NO_NESTING
        never = later or gone or not name
        yield "it returns 0, always" if never else "it returns 1 where the container has that, else 0"
