"""Cases of bind_pasid_table as posted in June 2017."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from iommu_abi.conform.cases import Case, Outcome
from iommu_abi.conform.sparse import SparseMemory
from iommu_abi.drivers import Driver
from iommu_abi.drivers.smmuv3 import Smmuv3Driver
from iommu_abi.drivers.vtd import VtdDriver
from iommu_abi.errors import errno_name
from iommu_abi.inputs import InputError, Record
from iommu_abi.iommu import Device, Domain
from iommu_abi.schemas.vtd_entries import EXTENDED_CONTEXT_ENTRY

#: Where the host of a bind case has its tables, and the requester that is bound.
_ROOT, _CONTEXTS, _SECOND_STAGE, _RID = 0x1000, 0x2000, 0x10000, 0x10
_STREAMS = 0x4000  # 256 STEs, aligned to their size


#: A driver, and what it left in the context entry.
Host = tuple[Driver, Callable[[], dict[str, Any]]]


def _log2(config: Record, unit: int) -> int:
    """log2 of how many ``unit`` bytes the host's table holds."""
    size = config.number("host_table_bytes")
    if size < unit or size & size - 1:
        raise InputError(f"{config.where}: host_table_bytes: got {size}, expected a power of two from {unit}")
    return (size // unit).bit_length() - 1


def _vtd_host(config: Record) -> Host:
    """An ECS unit with a second stage, and what bind leaves in the context entry."""
    context = _CONTEXTS + 32 * _RID
    words = ((_ROOT, _CONTEXTS | 1), (context, _SECOND_STAGE | 1), (context + 8, 1 << 8 | 2))
    pss = _log2(config, 8) - 1
    registers = {
        "RTADDR": _ROOT | 2 << 10,
        "CAP": 47 << 16 | 1 << 10 | 3 << 34,  # MGAW 48, SAGAW 4 levels, SLLPS
        "ECAP": 1 << 24 | 1 << 26 | max(pss, 0) << 35 | 1 << 40,  # ECS, NEST, PSS, PASID
    }
    driver = VtdDriver(SparseMemory.of(words).memory, registers)

    def bound() -> dict[str, Any]:
        data = driver.memory.read(context, 32)
        pts = EXTENDED_CONTEXT_ENTRY.parse(data).PTS if data else None
        return {"PTS": pts, "entries": None if pts is None else 1 << pts + 5}

    return driver, bound


def _smmuv3_host(config: Record) -> Host:
    """A unit with a linear stream table and a stage-2 STE, and what bind leaves in the STE."""
    ste = _STREAMS + 64 * _RID
    words = ((ste, 6 << 1 | 1), (ste + 24, _SECOND_STAGE))
    registers = {
        "STRTAB_BASE": _STREAMS,
        "STRTAB_BASE_CFG": 8,  # linear, 256 entries
        "IDR0": 1 | 1 << 1 | 2 << 2 | 1 << 19,  # S2P, S1P, AArch64, CD2L
        "IDR1": _log2(config, 64) << 6 | 16,  # SSIDSIZE, SIDSIZE
        "IDR5": 5,  # OAS 48 bits
    }
    driver = Smmuv3Driver(SparseMemory.of(words).memory, registers)

    def bound() -> dict[str, Any]:
        word = driver.memory.read64(ste)
        cdmax = None if word is None else word >> 59
        return {"S1CDMax": cdmax, "entries": None if cdmax is None else 1 << cdmax}

    return driver, bound


_HOSTS: Mapping[int, Callable[[Record], Host]] = {0: _vtd_host, 1: _smmuv3_host}


def _bind(case: Case) -> Outcome:
    """Bind to the driver that the model names; one that nobody knows is for the first to refuse."""
    model = case.config.number("model", last=(1 << 32) - 1)
    host: Callable[[Record], Host] = _HOSTS.get(model, _vtd_host)
    driver, bound = host(case.config)
    # ptr, size, model, length of v1_2017
    info = struct.pack("=QQII", case.input.number("ptr"), case.input.number("size"), model, 0)
    try:
        Domain(driver).bind_pasid_table(Device(_RID), info)
    except OSError as error:
        return Outcome({"result": "reject", "errno": errno_name(error.errno or 0), "why": str(error)})
    return Outcome({"result": "ok", **bound()})


FORMATS = {"bind_pasid_table_2017": _bind}
