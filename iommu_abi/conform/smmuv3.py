"""Cases of SMMUv3: stream tables, context descriptors, one stage or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iommu_abi.conform.walks import ACCESS, Bits, WalkFormat, fill
from iommu_abi.inputs import InputError, Record
from iommu_abi.terms import Fault, Reason, Request

_FIELDS = (
    Bits("log2size", "STRTAB_BASE_CFG", 5, 0),
    Bits("split", "STRTAB_BASE_CFG", 10, 6, absent=0),
    Bits("ssidsize", "IDR1", 10, 6),
)
#: IDR0: S2P, S1P, AArch64 tables, ASID16, VMID16, CD2L, little-endian, two-level stream tables;
#: IDR1: 32 bits of StreamID; IDR3: HAD; IDR5: 4K, 16K, 64K; SMMUEN, EVENTQEN; RECINVSID. The features
#: that the version demands beside these follow from AIDR when the unit is set up.
_ASSUMED = {
    "IDR0": 1 | 1 << 1 | 2 << 2 | 1 << 12 | 1 << 18 | 1 << 19 | 2 << 21 | 1 << 27,
    "IDR1": 32,
    "IDR3": 1 << 2,
    "IDR5": 0b111 << 4,
    "CR0": 1 | 1 << 2,
    "CR2": 1 << 1,
}
_FMT = {"linear": 0, "2level": 1}
_OAS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6}
_VERSIONS = {"3.0": 0, "3.1": 1, "3.2": 2, "3.3": 3, "3.4": 4}
_AARCH32_TABLES = 1 << 2  # IDR0.TTF[0]: the IPA has 40 bits at least
_CLASSES = ("CD", "TT", "IN")


def registers(config: Record) -> dict[str, int]:
    """Registers of a unit as ``config`` has it; what no key says, every case assumes."""
    made = fill(config, _ASSUMED, _FIELDS)
    oas = config.number("oas")
    if oas not in _OAS:
        raise InputError(f"{config.where}: oas: got {oas}, expected one of: {' '.join(map(str, _OAS))}")
    made["IDR5"] |= _OAS[oas]
    if config.number("ias", oas) > oas:
        made["IDR0"] |= _AARCH32_TABLES
    made["STRTAB_BASE"] = config.number("strtab")
    made["STRTAB_BASE_CFG"] |= config.choice("fmt", _FMT) << 16
    made["AIDR"] = config.choice("ver", _VERSIONS, "3.1")
    return made


def request(asked: Record) -> Request:
    """What the device asks."""
    return Request(
        rid=asked.number("sid", last=(1 << 32) - 1),
        iova=asked.number("ia"),
        pasid=asked.number_or_none("ssid", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
        priv=bool(asked.number("priv", 0, last=1)),
    )


def fault_words(fault: Fault) -> Mapping[str, Any]:
    """Terminated without an event is an abort; S2 and CLASS are fields of the event."""
    if not fault.native and fault.reason is Reason.INVALID:
        return {"result": "not modelled", "event": None}
    if not fault.native:
        return {"result": "abort", "event": None}
    stage_2, klass = fault.detail & 1, fault.detail >> 1
    return {"event": fault.native if fault.recorded else None, "s2": stage_2, "cls": _CLASSES[klass]}


FORMATS = {"smmuv3": WalkFormat("smmuv3", registers, request, fault_words)}
