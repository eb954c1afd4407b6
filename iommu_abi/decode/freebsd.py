"""FreeBSD's VT-d faults (sys/x86/iommu/intel_fault.c): the codes are those of the VT-d specification."""

from __future__ import annotations

from iommu_abi.decode import vtd_reasons as vtd
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Note, Report, meaning, number
from iommu_abi.terms import Access

_FAULT = regex(
    r"pci\d{1,3}:\d{1,3}:\d{1,3} sid (?P<sid>[0-9a-f]{1,4}) fault acc (?P<access>[01])"
    r" adt 0x(?P<type>[0-9a-f]) reason (?P<reason>0x[0-9a-f]{1,4}) addr (?P<address>[^\s\x22,\]}<]{1,40})"
)
_OTHER = regex(
    r"(?:dmar|DMAR)(?P<unit>\d{1,3}): (?P<what>Invalidation timed out|Invalidation completion error"
    r"|Invalidation queue error|Fault Overflow|Advanced fault overflow)"
)
_UNIT = regex(r"(?:dmar|DMAR)\d{1,3}: ")
MARKS = ("dmar", "DMAR")
BEGINS = r"(?:dmar|DMAR)\d{1,3}: "
HINT = regex(r" fault acc [01] adt 0x")
_TYPES = {1: "translation request", 2: "translated request"}


def recognise(lines: Lines, at: int) -> Report | Note | None:
    """A fault of the log, or an error of the unit."""
    if not _UNIT.search(lines[at]):
        return None
    found = lines.find(at, _FAULT)
    if not found:
        return _other(lines, at)
    sid, code, type_ = int(found["sid"], 16), int(found["reason"], 16), int(found["type"], 16)
    address = number(found["address"])
    extra: tuple[tuple[str, str], ...] = (("address type", _TYPES[type_]),) if type_ in _TYPES else ()
    if address is None:
        extra += (("address", UNSAID),)
    about = meaning(vtd.MEANINGS, code)
    if found["access"] == "1" and about.text.startswith("a write"):
        extra += (("access", "bit T1 of the record alone, which an AtomicOp has too: it reads and writes"),)
    return Report(
        vtd.KIND,
        code,
        about,
        vtd.SOURCE,
        found.at,
        sid,
        f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}",
        None,
        address,
        Access.READ if found["access"] == "1" else Access.WRITE,  # bit T of the record: 1 is a read
        extra=extra,
        look=vtd.look(code),
    )


def _other(lines: Lines, at: int) -> Note | None:
    found = lines.find(at, _OTHER)
    if not found:
        return None
    lost = "verflow" in found["what"]
    look = (
        "the faults before it: which device floods" if lost else "ATS of the devices; the invalidation queue"
    )
    more = ("faults are missing",) if lost else ()
    return Note(
        vtd.KIND,
        f"VT-d unit {found['unit']}: {found['what']}",
        found.at,
        more,
        look,
        vtd.SOURCE,
    )
