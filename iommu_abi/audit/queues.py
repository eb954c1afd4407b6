"""What registers point to beside tables: queues and interrupt remapping tables, by kind of IOMMU.

A register that is 0 was not given, or is not in use. Sources: VT-d 11.4 (IQA_REG, IRTA_REG), AMD IOMMU 3.4
(MMIO 0008h, 0010h), SMMUv3 6.3 (SMMU_CMDQ_BASE, SMMU_EVENTQ_BASE), RISC-V IOMMU 6 (cqb, fqb, pqb).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from iommu_abi.walk import Unit

#: Bytes of a queue that are looked at; registers may claim 128 GiB.
MOST = 1 << 26


class Row(NamedTuple):
    """A register: what it points to, which of its bits are the address, and how many bytes lie there."""

    name: str
    what: str
    address: Callable[[int], int]
    size: Callable[[int], int]


def _bits(value: int, high: int, low: int) -> int:
    return value >> low & (1 << high - low + 1) - 1


def _page(value: int) -> int:
    """Bits 51:12."""
    return value & (1 << 52) - (1 << 12)


def _ppn(value: int) -> int:
    """Bits 53:10 are a page number."""
    return _bits(value, 53, 10) << 12


def _arm(value: int) -> int:
    """Bits 51:5."""
    return value & (1 << 52) - (1 << 5)


ROWS = {
    "vtd": (
        Row("IQA", "invalidation queue", _page, lambda v: 4096 << _bits(v, 2, 0)),
        Row("IRTA", "interrupt remapping table", _page, lambda v: 32 << _bits(v, 3, 0)),
    ),
    "amdvi": (
        Row("CMDBUF_BASE", "command buffer", _page, lambda v: 16 << _bits(v, 59, 56)),
        Row("EVTLOG_BASE", "event log", _page, lambda v: 16 << _bits(v, 59, 56)),
    ),
    "smmuv3": (
        Row("CMDQ_BASE", "command queue", _arm, lambda v: 16 << _bits(v, 4, 0)),
        Row("EVENTQ_BASE", "event queue", _arm, lambda v: 32 << _bits(v, 4, 0)),
    ),
    "riscv": (
        Row("CQB", "command queue", _ppn, lambda v: 32 << _bits(v, 4, 0)),
        Row("FQB", "fault queue", _ppn, lambda v: 64 << _bits(v, 4, 0)),
        Row("PQB", "page request queue", _ppn, lambda v: 32 << _bits(v, 4, 0)),
    ),
}


def queues(unit: Unit) -> Iterator[tuple[str, int, int]]:
    """What it is ("IQA, the invalidation queue"), its address and its bytes."""
    for row in ROWS.get(unit.kind, ()):
        value = unit.registers.get(row.name, 0)
        if row.address(value):
            yield f"{row.name}, the {row.what}", row.address(value), min(row.size(value), MOST)
