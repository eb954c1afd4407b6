"""Where the IOMMU's own tables lie: the pages whose entries it reads for what devices can reach."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.mappings import Mapping
from iommu_abi.memory import Memory
from iommu_abi.terms import Request
from iommu_abi.walk import Unit

PAGE = 4096

#: Smallest page and bits of a level, both lg2, of the formats' granules: a page of 2 MiB may be an entry
#: of a table for 1 GiB, or with 16 KiB granules many entries of a table for 32 MiB.
GRANULES = ((12, 9), (14, 11), (16, 13))


def _covered(size_lg2: int) -> int:
    """Bytes that a table with pages of this size maps at least."""
    levels = ((base, bits, (size_lg2 - base) // bits + 1) for base, bits in GRANULES if size_lg2 >= base)
    return 1 << min(base + bits * level for base, bits, level in levels)


def _iovas(m: Mapping) -> Iterator[int]:
    """Addresses that lead through each of a mapping's tables."""
    sizes = m.s1_sizes | m.s2_sizes
    yield m.first
    if sizes:
        step = _covered((sizes & -sizes).bit_length() - 1)
        yield from range((m.first // step + 1) * step, m.last + 1, step)


def table_pages(
    unit: Unit, memory: Memory, rid: int, pasid: int | None, m: Mapping | None = None
) -> Iterator[int]:
    """Host-physical addresses of the 4 KiB pages with the entries that lead to a mapping, of all tables.

    ``m`` is from mappings() with ``by_size``; without it, the pages with the entries of the context.
    In no order, and pages may come more than once.
    """
    before: set[int] = set()
    for iova in _iovas(m) if m else [0]:
        answer = unit.translate(memory, Request(rid, iova, pasid), trace=True)
        pages = {ref.hpa // PAGE * PAGE for ref in answer.refs}
        yield from pages - before
        before = pages
