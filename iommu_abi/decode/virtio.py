"""virtio-iommu faults of Linux (drivers/iommu/virtio-iommu.c, viommu_fault_handler()).

Virtio specification 1.2, 5.13.6.9: fault reporting.
"""

from __future__ import annotations

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Meaning, Report, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "virtio", "virtio specification 5.13.6.9"

MEANINGS = {
    "unknown": (0, Meaning("unknown", "a fault that the device does not explain")),
    "domain": (1, Meaning("domain", "the endpoint is not attached to a domain", Stage.DEVICE)),
    "page": (2, Meaning("mapping", "page fault: no mapping of the domain allows this access", Stage.S1)),
}
_LINE = regex(
    r"(?P<reason>page|domain|unknown) fault from EP (?P<endpoint>\d{1,10}) at"
    r" (?P<address>[^\s\x22,\]}<]{1,40})"
    r" \[(?P<access>[RWX ]{0,8})\]"
)
_NO_ADDRESS = regex(r"(?P<reason>page|domain|unknown) fault from EP (?P<endpoint>\d{1,10})\s{0,4}$")
MARKS = ("virtio_iommu", "virtio-iommu", "fault from EP")
BEGINS = r"virtio.iommu \S{1,64}:"
HINT = regex(r"(?:page|domain|unknown) fault from EP ")
_LOOK = {
    "domain": "is the endpoint under this virtio-iommu (VIOT, iommu-map), and did a driver attach it?",
    "page": "what mapped and unmapped this address in the guest: trace iommu:map and iommu:unmap",
    "unknown": "the log of the hypervisor",
}


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault is one line; the address is left out where the device gives none."""
    found = lines.find(at, _LINE) or lines.find(at, _NO_ADDRESS)
    if not found:
        return None
    said = found.match.groupdict()
    code, known = MEANINGS[said["reason"]]
    endpoint, letters = int(said["endpoint"]), said.get("access") or ""
    address = number(said["address"]) if said.get("address") else None
    access = next(
        (Access[name] for c, name in (("W", "WRITE"), ("X", "EXEC"), ("R", "READ")) if c in letters), None
    )
    extra = (("address", UNSAID),) if address is None else ()
    name, look = f"endpoint {endpoint}", _LOOK[said["reason"]]
    return Report(
        KIND, code, known, SOURCE, found.at, endpoint, name, None, address, access, None, extra, look
    )
