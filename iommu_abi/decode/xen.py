"""Xen's lines of VT-d and AMD-Vi (xen/drivers/passthrough/vtd/iommu.c, amd/iommu_init.c).

SMMU lines of Xen are Linux's with another prefix: ``smmuv2`` and ``smmuv3`` read them.
"""

from __future__ import annotations

from dataclasses import replace

from iommu_abi.decode import amdvi, vtd_dumps
from iommu_abi.decode import vtd_reasons as vtd
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import UNSAID, Report, device, meaning, number
from iommu_abi.terms import Access

_DMA = regex(
    r"\[VT-D\]DMAR: {0,2}\[DMA (?P<access>Read|Write)\] Request device \[(?P<device>[^\]\s]{4,24})\]"
    r" fault addr (?P<number>[^\s\x22,\]}<]{1,40})"
)
_INTERRUPT = regex(
    r"\[VT-D\]INTR-REMAP: Request device \[(?P<device>[^\]\s]{4,24})\] fault index"
    r" (?P<number>[^\s\x22,\]}<]{1,40})"
)
_REASON = regex(r"\[VT-D\](?:DMAR|INTR-REMAP|UNKNOWN): reason (?P<reason>[0-9a-f]{2}) - ")
_NAMES = "|".join(amdvi.CODES)
_AMD = regex(
    rf"AMD-Vi: (?P<name>{_NAMES}): (?P<device>[0-9a-fA-F:.]{{7,16}}) d(?:omain )?(?P<domain>-?\d{{1,5}})"
    r" addr (?P<address>[^\s\x22,\]}<]{1,40}) flags (?P<flags>0x[0-9a-f]{1,4}|0)(?!\w)"
)
_AMD_ROOT = regex(
    r"root @ (?P<root>[0-9a-f]{1,13}) \((?P<levels>\d) levels\) dfn=(?P<dfn>[0-9a-f]{1,13})(?!\w)"
)
_AMD_ENTRY = regex(r"L(?P<level>[1-6])\[[0-9a-f]{1,3}\] = (?P<entry>[0-9a-f]{1,16}) (?P<allows>np|[r-][w-])")
_AMD_OLD = regex(
    rf"AMD-Vi: (?P<name>{_NAMES}): domain = (?P<domain>-?\d{{1,5}}), device id ="
    rf" (?P<device>0x[0-9a-f]{{1,4}}),"
    r" fault address = (?P<address>[^\s,]{1,40})(?:, flags = (?P<flags>0x[0-9a-f]{1,4}|0))?"
)
MARKS = ("[VT-D]", *(f"AMD-Vi: {name}" for name in amdvi.CODES))
BEGINS = r"\[VT-D\](?:DMAR|INTR-REMAP|UNKNOWN):"
HINT = regex(rf"\[VT-D\](?:DMAR: {{0,2}}\[DMA|INTR-REMAP: Request|UNKNOWN: Request)|AMD-Vi: (?:{_NAMES}):")


def _vtd(lines: Lines, at: int) -> Report | None:
    dma = lines.find(at, _DMA)
    found = dma or lines.find(at, _INTERRUPT)
    if not found:
        return None
    reason = next(lines.below(found.at[-1], _REASON, 3), None)
    if reason is None or any(HINT.search(lines[place]) for place in range(found.at[-1] + 1, reason.at[0])):
        return None
    code, said, used = int(reason["reason"], 16), number(found["number"]), (*found.at, *reason.at)
    report = Report(
        vtd.KIND,
        code,
        meaning(vtd.MEANINGS, code),
        vtd.SOURCE,
        used,
        device(found["device"]),
        found["device"],
        look=vtd.look(code),
    )
    if not dma:
        return replace(report, extra=(("interrupt index", UNSAID if said is None else f"{said:#x}"),))
    access = Access.READ if found["access"] == "Read" else Access.WRITE
    hidden = () if said is not None else (("address", UNSAID),)
    report = replace(report, address=said, access=access, extra=hidden)
    return vtd_dumps.below(lines, report, used[-1], HINT)


def recognise(lines: Lines, at: int) -> Report | None:
    """A fault, of which VT-d's has its reason on the next line."""
    if not HINT.search(lines[at]):
        return None
    found = lines.find(at, _AMD) or lines.find(at, _AMD_OLD)
    if not found:
        return _vtd(lines, at)
    shown = found["device"]
    rid = int(shown, 16) if shown.startswith("0x") else device(shown)
    if shown.startswith("0x") and rid is not None:
        shown = f"{rid >> 8:02x}:{rid >> 3 & 31:02x}.{rid & 7}"
    fields = {"domain": found["domain"], "address": found["address"]}
    flags = int(found["flags"], 16) if found["flags"] else None
    used, below = _amd_tables(lines, found.at[-1], fields["address"])
    return amdvi.event(found["name"], rid, shown, fields, flags, (*found.at, *used), below)


def _amd_tables(lines: Lines, last: int, address: str) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
    """The page table entries that Xen prints below an event where iommu=debug is on."""
    begin = next(lines.below(last, _AMD_ROOT, 2), None)
    shown = number(address)
    if begin is None or (shown is not None and int(begin["dfn"], 16) != shown >> 12):
        return (), ()
    used, extra = (
        list(begin.at),
        [("page table", f"{begin['levels']} levels at {int(begin['root'], 16) << 12:#x}")],
    )
    for found in lines.below(begin.at[-1], _AMD_ENTRY, 6):
        if found.at[0] != used[-1] + 1:
            break
        allowed = "nothing there" if found["allows"] == "np" else f"allows {found['allows']}"
        extra.append((f"entry of level {found['level']}", f"{int(found['entry'], 16):#x}: {allowed}"))
        used += found.at
    return tuple(used), tuple(extra)
