"""riscv-iommu fault lines (drivers/iommu/riscv/iommu.c, Linux 6.13 to 7.2).

The kernel prints the cause in decimal and iotval, iotval2 in hex without 0x; it does not print the
process_id. Causes: RISC-V IOMMU specification 4.2 (fault queue).
"""

from __future__ import annotations

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Meaning, Report, meaning, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "riscv", "RISC-V IOMMU specification 4.2"

MEANINGS = {
    1: Meaning("instruction access fault", "an entry, or the fetched page, could not be read"),
    4: Meaning("read address misaligned", "a misaligned read"),
    5: Meaning("read access fault", "an entry, or the page read, could not be accessed"),
    6: Meaning("write/AMO address misaligned", "a misaligned write"),
    7: Meaning("write/AMO access fault", "an entry, or the page written, could not be accessed"),
    12: Meaning("instruction page fault", "no valid first-stage entry that allows the fetch", Stage.S1),
    13: Meaning("read page fault", "no valid first-stage entry that allows the read", Stage.S1),
    15: Meaning("write/AMO page fault", "no valid first-stage entry that allows the write", Stage.S1),
    20: Meaning(
        "instruction guest page fault", "no valid second-stage entry that allows the fetch", Stage.S2
    ),
    21: Meaning("read guest page fault", "no valid second-stage entry that allows the read", Stage.S2),
    23: Meaning("write/AMO guest page fault", "no valid second-stage entry that allows the write", Stage.S2),
    256: Meaning("all inbound transactions disallowed", "the IOMMU is off", Stage.DEVICE),
    257: Meaning("DDT entry load access fault", "a device directory entry could not be read", Stage.DEVICE),
    258: Meaning("DDT entry not valid", "a device directory entry has V=0", Stage.DEVICE),
    259: Meaning(
        "DDT entry misconfigured", "a device directory entry asks for what is illegal", Stage.DEVICE
    ),
    260: Meaning(
        "transaction type disallowed", "this device may not make this kind of request", Stage.DEVICE
    ),
    261: Meaning("MSI PTE load access fault", "an MSI page table entry could not be read"),
    262: Meaning("MSI PTE not valid", "an MSI page table entry has V=0"),
    263: Meaning("MSI PTE misconfigured", "an MSI page table entry asks for what is illegal"),
    264: Meaning("MRIF access fault", "a memory-resident interrupt file could not be accessed"),
    265: Meaning("PDT entry load access fault", "a process directory entry could not be read", Stage.PASID),
    266: Meaning("PDT entry not valid", "a process directory entry has V=0", Stage.PASID),
    267: Meaning(
        "PDT entry misconfigured", "a process directory entry asks for what is illegal", Stage.PASID
    ),
    268: Meaning("DDT data corruption", "a device directory entry is corrupted", Stage.DEVICE),
    269: Meaning("PDT data corruption", "a process directory entry is corrupted", Stage.PASID),
    270: Meaning("MSI PT data corruption", "an MSI page table entry is corrupted"),
    271: Meaning("MSI MRIF data corruption", "a memory-resident interrupt file is corrupted"),
    272: Meaning("internal data path error", "an error inside the IOMMU"),
    273: Meaning("IOMMU MSI write access fault", "the IOMMU's own interrupt could not be written"),
    274: Meaning("PT data corruption", "a page table entry is corrupted"),
}
ACCESS = {
    **dict.fromkeys((1, 12, 20), Access.EXEC),
    **dict.fromkeys((4, 5, 13, 21), Access.READ),
    **dict.fromkeys((6, 7, 15, 23), Access.WRITE),
}
GUEST = (20, 21, 23)

_LINE = regex(
    r"Fault (?P<cause>\d{1,5}) devid: (?P<device>\S{1,24}) iotval: (?P<iotval>[^\s\x22,\]}<]{1,40}) iotval2:"
    r" (?P<iotval2>[^\s\x22,\]}<]{1,40})"
)
DRIVER = "riscv-iommu"
MARKS = ("riscv-iommu", "riscv,iommu", "riscv_iommu")
BEGINS = r"riscv.iommu \S{1,64}:"
HINT = regex(r"riscv.iommu.{0,80}Fault \d{1,5} devid")
_LOOK = {
    Stage.DEVICE: "the device directory entry of this device_id: is the device attached, and its entry"
    " valid?",
    Stage.PASID: "the process directory of this device: was the process attached?",
}
_LOOK_PAGES = (
    "what mapped and unmapped this address: trace iommu:map and iommu:unmap, then the driver of the device"
)


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault is one line."""
    found = lines.find(at, _LINE)
    if not found:
        return None
    cause, rid = int(found["cause"]), number(found["device"])
    iotval, iotval2 = number(found["iotval"]), number(found["iotval2"])
    known = meaning(MEANINGS, cause)
    has_address = cause < 256 or cause in range(260, 268)
    extra: tuple[tuple[str, str], ...] = ()
    if has_address and iotval is None:
        extra = (("address", UNSAID),)
    if cause in GUEST and iotval2 is not None:  # bits 1:0 say whether the access was implicit, and a write
        extra += (("GPA", f"{iotval2 & ~3:#x}"),)
        if iotval2 & 1:
            extra += (("implicit access", "write" if iotval2 & 2 else "read"),)
    return Report(
        KIND,
        cause,
        known,
        SOURCE,
        found.at,
        rid,
        f"device_id {found['device'] if rid is None else hex(rid)}",
        address=iotval if has_address else None,
        access=ACCESS.get(cause),
        extra=extra,
        look=_LOOK.get(known.stage, _LOOK_PAGES) if known.stage is not None else _LOOK_PAGES,
    )
