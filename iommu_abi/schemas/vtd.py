"""Intel VT-d: the plain walk in legacy, extended and scalable mode.

Sources:
- Intel Virtualization Technology for Directed I/O, revision 5.10: 3.1, 3.4 to 3.10, 3.15 (the walks),
  4.2 (ATS), 5.1.4 (interrupt addresses), 7.1 (faults), chapter 9 (entries), 11.4 (registers). Its
  revision history dates the rules; ``REV`` says by which revision a unit goes.
- Revision 2.x (2014 to 2018), 3.4 to 3.8, for extended mode (ECS), which later revisions dropped.
- ``docs/walk.md`` where these are silent, ``docs/text_vtd.md`` section by section.

In these files the vendor's words are used: first and second stage (older: level), root,
context, PASID directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.format import Format, Step
from iommu_abi.schemas.table_walk import Walk
from iommu_abi.schemas.vtd_context import VtdContext
from iommu_abi.schemas.vtd_entries import (
    ABORT,
    CONTEXT_ENTRY,
    EXTENDED,
    EXTENDED_CONTEXT_ENTRY,
    EXTENDED_PASID_ENTRY,
    FIRST_STAGE,
    LEGACY,
    PASID_DIRECTORY_ENTRY,
    ROOT_ENTRY,
    RTADDR,
    SCALABLE,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
    SCALABLE_ROOT_HALF,
    second_stage_layout,
)
from iommu_abi.schemas.vtd_extended import ExtendedContext
from iommu_abi.schemas.vtd_legacy import LegacyContext
from iommu_abi.schemas.vtd_scalable import ScalableContext
from iommu_abi.schemas.vtd_unit import (
    DEFAULT_CAP,
    DEFAULT_ECAP,
    DEFAULT_GSTS,
    DEFAULT_HAW,
    DEFAULT_REV,
    LEAST_HAW,
    VtdUnit,
    default_ecap,
)
from iommu_abi.terms import Ref, Stage

__all__ = [
    "DEFAULT_CAP",
    "DEFAULT_ECAP",
    "DEFAULT_GSTS",
    "DEFAULT_HAW",
    "DEFAULT_REV",
    "FORMAT",
    "LEAST_HAW",
    "Vtd",
    "default_ecap",
    "describe",
]

#: In abort mode the registers refuse everything, and no table is read.
MODES: dict[int, type[VtdContext]] = {
    LEGACY: LegacyContext,
    SCALABLE: ScalableContext,
    EXTENDED: ExtendedContext,
    ABORT: LegacyContext,
}


class Vtd(VtdUnit):
    """A VT-d unit."""

    def context(self, walk: Walk, rid: int, pasid: int | None) -> VtdContext:
        """Make the context of a requester, by TTM."""
        return MODES[self.rtaddr.TTM](self, walk, rid, pasid)


# ---------------------------------------------------------------- entries in words

_DEVICE_AND_PASID_ENTRIES: dict[int, dict[tuple[Stage, int], Layout]] = {
    LEGACY: {(Stage.DEVICE, 1): ROOT_ENTRY, (Stage.DEVICE, 0): CONTEXT_ENTRY},
    EXTENDED: {
        (Stage.DEVICE, 1): SCALABLE_ROOT_HALF,
        (Stage.DEVICE, 0): EXTENDED_CONTEXT_ENTRY,
        (Stage.PASID, 0): EXTENDED_PASID_ENTRY,
    },
    SCALABLE: {
        (Stage.DEVICE, 1): SCALABLE_ROOT_HALF,
        (Stage.DEVICE, 0): SCALABLE_CONTEXT_ENTRY,
        (Stage.PASID, 1): PASID_DIRECTORY_ENTRY,
        (Stage.PASID, 0): SCALABLE_PASID_ENTRY,
    },
}


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.S1:
        return f"first-stage {x86.NAMES[ref.level]}", x86.layout_of(FIRST_STAGE, ref.level, ref.raw)
    if ref.stage is Stage.S2:
        return f"second-stage {x86.NAMES[ref.level]}", second_stage_layout(ref.level, ref.raw)
    ttm = RTADDR.of(registers["RTADDR"]).TTM
    layout = _DEVICE_AND_PASID_ENTRIES[ttm][ref.stage, ref.level]
    if layout is not SCALABLE_ROOT_HALF:
        return layout.name, layout
    mode = "extended" if ttm == EXTENDED else "scalable-mode"
    return f"{mode} root entry, {'upper' if ref.hpa & 8 else 'lower'} half", layout


FORMAT = Format(Vtd, describe)
