"""DMAR fault lines of Linux's intel-iommu driver (drivers/iommu/intel/dmar.c, 2.6.3x to 7.2).

Old kernels print numbers of the fault in decimal and addresses without 0x, new ones both in hex with it;
PASID ffffffff stands for none. Codes and names: VT-d specification 7.1.3 and the tables it refers to.
"""

from __future__ import annotations

import re

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.report import UNSAID, Meaning, Report, device, meaning, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "vtd", "VT-d specification 7.1.3"

_DEV, _PASID, _S1, _S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2
MEANINGS = {
    0x01: Meaning("LRT.2", "the root entry is not present", _DEV),
    0x02: Meaning("LCT.2", "the context entry is not present", _DEV),
    0x03: Meaning("LCT.4", "the context entry is programmed wrongly", _DEV),
    0x04: Meaning("LGN.1", "the address is beyond what this domain or IOMMU takes", _S2),
    0x05: Meaning("LGN.2", "a write, and no write permission in a paging entry", _S2),
    0x06: Meaning("LGN.3", "a read, and no read permission in a paging entry", _S2),
    0x07: Meaning("LSL.1", "a paging entry could not be read: its table's address is wrong", _S2),
    0x08: Meaning("LRT.1", "the root entry could not be read", _DEV),
    0x09: Meaning("LCT.1", "the context entry could not be read", _DEV),
    0x0A: Meaning("LRT.3", "reserved bits in the root entry", _DEV),
    0x0B: Meaning("LCT.3", "reserved bits in the context entry", _DEV),
    0x0C: Meaning("LSL.2", "reserved bits in a paging entry", _S2),
    0x0D: Meaning("LCT.5", "a translated or translation request, which the context entry blocks", _DEV),
    0x0E: Meaning("LGN.4", "the output lies where writes are interrupts", _S2),
    0x20: Meaning("IR.1", "reserved fields in a remappable interrupt request"),
    0x21: Meaning("IR.2", "the interrupt index is beyond the table"),
    0x22: Meaning("IR.3", "the interrupt remapping entry is not present"),
    0x23: Meaning("IR.4", "the interrupt remapping table could not be read"),
    0x24: Meaning("IR.5", "reserved fields in the interrupt remapping entry"),
    0x25: Meaning("IR.6", "an interrupt request in compatibility format, which is blocked"),
    0x26: Meaning("IR.7", "the interrupt's source is not the one that the entry allows"),
    0x30: Meaning("RTA.1", "the root table address register is programmed wrongly", _DEV),
    0x31: Meaning("RTA.2", "a request with PASID in legacy mode", _DEV),
    0x38: Meaning("SRT.1", "the scalable-mode root entry could not be read", _DEV),
    0x39: Meaning("SRT.2", "the scalable-mode root entry is not present", _DEV),
    0x3A: Meaning("SRT.3", "reserved bits in the scalable-mode root entry", _DEV),
    0x40: Meaning("SCT.1", "the scalable-mode context entry could not be read", _DEV),
    0x41: Meaning("SCT.2", "the scalable-mode context entry is not present", _DEV),
    0x42: Meaning("SCT.3", "reserved bits in the scalable-mode context entry", _DEV),
    0x43: Meaning("SCT.4", "the scalable-mode context entry is programmed wrongly", _DEV),
    0x44: Meaning("SCT.5", "a translation or translated request, and DTE is clear", _DEV),
    0x45: Meaning("SCT.6", "a request with PASID, and PASIDE is clear", _DEV),
    0x46: Meaning("SCT.7", "the PASID is beyond the directory (PDTS)", _DEV),
    0x47: Meaning("SCT.8", "a page request, and PRE is clear", _DEV),
    0x48: Meaning("SCT.9", "RID_PASID is beyond the directory or its field is wrong", _DEV),
    0x50: Meaning("SPD.1", "the PASID directory entry could not be read", _PASID),
    0x51: Meaning("SPD.2", "the PASID directory entry is not present", _PASID),
    0x52: Meaning("SPD.3", "reserved bits in the PASID directory entry", _PASID),
    0x58: Meaning("SPT.1", "the PASID table entry could not be read", _PASID),
    0x59: Meaning("SPT.2", "the PASID table entry is not present", _PASID),
    0x5A: Meaning("SPT.3", "reserved bits in the PASID table entry", _PASID),
    0x5B: Meaning("SPT.4", "the PASID table entry is programmed wrongly", _PASID),
    0x5C: Meaning("SPT.5", "an execute request, and ERE is clear", _PASID),
    0x5D: Meaning("SPT.6", "a supervisor request, and SRE is clear", _PASID),
    0x70: Meaning("SFL.1", "a first-stage paging entry could not be read", _S1),
    0x71: Meaning("SFL.2", "a first-stage paging entry is not present", _S1),
    0x72: Meaning("SFL.3", "reserved bits in a first-stage paging entry", _S1),
    0x73: Meaning("SFL.4", "the first-stage table pointer could not be used", _S1),
    0x78: Meaning("SSL.1", "a second-stage paging entry could not be read", _S2),
    0x79: Meaning("SSL.2", "a second-stage paging entry without read and write: not present", _S2),
    0x7A: Meaning("SSL.3", "reserved bits in a second-stage paging entry", _S2),
    0x7B: Meaning("SSL.4", "the second-stage table pointer could not be used", _S2),
    0x7C: Meaning("SSL.5", "A/D must be set in a second-stage entry under no-snoop", _S2),
    0x80: Meaning("SGN.1", "the address is not canonical", _S1),
    0x81: Meaning("SGN.2", "a user's request, and a supervisor's page", _S1),
    0x82: Meaning("SGN.3", "an execute request, and no execute permission"),
    0x83: Meaning("SGN.4", "the address is beyond what the hardware takes"),
    0x84: Meaning("SGN.5", "the address is beyond what the second stage takes", _S2),
    0x85: Meaning("SGN.6", "a write, and no write permission"),
    0x86: Meaning("SGN.7", "a read, and no read permission"),
    0x87: Meaning("SGN.8", "the output lies where writes are interrupts"),
    0x90: Meaning("SFL.9", "A/D could not be set in a first-stage entry", _S1),
    0x91: Meaning("SFL.10", "A/D could not be set in a first-stage entry", _S1),
}

_DEVICE = r"(?:Request )?device \[{1,2}(?P<device>[^\]\s]{4,24})\]"
_REASON = r"\[fault reason (?P<reason>0x[0-9a-fA-F]{1,4}|\d{1,4})\]"
_LATER = re.compile(r"(?:DMAR|INTR-REMAP): {0,2}" + _REASON)
_DMA = re.compile(
    r"\[DMA (?P<access>Read|Write)(?P<none> NO_PASID| PASID (?P<new>[^\]\s]{1,24}))?\] "
    + _DEVICE
    + r"(?: PASID (?P<old>\S{1,24}))?,? fault addr (?P<number>[^\s\[]{1,40})"
    + rf"\s{{0,8}}(?:{_REASON}|$)"
)
_INTERRUPT = re.compile(
    r"(?:\[INTR-REMAP\]|INTR-REMAP:) "
    + _DEVICE
    + rf" fault index (?P<number>[^\s\[]{{1,40}})\s{{0,8}}(?:{_REASON}|$)"
)
MARKS = ("DMAR:", "INTR-REMAP")
BEGINS = r"DMAR:? ?\[(?:DMA (?:Read|Write)|INTR-REMAP)|DMAR:\[|INTR-REMAP: {0,2}(?:Request|\[fault)"
HINT = re.compile(r"DMAR:? {0,2}\[(?:DMA|INTR-REMAP)\b|INTR-REMAP: Request")
_NONE = 0xFFFFFFFF
#: Kind of table -> what to look at next.
_LOOK = {
    Stage.DEVICE: "the root and context entry of this device: is it in a domain, and is it under this"
    " IOMMU (lspci -t)?",
    Stage.PASID: "the PASID table of this device: was this PASID attached, or torn down while the"
    " device used it?",
    Stage.S1: "what mapped and unmapped this address: trace iommu:map and iommu:unmap, then the driver"
    " of the device",
    Stage.S2: "what mapped and unmapped this address: trace iommu:map and iommu:unmap; RMRR regions of"
    " the firmware",
}
_LOOK_INTERRUPT = "interrupt remapping of this device: its source ID, and what set up its MSI (lspci -vv)"


def look(code: int) -> str:
    """What to look at next."""
    known = MEANINGS.get(code)
    if code in range(0x20, 0x30):
        return _LOOK_INTERRUPT
    return _LOOK[known.stage] if known and known.stage is not None else _LOOK[Stage.S1]


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
    return Report(
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
