"""Chains of VFIO capabilities: what else a kernel says behind a struct, within the struct's ``argsz``.

<linux/vfio.h>: ``cap_offset`` of the struct and ``next`` of each header count from the start of the
struct, 0 ends the chain. They need not be in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from iommu_abi import uapi
from iommu_abi.structs.kind import Blob, StructKind
from iommu_abi.structs.unpack import examine

HEADER = "vfio_info_cap_header"
#: Struct that a chain follows -> id -> struct of the capability. Others show their header only.
KNOWN: Mapping[str, Mapping[int, str]] = {
    "vfio_iommu_type1_info": {
        1: "vfio_iommu_type1_info_cap_iova_range",
        2: "vfio_iommu_type1_info_cap_migration",
        3: "vfio_iommu_type1_info_dma_avail",
        4: "vfio_iommu_type1_info_cap_nesting",  # proposed in 2020, never merged
    },
}


@dataclass(frozen=True, slots=True)
class Capability:
    """One of a chain, ``offset`` bytes from the struct's start; ``blob`` is None where the chain breaks."""

    offset: int
    blob: Blob | None
    note: str = ""


def chain(kind: StructKind, data: bytes, first: int) -> Iterator[Capability]:
    """Every capability from ``first`` on; a last one without a blob says where the chain is wrong."""
    if HEADER not in uapi.declarations(kind.generation).records:
        return
    header = StructKind(HEADER, kind.generation, kind.abi)
    heads: dict[int, dict[str, int]] = {}
    at = first
    while at and at not in heads and kind.layout.size <= at <= len(data) - header.layout.size:
        fields = examine(header, data[at : at + header.layout.size]).fields
        heads[at] = {each.name: each.value for each in fields if isinstance(each.value, int)}
        at = heads[at]["next"]
    for offset, head in heads.items():
        end = min((other for other in heads if other > offset), default=len(data))
        yield Capability(offset, *_examined(kind, header, head["id"], data[offset:end]))
    if at:
        comes_back = "the chain comes back to it" if at in heads else "no capability can be there"
        yield Capability(at, None, comes_back)


def _examined(kind: StructKind, header: StructKind, number: int, data: bytes) -> tuple[Blob, str]:
    struct = KNOWN.get(kind.struct, {}).get(number, "")
    if struct in uapi.declarations(kind.generation).records:
        known = StructKind(struct, kind.generation, kind.abi)
        # Kernels pad a capability to 8 bytes: only what grows has all that is there.
        return examine(known, data if known.layout.record.flexible else data[: known.layout.size]), ""
    shown = header.layout.size
    return examine(
        header, data[:shown]
    ), f"id {number} is not described here: {len(data) - shown} bytes follow"
