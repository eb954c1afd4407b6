"""arm-smmu (SMMUv1, v2) faults of Linux (drivers/iommu/arm/arm-smmu/arm-smmu.c) and Xen.

Registers: Arm SMMUv2 specification (IHI 0062) 16.4 (FSR, FSYNR0), 9.6 (sGFSR, sGFSYNR).
"""

from __future__ import annotations

import re

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.report import UNSAID, Meaning, Note, Report, number
from iommu_abi.terms import Access, Stage

KIND, SOURCE = "smmuv2", "Arm SMMUv2 specification (IHI 0062) 9.6, 16.4"

FSR = {
    1: Meaning("TF", "no translation for this address"),
    2: Meaning("AFF", "the access flag is clear"),
    3: Meaning("PF", "the permissions do not cover this access"),
    4: Meaning("EF", "an external abort: a table could not be read"),
    5: Meaning("TLBMCF", "a conflict in the TLB"),
    6: Meaning("TLBLKF", "the TLB is locked"),
    7: Meaning("ASF", "an address beyond the output size"),
    8: Meaning("UUT", "an upstream transaction of an unsupported kind"),
}
GFSR = {
    0: Meaning("ICF", "the configuration is invalid", Stage.DEVICE),
    1: Meaning("USF", "no stream mapping has this StreamID", Stage.DEVICE),
    2: Meaning("SMCF", "several stream mappings have this StreamID", Stage.DEVICE),
    3: Meaning("UCBF", "the context bank is not implemented", Stage.DEVICE),
    4: Meaning("UCIF", "the context bank's interrupt is not implemented", Stage.DEVICE),
    5: Meaning("CAF", "an access to a register that does not exist or is not allowed"),
    6: Meaning("EF", "an external abort"),
    7: Meaning("PF", "the permissions do not cover this access"),
    8: Meaning("UUT", "an upstream transaction of an unsupported kind"),
}
_UNIT = r"(?:arm-smmu|smmu:|nsmmu|arm-smmu-nvidia) (?P<unit>\S{1,64}):\s{1,16}"
_CONTEXT = re.compile(
    _UNIT + r"Unhandled context fault:"
    r" {0,2}(?:fsr=(?P<fsr>[^\s,]{1,24})\s?,\s{0,2})?iova=(?P<iova>[^\s,]{1,40}),\s{0,2}"
    r"fsynr=(?P<fsynr>[^\s,]{1,24})(?:,\s{0,2}cbfrsynra=(?P<sid>[^\s,]{1,24}))?,\s{0,2}cb=(?P<cb>\d{1,4})"
)
_FSR_LINE = re.compile(
    _UNIT + r"FSR {1,8}= (?P<fsr>[0-9a-f]{8}) \[[^\]]{0,80}\](?:, SID=(?P<sid>0x[0-9a-f]{1,8}))?"
)
_FSYNR_LINE = re.compile(_UNIT + r"FSYNR0 = (?P<fsynr>[0-9a-f]{8}) \[[^\]]{0,80}\]")
_GLOBAL = re.compile(
    _UNIT + r"(?:Unexpected global fault|Blocked unknown Stream ID (?P<sid>0x[0-9a-f]{1,8}))"
)
_SYNC = re.compile(
    r"(?:(?P<unit>\S{1,64}):\s{1,16})?TLB sync timed out -- SMMU may be deadlocked|"
    + _UNIT.replace("<unit>", "<unit2>")
    + r"timeout waiting for TLB SYNC"
)
_REGISTERS = re.compile(
    _UNIT + r"GFSR 0x(?P<gfsr>[0-9a-f]{1,8}), GFSYNR0 0x(?P<synr0>[0-9a-f]{1,8}),"
    r" GFSYNR1 0x(?P<synr1>[0-9a-f]{1,8}), GFSYNR2 0x[0-9a-f]{1,8}"
)
MARKS = ("arm-smmu", "smmu:", "nsmmu", "TLB sync timed out")
BEGINS = r"(?:arm-smmu|smmu:|nsmmu|arm-smmu-nvidia) \S{1,64}:\s"
HINT = re.compile(
    r"(?:smmu|SMMU).{0,80}(?:Unhandled context fault|Unexpected global fault|Blocked unknown Stream|GFSR 0x)"
)
NEAR = 6
WNR, PNU, IND = 4, 5, 6  # of FSYNR0; sGFSYNR0 has them three bits lower
_LOOK_PAGES = (
    "what mapped and unmapped this address: trace iommu:map and iommu:unmap, then the driver of the device"
)
_LOOK_STREAM = (
    "who has this StreamID: iommus and iommu-map of the DT, IORT; the stream mappings that firmware left"
)


def _first(value: int, known: dict[int, Meaning], low: int) -> tuple[int, Meaning]:
    """The lowest bit that is set, as code (its mask), with its meaning."""
    bit = next((bit for bit in range(low, 9) if value >> bit & 1), None)
    if bit is None:
        return value, Meaning("", "no bit of the status says what it was")
    return 1 << bit, known[bit]


def _context(lines: Lines, found: Found) -> Report:
    unit, used = found["unit"], list(found.at)
    for pattern in (_FSR_LINE, _FSYNR_LINE):
        more = next((each for each in lines.below(used[-1], pattern, NEAR) if each["unit"] == unit), None)
        if more and not any(_CONTEXT.search(lines[at]) for at in range(used[-1] + 1, more.at[0])):
            used += more.at
    fsr, fsynr = number(found["fsr"]) if found["fsr"] else None, number(found["fsynr"])
    sid, iova = number(found["sid"]) if found["sid"] else None, number(found["iova"])
    code, known = (
        (0, Meaning("", "a context fault; this kernel does not print why"))
        if fsr is None
        else _first(fsr, FSR, 1)
    )
    extra = [("context bank", found["cb"]), ("unit", unit)]
    if iova is None:
        extra.insert(0, ("address", UNSAID))
    if fsr is not None and fsr >> 31:
        extra.append(("several", "MULTI: more faults came before this one was read, and are lost"))
    if fsr is not None and fsr >> 30 & 1:
        extra.append(("stalled", "SS: the transaction waits for software"))
    if fsynr is not None:
        extra.append(("level of the table", str(fsynr & 3)))
    access = None if fsynr is None else Access.WRITE if fsynr >> WNR & 1 else _read(fsynr >> IND & 1)
    return Report(
        KIND,
        code,
        known,
        SOURCE,
        tuple(used),
        None if sid is None else sid & 0xFFFF,
        f"context bank {found['cb']}" if sid is None else f"StreamID {sid & 0xFFFF:#x}",
        None,
        iova,
        access,
        None if fsynr is None else bool(fsynr >> PNU & 1),
        tuple(extra),
        _LOOK_PAGES,
    )


def _read(instruction: int) -> Access:
    return Access.EXEC if instruction else Access.READ


def _global(lines: Lines, found: Found) -> Report | None:
    more = next(
        (each for each in lines.below(found.at[-1], _REGISTERS, 3) if each["unit"] == found["unit"]), None
    )
    if more is None and found["sid"] is None:
        return None
    if more is None:
        known, sid = GFSR[1], int(found["sid"], 16)
        return _stream(found.at, 2, known, sid, None, None, found["unit"])
    code, known = _first(int(more["gfsr"], 16), GFSR, 0)
    synr0 = int(more["synr0"], 16)
    access = Access.WRITE if synr0 >> WNR - 3 & 1 else _read(synr0 >> IND - 3 & 1)
    sid = int(more["synr1"], 16) & 0xFFFF
    return _stream((*found.at, *more.at), code, known, sid, access, bool(synr0 >> PNU - 3 & 1), found["unit"])


def _stream(
    at: tuple[int, ...],
    code: int,
    known: Meaning,
    sid: int,
    access: Access | None,
    priv: bool | None,
    unit: str,
) -> Report:
    name, extra = f"StreamID {sid:#x}", (("unit", unit), ("global", "a fault of no context bank: sGFSR"))
    return Report(KIND, code, known, SOURCE, at, sid, name, None, None, access, priv, extra, _LOOK_STREAM)


def _sync(found: Found) -> Note:
    unit = found["unit"] or found["unit2"]
    return Note(
        KIND,
        "SMMUv2: an invalidation of the TLB did not end in time",
        found.at,
        (f"unit {unit}",) if unit else (),
        "the SMMU's clocks and power domain; a transaction that stalls: the faults before it",
        SOURCE,
    )


def recognise(lines: Lines, at: int) -> Report | Note | None:
    """A fault of a context bank, a global one, or an SMMU that does not answer."""
    if synced := lines.find(at, _SYNC):
        return _sync(synced)
    found = lines.find(at, _CONTEXT)
    if found:
        return _context(lines, found)
    found = lines.find(at, _GLOBAL)
    return _global(lines, found) if found else None
