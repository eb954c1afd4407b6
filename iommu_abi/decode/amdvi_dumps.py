"""The entry, register and command that Linux prints below an AMD-Vi event, taken apart and judged.

AMD IOMMU specification 2.2.2 (device table entry), 2.4 (commands), 3.4 (CONTROL).
"""

from __future__ import annotations

from iommu_abi.decode import fields
from iommu_abi.schemas import amdvi_entries
from iommu_abi.schemas.entries import Fields

_GTEN = 16
COMMANDS = {
    1: "COMPLETION_WAIT",
    2: "INVALIDATE_DEVTAB_ENTRY",
    3: "INVALIDATE_IOMMU_PAGES",
    4: "INVALIDATE_IOTLB_PAGES",
    5: "INVALIDATE_INTERRUPT_TABLE",
    6: "PREFETCH_IOMMU_PAGES",
    7: "COMPLETE_PPR_REQUEST",
    8: "INVALIDATE_IOMMU_ALL",
}
#: Bit of CONTROL -> its name; fields of several bits are not told.
CONTROL = {
    **dict(enumerate(("IommuEn", "HtTunEn", "EventLogEn", "EventIntEn", "ComWaitIntEn"))),
    **dict(
        enumerate(("PassPW", "ResPassPW", "Coherent", "Isoc", "CmdBufEn", "PPRLogEn", "PPRIntEn", "PPREn"), 8)
    ),
    **dict(enumerate(("GTEn", "GAEn"), 16)),
    28: "GALogEn",
    29: "GAIntEn",
    45: "EPHEn",
    50: "XTEn",
    51: "IntCapXTEn",
    58: "GCR3TRPMode",
    59: "IRTCacheDis",
}


def _bytes(words: tuple[int, ...]) -> bytes:
    return b"".join(word.to_bytes(8, "little") for word in words)


def entry(words: tuple[int, ...]) -> list[tuple[str, str]]:
    """A device table entry, and what is wrong with it."""
    data = _bytes(words)
    parsed = amdvi_entries.DEVICE_TABLE_ENTRY.parse(data)
    mode = f"Mode={parsed.Mode}, " if not parsed.Mode else ""
    found = [("DTE", mode + fields.said(amdvi_entries.DEVICE_TABLE_ENTRY, data))]
    return [*found, *(("DTE is wrong", text) for text in _wrong(parsed))]


def _wrong(parsed: Fields) -> list[str]:
    wrong = []
    if not parsed.V:
        wrong.append("V=0: nothing is set up for this device")
    if amdvi_entries.DEVICE_TABLE_ENTRY.has_reserved_bits(parsed):
        wrong.append("a reserved bit is set")
    if parsed.Mode == 7:
        wrong.append("Mode=7 is reserved")
    if parsed.V and parsed.TV and not parsed.Mode and not parsed.GV:
        wrong.append("Mode=0 with TV=1 (DMA passes untranslated), which is illegal where SNP is on")
    return wrong


def conflicts(words: tuple[int, ...], control: int) -> list[tuple[str, str]]:
    """What an entry asks for and CONTROL does not allow; that GV then is illegal is ours (docs/walk.md)."""
    parsed = amdvi_entries.DEVICE_TABLE_ENTRY.parse(_bytes(words))
    if parsed.V and parsed.TV and parsed.GV and not control >> _GTEN & 1:
        return [("DTE is wrong", "GV=1 while CONTROL has GTEn=0: guest tables are not switched on")]
    return []


def control(value: int) -> str:
    """CONTROL by its single bits."""
    return f"{value:#x}: {', '.join(name for at, name in CONTROL.items() if value >> at & 1) or 'all off'}"


def command(words: tuple[int, ...]) -> str:
    """A command of four words: its opcode is in bits 63:60."""
    shown = " ".join(f"{word:08x}" for word in words)
    if len(words) < 2:
        return shown
    opcode = words[1] >> 28
    return f"{COMMANDS.get(opcode, f'opcode {opcode:#x}, which is none')}: {shown}"
