"""DMAR: the VT-d units of a machine (VT-d specification 8)."""

from __future__ import annotations

from iommu_abi import requesters
from iommu_abi.acquire.acpi.table import Contents, Part
from iommu_abi.acquire.units import Found, Scope

KIND = "vtd"
#: 8.1: flags of the table; 8.3: of a unit.
_INTR_REMAP, _OPT_IN, _INCLUDE_ALL = 1, 4, 1
_DRHD, _RMRR, _ATSR, _ANDD, _SATC = 0, 1, 2, 4, 5
_ENDPOINT, _BRIDGE, _IOAPIC, _HPET, _NAMED = range(1, 6)
_KINDS = {_BRIDGE: "bridge", _IOAPIC: "IOAPIC", _HPET: "HPET", _NAMED: "ACPI device"}


def _scope(part: Part, segment: int, names: dict[int, str]) -> Scope:
    """8.3.1: a path from a bus on; buses below a bridge are not in the table."""
    kind, number, bus = part.number(0, 1), part.number(4, 1), part.number(5, 1)
    steps = [(part.number(at, 1) & 31, part.number(at + 1, 1) & 7) for at in range(6, part.size - 1, 2)]
    place = f"{bus:02x}:" + "/".join(f"{device:02x}.{function}" for device, function in steps)
    if kind == _BRIDGE:
        return Scope(f"bridge {place} and what is below it", segment)
    rid = bus << 8 | steps[0][0] << 3 | steps[0][1] if len(steps) == 1 else None
    alone = None if rid is None else (rid, rid)
    if kind in _KINDS:
        named = names.get(number, str(number)) if kind == _NAMED else str(number)
        return Scope(f"{_KINDS[kind]} {named}", segment, None, alone)
    return Scope(place if rid is None else requesters.name(rid), segment, alone, alone)


def _scopes(part: Part, offset: int, names: dict[int, str]) -> tuple[Scope, ...]:
    segment = part.number(6, 2)
    parts = part.parts(offset, "device scope", (1, 1), 8)
    return tuple(_scope(each, segment, names) for each in parts)


def _unit(made: Contents, part: Part, names: dict[int, str], index: int) -> None:
    base, segment = part.number(8, 8), part.number(6, 2)
    made.units[part.start] = Found(KIND, f"dmar{index}", base, segment, {})
    for scope in _scopes(part, 16, names):
        made.add(part.start, scope)
    if part.number(4, 1) & _INCLUDE_ALL:
        rest = Scope(f"all others of segment {segment}", segment, (0, 0xFFFF), (0, 0xFFFF), rest=True)
        made.add(part.start, rest)


def read(table: Part) -> Contents:
    """Units, RMRRs, ATSRs, SATCs."""
    made = Contents(table)
    flags = table.number(37, 1)
    made.opt_in = bool(flags & _OPT_IN)
    made.facts.append(f"DMAR: host addresses have {table.number(36, 1) + 1} bits (--reg HAW says so)")
    made.facts.append(f"DMAR: interrupt remapping is {'' if flags & _INTR_REMAP else 'not '}supported")
    parts = list(table.parts(48, "remapping structure", (2, 2), 4))
    names = {each.number(7, 1): each.text(8) for each in parts if each.number(0, 2) == _ANDD}
    units = 0
    for part in parts:
        kind = part.number(0, 2)
        if kind == _DRHD:
            _unit(made, part, names, units)
            units += 1
        elif kind == _RMRR:
            made.reserve("RMRR", part.number(8, 8), part.number(16, 8), "rw", _scopes(part, 24, names))
        elif kind in (_ATSR, _SATC):
            _ats(made, part, names)
    return made


def _ats(made: Contents, part: Part, names: dict[int, str]) -> None:
    """8.5, 8.8: who may use ATS: root ports, and devices of the SoC."""
    flag, scopes = part.number(4, 1) & 1, _scopes(part, 8, names)
    who = ", ".join(scope.name for scope in scopes)
    if part.number(0, 2) == _SATC:
        made.facts.append(f"DMAR: SATC: {'ATS is required' if flag else 'ATS'}: {who or 'nobody'}")
    else:
        made.facts.append(f"DMAR: ATSR: ATS below {'all root ports' if flag else who or 'no root port'}")
