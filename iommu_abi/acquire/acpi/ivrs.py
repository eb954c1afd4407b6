"""IVRS: the IOMMUs of an AMD machine (AMD IOMMU specification 5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from iommu_abi import requesters
from iommu_abi.acquire.acpi.table import Contents, Part
from iommu_abi.acquire.units import Found, Scope
from iommu_abi.errors import ImageError

KIND = "amdvi"
#: 5.2.1: IVinfo.
_EFR_SUPPORTED, _OPT_IN = 1, 2
#: 5.2.2: IVHD; of several for one IOMMU the last type counts, which says most.
_IVHD = (0x10, 0x11, 0x40)
#: 5.2.2.1: entries for all devices, one, the first and the last of a range.
_ALL, _SELECT, _START, _END = 1, 2, 3, 4
_ALIAS, _ALIAS_START, _EXTENDED, _EXTENDED_START, _SPECIAL, _HID = 66, 67, 70, 71, 72, 240
_VARIETIES = {1: "IOAPIC", 2: "HPET"}
#: 5.2.2.2: IVMD for all devices, one, a range, and its flags.
_IVMD_ALL, _IVMD_ONE, _IVMD_RANGE = 0x20, 0x21, 0x22
_READ, _WRITE, _EXCLUSION = 2, 4, 8


def _entries(part: Part, offset: int) -> Iterator[Part]:
    """Of 4, 8, 16 or 32 bytes by the top bits of their types; those with a name say it themselves."""
    while part.start + offset < part.end:
        kind = part.number(offset, 1)
        size = 22 + part.number(offset + 21, 1) if kind == _HID else 4 << (kind >> 6)
        yield part.part(offset, size, "device entry")
        offset += size


def _range(segment: int, first: int, last: int, alias: int | None = None) -> Scope:
    name = requesters.name(first) if first == last else f"{requesters.name(first)}..{requesters.name(last)}"
    ids = (first, last) if alias is None else (alias, alias)
    return Scope(
        f"{name}{'' if alias is None else f' as {requesters.name(alias)}'}", segment, (first, last), ids
    )


def _scopes(part: Part, offset: int, segment: int) -> Iterator[Scope]:
    start: tuple[int, int | None] | None = None
    for entry in _entries(part, offset):
        kind, device = entry.number(0, 1), entry.number(1, 2)
        alias = entry.number(5, 2) if kind in (_ALIAS, _ALIAS_START, _SPECIAL) else None
        if kind == _ALL:
            yield Scope(f"all others of segment {segment}", segment, (0, 0xFFFF), (0, 0xFFFF), rest=True)
        elif kind in (_SELECT, _EXTENDED, _ALIAS):
            yield _range(segment, device, device, alias)
        elif kind in (_START, _EXTENDED_START, _ALIAS_START):
            start = device, alias
        elif kind == _END:
            if start is None or start[0] > device:
                raise ImageError(f"{part.where}: the range that ends at {device:#x} has no start below it")
            yield _range(segment, start[0], device, start[1])
            start = None
        elif kind == _SPECIAL and alias is not None:
            what = _VARIETIES.get(entry.number(7, 1), "device")
            yield Scope(f"{what} {entry.number(4, 1)}", segment, None, (alias, alias))
        elif kind == _HID:
            yield Scope(f"ACPI device {entry.text(4)[:8]}", segment, None, (device, device))


def _unit(made: Contents, part: Part, index: int) -> None:
    kind, base, segment = part.number(0, 1), part.number(8, 8), part.number(16, 2)
    rich = kind != _IVHD[0]
    registers = {}
    if rich and made.table.number(36, 4) & _EFR_SUPPORTED:
        registers = {"EXT_FEATURES": part.number(24, 8), "EXT_FEATURES2": part.number(32, 8)}
    made.units[part.start] = Found(KIND, f"ivhd{index}", base, segment, registers)
    for scope in _scopes(part, 40 if rich else 24, segment):
        made.add(part.start, scope)


def _reserved(made: Contents, part: Part) -> None:
    kind, flags, segment = part.number(0, 1), part.number(1, 1), part.number(8, 2)
    first, size = part.number(16, 8), part.number(24, 8)
    access = "".join(word for bit, word in ((_READ, "r"), (_WRITE, "w")) if flags & bit)
    device = part.number(4, 2)
    last = part.number(6, 2) if kind == _IVMD_RANGE else device
    scopes = () if kind == _IVMD_ALL else (_range(segment, device, last),)
    # 5.2.2.2: what is excluded is not translated, whatever IR and IW say
    exclusion = bool(flags & _EXCLUSION)
    name, access = ("IVMD exclusion", "rw") if exclusion else ("IVMD", access)
    made.reserve(name, first, first + size - 1, access, scopes)


def read(table: Part) -> Contents:
    """Units and IVMDs."""
    made = Contents(table)
    info = table.number(36, 4)
    made.opt_in = bool(info & _OPT_IN)
    made.facts.append(f"IVRS: host addresses have {info >> 8 & 0x7F} bits")
    parts = list(table.parts(48, "definition block", (2, 2), 8))
    best: dict[tuple[int, int], Part] = {}
    for part in parts:
        kind = part.number(0, 1)
        if kind in _IVHD:
            who = part.number(16, 2), part.number(8, 8)
            if who not in best or kind >= best[who].number(0, 1):
                best[who] = part
        elif kind in (_IVMD_ALL, _IVMD_ONE, _IVMD_RANGE):
            _reserved(made, part)
    for index, part in enumerate(best.values()):
        _unit(made, part, index)
    return made
