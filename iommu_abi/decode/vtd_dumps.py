"""The tables that Linux and Xen print below a VT-d fault, taken apart and judged.

Lines: Linux 5.16 to 7.2, drivers/iommu/intel/iommu.c, dmar_fault_dump_ptes() and pgtable_walk(); Xen,
drivers/passthrough/vtd/utils.c, print_vtd_entries(). Entries: VT-d specification 9.
The entries are put where the tables above them point, and the plain ledger walks the request of the fault
through them: it says whether they block it, and with which reason. What is not printed is not guessed: a
walk that needs it has no result. The unit is taken to have all that it may have (CAP, ECAP).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from iommu_abi.decode import fields
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Meaning, Note, Report
from iommu_abi.decode.vtd_reasons import KIND, MEANINGS
from iommu_abi.schemas import plain_walk, x86
from iommu_abi.schemas import vtd_entries as entries
from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Reason, Request

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
_ROOT_TABLE = (1 << 52) - (1 << 12)  # the dump does not say where it is; no table is likely to be here
_ALL_CAP = entries.CAP.value(MGAW=56, SAGAW=0b1110, SLLPS=3, FL1GP=1, FL5LP=1)
_ALL_ECAP = entries.ECAP.value(
    **{each.name: 1 for each in entries.ECAP.fields if each.width == 1 and not each.ignored},
) & ~entries.ECAP.value(ECS=1, RPS=1) | entries.ECAP.value(PSS=19)  # fmt: skip


_WORDS = ("absent", "scalable", "device")
_NOTHING = regex(r"(?!)")


class _NotPrinted(Exception):
    """The walk needs an entry that is not in the dump."""


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

    @property
    def first_stage(self) -> bool:
        """Are the paging entries those of a first stage? Of nested tables Linux prints the second."""
        return bool(self.pasid) and self.pasid.get(0, 0) >> 6 & 7 == entries.FIRST

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


def _paging_layout(dump: Dump, level: int, raw: int) -> Layout:
    if dump.first_stage:
        return x86.layout_of(entries.FIRST_STAGE, level - 1, raw)
    return entries.second_stage_layout(level - 1, raw)


def _words(*words: int) -> bytes:
    return b"".join(word.to_bytes(8, "little") for word in words)


def shown(dump: Dump) -> Iterator[tuple[str, str]]:
    """Each printed entry by its fields."""
    if dump.legacy_root is not None:
        yield "root entry", fields.said(entries.ROOT_ENTRY, _words(dump.legacy_root, 0))
    if dump.scalable_root is not None:
        for name, half in zip(("devices 00 to 0f", "devices 10 to 1f"), dump.scalable_root, strict=True):
            yield f"root entry, {name}", fields.said(entries.SCALABLE_ROOT_HALF, _words(half))
    if dump.context is not None:
        scalable = dump.scalable
        layout = entries.SCALABLE_CONTEXT_ENTRY if scalable else entries.CONTEXT_ENTRY
        yield "context entry", fields.said(layout, _words(*dump.context, *((0, 0) if scalable else ())))
    if dump.directory is not None:
        yield "PASID directory entry", fields.said(entries.PASID_DIRECTORY_ENTRY, _words(dump.directory))
    if dump.pasid_entry is not None:
        yield "PASID entry", fields.said(entries.SCALABLE_PASID_ENTRY, dump.pasid_entry)
    stage = "first" if dump.first_stage else "second"
    for level, raw in sorted(dump.ptes.items(), reverse=True):
        layout = _paging_layout(dump, level, raw)
        yield f"{stage}-stage entry, level {level}", fields.said(layout, _words(raw))
    for each in dump.absent:
        yield "printed", each


def _memory(dump: Dump, request: Request) -> dict[int, int]:
    """Address -> word: each entry where the one above it points."""
    found: dict[int, int] = {}

    def put(address: int, *words: int) -> None:
        found.update({address + 8 * i: word for i, word in enumerate(words)})

    root = dump.scalable_root or ((dump.legacy_root, 0) if dump.legacy_root is not None else None)
    if root is None:
        return found
    put(_ROOT_TABLE + 16 * (request.rid >> 8), *root)
    if dump.context is None:
        return found
    low, hi = dump.context
    if not dump.scalable:
        put((root[0] & ~0xFFF) + 16 * (request.rid & 0xFF), low, hi)
        table, top = low & ~0xFFF, (hi & 7) + 2
    else:
        half = root[request.rid >> 7 & 1] & ~0xFFF
        put(half + 32 * (request.rid & 0x7F), low, hi, 0, 0)
        pasid = request.pasid or 0
        if dump.directory is None or dump.pasid_entry is None:
            if dump.directory is not None:
                put((low & ~0xFFF) + 8 * (pasid >> 6), dump.directory)
            return found
        put((low & ~0xFFF) + 8 * (pasid >> 6), dump.directory)
        put((dump.directory & ~0xFFF) + 64 * (pasid & 0x3F), *(dump.pasid[i] for i in range(8)))
        if dump.first_stage:
            table, top = dump.pasid[2] & ~0xFFF, 4 + (dump.pasid[2] >> 2 & 1)
        else:
            table, top = dump.pasid[0] & ~0xFFF, (dump.pasid[0] >> 2 & 7) + 2
    for level in range(top, 0, -1):
        if level not in dump.ptes:
            break
        put(table + 8 * (request.iova >> 3 + 9 * level & 0x1FF), dump.ptes[level])
        table = dump.ptes[level] & 0xFFFFFFFFFF000
    return found


def _verdict(dump: Dump, report: Report, request: Request) -> str | None:
    """What the printed entries do with the request of the fault; None where they do not say it."""
    memory = _memory(dump, request)

    def read(address: int, length: int) -> bytes | None:
        words = [memory.get(address + at) for at in range(0, length, 8)]
        if None in words:
            raise _NotPrinted
        return _words(*(word or 0 for word in words))[:length]

    registers = {
        "RTADDR": _ROOT_TABLE | (entries.SCALABLE if dump.scalable else entries.LEGACY) << 10,
        "CAP": _cap(dump),
        "ECAP": _ALL_ECAP,
        "GSTS": entries.GSTS.value(TES=1),
    }
    try:
        fault = plain_walk.translate(KIND, registers, read, request).fault
    except _NotPrinted:
        return None
    if fault is None:
        return (
            "they let this request pass: they are not what the IOMMU saw. It was mapped after the fault,"
            " or a cache is stale, or the table was written without a flush"
        )
    name = MEANINGS.get(fault.native, Meaning(f"{fault.native:#x}", fault.reason.text)).name
    said = f"they block this request with {fault.native:#x} {name}"
    if fault.native == report.code or _same_reason(fault.reason, report.code):
        return f"{said}, as the line says"
    return f"{said}, which is NOT the reason of the line: they changed since, or a cache was stale"


def _same_reason(reason: Reason, code: int) -> bool:
    """An absent entry of a second stage is a missing right to some units (Table 30, LGN.2 and LGN.3)."""
    return reason is Reason.NOT_PRESENT and code in (0x5, 0x6)


def _cap(dump: Dump) -> int:
    """A unit that has the width of the context entry: Linux takes no other."""
    if dump.scalable or dump.context is None or dump.context[1] & 7 > 4:
        return _ALL_CAP
    width = dump.context[1] & 7
    cleared = _ALL_CAP & ~entries.CAP.value(SAGAW=0x1F)
    return cleared | entries.CAP.value(SAGAW=1 << width)


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
    request = report.request
    extra = (*report.extra, *shown(dump))
    verdict = _verdict(dump, report, request) if request is not None and dump.begun else None
    if verdict:
        extra += (("the tables", verdict),)
    return replace(report, lines=(*report.lines, *used), extra=extra)


def recognise(lines: Lines, at: int) -> Note | None:
    """Tables whose fault is not there."""
    if not _ANY.search(lines[at]):
        return None
    dump, used = gather(lines, at, _NOTHING)
    if not used:
        return None
    iova = f" for {dump.iova:#x}" if dump.iova is not None else ""
    facts = tuple(f"{name}: {text}" for name, text in shown(dump))
    look = "the fault above it, whose line says the device and the reason: the tables are judged with it"
    return Note(
        KIND, f"VT-d: tables{iova}, without the fault that they were printed for", used, facts, look, SOURCE
    )
