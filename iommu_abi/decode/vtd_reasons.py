"""VT-d's fault reasons: codes, names, meanings (VT-d specification 5.10, 7.1.3 and 5.1.4.1)."""

from __future__ import annotations

from iommu_abi.decode.report import Meaning
from iommu_abi.terms import Stage

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
    0x27: Meaning("IR.8", "the posted interrupt descriptor could not be read"),
    0x28: Meaning("IR.9", "reserved fields in the posted interrupt descriptor"),
    0x29: Meaning("IR.10", "a request to the interrupt addresses (0xfee.....) that is no interrupt"),
    0x2A: Meaning("IR.11", "an interrupt request, and this unit needs EIME, which is clear"),
    0x2B: Meaning("IR.12", "an interrupt request while interrupt remapping, which this unit needs, is off"),
    0x30: Meaning("RTA.1", "the root table address register is programmed wrongly", _DEV),
    0x31: Meaning("RTA.2", "a request with PASID in legacy mode", _DEV),
    0x32: Meaning("RTA.3", "a page request in legacy mode", _DEV),
    0x33: Meaning("RTA.4", "a request in abort-DMA mode: all are blocked", _DEV),
    0x34: Meaning("RTA.5", "an execute request, which units of version 8 and later refuse", _DEV),
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
    0x49: Meaning("SCT.10", "a translated request with PASID, and EPTR is clear", _DEV),
    0x50: Meaning("SPD.1", "the PASID directory entry could not be read", _PASID),
    0x51: Meaning("SPD.2", "the PASID directory entry is not present", _PASID),
    0x52: Meaning("SPD.3", "reserved bits in the PASID directory entry", _PASID),
    0x58: Meaning("SPT.1", "the PASID table entry could not be read", _PASID),
    0x59: Meaning("SPT.2", "the PASID table entry is not present", _PASID),
    0x5A: Meaning("SPT.3", "reserved bits in the PASID table entry", _PASID),
    0x5B: Meaning("SPT.4", "the PASID table entry is programmed wrongly", _PASID),
    0x5C: Meaning("SPT.5", "an execute request, and ERE is clear", _PASID),
    0x5D: Meaning("SPT.6", "a supervisor request, and SRE is clear", _PASID),
    0x60: Meaning("SPT.9", "a translated request beyond the host permission table", _PASID),
    0x70: Meaning("SFL.1", "a first-stage paging entry could not be read", _S1),
    0x71: Meaning("SFL.2", "a first-stage paging entry is not present", _S1),
    0x72: Meaning("SFL.3", "reserved bits in a first-stage paging entry", _S1),
    0x73: Meaning("SFL.4", "the first-stage table pointer could not be used", _S1),
    0x74: Meaning("SFL.5", "a first-stage entry points beyond what the second stage takes", _S1),
    0x75: Meaning("SFL.6", "the second stage does not let the top first-stage table be read", _S2),
    0x76: Meaning("SFL.7", "the second stage does not let a first-stage entry be read", _S2),
    0x77: Meaning("SFL.8", "the second stage does not let A/D be set in a first-stage entry", _S2),
    0x78: Meaning("SSL.1", "a second-stage paging entry could not be read", _S2),
    0x79: Meaning("SSL.2", "a second-stage paging entry without read and write: not present", _S2),
    0x7A: Meaning("SSL.3", "reserved bits in a second-stage paging entry", _S2),
    0x7B: Meaning("SSL.4", "the second-stage table pointer could not be used", _S2),
    0x7C: Meaning("SSL.5", "A/D must be set in a second-stage entry under no-snoop", _S2),
    0x7D: Meaning("SSL.6", "A/D could not be set in a second-stage entry", _S2),
    0x80: Meaning("SGN.1", "the address is not canonical", _S1),
    0x81: Meaning("SGN.2", "a user's request, and a supervisor's page", _S1),
    0x82: Meaning("SGN.3", "an execute request, and no execute permission"),
    0x83: Meaning("SGN.4", "the address is beyond what the hardware takes"),
    0x84: Meaning("SGN.5", "the address is beyond what the second stage takes", _S2),
    0x85: Meaning("SGN.6", "a write, and no write permission"),
    0x86: Meaning("SGN.7", "a read, and no read permission"),
    0x87: Meaning("SGN.8", "the output lies where writes are interrupts"),
    0x89: Meaning("SGN.10", "the PASID is beyond what this unit takes (PSS)", _PASID),
    0x90: Meaning("SFL.9", "A/D must be set in a first-stage entry under no-snoop", _S1),
    0x91: Meaning("SFL.10", "A/D could not be set in a first-stage entry", _S1),
}

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
