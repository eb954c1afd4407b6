"""What VFIO checks about type 1 mappings, regions and interrupts, in the order of Linux 7.2.

Sources: drivers/vfio/vfio_iommu_type1.c, vfio_main.c, pci/vfio_pci_core.c and pci/vfio_pci_intrs.c. A kernel
takes what its flags need and ignores what follows. That a range must not end past the last address was EINVAL
up to Linux 6.18. Pages are the IOMMU's smallest, which are never smaller than those of the kernel.

What follows a struct (the bitmap of UNMAP_DMA, the data of SET_IRQS) and what a driver's numbers are is told
as a state: bytes of the struct alone do not show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSPC, ENOTTY, EOVERFLOW

from iommu_abi.rules.predicates import (
    PAGE_SIZE,
    all_of,
    given_up_to,
    multiple_of,
    none_of,
    nonzero,
    not_all_of,
    one_of,
    range_from,
    readable_up_to,
    some_of,
    up_to_ulong_max,
    where,
    zero,
)
from iommu_abi.rules.row import Check, Row, Rows, State

_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1
_TYPE1 = "Linux 7.2, drivers/vfio/vfio_iommu_type1.c"
_MAIN = "Linux 7.2, drivers/vfio/vfio_main.c"
_PCI = "Linux 7.2, drivers/vfio/pci/vfio_pci_core.c"

_NOT_SET = State("", EINVAL, "no IOMMU type was set on this container: VFIO_SET_IOMMU comes before")


def _taken(row: Rows, last: str) -> tuple[Check, Check]:
    """How much of the struct every caller gives, and has in memory."""
    return (
        row("", EFAULT, readable_up_to(last), "%llu bytes in memory", name="read"),
        row("argsz", EINVAL, given_up_to(last), "at least %llu"),
    )


def _known(row: Rows, mask: int) -> Check:
    return row("flags", EINVAL, none_of(_U32 & ~mask), f"no flags but {mask:#x}", name="known")


def _page(row: Rows, field: str, when: where | None = None) -> Check:
    want = "a multiple of %#llx, of the kernel's page"
    return row(field, EINVAL, multiple_of(PAGE_SIZE), want, name="page", when=when)


def _wraps(row: Rows, start: str, top: int | None, when: where | None = None) -> Check:
    ends = range_from(start, "size", top=top)
    return row(
        start, EOVERFLOW, ends, "a range that ends at the last address or before", name="end", when=when
    )


def _some(row: Rows, when: where | None = None) -> Check:
    return row("size", EINVAL, nonzero, "not 0", name="some", when=when)


def _fits(row: Rows, field: str) -> Check:
    return row(field, EOVERFLOW, up_to_ulong_max, "at most ULONG_MAX of the kernel", name="fits")


# ---------------------------------------------------------------- type 1 mappings

_map = Rows("vfio_iommu_type1_dma_map", _TYPE1)
#: READ 1, WRITE 2, VADDR 4.
_VADDR, _ANEW = where("flags", all_of(4)), where("flags", none_of(4))

_MAP: tuple[Row, ...] = (
    _NOT_SET,
    *_taken(_map, "size"),
    _known(_map, 7),
    _fits(_map, "size"),
    _fits(_map, "vaddr"),
    _some(_map),
    _wraps(_map, "iova", _U64),
    _wraps(_map, "vaddr", None),
    _map("flags", EINVAL, one_of(1, 2, 3, 4), "READ, WRITE or both, or VADDR alone", name="access"),
    _page(_map, "size"),
    _page(_map, "iova"),
    _page(_map, "vaddr"),
    State("size", EINVAL, "iova, vaddr or size is no multiple of the IOMMU's smallest page"),
    State("iova", ENOENT, "with VADDR: nothing is mapped there", _VADDR),
    State("iova", EINVAL, "with VADDR: that mapping has its address still, or another start or size", _VADDR),
    State("iova", EEXIST, "part of the range is mapped", _ANEW),
    State("", ENOSPC, "the container has as many mappings as it may (dma_entry_limit, 65535)", _ANEW),
    State("iova", EINVAL, "outside the IOVA ranges that VFIO_IOMMU_GET_INFO lists", _ANEW),
    State("size", ENOMEM, "RLIMIT_MEMLOCK (ulimit -l) is too low for all that is mapped", _ANEW),
    State("", ENOMEM, "no memory for the page tables", _ANEW),
    State(
        "vaddr",
        EFAULT,
        "not all of the range is mapped in the process, or not writable as WRITE needs",
        _ANEW,
    ),
)

_unmap = Rows("vfio_iommu_type1_dma_unmap", _TYPE1)
#: GET_DIRTY_BITMAP 1, ALL 2, VADDR 4.
_BITMAP, _ALL, _RANGE = where("flags", all_of(1)), where("flags", all_of(2)), where("flags", none_of(2))

_UNMAP: tuple[Row, ...] = (
    _NOT_SET,
    *_taken(_unmap, "size"),
    _known(_unmap, 7),
    _unmap("flags", EINVAL, not_all_of(3), "no ALL with GET_DIRTY_BITMAP", name="bitmap_all"),
    _unmap("flags", EINVAL, not_all_of(5), "no VADDR with GET_DIRTY_BITMAP", name="bitmap_vaddr"),
    State("argsz", EINVAL, "with GET_DIRTY_BITMAP: no vfio_bitmap follows", _BITMAP),
    State("data", EFAULT, "with GET_DIRTY_BITMAP: the vfio_bitmap is not in memory", _BITMAP),
    State("data", EINVAL, "with GET_DIRTY_BITMAP: its size is 0, above 256 MiB, or too small", _BITMAP),
    State("flags", EBUSY, "with VADDR: the container has a device without an IOMMU (mdev)", _VADDR),
    _fits(_unmap, "size"),
    _page(_unmap, "iova"),
    _unmap("iova", EINVAL, zero, "0 with ALL", name="all", when=_ALL),
    _unmap("size", EINVAL, zero, "0 with ALL", name="all", when=_ALL),
    _some(_unmap, _RANGE),
    _page(_unmap, "size", _RANGE),
    State("size", EINVAL, "iova or size is no multiple of the IOMMU's smallest page"),
    _wraps(_unmap, "iova", _U64, _RANGE),
    State("flags", EINVAL, "with GET_DIRTY_BITMAP: pages are not tracked, or are of another size", _BITMAP),
    State("iova", EINVAL, "the range cuts a mapping in two, which type 1 v2 does not do", _RANGE),
)

# ---------------------------------------------------------------- what is asked of a device

_regions = Rows("vfio_region_info", _PCI)
_irqs = Rows("vfio_irq_info", _PCI)
_set = Rows("vfio_irq_set", _MAIN)
#: NONE 1, BOOL 2, EVENTFD 4; MASK 8, UNMASK 16, TRIGGER 32.
_DATA = where("flags", some_of(6))
_NO_KIND = "the device has no such kind of interrupts: VFIO_DEVICE_GET_INFO says num_irqs"
_ONE_KIND = "one of DATA_NONE, DATA_BOOL and DATA_EVENTFD"

_SET_IRQS: tuple[Row, ...] = (
    *_taken(_set, "count"),
    State("index", EINVAL, _NO_KIND),
    _set(
        "start",
        EINVAL,
        range_from("start", "count", top=_U32 - 1, past=True),
        "start + count below 0xffffffff",
        name="end",
    ),
    _known(_set, 0x3F),
    State("start", EINVAL, "start + count is more than VFIO_DEVICE_GET_IRQ_INFO says"),
    _set("flags", EINVAL, some_of(7), _ONE_KIND, name="data"),
    _set("flags", EINVAL, not_all_of(3), _ONE_KIND, name="none_bool"),
    _set("flags", EINVAL, not_all_of(5), _ONE_KIND, name="none_eventfd"),
    _set("flags", EINVAL, not_all_of(6), _ONE_KIND, name="bool_eventfd"),
    State("argsz", EINVAL, "less room for data than count elements: 1 byte each (BOOL), 4 (EVENTFD)", _DATA),
    State("data", EFAULT, "the data is not in memory", _DATA),
    State("flags", ENOTTY, "not one of MASK, UNMASK and TRIGGER that this kind of interrupts has"),
    State("data", EINVAL, "an eventfd that is none, or interrupts that are not set up as this action needs"),
)

#: Struct of a command -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "vfio_iommu_type1_dma_map": _MAP,
    "vfio_iommu_type1_dma_unmap": _UNMAP,
    "vfio_iommu_type1_info": (_NOT_SET, *_taken(Rows("vfio_iommu_type1_info", _TYPE1), "iova_pgsizes")),
    "vfio_region_info": (
        *_taken(_regions, "offset"),
        State("index", EINVAL, "the device has no such region: VFIO_DEVICE_GET_INFO says num_regions"),
    ),
    "vfio_irq_info": (
        *_taken(_irqs, "count"),
        State(
            "index", EINVAL, "the device has no such kind of interrupts: VFIO_DEVICE_GET_INFO says num_irqs"
        ),
    ),
    "vfio_irq_set": _SET_IRQS,
}
