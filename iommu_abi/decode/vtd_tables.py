"""What the tables say that Linux and Xen print below a VT-d fault: by their fields, and judged.

Entries: VT-d specification 9. They are put where the tables above them point, and the plain ledger walks
the request of the fault through them: it says whether they block it, and with which reason. What is not
printed is not guessed: a walk that needs it has no result. The unit is taken to have all that it may have
(CAP, ECAP).
"""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi.decode import fields
from iommu_abi.decode.report import Meaning, Report
from iommu_abi.decode.vtd_dumps import Dump
from iommu_abi.decode.vtd_reasons import KIND, MEANINGS
from iommu_abi.schemas import plain_walk, x86
from iommu_abi.schemas import vtd_entries as entries
from iommu_abi.schemas.entries import Layout
from iommu_abi.terms import Reason, Request

_ROOT_TABLE = (1 << 52) - (1 << 12)  # the dump does not say where it is; no table is likely to be here
_ALL_CAP = entries.CAP.value(MGAW=56, SAGAW=0b1110, SLLPS=3, FL1GP=1, FL5LP=1)
_ALL_ECAP = entries.ECAP.value(
    **{each.name: 1 for each in entries.ECAP.fields if each.width == 1 and not each.ignored},
) & ~entries.ECAP.value(ECS=1, RPS=1) | entries.ECAP.value(PSS=19)  # fmt: skip


class _NotPrinted(Exception):
    """The walk needs an entry that is not in the dump."""


def _first_stage(dump: Dump) -> bool:
    """Are the paging entries those of a first stage? Of nested tables Linux prints the second."""
    return bool(dump.pasid) and dump.pasid.get(0, 0) >> 6 & 7 == entries.FIRST


def _paging_layout(dump: Dump, level: int, raw: int) -> Layout:
    if _first_stage(dump):
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
    stage = "first" if _first_stage(dump) else "second"
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
        if _first_stage(dump):
            table, top = dump.pasid[2] & ~0xFFF, 4 + (dump.pasid[2] >> 2 & 1)
        else:
            table, top = dump.pasid[0] & ~0xFFF, (dump.pasid[0] >> 2 & 7) + 2
    for level in range(top, 0, -1):
        if level not in dump.ptes:
            break
        put(table + 8 * (request.iova >> 3 + 9 * level & 0x1FF), dump.ptes[level])
        table = dump.ptes[level] & 0xFFFFFFFFFF000
    return found


def verdict(dump: Dump, report: Report, request: Request) -> str | None:
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
