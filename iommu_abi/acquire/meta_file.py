"""Units as JSON: what ``config`` prints and writes, and what ``--config`` reads.

One unit has the form of a capture's ``meta.json``, which has its base among its registers; several are in
a list ``units``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iommu_abi import unit_meta
from iommu_abi.acquire.units import Acquired, Device, Firmware, Found, Scope
from iommu_abi.errors import UsageError
from iommu_abi.inputs import Record, parse_json, to_number
from iommu_abi.vendors import KINDS

#: A kind whose tables are not in memory: it is listed, and cannot be asked.
_UNWALKED = "virtio"


def device_json(device: Device) -> dict[str, object]:
    """A device; ``bdf`` is null for those that are not on PCI."""
    return {
        "bdf": device.short if device.is_pci else None,
        "device": device.name,
        "name": device.label,
        "driver": device.driver,
        "group": device.group,
        "segment": device.segment,
        "ids": [f"{number:#x}" for number in device.ids],
    }


def _range(numbers: tuple[int, int] | None) -> list[str] | None:
    return None if numbers is None else [f"{number:#x}" for number in numbers]


def scope_json(scope: Scope) -> dict[str, object]:
    """A scope: first and last of requester IDs, and of IDs at the IOMMU."""
    return {
        "name": scope.name,
        "segment": scope.segment,
        "rids": _range(scope.rids),
        "ids": _range(scope.ids),
        "rest": scope.rest,
    }


def firmware_json(firmware: Firmware) -> dict[str, object]:
    """What tables say of the machine."""
    reserved = [
        {
            "kind": each.kind,
            "first": f"{each.first:#x}",
            "last": f"{each.last:#x}",
            "access": each.access,
            "scopes": [scope_json(scope) for scope in each.scopes],
        }
        for each in firmware.reserved
    ]
    return {"reserved": reserved, "dma_opt_in": firmware.opt_in, "facts": list(firmware.facts)}


def unit_json(unit: Found, *, base_within: bool = False) -> dict[str, object]:
    """A unit; ``base_within``: the base is among the registers, as meta.json has it."""
    base = None if unit.base is None else f"{unit.base:#x}"
    within = {"base": base} if base_within and base else {}
    return {
        "kind": KINDS.get(unit.kind, unit.kind),
        "name": unit.name,
        "base": base,
        "segment": unit.segment,
        "registers": within | {name: f"{value:#x}" for name, value in unit.registers.items()},
        "devices": [device_json(device) for device in unit.devices],
        "scopes": [scope_json(scope) for scope in unit.scopes],
        "evidence": list(unit.evidence),
    }


def report(found: Acquired) -> dict[str, object]:
    """All that was found."""
    return {
        "source": found.source,
        "units": [unit_json(unit) for unit in found.units],
        "firmware": firmware_json(found.firmware),
        "assumed": list(found.assumed),
    }


def document(found: Acquired) -> dict[str, object]:
    """The file for --config."""
    units = [unit_json(unit, base_within=True) for unit in found.units]
    told: dict[str, object] = {"source": found.source, "assumed": list(found.assumed)}
    return {**units[0], **told} if len(units) == 1 else {**told, "units": units}


def _device(row: Any, where: str) -> Device:
    record = Record(row, where)
    group = record.number_or_none("group")
    return Device(
        name=record.text("device", record.text("bdf", "")),
        ids=tuple(to_number(each, f"{where}: ids") for each in record.items("ids")),
        segment=record.number("segment", 0),
        label=record.text("name", ""),
        driver=record.text("driver", ""),
        group=group,
    )


def _numbers(row: Any, key: str, where: str) -> tuple[int, int] | None:
    found = row.get(key)
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != 2:
        raise UsageError(f"{where}: {key}: got {found!r}, expected [first, last]")
    first, last = (to_number(each, f"{where}: {key}") for each in found)
    return first, last


def _scope(row: Any, where: str) -> Scope:
    record = Record(row, where)
    return Scope(
        name=record.text("name", ""),
        segment=record.number("segment", 0),
        rids=_numbers(record.data, "rids", where),
        ids=_numbers(record.data, "ids", where),
        rest=record.data.get("rest") is True,
    )


def _rows(record: Record, key: str) -> list[Any]:
    return record.items(key) if key in record else []


def _unit(record: Record) -> Found:
    if record.data.get("kind") == _UNWALKED:
        return Found(_UNWALKED, record.text("name", _UNWALKED), record.number_or_none("base"), 0, {})
    meta = unit_meta.meta_of(record)
    if meta.ignored:
        raise unit_meta.unknown_register(meta.kind, list(meta.ignored))
    within = record.record("registers")
    base = record.number_or_none("base")
    ours = [
        (i, row)
        for i, row in enumerate(_rows(record, "devices"))
        if isinstance(row, Mapping) and "ids" in row
    ]
    return Found(
        kind=meta.kind,
        name=record.text("name", meta.kind),
        base=within.number_or_none("base") if base is None else base,
        segment=record.number("segment", 0),
        registers=dict(meta.registers),
        devices=tuple(_device(row, f"{record.where}: devices: {i}") for i, row in ours),
        scopes=tuple(
            _scope(row, f"{record.where}: scopes: {i}") for i, row in enumerate(_rows(record, "scopes"))
        ),
    )


def read(text: str, where: str) -> tuple[Found, ...]:
    """The units of a file; what is wrong with it raises a sentence with its place."""
    whole = Record(parse_json(text, where), where)
    if "units" not in whole:
        return (_unit(whole),)
    units = [Record(each, f"{where}: units: {i}") for i, each in enumerate(whole.items("units"))]
    if not units:
        raise UsageError(f"{where}: its list of units is empty")
    return tuple(map(_unit, units))
