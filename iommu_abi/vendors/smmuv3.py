"""Arm SMMUv3. Source: Arm IHI 0070, 6.3 (SMMU_CR0, SMMU_CMDQ_BASE, SMMU_EVENTQ_BASE), 7.3 (events)."""

from __future__ import annotations

from iommu_abi.vendors import Queue, Vendor


def _address(value: int) -> int:
    """Bits 51:5."""
    return value & (1 << 52) - (1 << 5)


def _entries(value: int) -> int:
    """Bits 4:0 are log2 of the entries."""
    return 1 << (value & 31)


VENDOR = Vendor(
    code="SMMUv3 event",
    code_key="type",
    switch="CR0",
    queues=(
        Queue("CMDQ_BASE", "command queue", _address, lambda value: 16 * _entries(value)),
        Queue("EVENTQ_BASE", "event queue", _address, lambda value: 32 * _entries(value)),
    ),
    details=(
        "S2",
        "CLASS=TT",
        "CLASS=IN",
        "VMSAv8-32 tables are not modelled",
        "VMSAv9-128 tables are not modelled",
        "permission indirection is not modelled",
        "permission overlays are not modelled",
        "device permission tables are not modelled",
        "translation hardening is not modelled",
    ),
)
