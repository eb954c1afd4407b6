"""AMD-Vi. Source: AMD IOMMU specification 48882, 2.5 (events), 3.4 (MMIO 0008h, 0010h, 0018h)."""

from __future__ import annotations

from iommu_abi.vendors import Queue, Vendor


def _page(value: int) -> int:
    """Bits 51:12."""
    return value & (1 << 52) - (1 << 12)


def _size(value: int) -> int:
    """Bits 59:56 are log2 of the entries, of 16 bytes each."""
    return 16 << (value >> 56 & 0xF)


VENDOR = Vendor(
    code="AMD-Vi event",
    code_key="code",
    switch="CONTROL",
    queues=(
        Queue("CMDBUF_BASE", "command buffer", _page, _size),
        Queue("EVTLOG_BASE", "event log", _page, _size),
    ),
    details=("GN", "NX", "US", "I", "PR", "RW", "PE", "RZ", "TR"),
)
