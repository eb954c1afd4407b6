"""FreeBSD's AMD-Vi events (sys/x86/iommu/amd_event.c): the record in words, then what it is about.

The record: AMD IOMMU specification 2.5. FreeBSD takes the type (bits 63:60) out of the second word.
"""

from __future__ import annotations

from iommu_abi.decode import amdvi
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note, Report

_EVENT = regex(
    r"amdiommu(?P<unit>\d{1,3}): event type 0x(?P<type>[0-9a-f]{1,2})"
    r" 0x(?P<w0>[0-9a-f]{8}) 0x(?P<w1>[0-9a-f]{8}) 0x(?P<w2>[0-9a-f]{8}) 0x(?P<w3>[0-9a-f]{8})(?!\w)"
)
_OVERFLOW = regex(r"amdiommu(?P<unit>\d{1,3}): (?:event log overflow|hw event \(overflown\))")
_ENTRY = regex(r"Illegal Dev Tab Entry dte@\S{1,24}:(?P<words>(?: 0x[0-9a-f]{8}){8})(?!\w)")
_DETAIL = regex(r"^\s{1,16}(?:Page Fault rid |gn [01] nx |gaddr 0x)|Illegal Dev Tab Entry dte@")
MARKS = ("amdiommu",)
BEGINS = r"amdiommu\d{1,3}: |\tIllegal Dev Tab|\tPage Fault rid|\tgn [01] nx|\tgaddr "
HINT = regex(r"amdiommu\d{1,3}: event type 0x")
_NAMES = {code: name for name, (code, _, _) in amdvi.CODES.items()}
NEAR = 5


def recognise(lines: Lines, at: int) -> Report | Note | None:
    """An event with the lines below it, or a log that overflowed."""
    if lost := lines.find(at, _OVERFLOW):
        title = f"AMD-Vi unit {lost['unit']}: the event log overflowed, and events are missing"
        look = "the events before it: which device floods the log"
        return Note(amdvi.KIND, title, lost.at, (), look, amdvi.SOURCE)
    found = lines.find(at, _EVENT)
    if not found:
        return None
    name = _NAMES.get(int(found["type"], 16))
    if name is None:
        title, words = "AMD-Vi: an event of a type that is not known here", found[0].split(": ", 1)[1]
        return Note(amdvi.KIND, title, found.at, (words,), "a newer specification's 2.5", amdvi.SOURCE)
    w0, w1, w2, w3 = (int(found[word], 16) for word in ("w0", "w1", "w2", "w3"))
    rid, flags = w0 & 0xFFFF, w1 >> 16 & 0xFFF
    fields = {"domain": f"{w1 & 0xFFFF:#x}", "address": f"{w3 << 32 | w2:#x}", "flags": f"{flags:#06x}"}
    if name.endswith(("COMMAND_ERROR", "COMMAND_HARDWARE_ERROR")):
        rid, fields = -1, {key: value for key, value in fields.items() if key != "domain"}
    used, entry = _below(lines, found.at[-1])
    who = f"{rid >> 8:02x}:{rid >> 3 & 31:02x}.{rid & 7}" if rid >= 0 else ""
    return amdvi.event(name, rid if rid >= 0 else None, who, fields, flags, (*found.at, *used), entry)


def _below(lines: Lines, last: int) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
    """The lines that say the same in other words, and the device table entry."""
    used: list[int] = []
    extra: list[tuple[str, str]] = []
    for place in range(last + 1, min(len(lines), last + 1 + NEAR)):
        if HINT.search(lines[place]):
            break
        if not _DETAIL.search(lines[place]):
            continue
        used.append(place)
        if found := lines.find(place, _ENTRY):
            from iommu_abi.decode import amdvi_dumps

            words = [int(word, 16) for word in found["words"].split()]
            extra += amdvi_dumps.entry(tuple(words[i] | words[i + 1] << 32 for i in range(0, 8, 2)))
    return tuple(used), tuple(extra)
