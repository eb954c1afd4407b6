"""Page requests (PRI) that no driver took, or that were lost, of VT-d and SMMUv3.

Linux drivers/iommu/intel/prq.c (before 6.13 in svm.c) and drivers/iommu/arm/arm-smmu-v3 (up to 6.7). VT-d
specification 7.4.1.1 (the descriptor), Arm SMMUv3 specification 8.1.
"""

from __future__ import annotations

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note, number

_X = "[0-9a-f]{1,16}"
_VTD = regex(
    r"(?:DMAR: )?(?:IOMMU: )?(?P<unit>dmar\d{1,4}): (?P<what>Page request without PASID|Invalid page request"
    r"|Page request for non-PRI enabled device|Address is not canonical|Page request in Privilege Mode"
    r"|Execution request not supported|PRQ overflow detected)"
    rf"(?:: (?P<qw0>{_X}) (?P<qw1>{_X})(?!\w)|: \[?(?:\.\.|…)|(?![:\w]))"
)
_SMMU = regex(
    r"arm-smmu-v3 (?P<unit>\S{1,64}):\s{1,16}sid (?P<sid>0x[0-9a-f]{1,8})\.(?P<ssid>0x[0-9a-f]{1,5}):"
    r" \[(?P<group>\d{1,3})(?P<last>L?)\] (?P<priv>unprivileged|privileged) (?P<access>[RWX]{0,3}) access at"
    r" iova (?P<iova>[^\s\x22,\]}<]{1,40})"
)
_SMMU_BEGIN = regex(r"arm-smmu-v3 \S{1,64}:\s{1,16}unexpected PRI request received:")
MARKS = ("age request", "PRQ overflow", "unexpected PRI request", " access at iova ")
BEGINS = r"(?:DMAR: )?(?:IOMMU: )?\bdmar\d{1,4}: [AEIP]"
HINT = regex(r"\bdmar\d{1,4}: (?:Page request|Invalid page request)|unexpected PRI request")
_LOOK = "PRI of this device: was it still on, or on again, while no driver handled its page requests?"
_LOOK_LOST = "the device that floods: its page requests, and what its driver maps before it uses it"


def _descriptor(found: Found) -> tuple[str, ...]:
    """Bits 31:16 of the first word are the requester; 51:32 the PASID, if bit 8 is set (7.4.1.1)."""
    if not found.match["qw0"]:
        return ()
    qw0, qw1 = int(found["qw0"], 16), int(found["qw1"], 16)
    rid = qw0 >> 16 & 0xFFFF
    pasid = f", PASID {qw0 >> 32 & 0xFFFFF:#x}" if qw0 >> 8 & 1 else ", no PASID"
    wants = [name for bit, name in ((0, "read"), (1, "write")) if qw1 >> bit & 1]
    wants += [name for bit, name in ((52, "execute"), (53, "privileged")) if qw0 >> bit & 1]
    who = f"device {rid >> 8:02x}:{rid >> 3 & 31:02x}.{rid & 7}{pasid}"
    return (f"{who}, {', '.join(wants) or 'no access'}, {qw1 & ~0xFFF:#x}",)


def _vtd(found: Found) -> Note:
    lost = "overflow" in found["what"]
    facts = _descriptor(found) or (("page requests are missing",) if lost else ())
    title = f"VT-d unit {found['unit']}: {found['what'][0].lower()}{found['what'][1:]}"
    title = title.replace("pRQ", "PRQ")
    return Note("vtd", title, found.at, facts, _LOOK_LOST if lost else _LOOK, "VT-d specification 7.4.1")


def _smmu(lines: Lines, at: int, begin: Found) -> Note | None:
    found = next(lines.below(begin.at[-1], _SMMU, 3), None)
    if found is None:
        return None
    iova, access = number(found["iova"]), ", ".join(found["access"]) or "no"
    where = "the line does not say where" if iova is None else f"{iova:#x}"
    who = f"StreamID {int(found['sid'], 16):#x}, SubstreamID {int(found['ssid'], 16):#x}, {found['priv']}"
    last = ", its last" if found["last"] else ""
    facts = (f"{who}, {access} access, {where}", f"group {found['group']}{last}")
    title = f"SMMUv3 {found['unit']}: a page request that nothing handles"
    return Note("smmuv3", title, (*begin.at, *found.at), facts, _LOOK, "Arm SMMUv3 specification 8.1")


def recognise(lines: Lines, at: int) -> Note | None:
    """A page request, or that some were lost."""
    line = lines[at]
    if "dmar" in line and (found := lines.find(at, _VTD)):
        return _vtd(found)
    if "arm-smmu-v3" in line and (begin := lines.find(at, _SMMU_BEGIN)):
        return _smmu(lines, at, begin)
    return None
