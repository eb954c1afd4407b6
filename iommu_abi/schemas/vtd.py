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
from iommu_abi.schemas.plain import X86_INTERRUPTS, Format, Step, Stop
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
from iommu_abi.schemas.vtd_extended import ExtendedMode
from iommu_abi.schemas.vtd_legacy import LegacyMode
from iommu_abi.schemas.vtd_mode import Mode
from iommu_abi.schemas.vtd_scalable import ScalableMode
from iommu_abi.schemas.vtd_unit import (
    DEFAULT_CAP,
    DEFAULT_ECAP,
    DEFAULT_GSTS,
    DEFAULT_HAW,
    DEFAULT_REV,
    LEAST_HAW,
    Unit,
    default_ecap,
)
from iommu_abi.terms import Access, At, Reason, Ref, Stage, Translation

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

MODES: dict[int, type[Mode]] = {LEGACY: LegacyMode, SCALABLE: ScalableMode, EXTENDED: ExtendedMode}


class Vtd(Unit):
    """One request at a VT-d unit."""

    def translate(self) -> Translation:
        """Go by TES, then by the interrupt range, then by TTM."""
        if not self.gsts.TES and self.request.at is not At.UNTRANSLATED:
            # An Unsupported Request (4.2.1).
            raise Stop(Reason.BLOCKED, 0, self.place(Stage.DEVICE), recorded=False)
        if self._at_interrupts():
            return self._message()
        if not self.gsts.TES:
            return self.untranslated()
        return self._mode().translate()

    def _at_interrupts(self) -> bool:
        """Whether it goes to interrupt remapping (3.15); with remapping off a PASID is ignored (3.1)."""
        without_pasid = self.request.pasid is None or not self.gsts.TES
        untranslated = self.request.at is At.UNTRANSLATED
        return without_pasid and untranslated and self.request.iova in X86_INTERRUPTS

    def _message(self) -> Translation:
        """Take writes; all else is no interrupt (3.15; Table 15)."""
        if self.request.access is not Access.WRITE:
            raise Stop(Reason.INTERRUPT_RANGE, 0x29, self.place(Stage.DEVICE))
        return self.message()

    def _mode(self) -> Mode:
        """RTA.1 and RTA.4."""
        ttm, ecap = self.rtaddr.TTM, self.ecap
        if ttm == ABORT and ecap.ADMS:
            raise Stop(Reason.ABORTED, 0x33, self.place(Stage.DEVICE))
        supported = {LEGACY: 1, SCALABLE: ecap.SMTS, EXTENDED: ecap.ECS, ABORT: 0}
        if not supported[ttm]:
            raise Stop(Reason.INVALID, 0x30, self.place(Stage.DEVICE))
        if ttm == SCALABLE:
            self._refuse_execution()
        return MODES[ttm](self)

    def _refuse_execution(self) -> None:
        """RTA.5: since 4.1 there are no such requests, and units of major version 8 say so at once."""
        asked = self.request.access is Access.EXEC and self.request.pasid is not None
        if asked and self.ver.MAX >= 8 and self.since(4, 1):
            raise Stop(Reason.BLOCKED, 0x34, self.place(Stage.DEVICE))


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
