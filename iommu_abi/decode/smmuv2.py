"""arm-smmu (SMMUv1, v2) faults of Linux (drivers/iommu/arm/arm-smmu/arm-smmu.c) and Xen.

Registers: Arm SMMUv2 specification (IHI 0062) 16.4 (FSR, FSYNR0), 9.6 (sGFSR, sGFSYNR).
"""

from __future__ import annotations

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
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
#: Upstream's order of its fields is not that of Android's kernels; it is whole with all three.
_CONTEXT = regex(
    _UNIT + r"Unhandled context fault:"
    r"(?=.{0,240}?\biova=[^\s,])(?=.{0,240}?\bfsynr0?=[^\s,])(?=.{0,240}?\bcb=\d)"
    r"(?P<rest>(?:[ ,]{0,4}\w{1,12}=[^\s,<\x22]{1,40}){3,9})"
)
_PAIR = regex(r"(\w{1,12})=([^\s,<\x22]{1,40})")
#: Qualcomm's kernels of Android: a line for each register.
_BLOCK = regex(_UNIT + r"Unhandled arm-smmu context fault(?:!| from (?P<client>[^\s!]{1,64})!?)")
_REGISTER = regex(
    r"(?:(?:arm-smmu|nsmmu) (?P<unit>\S{1,64}):\s{1,16}|^\s{0,16})"
    r"(?P<name>FAR|FSR|FSYNR0|context bank#|SID|soft iova-to-phys|TTBR0)\s{0,8}=?\s{0,4}"
    r"(?P<value>(?:0x)?[0-9a-fA-F]{1,16})(?!\w)"
)
_FSR_LINE = regex(
    _UNIT + r"FSR {1,8}= (?P<fsr>[0-9a-f]{8}) \[[^\]]{0,80}\](?:, SID=(?P<sid>0x[0-9a-f]{1,8}))?"
)
_FSYNR_LINE = regex(_UNIT + r"FSYNR0 = (?P<fsynr>[0-9a-f]{8}) \[[^\]]{0,80}\]")
_GLOBAL = regex(_UNIT + r"(?:Unexpected global fault|Blocked unknown Stream ID (?P<sid>0x[0-9a-f]{1,8}))")
_SYNC = regex(
    r"(?:(?P<unit>\S{1,64}):\s{1,16})?TLB sync timed out -- SMMU may be deadlocked|"
    + _UNIT.replace("<unit>", "<unit2>")
    + r"timeout waiting for TLB SYNC"
)
_REGISTERS = regex(
    _UNIT + r"GFSR 0x(?P<gfsr>[0-9a-f]{1,8}), GFSYNR0 0x(?P<synr0>[0-9a-f]{1,8}),"
    r" GFSYNR1 0x(?P<synr1>[0-9a-f]{1,8}), GFSYNR2 0x[0-9a-f]{1,8}"
)
MARKS = ("arm-smmu", "smmu:", "nsmmu", "TLB sync timed out")
BEGINS = r"(?:arm-smmu|smmu:|nsmmu|arm-smmu-nvidia) \S{1,64}:\s"
HINT = regex(
    r"(?:smmu|SMMU).{0,80}(?:Unhandled (?:arm-smmu )?context fault|Unexpected global fault"
    r"|Blocked unknown Stream|GFSR 0x)"
)
NEAR = 6
MOST_REGISTERS = 24
#: Does the software walk of the kernel reach a page?
_WALKED = {
    False: "nothing is mapped there",
    True: "it is mapped now: a permission, a stale TLB, or a mapping that came too late",
}
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
    said: dict[str, str] = dict(_PAIR.findall(found["rest"]))
    unit, used = found["unit"], list(found.at)
    for pattern in (_FSR_LINE, _FSYNR_LINE):
        more = next((each for each in lines.below(used[-1], pattern, NEAR) if each["unit"] == unit), None)
        if more and not any(_CONTEXT.search(lines[at]) for at in range(used[-1] + 1, more.at[0])):
            used += more.at
    said["fsynr0"] = said.get("fsynr0", said.get("fsynr", "??"))
    registers, below = _registers(lines, used[-1], unit)
    said.setdefault("cbfrsynra", (registers.get("SID") or said.get("sid", "")).split("(")[0])
    return _reported(unit, said, registers, (*used, *below), "")


def _block(lines: Lines, found: Found) -> Report | None:
    """A fault of which each register has a line."""
    registers, below = _registers(lines, found.at[-1], found["unit"])
    if "FAR" not in registers:
        return None
    said = {
        "iova": registers["FAR"],
        "fsr": registers.get("FSR", ""),
        "fsynr0": registers.get("FSYNR0", "??"),
        "cbfrsynra": registers.get("SID", ""),
        "cb": str(int(registers["context bank#"], 16)) if "context bank#" in registers else "",
    }
    return _reported(found["unit"], said, registers, (*found.at, *below), found["client"] or "")


def _registers(lines: Lines, last: int, unit: str) -> tuple[dict[str, str], tuple[int, ...]]:
    """The registers in lines of the same unit, or of none, below a fault, up to the next fault."""
    registers: dict[str, str] = {}
    used: list[int] = []
    for place in range(last + 1, min(len(lines), last + 1 + MOST_REGISTERS)):
        line = lines[place]
        if "ontext fault" in line:
            break
        found = lines.find(place, _REGISTER) if place not in used else None
        if found and found["unit"] in (unit, None) and found["name"] not in registers:
            registers[found["name"]] = found["value"]
            used += found.at
    return registers, tuple(used)


def _reported(
    unit: str, said: dict[str, str], registers: dict[str, str], used: tuple[int, ...], client: str
) -> Report:
    fsr = number(said["fsr"]) if said.get("fsr") else None
    fsynr, iova = number(said["fsynr0"]), number(said["iova"])
    sid = number(said["cbfrsynra"]) if said["cbfrsynra"] else None
    code, known = (
        (0, Meaning("", "a context fault; this kernel does not print why"))
        if fsr is None
        else _first(fsr, FSR, 1)
    )
    extra = [("client", client)] if client else []
    extra += [("context bank", said["cb"])] if said.get("cb") else []
    extra.append(("unit", unit))
    if iova is None:
        extra.insert(0, ("address", UNSAID))
    if fsr is not None and fsr >> 31:
        extra.append(("several", "MULTI: more faults came before this one was read, and are lost"))
    if fsr is not None and fsr >> 30 & 1:
        extra.append(("stalled", "SS: the transaction waits for software"))
    if fsynr is not None:
        extra.append(("level of the table", str(fsynr & 3)))
    if walked := registers.get("soft iova-to-phys"):
        extra.append(("the kernel's own walk", _WALKED[int(walked, 16) != 0]))
    access = None if fsynr is None else Access.WRITE if fsynr >> WNR & 1 else _read(fsynr >> IND & 1)
    return Report(
        KIND,
        code,
        known,
        SOURCE,
        used,
        None if sid is None else sid & 0xFFFF,
        f"context bank {said['cb']}" if sid is None and said.get("cb") else _stream_name(sid),
        None,
        iova,
        access,
        None if fsynr is None else bool(fsynr >> PNU & 1),
        tuple(extra),
        _LOOK_PAGES,
    )


def _stream_name(sid: int | None) -> str:
    return "" if sid is None else f"StreamID {sid & 0xFFFF:#x}"


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
    found = lines.find(at, _BLOCK)
    if found:
        return _block(lines, found)
    found = lines.find(at, _GLOBAL)
    return _global(lines, found) if found else None
