"""AMD-Vi: the events, and what they say of a fault.

Source: AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.5, 2.1.3.2; as
``amdvi`` says, where from.
"""

from __future__ import annotations

from enum import IntFlag

from iommu_abi.schemas.amdvi_entries import v1_layout
from iommu_abi.terms import Access, At, Fault, Reason, Request, Stage

ILLEGAL_DEV_TABLE_ENTRY = 1
IO_PAGE_FAULT = 2
DEV_TAB_HARDWARE_ERROR = 3
PAGE_TAB_HARDWARE_ERROR = 4
INVALID_DEVICE_REQUEST = 8


def walk_event(reason: Reason) -> int:
    """Return the event of a fault in host or guest tables."""
    return PAGE_TAB_HARDWARE_ERROR if reason is Reason.UNREADABLE else IO_PAGE_FAULT


class EventFlags(IntFlag):
    """Bits 59:48 of an IO_PAGE_FAULT event, shifted down."""

    GN = 1 << 0
    NX = 1 << 1
    US = 1 << 2
    I = 1 << 3  # noqa: E741, the vendor's name
    PR = 1 << 4
    RW = 1 << 5
    PE = 1 << 6
    RZ = 1 << 7
    TR = 1 << 8


_ABSENT = (Reason.NOT_PRESENT, Reason.ABORTED, Reason.RID_RANGE)
#: The page faults of a translation request that are recorded (2.1.3.2, as VirtualBox cites it).
RECORDED_OF_TRANSLATIONS = (Reason.PRIVILEGE, Reason.RID_RANGE)
_PERMISSION = (Reason.DENIED, Reason.PRIVILEGE, Reason.UPDATE_DENIED)


def event_flags(fault: Fault, request: Request) -> EventFlags:
    """Return the flags of an IO_PAGE_FAULT."""
    chosen = {
        EventFlags.GN: fault.stage in (Stage.S1, Stage.PASID),
        EventFlags.NX: fault.reason is Reason.DENIED and request.access is Access.EXEC,
        EventFlags.US: fault.reason is Reason.PRIVILEGE,
        EventFlags.PR: _is_present(fault),
        EventFlags.RW: request.access is Access.WRITE,
        EventFlags.PE: fault.reason in _PERMISSION,
        EventFlags.RZ: _has_reserved_bits(fault),
        EventFlags.TR: request.at is At.TRANSLATION,
    }
    flags = EventFlags(0)
    for flag, on in chosen.items():
        flags |= flag if on else EventFlags(0)
    return flags


def _is_present(fault: Fault) -> bool:
    """Whether the fault is of an entry that is present: also of one that skips levels wrongly."""
    if fault.reason is Reason.INPUT_RANGE:
        return fault.raw is not None
    return fault.reason not in _ABSENT


def _has_reserved_bits(fault: Fault) -> bool:
    """Tell reserved bits from a level or page size that there is not, which only v1 entries have."""
    if fault.reason is not Reason.RESERVED or fault.raw is None:
        return False
    if fault.stage is not Stage.S2:
        return True
    layout = v1_layout(fault.raw)
    return layout.has_reserved_bits(layout.of(fault.raw))
