"""Errors of VT-d's invalidation queue, and lost faults (drivers/iommu/intel/dmar.c).

VT-d specification 6.5.2 (descriptors), 11.4.7.1 (FSTS), 11.4.9.9 (IQERCD).
"""

from __future__ import annotations

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

KIND, SOURCE = "vtd", "VT-d specification 6.5.2, 11.4.7.1, 11.4.9.9"

#: Bit of FSTS -> name and meaning.
FSTS = {
    0: "PFO: the fault registers were full, and faults were lost",
    1: "PPF: faults are recorded",
    2: "AFO: the fault log was full, and faults were lost",
    3: "APF: faults are in the log",
    4: "IQE: the invalidation queue stopped at a descriptor that is wrong",
    5: "ICE: a device answered an invalidation in a way that it may not",
    6: "ITE: a device did not answer an invalidation of its TLB in time",
    7: "PRO: the page request queue was full",
}
PFO, PPF, AFO, IQE, ICE, ITE = 0, 1, 2, 4, 5, 6
_NAMES = {"Queue Error": IQE, "Time-out Error": ITE, "Completion Error": ICE}
DESCRIPTORS = {
    1: "context-cache invalidation",
    2: "IOTLB invalidation",
    3: "device-TLB invalidation",
    4: "interrupt entry cache invalidation",
    5: "invalidation wait",
    6: "PASID-based IOTLB invalidation",
    7: "PASID-cache invalidation",
    8: "PASID-based device-TLB invalidation",
    9: "page group response",
}
#: IQERCD.IQEI -> why the queue stopped (11.4.9.9).
IQEI = {
    0: "the unit does not say why",
    1: "the tail pointer is invalid",
    2: "a descriptor could not be read",
    3: "a descriptor of no valid type",
    4: "a reserved field is set in a descriptor of a valid type",
    5: "the queue's descriptor width (IQA.DW) is not one that the unit takes in this mode",
    6: "the tail is not a multiple of the descriptor width",
    7: "the table type of the root pointer (RTADDR.TTM) is invalid",
}
_STATUS = regex(r"DRHD: handling fault status reg (?P<fsts>[0-9a-f]{1,8})(?!\w)")
_DETECTED = regex(
    r"VT-d detected Invalidation (?P<what>Queue|Time-out|Completion) Error: (?:Reason|SID)"
    r" (?P<value>[0-9a-f]{1,16})(?!\w)"
)
_OLD = regex(
    r"VT-d detected invalid descriptor: low=(?P<qw0>[0-9a-f]{1,16}), high=(?P<qw1>[0-9a-f]{1,16})(?!\w)"
)
_QUEUE = regex(
    r"QI (?P<place>HEAD|PRIOR): (?P<name>[\w -]{1,48}?) qw0 = 0x(?P<qw0>[0-9a-f]{1,16}), qw1 ="
    r" 0x(?P<qw1>[0-9a-f]{1,16})(?!\w)"
)
_CLEARED = regex(r"Invalidation (?P<what>Queue|Time-out|Completion) Error \((?:IQE|ITE|ICE)\) cleared")
MARKS = ("DRHD:", "VT-d", "QI HEAD", "QI PRIOR")
BEGINS = r"DMAR: (?:DRHD|VT-d|QI |Invalidation)"
HINT = regex(r"VT-d detected (?:Invalidation|invalid descriptor)|QI (?:HEAD|PRIOR): ")
NEAR = 24
ALL_ONES = 0xFFFFFFFF
_GONE = "all ones: the registers of the unit could not be read"
_LOOK_GONE = "is the unit off, asleep, or at another address than the firmware says (DMAR table)?"


def descriptor(qw0: int) -> str:
    """What a descriptor of the queue asks for: its type is in bits 11:9 and 3:0."""
    kind = qw0 & 0xF | qw0 >> 5 & 0x70
    named = f"{DESCRIPTORS.get(kind, 'of no known type')} (type {kind})"
    if kind in (3, 8):
        sid = qw0 >> 32 & 0xFFFF if kind == 3 else qw0 >> 16 & 0xFFFF
        return f"{named}, SID {sid:#06x} = {_bdf(sid)}"
    return named


def _bdf(sid: int) -> str:
    return f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"


def _detected(found: Found) -> tuple[int, str]:
    bit, value = _NAMES[f"{found['what']} Error"], int(found["value"], 16)
    return bit, _detected_text(bit, value)


def _detected_text(bit: int, value: int) -> str:
    if bit == IQE:
        return f"IQEI {value:#x}: {IQEI.get(value, 'which has no meaning')}"
    if value > 0xFFFF:
        return f"IQERCD {value:#x}: the SID is in its upper words"
    if not value:
        return "SID 0: the unit does not say whose invalidation it was"
    return f"SID {value:#06x}: the device is {_bdf(value)}"


def recognise(lines: Lines, at: int) -> Note | None:
    """The status, what was detected, and the descriptors below; of recorded faults only it is none."""
    status = lines.find(at, _STATUS)
    if not status and not any(lines.find(at, each) for each in (_DETECTED, _OLD, _QUEUE)):
        return None
    fsts = int(status["fsts"], 16) if status else 0
    if fsts == ALL_ONES:
        used, _ = _gather(lines, at, status, set())
        return Note(KIND, f"VT-d: fault status FSTS is {_GONE}", used, (), _LOOK_GONE, SOURCE)
    bits = {bit for bit in FSTS if fsts >> bit & 1}
    if status and not bits - {PPF}:
        return None
    used, facts = _gather(lines, at, status, bits)
    if not status and facts[:3] == _ALL_ONES_FACTS:
        return Note(KIND, f"VT-d: IQERCD is {_GONE}", used, (), _LOOK_GONE, SOURCE)
    facts = (*(FSTS[bit] for bit in sorted(bits)), *facts)
    said = f"fault status FSTS {fsts & 0xFF:#x}" if status else "an error of the invalidation queue"
    return Note(KIND, f"VT-d: {said}", used, facts, _look(bits), SOURCE)


def _gather(
    lines: Lines, at: int, status: Found | None, bits: set[int]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Lines of the same interrupt below, up to the next one; ``bits`` gets what they say."""
    used, facts = list(status.at if status else ()), []
    for place in range(at + len(used), min(len(lines), at + NEAR)):
        if place in used:
            continue
        if _STATUS.search(lines[place]):
            break
        if found := lines.find(place, _DETECTED):
            bit, text = _detected(found)
            bits.add(bit)
            facts.append(text)
        elif found := lines.find(place, _OLD):
            bits.add(IQE)
            facts.append(f"the descriptor: {descriptor(int(found['qw0'], 16))}")
        elif found := lines.find(place, _QUEUE):
            which = "at the head" if found["place"] == "HEAD" else "before it"
            facts.append(f"{which}: {descriptor(int(found['qw0'], 16))}: {found['qw0']} {found['qw1']}")
        elif found := lines.find(place, _CLEARED):
            facts.append("Linux cleared the error")
        else:
            continue
        used += found.at
    return tuple(used), tuple(facts)


_ALL_ONES_FACTS = tuple(
    _detected_text(bit, value) for bit, value in ((IQE, 0xF), (ITE, 0xFFFF), (ICE, 0xFFFF))
)


def _look(bits: set[int]) -> str:
    if ITE in bits:
        return (
            "ATS of that device: its power state, a reset, a link that is down, a quirk that switches ATS off"
        )
    if ICE in bits:
        return "ATS of that device, which answers wrongly: its firmware, a quirk that switches ATS off"
    if IQE in bits:
        return "the descriptor at the head of the queue: reserved fields, or what this IOMMU has not (ECAP)"
    return "the faults around it: which device floods; those that were lost are in no log"
