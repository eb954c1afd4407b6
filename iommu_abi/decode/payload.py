"""A struct and the data that its pointers lead to, as far as somebody noted the bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from iommu_abi.decode.capabilities import chain
from iommu_abi.decode.pieces import Piece, read
from iommu_abi.decode.plain_memory import KNOWN
from iommu_abi.schemas import uapi
from iommu_abi.structs.kind import Blob, StructKind
from iommu_abi.structs.names import data_behind
from iommu_abi.structs.unpack import examine

#: An array in memory is shown up to so many elements.
MOST_ELEMENTS = 64

#: (struct, pointer) -> (struct behind it, field that counts them) where no discriminator decides.
ARRAYS = {
    ("iommu_ioas_iova_ranges", "allowed_iovas"): ("iommu_iova_range", "num_iovas"),
    ("iommu_ioas_allow_iovas", "allowed_iovas"): ("iommu_iova_range", "num_iovas"),
}
#: (discriminated struct, pointer) -> (bytes of an element, number of elements).
STRIDES = {("iommu_hwpt_invalidate", "data_uptr"): ("entry_len", "entry_num")}


@dataclass(frozen=True, slots=True)
class Behind:
    """What a pointer leads to: ``field`` of the struct has the ``address``, ``cap_offset`` an offset.

    ``blobs`` are empty where no bytes were noted, or where they are no struct; ``note`` says why, what they
    are, or what is left out.
    """

    field: str
    address: int
    struct: str
    blobs: tuple[Blob, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """A struct's bytes, decoded, and what its pointers lead to."""

    blob: Blob
    address: int | None
    behind: tuple[Behind, ...]


def decode(kind: StructKind, data: bytes, pieces: Sequence[Piece], address: int | None = None) -> Payload:
    """Take a struct apart, whatever is wrong with it, and follow its pointers into the pieces."""
    blob = examine(kind, data)
    values = {field.name: field.value for field in blob.fields if isinstance(field.value, int)}
    capabilities = list(_capabilities(kind, data, values.get("cap_offset", 0)))
    starts = [each.address for each in capabilities if each.blobs]
    if starts:  # the chain's bytes are shown once
        blob = replace(blob, data=data[: min(starts)])
    return Payload(blob, address, (*_follow(kind, values, pieces), *capabilities))


def at(kind: StructKind, address: int, pieces: Sequence[Piece]) -> Payload | None:
    """The struct at an address: as many bytes as its first member says, else as many as it has."""
    found = read(pieces, address, 1 << 20)
    if found is None:
        return None
    return decode(kind, found[: _length(kind, found)], pieces, address)


def _length(kind: StructKind, data: bytes) -> int:
    first = kind.schema.fields[0].name
    if first in ("size", "argsz") and len(data) >= 4:
        return max(int.from_bytes(data[:4], kind.order), 4)
    return len(data) if kind.layout.record.flexible else kind.layout.size


def _follow(kind: StructKind, values: dict[str, int], pieces: Sequence[Piece]) -> Iterator[Behind]:
    generation = uapi.generation(kind.generation)
    for payload in generation.payloads:
        address = values.get(payload.at, 0)
        if payload.struct != kind.struct or not address:
            continue
        structs = data_behind(generation, payload, values[payload.by])
        if not structs:
            unknown = f"{payload.by} {values[payload.by]} is not known: what is there is not decoded"
            yield Behind(payload.at, address, "", (), unknown)
        for struct in filter(None, structs):
            length, count = STRIDES.get((kind.struct, payload.at), ("data_len", ""))
            stride = values.get(length, 0)
            yield _array(kind, payload.at, address, struct, values[count] if count else 1, stride, pieces)
    for (struct, field), (item, count) in ARRAYS.items():
        if struct == kind.struct and values.get(field):
            yield _array(kind, field, values[field], item, values[count], 0, pieces)
    for (struct, field), (size, says) in KNOWN.items():
        if struct == kind.struct and values.get(field):
            data = read(pieces, values[field], size(values))
            note = "no bytes were noted for it" if data is None else says(kind, values, data)
            yield Behind(field, values[field], "", (), note)


def _capabilities(kind: StructKind, data: bytes, first: int) -> Iterator[Behind]:
    for each in chain(kind, data, first):
        struct = each.blob.kind.struct if each.blob else ""
        yield Behind("cap_offset", each.offset, struct, tuple(filter(None, [each.blob])), each.note)


def _array(
    kind: StructKind, field: str, address: int, struct: str, count: int, stride: int, pieces: Sequence[Piece]
) -> Behind:
    item = StructKind(struct, kind.generation, kind.abi)
    size = stride or item.layout.size
    shown = min(count, MOST_ELEMENTS)
    data = read(pieces, address, shown * size)
    if data is None:
        return Behind(field, address, struct, (), "no bytes were noted for it")
    starts = range(0, min(len(data), shown * size), size)
    blobs = tuple(examine(item, data[start : start + size]) for start in starts)
    left = count - len(blobs)
    return Behind(field, address, struct, blobs, f"{left} more are left out" if left > 0 else "")
