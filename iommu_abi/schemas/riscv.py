"""RISC-V IOMMU: the plain walk of device and process directories, both stages, and MSI tables.

Sources:
- RISC-V IOMMU Architecture Specification 1.0: chapter 3 (data structures and the process to
  translate an IOVA), 4.2 (fault queue), 5 (registers).
- The specification's reference model, for addresses beyond the physical address space.
- ``docs/walk_riscv.md`` where these are silent.
- ``riscv_context``: what a device has; ``riscv_transaction``: what is checked of a request;
  ``riscv_features``: what may be configured; ``riscv_tables``: the page tables of both stages;
  ``riscv_causes``: the causes.

In these files the vendor's words are used: device_id is the requester, process_id the PASID, the
process directory the PASID table, first and second stage (also: VS and G stage) are stage 1
and 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.entries import Layout
from iommu_abi.schemas.format import Format, Step
from iommu_abi.schemas.riscv_context import Riscv
from iommu_abi.terms import Ref, Stage


def describe(
    registers: Mapping[str, int], before: Sequence[Step], ref: Ref, data: bytes
) -> tuple[str, Layout]:
    """Return the type and layout of an entry of a trace."""
    if ref.stage is Stage.DEVICE:
        context = rv.DC if ref.len == rv.DC.size else rv.EXTENDED_DC
        layout = rv.DDTE if ref.level else context
        return layout.name, layout
    if ref.stage is Stage.PASID:
        layout = rv.PDTE if ref.level else rv.PC
        return layout.name, layout
    if ref.len == rv.MSI_BASIC.size:
        layout = rv.MSI_MRIF if rv.is_mrif(data) else rv.MSI_BASIC
        return layout.name, layout
    layout = rv.PTE32 if ref.len == rv.PTE32.size else rv.PTE
    kind = "leaf" if ref.raw & (rv.R | rv.W | rv.X) else "non-leaf"
    stage = "first" if ref.stage is Stage.S1 else "second"
    return f"{stage}-stage level {ref.level} {kind} {layout.name}", layout


FORMAT = Format(Riscv, describe)
