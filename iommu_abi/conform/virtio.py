"""Cases of virtio-iommu: one request to a device in a given state."""

from __future__ import annotations

import re
from typing import Any

from iommu_abi.conform.cases import Case, Outcome
from iommu_abi.inputs import InputError, Record
from iommu_abi.schemas import virtio as wire
from iommu_abi.virtio import Domain, MapFlag, Mapping, Status, Type, VirtioIommu

#: The endpoint that a request may name, and another one that keeps the domains of the state.
_ENDPOINT, _KEEPER = 8, 1
_PAGE = 4096

_TYPES = {each.name: each for each in Type}
_U32 = ("domain", "endpoint", "flags")
_MAPPING = r"\[(?P<first>0x[0-9a-f]+),(?P<last>0x[0-9a-f]+)\]->(?P<phys>0x[0-9a-f]+) (?P<rights>R?W?)"
_STATE = re.compile(rf"domain (?P<domain>\d+)( with mapping {_MAPPING})?")
_RIGHTS = {"R": MapFlag.READ, "W": MapFlag.WRITE}


def _domain(text: object, where: str) -> tuple[int, Domain]:
    found = _STATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InputError(
            f"{where}: state: got {text!r}, expected 'domain N with mapping [FIRST,LAST]->PHYS RW'"
        )
    made = Domain()
    if found["first"]:
        first, last, phys = (int(found[key], 16) for key in ("first", "last", "phys"))
        rights = sum((_RIGHTS[letter] for letter in found["rights"]), MapFlag(0))
        made.add(Mapping(first, last, phys, rights))
    return int(found["domain"]), made


def _device(config: Record) -> VirtioIommu:
    device = VirtioIommu({_ENDPOINT: (), _KEEPER: ()})
    for text in config.items("state"):
        number, made = _domain(text, config.where)
        device.attach(number, _KEEPER)
        device.domains[number].mappings = made.mappings
    return device


def _request(asked: Record) -> bytes:
    kind = asked.choice("type", _TYPES)
    values: dict[str, Any] = {"head": {"type": kind}}
    for field in wire.REQUESTS[kind.name].subcons:
        if field.name not in ("head", "reserved"):
            last = (1 << 32 if field.name in _U32 else 1 << 64) - 1
            values[field.name] = asked.number(field.name, 0 if field.name == "flags" else None, last)
    return bytes(wire.REQUESTS[kind.name].build(values))


def _pages(device: VirtioIommu, asked: Record) -> int:
    """4 KiB pages that are mapped where the request's range is."""
    there = device.domains[asked.number("domain")]
    touched = there.mappings[there.touched(asked.number("virt_start"), asked.number("virt_end"))]
    return sum(each.last - each.first + 1 for each in touched) // _PAGE


def _run(case: Case) -> Outcome:
    device = _device(case.config)
    answer = device.handle(_request(case.input), wire.TAIL_SIZE + device.config.probe_size)
    status = Status(wire.TAIL.parse(answer[-wire.TAIL_SIZE :]).status)
    got: dict[str, Any] = {"status": int(status), "name": status.name}
    if status is not Status.OK:
        return Outcome({"result": "fault", **got})
    if case.input.text("type") == Type.MAP.name:
        got["pages"] = _pages(device, case.input)
    return Outcome({"result": "ok", **got})


FORMATS = {"virtio_iommu": _run}
