"""Cases of AMD-Vi: host tables, and guest tables by PASID."""

from __future__ import annotations

from iommu_abi.conform.walks import ACCESS, Bits, WalkFormat, fill
from iommu_abi.inputs import Record
from iommu_abi.terms import Request

_FIELDS = (Bits("hats", "EXT_FEATURES", 11, 10, minus=4),)
#: IommuEn, GTEn, GCR3TRPMode; NXSup, GTSup, GLXSup 2, PASmax 19, GIoSup, EPHSup; GCR3TRPMode
_ASSUMED = {
    "CONTROL": 1 | 1 << 16 | 1 << 58,
    "EXT_FEATURES": 1 << 3 | 1 << 4 | 2 << 14 | 19 << 32 | 1 << 48 | 1 << 50,
    "EXT_FEATURES2": 1 << 3,
}
_ALL_DEVICES = 0x1FF  # DEVTAB_BASE.Size: 2 MiB, 65536 entries


def registers(config: Record) -> dict[str, int]:
    """Registers of a unit as ``config`` has it; what no key says, every case assumes."""
    made = fill(config, _ASSUMED, _FIELDS)
    made["DEVTAB_BASE"] = config.number("devtab") & ~0xFFF | _ALL_DEVICES
    return made


def request(asked: Record) -> Request:
    """What the device asks."""
    return Request(
        rid=asked.number("devid", last=0xFFFF),
        iova=asked.number("iova"),
        pasid=asked.number_or_none("pasid", last=(1 << 20) - 1),
        access=asked.choice("access", ACCESS),
    )


_WALK = WalkFormat("amdvi", registers, request)
FORMATS = {"amd_v1": _WALK, "amd_v2": _WALK}
