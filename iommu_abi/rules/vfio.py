"""What VFIO checks about a container's type 1 mappings, in the order of Linux 7.2; 4.12 to 7.3.

Source: drivers/vfio/vfio_iommu_type1.c of Linux 4.12, 5.10, 5.15, 6.1, 6.12, 7.2 and 7.3. A kernel takes what
its flags need and ignores what follows. A range may end at the last address since 6.19, and that it must not
end past it was EINVAL before. Pages are the IOMMU's smallest, which are never smaller than the kernel's.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSPC, EOVERFLOW

from iommu_abi.rules.predicates import (
    PAGE_SIZE,
    all_of,
    at_most,
    bits_for,
    given_for,
    known_flags,
    multiple_of,
    none_of,
    nonzero,
    not_all_of,
    one_of,
    range_from,
    readable_for,
    some_of,
    up_to_ulong_max,
    where,
    zero,
)
from iommu_abi.rules.row import Check, Row, Rows, State, Tail, Version
from iommu_abi.rules.vfio_argsz import taken

_U64 = (1 << 64) - 1
_SOURCE = "Linux 7.2, drivers/vfio/vfio_iommu_type1.c"
#: The first kernel with other answers about ranges, the last one without, and that of ALL and VADDR.
_ENDS, _WRAPS, _VADDRS = (6, 19), (6, 18), (5, 12)
#: The bits of as many pages as an int counts, DIRTY_BITMAP_SIZE_MAX.
_MOST_BITS = 0x10000000

_NOT_SET = State("", EINVAL, "no IOMMU type was set on this container: VFIO_SET_IOMMU comes before")
_RIGHTS = "READ, WRITE or both, or VADDR alone"
_OTHER_PAGES = "iova, vaddr or size is no multiple of the IOMMU's smallest page"


def _known(row: Rows) -> Check:
    return row("flags", EINVAL, known_flags, "no flags but %#llx", name="known")


def _page(row: Rows, field: str, when: where | None = None) -> Check:
    want = "a multiple of %#llx, of the kernel's page"
    return row(field, EINVAL, multiple_of(PAGE_SIZE), want, name="page", when=when)


def _end(row: Rows, start: str, top: int | None, when: where | None = None) -> tuple[Check, Check]:
    """Up to 6.18 a range that ends too late is EINVAL, then EOVERFLOW."""
    ends, want = range_from(start, "size", top=top), "a range that ends at the last address or before"
    return (
        row(start, EINVAL, ends, want, name="wraps", when=when, until=_WRAPS),
        row(start, EOVERFLOW, ends, want, name="end", when=when, since=_ENDS),
    )


def _some(row: Rows, when: where | None = None) -> Check:
    return row("size", EINVAL, nonzero, "not 0", name="some", when=when)


def _fits(row: Rows, field: str) -> Check:
    want = "at most ULONG_MAX of the kernel"
    return row(field, EOVERFLOW, up_to_ulong_max, want, name="fits", since=_ENDS)


def _room(row: Rows, field: str) -> Check:
    """What :func:`_fits` was before."""
    return row(field, EINVAL, up_to_ulong_max, "at most ULONG_MAX of the kernel", name="room", until=_WRAPS)


# ---------------------------------------------------------------- MAP_DMA

_map = Rows("vfio_iommu_type1_dma_map", _SOURCE)
#: READ 1, WRITE 2, VADDR 4.
_VADDR, _ANEW = where("flags", all_of(4)), where("flags", none_of(4))

_MAP: tuple[Row, ...] = (
    _NOT_SET,
    *taken(_map, "size"),
    _known(_map),
    _room(_map, "size"),
    _room(_map, "vaddr"),
    _fits(_map, "size"),
    _fits(_map, "vaddr"),
    _some(_map),
    *_end(_map, "iova", _U64),
    *_end(_map, "vaddr", None, where("vaddr", up_to_ulong_max)),
    _map("flags", EINVAL, some_of(3), "READ, WRITE or both", name="rights", until=(5, 11)),
    _map(
        "flags",
        EINVAL,
        one_of(1, 2, 3, 4),
        "READ, WRITE or both, or VADDR alone",
        name="access",
        since=_VADDRS,
    ),
    _page(_map, "size"),
    _page(_map, "iova"),
    _page(_map, "vaddr"),
    State("size", EINVAL, _OTHER_PAGES),
    State("iova", ENOENT, "with VADDR: nothing is mapped there", _VADDR, _VADDRS),
    State(
        "iova",
        EINVAL,
        "with VADDR: that mapping has its address still, or another start or size",
        _VADDR,
        _VADDRS,
    ),
    State("iova", EEXIST, "part of the range is mapped", _ANEW),
    State(
        "",
        ENOSPC,
        "the container has as many mappings as it may (dma_entry_limit, 65535)",
        _ANEW,
        since=(4, 19),
    ),
    State("iova", EINVAL, "outside the IOVA ranges that VFIO_IOMMU_GET_INFO lists", _ANEW, since=(5, 4)),
    State("size", ENOMEM, "RLIMIT_MEMLOCK (ulimit -l) is too low for all that is mapped", _ANEW),
    State("", ENOMEM, "no memory for the page tables", _ANEW),
    State(
        "vaddr",
        EFAULT,
        "not all of the range is mapped in the process, or not writable as WRITE needs",
        _ANEW,
    ),
)

# ---------------------------------------------------------------- UNMAP_DMA

_unmap = Rows("vfio_iommu_type1_dma_unmap", _SOURCE)
_bitmap = Rows("vfio_bitmap", _SOURCE)
#: GET_DIRTY_BITMAP 1, ALL 2, VADDR 4.
_BITMAP, _ALL, _RANGE = where("flags", all_of(1)), where("flags", all_of(2)), where("flags", none_of(2))
_DIRTY: Version = (5, 8)

_UNMAP: tuple[Row, ...] = (
    _NOT_SET,
    *taken(_unmap, "size"),
    _known(_unmap),
    _unmap("flags", EINVAL, not_all_of(3), "no ALL with GET_DIRTY_BITMAP", name="bitmap_all", since=_VADDRS),
    _unmap(
        "flags", EINVAL, not_all_of(5), "no VADDR with GET_DIRTY_BITMAP", name="bitmap_vaddr", since=_VADDRS
    ),
    _unmap(
        "argsz",
        EINVAL,
        given_for("vfio_bitmap"),
        "at least %llu, a vfio_bitmap among them",
        name="bitmap",
        when=_BITMAP,
        since=_DIRTY,
    ),
    _unmap(
        "",
        EFAULT,
        readable_for("vfio_bitmap"),
        "%llu bytes in memory",
        name="rest",
        when=_BITMAP,
        since=_DIRTY,
    ),
    Tail("vfio_bitmap", _BITMAP, _DIRTY),
    State("data", EINVAL, "the bit map is smaller than a bit for each page, or not in user space", _BITMAP),
    State("flags", EBUSY, "with VADDR: the container has a device without an IOMMU (mdev)", _VADDR, (6, 1)),
    _fits(_unmap, "size"),
    _page(_unmap, "iova"),
    _unmap("iova", EINVAL, zero, "0 with ALL", name="all", when=_ALL, since=_VADDRS),
    _unmap("size", EINVAL, zero, "0 with ALL", name="all", when=_ALL, since=_VADDRS),
    _some(_unmap, _RANGE),
    _page(_unmap, "size", _RANGE),
    State("size", EINVAL, "iova or size is no multiple of the IOMMU's smallest page"),
    *_end(_unmap, "iova", _U64, _RANGE),
    _room(_unmap, "size"),
    State("flags", EINVAL, "with GET_DIRTY_BITMAP: pages are not tracked, or are of another size", _BITMAP),
    State("iova", EINVAL, "the range cuts a mapping in two, which type 1 v2 does not do", _RANGE),
)


def _bits(row: Rows, prefix: str = "") -> tuple[Check, ...]:
    """What is asked of a bit map, whatever it is about."""
    return (
        row(f"{prefix}pgsize", EINVAL, nonzero, "not 0", name="some"),
        row(f"{prefix}size", EINVAL, at_most(_MOST_BITS), "at most %#llx bytes", name="most"),
        _page(row, f"{prefix}pgsize"),
    )


# ---------------------------------------------------------------- DIRTY_PAGES

_dirty = Rows("vfio_iommu_type1_dirty_bitmap", _SOURCE)
_get = Rows("vfio_iommu_type1_dirty_bitmap_get", _SOURCE)
#: START 1, STOP 2, GET_BITMAP 4.
_START, _GET = where("flags", one_of(1)), where("flags", one_of(4))
_ONE = "START, STOP or GET_BITMAP, and nothing else"
_PAST = range_from("iova", "size", top=_U64, past=True)

_DIRTY_PAGES: tuple[Row, ...] = (
    _NOT_SET,
    State("", EACCES, "the container's type is not TYPE1v2"),
    *taken(_dirty, "flags"),
    _dirty("flags", EINVAL, one_of(1, 2, 4), _ONE, name="one"),
    State("", ENOMEM, "no memory for the bit maps of what is mapped", _START),
    _dirty(
        "argsz",
        EINVAL,
        given_for("vfio_iommu_type1_dirty_bitmap_get"),
        "at least %llu for GET_BITMAP",
        name="get",
        when=_GET,
    ),
    _dirty(
        "",
        EFAULT,
        readable_for("vfio_iommu_type1_dirty_bitmap_get"),
        "%llu bytes in memory",
        name="rest",
        when=_GET,
    ),
    Tail("vfio_iommu_type1_dirty_bitmap_get", _GET),
)

_DIRTY_GET: tuple[Row, ...] = (
    _fits(_get, "size"),
    _some(_get),
    _get("iova", EINVAL, _PAST, "a range that ends before the last address", name="wraps", until=_WRAPS),
    _end(_get, "iova", _U64)[1],
    State("bitmap.data", EINVAL, "the bit map is not in user space"),
    *_bits(_get, "bitmap."),
    _get(
        "bitmap.size",
        EINVAL,
        bits_for("size", "bitmap.pgsize"),
        "at least %llu, whole words of 8 bytes with a bit for each page",
        name="bits",
        when=where("size", up_to_ulong_max),
    ),
    State("bitmap.pgsize", EINVAL, "not the IOMMU's smallest page"),
    _page(_get, "iova"),
    _page(_get, "size"),
    State("", EINVAL, "pages are not tracked: START comes before"),
    State("iova", EINVAL, "a mapping begins before the range, or ends after it"),
    State("bitmap.data", EFAULT, "the bit map is not in memory"),
)

#: Struct of a command, or behind one, -> its rows.
COMMANDS: Mapping[str, tuple[Row, ...]] = {
    "vfio_iommu_type1_dma_map": _MAP,
    "vfio_iommu_type1_dma_unmap": _UNMAP,
    "vfio_iommu_type1_info": (_NOT_SET, *taken(Rows("vfio_iommu_type1_info", _SOURCE), "iova_pgsizes")),
    "vfio_iommu_type1_dirty_bitmap": _DIRTY_PAGES,
}
DATA: Mapping[str, tuple[Row, ...]] = {
    "vfio_bitmap": (_some(_bitmap), *_bits(_bitmap)),
    "vfio_iommu_type1_dirty_bitmap_get": _DIRTY_GET,
}
