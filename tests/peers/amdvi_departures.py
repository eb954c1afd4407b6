"""Where QEMU's AMD-Vi does not follow the specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from iommu_abi.schemas.amdvi_entries import NEXT_DEFAULT, NEXT_SIZED, sized_page_lg2
from iommu_abi.terms import Access, Reason, Ref, Stage
from peers.compare import Departure, View

ILLEGAL_DEV_TABLE_ENTRY, IO_PAGE_FAULT, FLAG_I = 1, 2, 1 << 3
#: EXT_FEATURES -> the bits of the first two words of a device table entry that need it; 0: none does.
NEEDS = {
    0: (0, 1 << 42),
    1 << 4: (0x3F << 55, 0xFFFF << 16),  # GTSup
    1 << 48: (1 << 54, 0),  # GIoSup
    1 << 50: (3 << 52, 0),  # EPHSup
}
NO_LEVELS, BAD_MODE = 0, 7
IR_IW = 3 << 61
#: Of the words of a device table entry.
DEVICE_RESERVED = (1 << 63 | 0x7C, 0, 3 << 52, 0x3F_0000_0000_7FFF)
ADDRESS = 0xFFFFFFFFFF000
TABLE_RESERVED, PAGE_RESERVED = 0x1FF << 52, 0x7F << 52


# ---------------------------------------------------------------- device table


def _dte(view: View) -> Ref | None:
    return next((ref for ref in view.answer.refs if ref.stage is Stage.DEVICE), None)


def device_rights(view: View) -> bool:
    ref, fault = _dte(view), view.fault
    if not ref or not fault or fault.stage is not Stage.DEVICE or fault.reason is not Reason.DENIED:
        return False
    if not ref.raw & IR_IW and ref.raw >> 9 & 7 not in (NO_LEVELS, BAD_MODE):
        return False
    view.put(ref.hpa, ref.raw | IR_IW)
    return True


def silent(view: View) -> bool:
    """TV=0, and Mode 7, the only one that QEMU does not have."""
    fault = view.fault
    if not fault or fault.stage is not Stage.DEVICE or view.record is None:
        return False
    if fault.reason not in (Reason.ABORTED, Reason.INVALID) or fault.native != IO_PAGE_FAULT:
        return False
    view.record = None
    return True


def device_reserved(view: View) -> bool:
    """Of the whole entry, whatever V says."""
    ref = _dte(view)
    if not ref or (view.fault and view.fault.native == ILLEGAL_DEV_TABLE_ENTRY):
        return False
    if not any(view.load(ref.hpa + 8 * i) & DEVICE_RESERVED[i] for i in range(4)):
        return False
    view.blocks(ILLEGAL_DEV_TABLE_ENTRY, Stage.DEVICE)
    return True


def features(view: View) -> bool:
    ref, fault = _dte(view), view.fault
    if not ref or not fault or fault.native != ILLEGAL_DEV_TABLE_ENTRY:
        return False
    has = view.registers["EXT_FEATURES"]
    for i in range(2):
        needy = sum(words[i] for feature, words in NEEDS.items() if not has & feature)
        word = view.load(ref.hpa + 8 * i)
        if word & needy:
            view.put(ref.hpa + 8 * i, word & ~needy)
            return True
    return False


# ---------------------------------------------------------------- host tables


def _entries(view: View) -> Iterator[Ref]:
    """The entries that were read, and the one that stopped the walk."""
    return (ref for ref in view.answer.refs if ref.stage is Stage.S2)


def _is_page(raw: int) -> bool:
    return raw >> 9 & 7 in (NEXT_DEFAULT, NEXT_SIZED)


def reserved_bits(view: View) -> bool:
    for ref in _entries(view):
        mask = PAGE_RESERVED if _is_page(ref.raw) else TABLE_RESERVED
        if ref.raw & mask and ref.raw & 1:
            view.put(ref.hpa, ref.raw & ~mask)
            return True
    return False


def skipped_bits(view: View) -> bool:
    fault = view.fault
    if not fault or fault.stage is not Stage.S2 or fault.reason is not Reason.INPUT_RANGE or not fault.raw:
        return False
    low, high = 12 + 9 * (fault.raw >> 9 & 7), 12 + 9 * fault.level
    skipped = (1 << high) - (1 << low)
    view.request = replace(view.request, iova=view.request.iova & ~skipped)
    view.ask()
    return True


def no_rights_left(view: View) -> bool:
    ref = _dte(view)
    if not ref:
        return False
    left = view.given(ref.hpa)
    for ref in _entries(view):
        left &= view.given(ref.hpa)
        if ref.raw & 1 and not left & IR_IW:
            _page(view, ref.raw, 12 + 9 * ref.level)
            return True
    return False


def table_rights(view: View) -> bool:
    for ref in _entries(view):
        if ref.raw & 1 and not _is_page(ref.raw) and ref.raw & IR_IW != IR_IW:
            view.put(ref.hpa, ref.raw | IR_IW)
            return True
    return False


def page_size(view: View) -> bool:
    fault = view.fault
    if not fault or fault.stage is not Stage.S2 or fault.reason is not Reason.RESERVED or fault.raw is None:
        return False
    if not _is_page(fault.raw):
        return False
    sized = fault.raw >> 9 & 7 == NEXT_SIZED
    _page(view, fault.raw, sized_page_lg2(fault.raw & ADDRESS) or 53 if sized else 12 + 9 * fault.level)
    return True


def _page(view: View, raw: int, size_lg2: int) -> None:
    """Take an entry for a page of this size, with the rights that it has."""
    if raw >> (62 if view.request.access is Access.WRITE else 61) & 1:
        offset = (1 << size_lg2) - 1
        view.passes(raw & ADDRESS & ~offset | view.request.iova & offset)
    else:
        view.blocks(IO_PAGE_FAULT, Stage.S2)


def suppressed(view: View) -> bool:
    fault = view.fault
    if not fault or fault.recorded or not fault.native:
        return False
    view.blocks(fault.native)
    return True


def record(view: View) -> bool:
    if view.record is None:
        return False
    view.record |= {"address": 0, "flags": 0}
    if view.record["code"] != ILLEGAL_DEV_TABLE_ENTRY:
        view.record["device"] = view.request.rid & 0xFF
    if view.record["code"] == IO_PAGE_FAULT:
        view.record["flags"] = FLAG_I | (2 if view.request.access is Access.WRITE else 1)
    return True


ALL = (
    Departure(
        "DTE: reserved bits",
        "words 2 and 3 do not bear on translation, and nothing does with V=0; QEMU tests all of it",
        device_reserved,
    ),
    Departure(
        "DTE: features",
        "bits of features that EXT_FEATURES lacks are reserved, and bit 106; QEMU does not test them",
        features,
    ),
    Departure(
        "DTE: IR, IW",
        "say what the device may do; QEMU sees only that both are 0, with Mode 0 not even that "
        "(findings/amdvi_rights.py)",
        device_rights,
    ),
    Departure("entry: reserved bits", "are not tested", reserved_bits),
    Departure(
        "no rights left",
        "where DTE and entries leave neither IR nor IW, QEMU takes the entry, table or page, for a page "
        "of its level's own size, with the entry's own rights (findings/amdvi_no_rights.py)",
        no_rights_left,
    ),
    Departure(
        "table: IR, IW",
        "are ANDed over the levels; QEMU goes by the page's alone (findings/amdvi_rights.py)",
        table_rights,
    ),
    Departure(
        "page size",
        "is of the level's range, and level 6 has no pages; QEMU takes any size at any level",
        page_size,
    ),
    Departure(
        "skipped bits",
        "of the address must be 0 where NextLevel skips levels; not tested (findings/amdvi_skipped_bits.py)",
        skipped_bits,
    ),
    Departure("SA", "suppresses page faults; QEMU does not look at it", suppressed, last=True),
    Departure(
        "no event", "TV=0 and Mode 7 are an IO_PAGE_FAULT; QEMU blocks and records nothing", silent, last=True
    ),
    Departure(
        "event",
        "has no address, in most no bus, always I, and GN for read and NX for write instead of its flags "
        "(findings/amdvi_event.py)",
        record,
        last=True,
    ),
)
