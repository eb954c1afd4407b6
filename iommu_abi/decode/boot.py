"""What drivers print of their IOMMU when they begin -> registers, as ``translate --reg`` takes them.

Sources: drivers/iommu/intel/dmar.c (alloc_iommu()), drivers/iommu/amd/init.c (print_iommu_info()),
drivers/iommu/arm/arm-smmu-v3 (arm_smmu_device_hw_probe(), and arm-smmu-v3.h for the features).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

if TYPE_CHECKING:
    from iommu_abi.schemas.entries import Layout

KIND = "boot"
#: Title, facts, what to look at, source.
Made = tuple[str, tuple[str, ...], str, str]
_HEX = r"0?x?[0-9a-fA-F]{1,16}"
_VTD = regex(
    rf"(?P<unit>dmar\d{{0,4}}|IOMMU(?: \d{{1,4}})?): (?:reg_base_addr (?P<base>{_HEX}) )?"
    rf"ver (?P<ver>\d{{1,3}}:\d{{1,3}}) cap (?P<cap>{_HEX}) ecap (?P<ecap>{_HEX})"
)
_AMD = regex(r"Extended features:? \((?P<efr>0x[0-9a-fA-F]{1,16})(?:, (?P<efr2>0x[0-9a-fA-F]{1,16}))?\)")
_SMMU = regex(
    r"arm-smmu-v3 (?P<unit>\S{1,64}): (?:ias (?P<ias>\d{1,3})-bit, )?oas (?P<oas>\d{1,3})-bit"
    r" \(features (?P<features>0x[0-9a-fA-F]{1,8})\)"
)
MARKS = ("ecap ", "Extended features", "-bit (features 0x")
BEGINS = r"(?:DMAR|dmar): (?:dmar\d|IOMMU)|AMD-Vi: Extended features|arm-smmu-v3 \S{1,64}: (?:ias|oas) "
HINT = regex(r"(?!)")

#: IDR5.OAS (6.3.6) of an output size.
_OAS = {32: 0, 36: 1, 40: 2, 42: 3, 44: 4, 48: 5, 52: 6, 56: 7}
#: ARM_SMMU_FEAT_*, from bit 0.
_FEATURES = (
    "2_LVL_STRTAB", "2_LVL_CDTAB", "TT_LE", "TT_BE", "PRI", "ATS", "SEV", "MSI", "COHERENCY", "TRANS_S1",
    "TRANS_S2", "STALLS", "HYP", "STALL_FORCE", "VAX", "RANGE_INV", "BTM", "SVA", "E2H", "NESTING",
    "ATTR_TYPES_OVR", "HA", "HD", "S2FWB", "BBML2",
)  # fmt: skip
#: Bits of IDR0 (6.3.1) -> the feature that the driver makes of them.
_IDR0 = {
    "S1P": "TRANS_S1", "S2P": "TRANS_S2", "COHACC": "COHERENCY", "HYP": "HYP", "ATS": "ATS", "PRI": "PRI",
    "SEV": "SEV", "MSI": "MSI", "CD2L": "2_LVL_CDTAB", "ST_LEVEL": "2_LVL_STRTAB",
}  # fmt: skip


def _says(layout: Layout, value: int) -> str:
    """The fields that are not 0, by their names."""
    from iommu_abi.decode import fields

    return fields.said(layout, value.to_bytes(layout.size, "little"), remarks=False, reserved=False)


def _made(unit: str, registers: dict[str, int], facts: list[str], iommu: str, source: str) -> Made:
    words = " ".join(f"--reg {name}={value:#x}" for name, value in registers.items())
    use = f"`iommu-abi translate ... --iommu {iommu} {words}`, with the register of the first table"
    return f"{unit} begins: {words.replace('--reg ', '')}", tuple(facts), use, source


def _vtd(found: re.Match[str]) -> Made:
    from iommu_abi.schemas import vtd_entries

    registers = {"CAP": int(found["cap"], 16), "ECAP": int(found["ecap"], 16)}
    facts = [
        f"CAP: {_says(vtd_entries.CAP, registers['CAP'])}",
        f"ECAP: {_says(vtd_entries.ECAP, registers['ECAP'])}",
    ]
    if found["base"]:
        facts.insert(0, f"its registers are at {int(found['base'], 16):#x}, version {found['ver']}")
    return _made(f"VT-d {found['unit']}", registers, facts, "vtd", "Intel VT-d specification 10.4")


def _amd(found: re.Match[str]) -> Made:
    from iommu_abi.schemas import amdvi_entries

    registers = {"EXT_FEATURES": int(found["efr"], 16)}
    facts = [f"EXT_FEATURES: {_says(amdvi_entries.EXT_FEATURES, registers['EXT_FEATURES'])}"]
    if found["efr2"]:
        registers["EXT_FEATURES2"] = int(found["efr2"], 16)
        facts.append(f"EXT_FEATURES2: {_says(amdvi_entries.EXT_FEATURES2, registers['EXT_FEATURES2'])}")
    return _made("AMD-Vi", registers, facts, "amdvi", "AMD IOMMU specification 3.4.13")


def _smmu(found: re.Match[str]) -> Made:
    from iommu_abi.schemas import smmuv3_entries

    features = int(found["features"], 16)
    names = {name for at, name in enumerate(_FEATURES) if features >> at & 1}
    unknown = features >> len(_FEATURES) << len(_FEATURES)
    idr0 = {name: int(feature in names) for name, feature in _IDR0.items()}
    idr0["TTF"] = 2  # the driver takes no unit without AArch64's format
    idr0["STALL_MODEL"] = 2 if "STALL_FORCE" in names else int("STALLS" not in names)
    registers = {"IDR0": smmuv3_entries.IDR0.value(**idr0)}
    facts = [
        f"features: {', '.join(each for each in _FEATURES if each in names)}"
        + (f"; {unknown:#x} has no name here" if unknown else ""),
        "IDR0 is what these say of it: the driver prints no register, and not all that is in them",
    ]
    oas = int(found["oas"])
    if oas in _OAS:
        registers["IDR5"] = smmuv3_entries.IDR5.value(OAS=_OAS[oas])
        facts.append("IDR5 is its OAS alone: the granules are not printed")
    width = f"input {found['ias']} bits, " if found["ias"] else ""
    facts.insert(0, f"{width}output {oas} bits")
    return _made(f"SMMUv3 {found['unit']}", registers, facts, "smmuv3", "Arm SMMUv3 specification 6.3")


@lru_cache(1024)
def _meaning(text: str) -> Made | None:
    """What the matched part of a line means."""
    for pattern, make in _MAKERS:
        if found := pattern.fullmatch(text):
            return make(found)
    return None


_MAKERS = ((_VTD, _vtd), (_AMD, _amd), (_SMMU, _smmu))


def recognise(lines: Lines, at: int) -> Note | None:
    """What a unit says of itself."""
    for pattern, _ in _MAKERS:
        found = lines.find(at, pattern)
        made = _meaning(found[0]) if found else None
        if found and made:
            title, facts, look, source = made
            return Note(KIND, title, found.at, facts, look, source)
    return None
