"""AMD-Vi: the plain walk of host (v1), guest (v2) and nested tables.

Sources:
- AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.2.2 (device
  table), 2.2.3 (host page tables), 2.2.6 (guest tables), 2.5 (events), 3.4 (registers); as
  read by Linux 7.2 ``drivers/iommu/amd`` and ``drivers/iommu/generic_pt/fmt/amdv1.h``.
- Where Linux does not look: VirtualBox's model (``DevIommuAmd.cpp``, ``iommu-amd.h``), and what
  illumos (``amd_iommu_log.c``) and FreeBSD (``amdvi_priv.h``) say of events.
- ``docs/walk.md`` where these are silent.
- ``amdvi_entries``: the entries; ``amdvi_context``: what a device has; ``amdvi_transaction``: what is
  checked of a request; ``amdvi_tables``: the stages; ``amdvi_events``: the events.

In these files the vendor's words are used: host tables (v1) are stage 2, guest tables (v2)
stage 1, the GCR3 table is the PASID table, GPA = SPA where there is no host table. The
vendor counts levels from 1; our level is one less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iommu_abi.schemas import x86
from iommu_abi.schemas.amdvi_context import AmdviUnit
from iommu_abi.schemas.amdvi_entries import DEVICE_TABLE_ENTRY, GCR3_ENTRY, V2, v1_layout
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.format import Format, Step
from iommu_abi.terms import Ref, Stage


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.S1:
        return f"v2 {x86.NAMES[ref.level]}", x86.layout_of(V2, ref.level, ref.raw)
    if ref.stage is Stage.S2:
        layout = v1_layout(ref.raw)
        return f"{layout.name}, level {ref.level + 1}", layout
    if ref.stage is Stage.PASID:
        return f"GCR3 entry, level {ref.level + 1}", GCR3_ENTRY
    return DEVICE_TABLE_ENTRY.name, DEVICE_TABLE_ENTRY


FORMAT = Format(AmdviUnit, describe)
