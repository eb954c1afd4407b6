"""Arm SMMUv3: the plain walk of stream table, context descriptors, and stages 1 and 2.

Sources:
- Arm IHI 0070 (System Memory Management Unit architecture version 3): 3.4 (address sizes), 3.9
  and 13.6 (ATS), 5.1 to 5.4 (entries), 6.3.24 and 6.3.25 (stream table), 7.3.22 (order of events).
- ``docs/walk_smmuv3.md`` where this is silent.
- ``smmuv3_context``: what a stream has; ``smmuv3_transaction``: what is checked of a request;
  ``smmuv3_features``, ``smmuv3_ste``, ``smmuv3_cd``: what a unit has and what may be configured;
  ``smmuv3_events``: what is recorded; ``smmuv3_ats``: completions; ``vmsa``: the tables of both stages.

In these files the vendor's words are used: StreamID is the requester, SubstreamID the PASID, the
CD table the PASID table, IPA is GPA. The vendor counts levels from the top, 3 the last; our
level is 3 - that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.format import Format, Step
from iommu_abi.schemas.smmuv3_context import Smmuv3
from iommu_abi.schemas.smmuv3_entries import CD, L1CD, L1STD, STE, TG0_LG2, TG1_LG2
from iommu_abi.schemas.smmuv3_features import IDENTITY, Features
from iommu_abi.schemas.vmsa_entries import (
    DEFAULT_GRANULE,
    Granule,
    descriptor_layout,
    vendor_level,
)
from iommu_abi.terms import Ref, Stage


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.DEVICE:
        layout = L1STD if ref.level else STE
        return layout.name, layout
    if ref.stage is Stage.PASID:
        layout = L1CD if ref.level else CD
        return layout.name, layout
    granule = _granule_of(registers, before, ref)
    kind = granule.kind(ref.level, ref.raw)
    number = 1 if ref.stage is Stage.S1 else 2
    name = f"stage-{number} level {vendor_level(ref.level)} {kind.value}"
    return name, descriptor_layout(number, granule, ref.level, kind)


def _granule_of(registers: Mapping[str, int], before: Sequence[Step], ref: Ref) -> Granule:
    """Find the granule of a table in the STE or CD that was read before."""
    unit = Features({name: registers.get(name, value) for name, value in IDENTITY.items()})
    found: Granule | None = None
    for earlier, data in before:
        if earlier.level == 0 and earlier.stage is Stage.DEVICE and ref.stage is Stage.S2:
            found = unit.second_granule(STE.parse(data))
        if earlier.level == 0 and earlier.stage is Stage.PASID and ref.stage is Stage.S1:
            top = next((each for each, _ in before if each.stage is Stage.S1), ref)
            cd = CD.parse(data)
            found = unit.granule(_granule_lg2_of_half(cd, top.gpa), cd.DS)
    return found if found is not None and found.lg2 else DEFAULT_GRANULE


def _granule_lg2_of_half(cd: Fields, top: int) -> int:
    """log2 of the granule of the half in whose top table the entry at ``top`` lies; 0 if none."""
    lower, upper = TG0_LG2.get(cd.TG0), TG1_LG2.get(cd.TG1, 0)
    if cd.EPD0 or lower is None:
        return upper
    # A top table of stage 1 never crosses a granule.
    return lower if top >> lower == cd.TTB0 >> lower else upper


FORMAT = Format(Smmuv3, describe)
