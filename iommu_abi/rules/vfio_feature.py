"""What VFIO checks about features of a device and their data, in the order of Linux 7.2; 5.7 to 7.3.

Sources: drivers/vfio/vfio_main.c, pci/vfio_pci_core.c, pci/vfio_pci_dmabuf.c and cdx/main.c, and
vfio_check_feature() of include/linux/vfio.h, of Linux 5.10, 6.1, 6.12, 7.2 and 7.3. A device's driver decides
which of the features it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import E2BIG, EBADF, EFAULT, EINVAL, ENODEV, ENOMEM, ENOTTY, EOPNOTSUPP, EOVERFLOW

from iommu_abi.rules.predicates import (
    at_least,
    at_most,
    given_for,
    known_flags,
    none_of,
    nonzero,
    not_all_of,
    one_of,
    power_of_two,
    range_from,
    readable_for,
    some_of,
    up_to_ulong_max,
    where,
    zero,
)
from iommu_abi.rules.row import ANY, Row, Rows, State, Tail, Version
from iommu_abi.rules.vfio_argsz import taken

_MAIN = "Linux 7.2, drivers/vfio/vfio_main.c"
_GET, _SET, _PROBE = 1 << 16, 1 << 17, 1 << 18
_EITHER = _GET | _SET


@dataclass(frozen=True, slots=True)
class _Feature:
    """``ops`` are those it has; ``data`` is the struct that follows, or how many bytes."""

    number: int
    ops: int
    data: str | int = 0
    since: Version = ANY


_FEATURES = (
    _Feature(0, _SET, 16),  # PCI_VF_TOKEN: a UUID
    _Feature(1, _GET, "vfio_device_feature_migration", (5, 18)),
    _Feature(2, _EITHER, "vfio_device_feature_mig_state", (5, 18)),
    _Feature(3, _SET, 0, (6, 1)),  # LOW_POWER_ENTRY
    _Feature(4, _SET, "vfio_device_low_power_entry_with_wakeup", (6, 1)),
    _Feature(5, _SET, 0, (6, 1)),  # LOW_POWER_EXIT
    _Feature(6, _SET, "vfio_device_feature_dma_logging_control", (6, 1)),
    _Feature(7, _SET, 0, (6, 1)),  # DMA_LOGGING_STOP
    _Feature(8, _GET, "vfio_device_feature_dma_logging_report", (6, 1)),
    _Feature(9, _GET, "vfio_device_feature_mig_data_size", (6, 2)),
    _Feature(10, _SET, "vfio_device_feature_bus_master", (6, 6)),
    _Feature(11, _GET, "vfio_device_feature_dma_buf", (6, 19)),
    _Feature(12, _SET, 0, (7, 2)),  # MIG_PRECOPY_INFOv2
    _Feature(13, _GET, "vfio_device_feature_zpci_err", (7, 3)),
)
#: First and last kernel whose last feature has a number.
_LAST = (
    (ANY, (5, 17), 0),
    ((5, 18), (6, 0), 2),
    ((6, 1), (6, 1), 8),
    ((6, 2), (6, 5), 9),
    ((6, 6), (6, 18), 10),
    ((6, 19), (7, 1), 11),
    ((7, 2), (7, 2), 12),
    ((7, 3), ANY, 13),
)
_ALL_OPS = tuple(op | probe for op in (0, _GET, _SET, _EITHER) for probe in (0, _PROBE))


def _flags(numbers: Iterable[int], ops: Iterable[int] = _ALL_OPS) -> one_of:
    """Any of these features with any of these wishes."""
    wishes = tuple(ops)
    return one_of(*(number | wish for number in numbers for wish in wishes))


def _only(op: int) -> where:
    """Features that have but this one."""
    return where("flags", _flags(each.number for each in _FEATURES if each.ops == op))


_feature = Rows("vfio_device_feature", _MAIN)
_KNOWN = where("flags", none_of(0xFFF80000))
_NO_PROBE = where("flags", none_of(_PROBE))


def _followed(feature: _Feature) -> Iterator[Row]:
    """Without PROBE the data is there."""
    data, since = feature.data, feature.since
    name = data.removeprefix("vfio_device_").removeprefix("feature_") if isinstance(data, str) else "token"
    when = where("flags", _flags((feature.number,), (_GET, _SET)))
    enough, there = "at least %llu with the feature's data", "%llu bytes in memory"
    yield _feature("argsz", EINVAL, given_for(data), enough, name=name, when=when, since=since)
    yield _feature("", EFAULT, readable_for(data), there, name=name, when=when, since=since)
    if isinstance(data, str):
        yield Tail(data, when, since)


_DMA_BUF, _PRECOPY = where("flags", _flags((11,))), where("flags", _flags((12,)))
_ZPCI = where("flags", _flags((13,)))
_NOT_BOTH = "GET and SET together only with PROBE"
_NO_SET, _NO_GET = "no SET of a feature that can only be read", "no GET of a feature that can only be set"

_HEAD: tuple[Row, ...] = (
    State("", EINVAL, "the device's file is not bound: VFIO_DEVICE_BIND_IOMMUFD comes before", since=(6, 6)),
    *taken(_feature, "flags"),
    _feature("flags", EINVAL, known_flags, "no flags but %#llx", name="known"),
    _feature("flags", EINVAL, not_all_of(_EITHER), _NOT_BOTH, name="both", when=_NO_PROBE),
    *(
        _feature(
            "flags",
            ENOTTY,
            _flags(range(last + 1)),
            f"a feature from 0 to {last} in the low 16 bits",
            name="feature",
            when=_KNOWN,
            since=since,
            until=until,
        )
        for since, until, last in _LAST
    ),
    State("flags", ENOTTY, "the device, or its driver, does not have this feature"),
    State("flags", EOPNOTSUPP, "DMA_BUF: the device's memory cannot be exported", _DMA_BUF, (6, 19)),
    State("flags", ENODEV, "ZPCI_ERROR: the device is none of s390", _ZPCI, (7, 3)),
    State("flags", EINVAL, "PRECOPY_INFOv2: the device has no PRE_COPY", _PRECOPY, (7, 2)),
    _feature("flags", EINVAL, none_of(_SET), _NO_SET, name="get", when=_only(_GET), since=(5, 18)),
    _feature("flags", EINVAL, none_of(_GET), _NO_GET, name="set", when=_only(_SET)),
    _feature("flags", EINVAL, some_of(_EITHER), "GET or SET, unless with PROBE", name="op", when=_NO_PROBE),
)

# ---------------------------------------------------------------- the data of features

_wakeup = Rows("vfio_device_low_power_entry_with_wakeup", "Linux 7.2, drivers/vfio/pci/vfio_pci_core.c")
_control = Rows("vfio_device_feature_dma_logging_control", _MAIN)
_range = Rows("vfio_device_feature_dma_logging_range", _MAIN)
_report = Rows("vfio_device_feature_dma_logging_report", _MAIN)
_master = Rows("vfio_device_feature_bus_master", "Linux 7.2, drivers/vfio/cdx/main.c")
_dma_buf = Rows("vfio_device_feature_dma_buf", "Linux 7.2, drivers/vfio/pci/vfio_pci_dmabuf.c")
_zpci = Rows("vfio_device_feature_zpci_err", "Linux 7.3, drivers/vfio/pci/vfio_pci_zdev.c")
_MOST_RANGES = 256  # of 16 bytes, in a page


def _ends(row: Rows) -> tuple[Row, ...]:
    """Even the byte after the range has an address that the kernel can say."""
    past, fits = range_from("iova", "length", past=True), where("iova", up_to_ulong_max)
    return (
        row("iova", EOVERFLOW, up_to_ulong_max, "at most ULONG_MAX of the kernel", name="fits"),
        row("iova", EOVERFLOW, past, "a range that ends before the last address", name="end", when=fits),
    )


#: Struct of a command, or behind one, -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "vfio_device_feature": (*_HEAD, *(row for each in _FEATURES if each.data for row in _followed(each))),
    "vfio_precopy_info": (
        State("", ENOTTY, "the device's driver does not have this, or the file holds no state that is saved"),
        *taken(Rows("vfio_precopy_info", "Linux 7.2, include/linux/vfio.h"), "dirty_bytes"),
        State("", EINVAL, "the device is not in a phase before the copy"),
    ),
}
DATA: Mapping[str, tuple[Row, ...]] = {
    "vfio_device_feature_migration": (),
    "vfio_device_feature_mig_state": (
        State(
            "device_state", EINVAL, "SET: no state that the device has, or none that leads there from its own"
        ),
    ),
    "vfio_device_low_power_entry_with_wakeup": (
        _wakeup("wakeup_eventfd", EINVAL, at_least(0), "a file descriptor"),
        State("wakeup_eventfd", EBADF, "no file has this number"),
        State("wakeup_eventfd", EINVAL, "the file is no eventfd, or the device is in low power already"),
    ),
    "vfio_device_feature_dma_logging_control": (
        _control("num_ranges", EINVAL, nonzero, "not 0"),
        _control("num_ranges", E2BIG, at_most(_MOST_RANGES), "at most %llu", name="most"),
        State("ranges", EFAULT, "less in memory than num_ranges elements"),
        State("ranges", EINVAL, "a range is no multiple of page_size, or overlaps another"),
        State("ranges", EOVERFLOW, "a range does not end before the last address"),
        State("", EINVAL, "the device logs already, or cannot log these ranges"),
        State("", ENOMEM, "no memory for it"),
    ),
    "vfio_device_feature_dma_logging_range": _ends(_range),
    "vfio_device_feature_dma_logging_report": (
        _report("page_size", EINVAL, at_least(4096), "at least %llu"),
        _report("page_size", EINVAL, power_of_two, "a power of two", name="power"),
        *_ends(_report),
        State("bitmap", EFAULT, "the bit map is not in memory"),
        State("", EINVAL, "the device does not log"),
    ),
    "vfio_device_feature_mig_data_size": (),
    "vfio_device_feature_bus_master": (_master("op", EINVAL, one_of(0, 1), "CLEAR_MASTER or SET_MASTER"),),
    "vfio_device_feature_zpci_err": (
        _zpci("data", EINVAL, nonzero, "not 0"),
        State("data", EFAULT, "the event cannot be written there"),
    ),
    "vfio_device_feature_dma_buf": (
        _dma_buf("nr_ranges", EINVAL, nonzero, "not 0"),
        _dma_buf("flags", EINVAL, zero, "0"),
        _dma_buf("region_index", ENODEV, at_most(5), "a BAR, at most %llu"),
        State("region_index", ENODEV, "the BAR is not there"),
        State("dma_ranges", EFAULT, "less in memory than nr_ranges elements"),
        State("dma_ranges", EINVAL, "a range is empty, no multiple of a page, or not in the BAR"),
        State("dma_ranges", EOVERFLOW, "a range ends past the last address"),
        State("open_flags", EINVAL, "not O_CLOEXEC and an access mode"),
        State("", ENODEV, "the device is going away"),
    ),
}
