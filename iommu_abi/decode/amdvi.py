"""AMD-Vi event lines of Linux's driver (drivers/iommu/amd/iommu.c, 2.6.2x to 7.2).

Codes and flags: AMD I/O Virtualization Technology specification, 2.5 Event Logging.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from iommu_abi.decode.report import Meaning, Report, bdf, follow
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "amdvi", "AMD IOMMU specification 2.5"

CODES = {
    "ILLEGAL_DEV_TABLE_ENTRY": (1, "the device table entry asks for what is illegal", Stage.DEVICE),
    "IO_PAGE_FAULT": (2, "no translation, or no permission, for this address", None),
    "DEV_TAB_HARDWARE_ERROR": (3, "the device table entry could not be read", Stage.DEVICE),
    "PAGE_TAB_HARDWARE_ERROR": (4, "a page table entry could not be read", None),
    "ILLEGAL_COMMAND_ERROR": (5, "the command at this address is illegal", None),
    "COMMAND_HARDWARE_ERROR": (6, "the command at this address could not be read", None),
    "IOTLB_INV_TIMEOUT": (7, "the device did not answer an IOTLB invalidation", None),
    "INVALID_DEVICE_REQUEST": (
        8,
        "a kind of request, or an address range, that this device may not use",
        None,
    ),
    "INVALID_PPR_REQUEST": (9, "a page request that this device may not make", None),
    "EVENT_COUNTER_ZERO": (0xA, "an event counter reached zero", None),
    "RMP_PAGE_FAULT": (0xD, "the reverse map table does not allow this access", None),
    "RMP_HW_ERROR": (0xE, "the reverse map table could not be read", None),
}
#: Bits of flags from bit 0: those of event bits 59:48.
FLAGS = (
    "GN: the domain is a PASID",
    "NX: execute",
    "US: user",
    "I: interrupt request",
    "PR: the entry is present",
    "RW: write",
    "PE: permission",
    "RZ: reserved bits",
    "TR: translation request",
)
GN, NX, US, RW = 0, 1, 2, 5
#: Whose flags and device describe a DMA that can be walked again.
DMA = ("ILLEGAL_DEV_TABLE_ENTRY", "IO_PAGE_FAULT", "DEV_TAB_HARDWARE_ERROR", "PAGE_TAB_HARDWARE_ERROR")

_EVENT = re.compile(rf"(?P<name>{'|'.join(CODES)}) (?P<rest>[^\]]*)\]")
_OWNER = re.compile(
    r"(?P<device>(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]): AMD-Vi: Event logged"
)
_FIELD = re.compile(r"(\w+)=([0-9a-fA-FxX:.]+)")
HINT = re.compile(r"AMD(-Vi| IOMMU): Event logged \[(?!UNKNOWN)\S")
_HALF = re.compile(r"AMD(-Vi| IOMMU): Event logged \[\s*$")


def _access(flags: int) -> Access:
    if flags >> RW & 1:
        return Access.WRITE
    return Access.EXEC if flags >> NX & 1 else Access.READ


def _pasid(fields: dict[str, str], flags: int) -> int | None:
    """Only where the flags say that the number is one."""
    text = fields.get("pasid", fields.get("domain"))
    return int(text, 16) if text and flags >> GN & 1 else None


def recognise(lines: Sequence[str], at: int) -> Report | None:
    """An event at this line; old kernels print its beginning on a line of its own."""
    used: tuple[int, ...] = (at,)
    found = _EVENT.search(lines[at])
    if not found and _HALF.search(lines[at]):
        later = follow(lines, at, _EVENT, 2)
        if later and not HINT.search(lines[later[0][0]]):  # else another event, of one line
            used, found = (at, later[0][0]), later[0][1]
    if not found or ("Event logged" not in lines[at] and len(used) == 1):
        return None
    fields = dict(_FIELD.findall(found["rest"]))
    code, text, stage = CODES[found["name"]]
    owner = _OWNER.search(lines[at])
    device = fields.pop("device", owner["device"] if owner else "")
    flags = int(fields.get("flags", "0"), 16)
    address = fields.pop("address", None)
    extra = [(name, value) for name, value in fields.items() if name != "pasid"]
    if flags:
        extra.append(("flags say", ", ".join(f for i, f in enumerate(FLAGS) if flags >> i & 1)))
    walks = found["name"] in DMA and device
    return Report(
        KIND,
        code,
        Meaning(found["name"], text, stage),
        SOURCE,
        used,
        rid=bdf(device) if device else None,
        device=device,
        pasid=_pasid(fields, flags),
        address=int(address, 16) if address else None,
        access=_access(flags) if walks else None,
        priv=not flags >> US & 1 if walks and flags >> GN & 1 else None,
        extra=tuple(extra),
    )
