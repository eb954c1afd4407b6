"""Faults of the SMMU of Qualcomm's GPU, which Linux's DRM driver prints (drivers/gpu/drm/msm/msm_iommu.c).

Its types are bits of SMMUv2's FSR: a6xx_gpu.c, a6xx_fault_handler(); older ones print flags alone.
"""

from __future__ import annotations

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Meaning, Report, number
from iommu_abi.decode.smmuv2 import FSR, SOURCE
from iommu_abi.terms import Access

KIND = "smmuv2"
_FAULT = regex(
    r"\*{3} (?:gpu )?fault: (?:ttbr0=(?P<ttbr0>[0-9a-f]{1,16}) )?iova=\s{0,16}(?P<iova>[^\s,]{1,40}),? "
    r"(?:dir=(?P<dir>READ|WRITE) type=(?P<type>[A-Z]{1,16}) source=(?P<source>\S{1,24})(?: \([\d,]{1,40}\))?"
    r"|flags=(?P<flags>\d{1,4})(?!\d))"
)
#: Type -> bit of FSR.
_TYPES = {"TRANSLATION": 1, "PERMISSION": 3, "EXTERNAL": 4}
MARKS = ("*** gpu fault:", "*** fault: iova")
BEGINS = r"\*{3} (?:gpu )?fault: "
HINT = regex(r"\*{3} (?:gpu fault: |fault: iova=)")
_LOOK = "what the GPU ran: devcoredump, and the driver's map and unmap of this address (Mesa, drm/msm)"


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault is one line."""
    found = lines.find(at, _FAULT)
    if not found:
        return None
    said = found.match.groupdict()
    bit = _TYPES.get(said["type"] or "")
    known = FSR[bit] if bit is not None else Meaning("", "a context fault; the line does not say why")
    address = number(f"0x{said['iova'].removeprefix('0x')}")
    write = said["dir"] == "WRITE" if said["dir"] else int(said["flags"]) & 1 == 1
    extra = [("address", UNSAID)] if address is None else []
    extra += [("source in the GPU", said["source"])] if said["source"] else []
    extra += [("TTBR0", f"{int(said['ttbr0'], 16):#x}")] if said["ttbr0"] else []
    return Report(
        KIND,
        1 << bit if bit is not None else 0,
        known,
        SOURCE,
        found.at,
        None,
        "the GPU",
        None,
        address,
        Access.WRITE if write else Access.READ,
        None,
        tuple(extra),
        _LOOK,
    )
