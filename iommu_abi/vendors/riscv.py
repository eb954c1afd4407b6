"""The RISC-V IOMMU. Source: RISC-V IOMMU Architecture Specification 1.0, 6 (ddtp, cqb, fqb, pqb)."""

from __future__ import annotations

from iommu_abi.vendors import Queue, Vendor


def _page(value: int) -> int:
    """Bits 53:10 are a page number."""
    return (value >> 10 & (1 << 44) - 1) << 12


def _entries(value: int) -> int:
    """Bits 4:0 are log2 of the entries, less 1."""
    return 2 << (value & 31)


VENDOR = Vendor(
    code="cause",
    code_key="cause",
    switch="DDTP",
    queues=(
        Queue("CQB", "command queue", _page, lambda value: 16 * _entries(value)),
        Queue("FQB", "fault queue", _page, lambda value: 32 * _entries(value)),
        Queue("PQB", "page request queue", _page, lambda value: 16 * _entries(value)),
    ),
)
