"""The formats that are fuzzed: one row each.

To add one: a module that builds its worlds and one with its aims, its rows in ``coverage.py``,
and a row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from iommu_abi.fuzz import amdvi, amdvi_aims, vtd, vtd_aims
from iommu_abi.fuzz.coverage import FORMATS as NAMES
from iommu_abi.fuzz.mutate import Vendor
from iommu_abi.fuzz.worlds import Dice, Wish, World


@dataclass(frozen=True, slots=True)
class Format:
    """How worlds of a format are built, and how they are broken."""

    build: Callable[[Dice, Wish], World]
    vendor: Vendor


FORMATS: dict[str, Format] = {
    "vtd-legacy": Format(vtd.legacy, vtd_aims.VENDOR),
    "vtd-ecs": Format(vtd.extended, vtd_aims.VENDOR),
    "vtd-scalable": Format(vtd.scalable, vtd_aims.VENDOR),
    "amdvi-v1": Format(amdvi.host_only, amdvi_aims.VENDOR),
    "amdvi-v2": Format(amdvi.guest_only, amdvi_aims.VENDOR),
    "amdvi-nested": Format(amdvi.nested, amdvi_aims.VENDOR),
}

assert tuple(FORMATS) == NAMES
