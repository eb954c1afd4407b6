"""Intel VT-d. Source: VT-d specification, 7.1.3 (fault reasons), 11.4 (GSTS, IQA_REG, IRTA_REG)."""

from __future__ import annotations

from iommu_abi.terms import Access, Stage
from iommu_abi.vendors import Departure, Queue, Vendor


def _page(value: int) -> int:
    """Bits 51:12."""
    return value & (1 << 52) - (1 << 12)


_SECOND = "vtd-scalable-second-stage"
_SECOND_TEXT = "QEMU logs legacy codes for the second stage of scalable mode"
_BOUND = "vtd-no-pasid-bound"
_BOUND_TEXT = "QEMU does not test a PASID against the size of its directory"
_TYPE_TEXT = "QEMU tests the type of a PASID entry before its present bit"

VENDOR = Vendor(
    code="VT-d fault reason",
    code_key="reason",
    switch="GSTS",
    queues=(
        # QS and S are log2 of pages and, less 1, of entries of 16 bytes.
        Queue("IQA", "invalidation queue", _page, lambda value: 4096 << (value & 7)),
        Queue("IRTA", "interrupt remapping table", _page, lambda value: 32 << (value & 15)),
    ),
    departures=(
        Departure(_SECOND, 0x5, (0x79, 0x85), _SECOND_TEXT, Stage.S2, Access.WRITE),
        Departure(_SECOND, 0x6, (0x79, 0x86), _SECOND_TEXT, Stage.S2, Access.READ),
        Departure(_SECOND, 0x4, (0x83, 0x84), _SECOND_TEXT),
        Departure(_SECOND, 0xC, (0x7A,), _SECOND_TEXT, Stage.S2),
        Departure(_SECOND, 0x7, (0x78,), _SECOND_TEXT, Stage.S2),
        Departure("vtd-pasid-type-first", 0x5B, (0x59,), _TYPE_TEXT, Stage.PASID, zero_entry=True),
        Departure(_BOUND, 0x51, (0x46,), _BOUND_TEXT),
        Departure(_BOUND, 0x5B, (0x46,), _BOUND_TEXT),
    ),
)
