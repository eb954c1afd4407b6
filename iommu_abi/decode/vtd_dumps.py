"""The tables that Linux and Xen print below a VT-d fault: which lines they are, and the numbers in them.

Lines: Linux 5.16 to 7.2, drivers/iommu/intel/iommu.c, dmar_fault_dump_ptes() and pgtable_walk(); Xen,
drivers/passthrough/vtd/utils.c, print_vtd_entries(). Entries: VT-d specification 9.
``vtd_tables`` says what they mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note, Report
from iommu_abi.decode.vtd_reasons import KIND

SOURCE = "VT-d specification 9"
_X = r"0x(?P<{}>[0-9a-f]{{1,16}})(?!\w)"
_BEGIN = r"Dump \S{1,24} table entries for IOVA 0x(?P<iova>[0-9a-f]{1,16})(?!\w)"
_TABLES = "(?:root|context|pasid|pasid directory|page|legacy mode page|scalable mode page)"
_LINE = regex(
    "DMAR: (?:"
    + "|".join(
        (
            _BEGIN,
            r"(?P<scalable>scalable mode )?root entry: " + _X.format("root"),
            "scalable mode root entry: hi " + _X.format("upper") + r",\s{1,4}low " + _X.format("lower"),
            "context entry: hi " + _X.format("hi") + r",\s{1,4}low " + _X.format("low"),
            r"pasid dir entry: " + _X.format("directory"),
            r"pasid table entry\[(?P<index>[0-7])\]: " + _X.format("pasid"),
            r"pte level: (?P<level>[1-6]), pte value: " + _X.format("pte"),
            rf"(?P<absent>PTE|{_TABLES} table(?: entry)?) (?:is )?not present(?: at level (?P<where>\d))?\b",
        )
    )
    + ")"
)
#: Xen's: the context entry high word first, PTEs with what they allow behind.
_XEN_BEGIN = (
    r"print_vtd_entries: iommu #?\S{1,18} dev (?P<device>\S{4,16}) gmfn (?P<gmfn>[0-9a-f]{1,13})(?!\w)"
)
_XEN_LINE = regex(
    "|".join(
        (
            _XEN_BEGIN,
            r"root_entry\[[0-9a-f]{1,2}\] = (?P<root>[0-9a-f]{1,16})(?!\w)",
            r"context\[[0-9a-f]{1,2}\] = (?P<hi>[0-9a-f]{1,16})_(?P<low>[0-9a-f]{1,16})(?!\w)",
            r"\bl(?P<level>[1-6])\[[0-9a-f]{1,3}\] = (?P<pte>[0-9a-f]{1,16})(?!\w)",
            r"(?P<absent>(?:root_entry|ctxt_entry|context|l[1-6])\[[0-9a-f]{1,3}\]) not present",
        )
    )
)
_ANY = regex(
    r"DMAR: (?:Dump \S{1,24} table|(?:scalable mode )?root entry: |context entry: hi|pasid dir entry: "
    r"|pasid table entry\[|pte level: )|print_vtd_entries: iommu"
)
MARKS = (" table entries for IOVA ", "DMAR: ", "print_vtd_entries:")
BEGINS = (
    r"DMAR: (?:Dump |(?:scalable|legacy) mode |root (?:entry|table)|context (?:entry|table)|pasid "
    r"|pte level|PTE not|page table not)|print_vtd_entries:|\(XEN\) {3,8}(?:root_entry|context|l[1-6])\["
)
HINT = _ANY
#: Lines of one dump, with others between.
NEAR = 40
_WORDS = ("absent", "scalable", "device")
_NOTHING = regex(r"(?!)")


@dataclass(slots=True)
class Dump:
    """What was printed. Levels are Linux's: 1 is the lowest."""

    iova: int | None = None
    device: str = ""
    legacy_root: int | None = None
    scalable_root: tuple[int, int] | None = None
    context: tuple[int, int] | None = None
    directory: int | None = None
    pasid: dict[int, int] = field(default_factory=dict)
    ptes: dict[int, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Is there an entry in it?"""
        return any(
            (self.legacy_root is not None, self.scalable_root, self.context, self.directory is not None)
        ) or bool(self.pasid or self.ptes or self.absent)

    @property
    def scalable(self) -> bool:
        """Is it of scalable mode?"""
        return self.legacy_root is None and (
            self.scalable_root is not None or self.directory is not None or bool(self.pasid)
        )

    @property
    def pasid_entry(self) -> bytes | None:
        """The bytes of the PASID entry, if all of it was printed."""
        words = [self.pasid.get(i) for i in range(8)]
        return None if None in words else b"".join((word or 0).to_bytes(8, "little") for word in words)

    def take(self, found: re.Match[str]) -> None:
        """Note what a line says."""
        said = {name: text for name, text in found.groupdict().items() if text is not None}
        numbers = {name: int(text, 16) for name, text in said.items() if name not in _WORDS}
        if "iova" in said:
            self.iova = numbers["iova"]
        elif "gmfn" in said:
            self.iova, self.device = numbers["gmfn"] << 12, said["device"]
        elif "root" in said:
            self.legacy_root = numbers["root"]
        elif "upper" in said:
            self.scalable_root = numbers["lower"], numbers["upper"]
        elif "hi" in said:
            self.context = numbers["low"], numbers["hi"]
        elif "directory" in said:
            self.directory = numbers["directory"]
        elif "index" in said:
            self.pasid[numbers["index"]] = numbers["pasid"]
        elif "level" in said:
            self.ptes[numbers["level"]] = numbers["pte"]
        else:
            at = f" at level {said['where']}" if "where" in said else ""
            self.absent.append(f"{said['absent']} not present{at}")


def gather(lines: Lines, at: int, stop: re.Pattern[str]) -> tuple[Dump, tuple[int, ...]]:
    """A dump whose first line is at ``at``, up to the next one or to what ``stop`` finds."""
    dump = Dump()
    used: list[int] = []
    xen = "print_vtd" in lines[at]
    pattern, word = (_XEN_LINE, " ") if xen else (_LINE, "DMAR: ")
    place = at
    while place < min(len(lines), at + NEAR):
        line = lines[place]
        found = lines.find(place, pattern) if word in line else None
        if found is None:
            if stop.search(line):
                break
            place += 1
            continue
        if (found.match["gmfn"] if xen else found.match["iova"]) and (used or dump.begun):
            break
        dump.take(found.match)
        used += found.at
        place = found.at[-1] + 1
    return dump, tuple(used)


def _is_about(dump: Dump, report: Report) -> bool:
    """Are the tables those of the fault, by the page of its address?"""
    return dump.iova is None or report.address is None or dump.iova >> 12 == report.address >> 12


def below(lines: Lines, report: Report, last: int, faults: re.Pattern[str]) -> Report:
    """The report of a fault with the tables that are printed below it; ``faults`` finds the next one."""
    for place in range(last + 1, min(len(lines), last + 4)):
        line = lines[place]
        if faults.search(line):
            return report
        if " table entries for IOVA " in line or "Dump dmar" in line or "print_vtd_entries:" in line:
            break
    else:
        return report
    dump, used = gather(lines, place, faults)
    if not used or not _is_about(dump, report):
        return report
    from iommu_abi.decode.vtd_tables import shown, verdict

    request = report.request
    extra = (*report.extra, *shown(dump))
    said = verdict(dump, report, request) if request is not None and dump.begun else None
    if said:
        extra += (("the tables", said),)
    return replace(report, lines=(*report.lines, *used), extra=extra)


def recognise(lines: Lines, at: int) -> Note | None:
    """Tables whose fault is not there."""
    if not _ANY.search(lines[at]):
        return None
    dump, used = gather(lines, at, _NOTHING)
    if not used:
        return None
    from iommu_abi.decode.vtd_tables import shown

    iova = f" for {dump.iova:#x}" if dump.iova is not None else ""
    facts = tuple(f"{name}: {text}" for name, text in shown(dump))
    look = "the fault above it, whose line says the device and the reason: the tables are judged with it"
    return Note(
        KIND, f"VT-d: tables{iova}, without the fault that they were printed for", used, facts, look, SOURCE
    )
