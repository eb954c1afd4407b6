"""Where QEMU's SMMUv3 does not follow the specification."""

from __future__ import annotations

from iommu_abi.terms import Access, Purpose, Reason, Ref, Stage
from peers.compare import Departure, Unfit, View

IPS_52 = 6


def _context(view: View) -> Ref | None:
    """The CD that the walk came to."""
    return next((ref for ref in view.answer.refs if (ref.stage, ref.level) == (Stage.PASID, 0)), None)


def aborts(view: View) -> bool:
    ref = _context(view)
    if ref and ref.raw & 1 << 31 and ref.raw >> 32 & 7 >= IPS_52:
        raise Unfit
    return False


ALL: tuple[Departure, ...] = (
    Departure("CD.IPS above 48 bits", "makes QEMU abort: not asked (findings/smmuv3_ips.py)", aborts),
)
