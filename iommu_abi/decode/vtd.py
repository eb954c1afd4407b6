"""DMAR fault lines of Linux's intel-iommu driver (drivers/iommu/intel/dmar.c, 2.6.3x to 7.2).

Old kernels print numbers of the fault in decimal and addresses without 0x, new ones both in hex with it;
PASID ffffffff stands for none. Codes and names: VT-d specification 7.1.3 and the tables it refers to.
"""

from __future__ import annotations

from iommu_abi.decode import vtd_dumps
from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Report, device, meaning, number
from iommu_abi.decode.vtd_reasons import KIND, MEANINGS, SOURCE, look
from iommu_abi.terms import Access

_DEVICE = r"(?:Request )?device \[{1,2}(?P<device>[^\]\s]{4,24})\]"
_REASON = r"\[fault reason (?P<reason>0x[0-9a-fA-F]{1,4}|\d{1,4})\]"
_LATER = regex(r"(?:(?:DMAR|INTR-REMAP): {0,2}|^\s{0,24})" + _REASON)
_DMA = regex(
    r"\[DMA (?P<access>Read|Write)(?P<none> NO_PASID| PASID (?P<new>[^\]\s]{1,24}))?\] "
    + _DEVICE
    + r"(?: PASID (?P<old>\S{1,24}))?,? fault addr (?P<number>[^\s\[]{1,40})"
    + rf"\s{{0,8}}(?:{_REASON}|$)"
)
_INTERRUPT = regex(
    r"(?:\[INTR-REMAP\]|INTR-REMAP:) "
    + _DEVICE
    + rf" fault index (?P<number>[^\s\[]{{1,40}})\s{{0,8}}(?:{_REASON}|$)"
)
DRIVER = "DMAR"
MARKS = ("DMAR:", "INTR-REMAP")
BEGINS = r"DMAR:? ?\[(?:DMA (?:Read|Write)|INTR-REMAP)|DMAR:\[|INTR-REMAP: {0,2}(?:Request|\[fault)"
HINT = regex(r"DMAR:? {0,2}\[(?:DMA|INTR-REMAP)\b|INTR-REMAP: Request")
_NONE = 0xFFFFFFFF


def _pasid(found: Found) -> int | None:
    text = found["new"] or found["old"]
    pasid = number(text) if text else _NONE
    return None if pasid == _NONE else pasid


def _reason(lines: Lines, at: int, found: Found) -> tuple[str, tuple[int, ...]]:
    """The reason of a fault, and its lines; the oldest kernels put it on the next one."""
    if found["reason"]:
        return found["reason"], found.at
    for later in lines.below(found.at[-1], _LATER, 2):
        if not any(HINT.search(lines[place]) for place in range(at + 1, later.at[0] + 1)):
            return later["reason"], (*found.at, *later.at)
    raise ValueError(found[0])


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault that begins at this line."""
    if not HINT.search(lines[at]):
        return None
    dma = lines.find(at, _DMA)
    found = dma or lines.find(at, _INTERRUPT)
    if not found:
        return None
    reason, used = _reason(lines, at, found)
    code, rid, shown = int(reason, 0 if "x" in reason else 10), device(found["device"]), found["device"]
    shown = shown if rid is None else shown.replace("0x", "")
    said, known = number(found["number"]), meaning(MEANINGS, code)
    if not dma:
        extra = (("interrupt index", UNSAID if said is None else f"{said:#x}"),)
        return Report(KIND, code, known, SOURCE, used, rid, shown, extra=extra, look=look(code))
    access = Access.READ if found["access"] == "Read" else Access.WRITE
    hidden = () if said is not None else (("address", UNSAID),)
    report = Report(
        KIND,
        code,
        known,
        SOURCE,
        used,
        rid,
        shown,
        _pasid(found),
        said,
        access,
        extra=hidden,
        look=look(code),
    )
    return vtd_dumps.below(lines, report, used[-1], HINT)
