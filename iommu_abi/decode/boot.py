"""What drivers print of their IOMMU when they begin -> registers, as ``translate --reg`` takes them.

The lines themselves are in ``acquire.boot_lines``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from iommu_abi.acquire import boot_lines
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

if TYPE_CHECKING:
    from iommu_abi.schemas.entries import Layout

KIND = "boot"
#: Title, facts, what to look at, source.
Made = tuple[str, tuple[str, ...], str, str]
_VTD, _AMD, _SMMU = regex(boot_lines.VTD), regex(boot_lines.AMD), regex(boot_lines.SMMUV3)
MARKS = ("ecap ", "Extended features", "-bit (features 0x")
BEGINS = r"(?:DMAR|dmar): (?:dmar\d|IOMMU)|AMD-Vi: Extended features|arm-smmu-v3 \S{1,64}: (?:ias|oas) "
HINT = regex(r"(?!)")


def _says(layout: Layout, value: int) -> str:
    """The fields that are not 0, by their names."""
    from iommu_abi.decode import fields

    return fields.said(layout, value.to_bytes(layout.size, "little"), remarks=False, reserved=False)


def _made(unit: str, registers: Mapping[str, int], facts: list[str], iommu: str, source: str) -> Made:
    words = " ".join(f"--reg {name}={value:#x}" for name, value in registers.items())
    use = f"`iommu-abi translate ... --iommu {iommu} {words}`, with the register of the first table"
    return f"{unit} begins: {words.replace('--reg ', '')}", tuple(facts), use, source


def _vtd(found: re.Match[str]) -> Made:
    from iommu_abi.schemas import vtd_entries

    unit = boot_lines.vtd(found)
    facts = [
        f"CAP: {_says(vtd_entries.CAP, unit.registers['CAP'])}",
        f"ECAP: {_says(vtd_entries.ECAP, unit.registers['ECAP'])}",
    ]
    if unit.base is not None:
        facts.insert(0, f"its registers are at {unit.base:#x}, version {found['ver']}")
    return _made(f"VT-d {unit.name}", unit.registers, facts, "vtd", "Intel VT-d specification 10.4")


def _amd(found: re.Match[str]) -> Made:
    from iommu_abi.schemas import amdvi_entries

    registers = boot_lines.amd(found).registers
    layouts = {"EXT_FEATURES": amdvi_entries.EXT_FEATURES, "EXT_FEATURES2": amdvi_entries.EXT_FEATURES2}
    facts = [f"{name}: {_says(layouts[name], value)}" for name, value in registers.items()]
    return _made("AMD-Vi", registers, facts, "amdvi", "AMD IOMMU specification 3.4.13")


def _smmu(found: re.Match[str]) -> Made:
    unit, names = boot_lines.smmuv3(found), boot_lines.feature_names(found)
    known = len(boot_lines.FEATURES)
    unknown = int(found["features"], 16) >> known << known
    width = f"input {found['ias']} bits, " if found["ias"] else ""
    facts = [
        f"{width}output {found['oas']} bits",
        f"features: {', '.join(each for each in boot_lines.FEATURES if each in names)}"
        + (f"; {unknown:#x} has no name here" if unknown else ""),
        "IDR0 is what these say of it: the driver prints no register, and not all that is in them",
    ]
    if "IDR5" in unit.registers:
        facts.append("IDR5 is its OAS alone: the granules are not printed")
    return _made(f"SMMUv3 {unit.name}", unit.registers, facts, "smmuv3", "Arm SMMUv3 specification 6.3")


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
