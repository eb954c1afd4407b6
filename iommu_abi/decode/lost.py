"""Lines that say how many messages are missing: rate limits of the kernel, of journald and rsyslog."""

from __future__ import annotations

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

_FAULTS = r"(?:dmar_fault|(?:amd_iommu|arm_smmu|nvidia_smmu|riscv_iommu|viommu|iommu)_\w{1,40})"
_LOST = regex(
    rf"(?P<who>{_FAULTS}): (?P<count>\d{{1,12}}) callbacks suppressed"
    r"|(?P<journal>(?:Missed|Suppressed)) (?P<missed>\d{1,12}) (?:kernel )?messages"
    r"|\*{2} (?P<dropped>\d{1,12}) printk messages dropped"
)
MARKS = ("callbacks", "Missed ", "Suppressed ", "messages dropped")
BEGINS = rf"{_FAULTS}: \d"
HINT = regex(r"(?!)")  # none of them looks like a fault


def recognise(lines: Lines, at: int) -> Note | None:
    """How many messages are missing here."""
    found = lines.find(at, _LOST)
    if not found:
        return None
    count = int(found["count"] or found["missed"] or found["dropped"])
    who = f"rate limit of {found['who']}" if found["who"] else "the log itself"
    look = "the first faults, before the limit; printk.devkmsg, ratelimits and the size of the log"
    return Note("lost", f"{count} messages are missing: {who}", found.at, look=look, lost=count)
