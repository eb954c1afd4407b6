"""What several sources say of one machine, put together; where they contradict one another it is told.

Registers are those of the source that is named first: registers as they were read, then the driver's
objects, then what firmware or a log says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

from iommu_abi import requesters
from iommu_abi.acquire.units import Acquired, Firmware, Found

#: Kinds whose IDs of devices need not be requester IDs.
_MAPS_IDS = ("smmuv3", "riscv", "virtio")


def _same(unit: Found, other: Found) -> bool:
    """Is it the same IOMMU: by its base, else by its name?"""
    if unit.kind != other.kind:
        return False
    if unit.base is not None and other.base is not None:
        return unit.base == other.base
    return unit.name == other.name


def _partner(unit: Found, own: Sequence[Found], others: Sequence[Found]) -> Found | None:
    """The same IOMMU of another source; where each has one of the kind and a base is not known, that one."""
    found = next((each for each in others if _same(unit, each)), None)
    ours, theirs = ([each for each in some if each.kind == unit.kind] for some in (own, others))
    if found is None and len(ours) == len(theirs) == 1 and None in (unit.base, theirs[0].base):
        return theirs[0]
    return found


def _one(unit: Found, other: Found) -> Found:
    """A unit with what another source knows of it. What a register says need not be assumed."""
    known = {device.name for device in unit.devices}
    more = tuple(device for device in other.devices if device.name not in known)
    assumed = (text for text in unit.assumed if text.partition(",")[0] not in other.registers)
    return replace(
        unit,
        base=other.base if unit.base is None else unit.base,
        segment=unit.segment or other.segment,
        registers={**unit.registers, **{k: v for k, v in other.registers.items() if k not in unit.registers}},
        devices=unit.devices + more,
        evidence=unit.evidence + other.evidence,
        assumed=tuple(assumed),
        scopes=unit.scopes + other.scopes,
    )


def _differing(unit: Found, a: Acquired, other: Found, b: Acquired) -> Iterator[str]:
    for name in unit.registers.keys() & other.registers.keys():
        ours, theirs = unit.registers[name], other.registers[name]
        if ours != theirs:
            yield f"{unit.name}: {name} is {ours:#x} by {a.source}, and is taken; {theirs:#x} by {b.source}"


def _absent(unit: Found, of: Acquired, from_: Acquired) -> Iterator[str]:
    """An IOMMU that a source does not have, though it lists all of the kind."""
    if from_.lists_all and (of.lists_all or any(each.kind == unit.kind for each in from_.units)):
        yield f"{unit.place} of {of.source} is not in {from_.source}"


def _pair(a: Acquired, b: Acquired) -> Acquired:
    units, notes, left = [], [*a.notes, *b.notes], list(b.units)
    for unit in a.units:
        other = _partner(unit, a.units, left)
        if other:
            left.remove(other)
            notes += sorted(_differing(unit, a, other, b))
            units.append(_one(unit, other))
        else:
            notes += _absent(unit, a, b)
            units.append(unit)
    for unit in left:
        notes += _absent(unit, b, a)
        taken = any(unit.name == each.name for each in units)
        units.append(replace(unit, name=f"{unit.name}@{unit.base or 0:x}") if taken else unit)
    firmware = Firmware(
        a.firmware.reserved + b.firmware.reserved,
        b.firmware.opt_in if a.firmware.opt_in is None else a.firmware.opt_in,
        a.firmware.facts + b.firmware.facts,
    )
    source = ", ".join(dict.fromkeys((a.source, b.source)))
    return Acquired(source, tuple(units), tuple(notes), firmware, a.lists_all or b.lists_all)


def _misplaced(units: Sequence[Found]) -> Iterator[str]:
    """Devices that the kernel has behind another IOMMU, or by another ID, than firmware's scopes say."""
    for unit in units:
        for device in unit.devices:
            if not device.is_pci:
                continue
            segment, rid = requesters.parse(device.name)
            named = [each for each in units if each.id_of(segment, rid, rest=False) is not None]
            if named and unit not in named:
                places = " ".join(each.name for each in named)
                yield f"{device.short}: the kernel has it behind {unit.name}, firmware behind {places}"
            number = unit.id_of(segment, rid, rest=False)
            if unit.kind in _MAPS_IDS and number is not None and device.ids and number not in device.ids:
                yield f"{device.short}: its ID is {device.ids[0]:#x} to the kernel, {number:#x} to firmware"


def merged(sources: Sequence[Acquired]) -> Acquired:
    """All of at least one source; ``notes`` has the contradictions."""
    found = reduce(_pair, sources)
    return replace(found, notes=(*found.notes, *_misplaced(found.units)))
