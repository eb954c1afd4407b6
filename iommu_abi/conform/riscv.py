"""Cases of the RISC-V IOMMU: device and process directories, both stages, MSI tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from iommu_abi.conform.walks import ACCESS, Bits, WalkFormat, fill
from iommu_abi.inputs import InputError, Record
from iommu_abi.terms import At, Fault, Request

AT = {
    "untranslated": At.UNTRANSLATED,
    "ats_translation_request": At.TRANSLATION,
    "translated": At.TRANSLATED,
}

_FIELDS = (
    Bits("ddtp", "DDTP", 63, 0),
    Bits("svpbmt", "CAPABILITIES", 15, 15),
    Bits("msi_flat", "CAPABILITIES", 22, 22),
    Bits("msi_flat", "CAPABILITIES", 21, 21),  # AMO_MRIF and MSI_MRIF go with it
    Bits("msi_flat", "CAPABILITIES", 23, 23),
    Bits("amo_hwad", "CAPABILITIES", 24, 24),
    Bits("ats", "CAPABILITIES", 25, 25),
    Bits("t2gpa", "CAPABILITIES", 26, 26),
    Bits("gxl", "FCTL", 2, 2),
    Bits("gxl_writeable", "GXL_WRITABLE", 0, 0),
)
#: version 1.0, IGS both, PAS 46
_ASSUMED = {"CAPABILITIES": 0x10 | 2 << 28 | 46 << 32}
_PAGING = {"32": 8, "39": 9, "48": 10, "57": 11}
_PROCESS_DIRECTORIES = {"8": 38, "17": 39, "20": 40}
_X4 = 8  # the bit of SvNNx4 stands so far above that of SvNN


def _modes(config: Record, key: str, bits: Mapping[str, int]) -> list[int]:
    """Capability bits of a list of modes, as in ``"8,17,20"``."""
    names = [name.strip() for name in config.text(key).split(",") if name.strip()]
    unknown = [name for name in names if name not in bits]
    if unknown:
        raise InputError(f"{config.where}: {key}: got {unknown[0]!r}, expected some of: {','.join(bits)}")
    return [bits[name] for name in names]


def registers(config: Record) -> dict[str, int]:
    """Registers of a unit as ``config`` has it; what no key says, every case assumes."""
    made = fill(config, _ASSUMED, _FIELDS)
    paging, both_stages = re.subn(" and x4$", "", config.text("sv"))
    first = _modes(Record({"sv": paging}, config.where), "sv", _PAGING)
    second = [bit + _X4 for bit in first] if both_stages else []
    for bit in (*first, *second, *_modes(config, "pd", _PROCESS_DIRECTORIES)):
        made["CAPABILITIES"] |= 1 << bit
    return made


def request(asked: Record) -> Request:
    """What the device asks."""
    return Request(
        rid=asked.number("device_id", last=(1 << 24) - 1),
        iova=asked.number("iova"),
        pasid=asked.number_or_none("process_id", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
        priv=bool(asked.number("priv", 0, last=1)),
        at=asked.choice("type", AT),
    )


def fault_words(fault: Fault) -> Mapping[str, Any]:
    """The second word of the fault record."""
    return {"iotval2": fault.detail}


FORMATS = {"riscv_iommu": WalkFormat("riscv", registers, request, fault_words)}
