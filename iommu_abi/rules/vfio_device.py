"""What VFIO checks about a group and about devices, their interrupts and resets, in the order of Linux 7.2.

Sources: drivers/vfio/group.c, vfio_main.c, pci/vfio_pci_core.c, vfio_pci_intrs.c and vfio_pci_rdwr.c of Linux
5.10, 5.15, 6.1, 6.12, 7.2 and 7.3. Which regions and interrupts there are depends on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EBADF, EEXIST, EFAULT, EINVAL, ENODEV, ENOSPC, ENOTTY

from iommu_abi.rules.predicates import (
    all_of,
    at_least,
    at_most,
    given_for_each,
    known_flags,
    none_of,
    nonzero,
    not_all_of,
    one_of,
    range_from,
    readable_for_each,
    some_of,
    where,
    zero,
)
from iommu_abi.rules.row import Check, Row, Rows, State
from iommu_abi.rules.vfio_argsz import taken

_U32 = (1 << 32) - 1
_GROUP = "Linux 7.2, drivers/vfio/group.c"
_MAIN = "Linux 7.2, drivers/vfio/vfio_main.c"
_PCI = "Linux 7.2, drivers/vfio/pci/vfio_pci_core.c"
_RDWR = "Linux 7.2, drivers/vfio/pci/vfio_pci_rdwr.c"

#: A file of a device that was opened itself, and not by its group.
NOT_BOUND = State(
    "", EINVAL, "the device's file is not bound: VFIO_DEVICE_BIND_IOMMUFD comes before", None, (6, 6)
)
_NO_REGION = "the device has no such region: VFIO_DEVICE_GET_INFO says num_regions"
_NO_KIND = "the device has no such kind of interrupts: VFIO_DEVICE_GET_INFO says num_irqs"

# ---------------------------------------------------------------- SET_IRQS

_set = Rows("vfio_irq_set", _MAIN)
#: NONE 1, BOOL 2, EVENTFD 4; MASK 8, UNMASK 16, TRIGGER 32.
_BOOL, _EVENTFD = where("flags", all_of(2)), where("flags", all_of(4))
_ONE_KIND = "one of DATA_NONE, DATA_BOOL and DATA_EVENTFD"


def _data(name: str, size: int, when: where) -> tuple[Check, Check]:
    """Elements for each interrupt, announced and in memory."""
    return (
        _set(
            "argsz",
            EINVAL,
            given_for_each("count", size),
            f"at least %llu, {size} for each of count",
            name=name,
            when=when,
        ),
        _set("", EFAULT, readable_for_each("count", size), "%llu bytes in memory", name=name, when=when),
    )


_BOOLS, _BOOLS_THERE = _data("bools", 1, _BOOL)
_EVENTFDS, _EVENTFDS_THERE = _data("eventfds", 4, _EVENTFD)

_SET_IRQS: tuple[Row, ...] = (
    NOT_BOUND,
    *taken(_set, "count"),
    State("index", EINVAL, _NO_KIND),
    _set(
        "start",
        EINVAL,
        range_from("start", "count", top=_U32 - 1, past=True),
        "start + count below 0xffffffff",
        name="end",
    ),
    _set("flags", EINVAL, known_flags, "no flags but %#llx", name="known"),
    State("start", EINVAL, "start + count is more than VFIO_DEVICE_GET_IRQ_INFO says"),
    _set("flags", EINVAL, some_of(7), _ONE_KIND, name="data"),
    _set("flags", EINVAL, not_all_of(3), _ONE_KIND, name="none_bool"),
    _set("flags", EINVAL, not_all_of(5), _ONE_KIND, name="none_eventfd"),
    _set("flags", EINVAL, not_all_of(6), _ONE_KIND, name="bool_eventfd"),
    _BOOLS,
    _EVENTFDS,
    _BOOLS_THERE,
    _EVENTFDS_THERE,
    State("flags", ENOTTY, "not one of MASK, UNMASK and TRIGGER that this kind of interrupts has"),
    State(
        "data",
        EINVAL,
        "an eventfd that is none",
        _EVENTFD,
    ),
    State("count", EINVAL, "interrupts that are not set up as this action needs"),
)

# ---------------------------------------------------------------- hot resets

_reset = Rows("vfio_pci_hot_reset", _PCI)
_NO_RESET = State("", ENODEV, "neither the slot nor the bus can be reset")

_HOT_RESET: tuple[Row, ...] = (
    NOT_BOUND,
    *taken(_reset, "count"),
    _reset("flags", EINVAL, zero, "0"),
    State(
        "count",
        EINVAL,
        "0 where the device was opened by its group, or not 0 where it was opened itself",
        None,
        (6, 6),
    ),
    _NO_RESET,
    _reset("count", EINVAL, nonzero, "not 0", until=(6, 5)),
    State("count", EINVAL, "more than VFIO_DEVICE_GET_PCI_HOT_RESET_INFO lists"),
    State("group_fds", EFAULT, "less in memory than count elements"),
    State("group_fds", EBADF, "no file has this number"),
    State("group_fds", EINVAL, "no group, or not all of the groups that are reset"),
)

# ---------------------------------------------------------------- eventfds that write to a BAR

_io = Rows("vfio_device_ioeventfd", _PCI)
_place = Rows("vfio_device_ioeventfd", _RDWR)
_POSITIVE, _WIDE = where("offset", none_of(1 << 63)), where("flags", all_of(8))
_AFTER_BARS = 6 << 40

_IOEVENTFD: tuple[Row, ...] = (
    NOT_BOUND,
    *taken(_io, "fd"),
    _io("flags", EINVAL, one_of(1, 2, 4, 8), "8, 16, 32 or 64, and nothing else", name="one"),
    _io("fd", EINVAL, at_least(-1), "an eventfd, or -1"),
    _place("offset", EINVAL, at_most(_AFTER_BARS - 1), "in a BAR: at most %#llx", when=_POSITIVE),
    State("offset", EINVAL, "past the end of the BAR, or in its table of MSI-X vectors"),
    _place("flags", EINVAL, none_of(8), "not 64", name="wide", since=(7, 2)),
    State(
        "flags",
        EINVAL,
        "64: where the machine writes no 8 bytes at once",
        where("flags", all_of(8)),
        until=(7, 1),
    ),
    State("offset", EEXIST, "an eventfd writes this there already"),
    State("fd", ENODEV, "-1: no eventfd writes this there"),
    State("", ENOSPC, "the device has 1000 of them"),
    State("fd", EBADF, "no file has this number"),
    State("fd", EINVAL, "the file is no eventfd"),
)


def _asked(struct: str, last: str, *states: State, source: str = _PCI) -> tuple[Row, ...]:
    """What only asks: nothing but the size is looked at."""
    return (NOT_BOUND, *taken(Rows(struct, source), last), *states)


#: Struct of a command -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "vfio_group_status": (
        *taken(Rows("vfio_group_status", _GROUP), "flags"),
        State("", ENODEV, "the device of the group is gone"),
    ),
    "vfio_device_info": _asked("vfio_device_info", "num_irqs"),
    "vfio_region_info": _asked(
        "vfio_region_info", "offset", State("index", EINVAL, _NO_REGION), source=_MAIN
    ),
    "vfio_irq_info": _asked("vfio_irq_info", "count", State("index", EINVAL, _NO_KIND)),
    "vfio_irq_set": _SET_IRQS,
    "vfio_pci_hot_reset_info": _asked(
        "vfio_pci_hot_reset_info",
        "count",
        _NO_RESET,
        State("argsz", ENOSPC, "no room for all that would be reset: count says how many there are"),
    ),
    "vfio_pci_hot_reset": _HOT_RESET,
    "vfio_device_ioeventfd": _IOEVENTFD,
}
