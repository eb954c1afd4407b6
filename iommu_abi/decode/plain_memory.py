"""What a pointer leads to where it is no struct: a bit map of dirty pages, the token of a device."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from iommu_abi.structs.kind import StructKind

#: So many ranges of dirty pages are told.
MOST_RANGES = 8
#: A bit map is read up to so many bytes: 2^19 pages.
MOST_BYTES = 1 << 16

Values = Mapping[str, int]


def _bitmap_bytes(values: Values) -> int:
    """Whole words of 64 bits."""
    pages = values["length"] // values["page_size"] if values["page_size"] else 0
    return max(8, min(-(-pages // 64) * 8, MOST_BYTES))


def _set_bits(kind: StructKind, data: bytes) -> Iterator[int]:
    for first in range(0, len(data) // 8 * 8, 8):
        word = int.from_bytes(data[first : first + 8], kind.order)
        yield from (8 * first + bit for bit in range(64) if word >> bit & 1)


def _dirty(kind: StructKind, values: Values, data: bytes) -> str:
    """iommufd: bit i, of 64-bit words, stands for the page at ``iova`` + i * ``page_size``."""
    size, iova = values["page_size"], values["iova"]
    if not size:
        return "page_size is 0"
    asked, noted = values["length"] // size, len(data) // 8 * 64
    pages = min(asked, noted)
    bits = [bit for bit in _set_bits(kind, data) if bit < pages]
    runs = [[bit for _, bit in run] for _, run in groupby(enumerate(bits), lambda each: each[1] - each[0])]
    ranges = [f"{iova + run[0] * size:#x}..{iova + (run[-1] + 1) * size - 1:#x}" for run in runs]
    told = ", ".join(ranges[:MOST_RANGES])
    more = f" and {len(ranges) - MOST_RANGES} ranges more" if len(ranges) > MOST_RANGES else ""
    first = "the first " if noted < asked else ""
    return f"{len(bits)} of {first}{pages} pages are dirty{': ' if bits else ''}{told}{more}"


def _token(kind: StructKind, values: Values, data: bytes) -> str:
    """VFIO: 16 bytes in the order in which a UUID is written."""
    return f"token {uuid.UUID(bytes=data)}" if len(data) == 16 else "a token has 16 bytes"


#: (struct, pointer) -> how many bytes lie there, and what they say.
KNOWN: Mapping[
    tuple[str, str], tuple[Callable[[Values], int], Callable[[StructKind, Values, bytes], str]]
] = {
    ("iommu_hwpt_get_dirty_bitmap", "data"): (_bitmap_bytes, _dirty),
    ("vfio_device_bind_iommufd", "token_uuid_ptr"): (lambda values: 16, _token),
}
