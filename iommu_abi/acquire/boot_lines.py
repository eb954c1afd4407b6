"""What drivers print of their IOMMU when they begin: capabilities and places, no tables.

Sources: drivers/iommu/intel/dmar.c (alloc_iommu()), drivers/iommu/amd/init.c (print_iommu_info()),
drivers/iommu/arm/arm-smmu-v3 (arm_smmu_device_hw_probe(), and arm-smmu-v3.h for the features).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # decode knows the lines, and needs no more of most logs
    from iommu_abi.acquire.units import Acquired, Found

_HEX = r"0?x?[0-9a-fA-F]{1,16}"
VTD = (
    rf"(?P<unit>dmar\d{{0,4}}|IOMMU(?: \d{{1,4}})?): (?:reg_base_addr (?P<base>{_HEX}) )?"
    rf"ver (?P<ver>\d{{1,3}}:\d{{1,3}}) cap (?P<cap>{_HEX}) ecap (?P<ecap>{_HEX})"
)
AMD = r"Extended features:? \((?P<efr>0x[0-9a-fA-F]{1,16})(?:, (?P<efr2>0x[0-9a-fA-F]{1,16}))?\)"
SMMUV3 = (
    r"arm-smmu-v3 (?P<unit>\S{1,64}): (?:ias (?P<ias>\d{1,3})-bit, )?oas (?P<oas>\d{1,3})-bit"
    r" \(features (?P<features>0x[0-9a-fA-F]{1,8})\)"
)

#: IDR5.OAS (6.3.6) of an output size.
OAS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6, 56: 7}
#: ARM_SMMU_FEAT_*, from bit 0.
FEATURES = (
    "2_LVL_STRTAB", "2_LVL_CDTAB", "TT_LE", "TT_BE", "PRI", "ATS", "SEV", "MSI", "COHERENCY", "TRANS_S1",
    "TRANS_S2", "STALLS", "HYP", "STALL_FORCE", "VAX", "RANGE_INV", "BTM", "SVA", "E2H", "NESTING",
    "ATTR_TYPES_OVR", "HA", "HD", "S2FWB", "BBML2",
)  # fmt: skip
#: Bits of IDR0 (6.3.1) -> the feature that the driver makes of them.
_IDR0 = {
    "S1P": "TRANS_S1", "S2P": "TRANS_S2", "COHACC": "COHERENCY", "HYP": "HYP", "ATS": "ATS", "PRI": "PRI",
    "SEV": "SEV", "MSI": "MSI", "CD2L": "2_LVL_CDTAB", "ST_LEVEL": "2_LVL_STRTAB",
}  # fmt: skip


def vtd(found: re.Match[str]) -> Found:
    """The unit of a line of VT-d."""
    from iommu_abi.acquire.units import Found

    base = None if found["base"] is None else int(found["base"], 16)
    registers = {"CAP": int(found["cap"], 16), "ECAP": int(found["ecap"], 16)}
    return Found("vtd", found["unit"], base, 0, registers)


def amd(found: re.Match[str]) -> Found:
    """The unit of a line of AMD-Vi, which does not say which it is: all of a machine have these features."""
    from iommu_abi.acquire.units import Found

    registers = {"EXT_FEATURES": int(found["efr"], 16)}
    if found["efr2"]:
        registers["EXT_FEATURES2"] = int(found["efr2"], 16)
    return Found("amdvi", "amdvi", None, 0, registers)


def feature_names(found: re.Match[str]) -> set[str]:
    """The features of a line of SMMUv3."""
    features = int(found["features"], 16)
    return {name for at, name in enumerate(FEATURES) if features >> at & 1}


def smmuv3(found: re.Match[str]) -> Found:
    """The unit of a line of SMMUv3: what its features say of the registers, which are not printed."""
    from iommu_abi.acquire.units import Found
    from iommu_abi.schemas import smmuv3_entries

    names = feature_names(found)
    idr0 = {name: int(feature in names) for name, feature in _IDR0.items()}
    idr0["TTF"] = 2  # the driver takes no unit without AArch64's format
    idr0["STALL_MODEL"] = 2 if "STALL_FORCE" in names else int("STALLS" not in names)
    registers = {"IDR0": smmuv3_entries.IDR0.value(**idr0)}
    assumed = ["IDR0, which is not printed, is what the driver's features say of it"]
    oas = int(found["oas"])
    if oas in OAS:
        registers["IDR5"] = smmuv3_entries.IDR5.value(OAS=OAS[oas])
        assumed.append("IDR5, which is not printed, is its OAS alone: the granules are not known")
    return Found("smmuv3", found["unit"], None, 0, registers, assumed=tuple(assumed))


_MAKERS: tuple[tuple[str, Callable[[re.Match[str]], Found]], ...] = ((VTD, vtd), (AMD, amd), (SMMUV3, smmuv3))
_WIDTH = re.compile(r"DMAR: Host address width (\d{1,2})\b")


def read(text: str, where: str) -> Acquired | None:
    """The units of a log; of one that begins twice the last line counts. None if there are none."""
    from iommu_abi.acquire.units import Acquired, Firmware

    units: dict[tuple[str, str], Found] = {}
    for pattern, make in _MAKERS:
        for found in re.finditer(pattern, text):
            unit = make(found)
            units[unit.kind, unit.name] = unit
    if not units:
        return None
    width = _WIDTH.search(text)
    facts = (f"DMAR: host addresses have {width[1]} bits (--reg HAW says so)",) if width else ()
    told = (replace(unit, evidence=(f"{where}: the driver's line of it",)) for unit in units.values())
    return Acquired(where, tuple(told), firmware=Firmware(facts=facts))
