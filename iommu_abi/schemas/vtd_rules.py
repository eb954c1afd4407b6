"""Intel VT-d: which bits of context and PASID entries are reserved, by revision and capability.

Sources: revision 5.10, 9.3, 9.4, 9.6 ("treated as Reserved(0) for implementations not supporting")
and its revision history; for extended mode 9.4 of revision 2.x. Bits that are always reserved are
in ``vtd_entries``.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.vtd_entries import (
    CONTEXT_ENTRY,
    EXTENDED_CONTEXT_ENTRY,
    SCALABLE_CONTEXT_ENTRY,
    SCALABLE_PASID_ENTRY,
)
from iommu_abi.schemas.vtd_unit import VtdUnit

#: The bit of each field of PAT that no memory type has.
PAT_TOP_BITS = 0x8888_8888


def _any_without(fields: Fields, allowed: Mapping[str, int]) -> bool:
    """Whether a field is not 0 that this unit does not have."""
    return any(fields[name] and not has for name, has in allowed.items())


def legacy_context_reserved(unit: VtdUnit, context: Fields) -> bool:
    """9.3: SLPTPTR is ignored for pass-through (TT=2) alone."""
    if CONTEXT_ENTRY.has_reserved_bits(context) or unit.domain_too_wide(context.DID):
        return True
    return context.TT != 2 and unit.above_haw(context.SLPTPTR)


def scalable_context_reserved(unit: VtdUnit, context: Fields) -> bool:
    """9.4."""
    if SCALABLE_CONTEXT_ENTRY.has_reserved_bits(context) or unit.above_haw(context.PASIDDIRPTR):
        return True
    ecap = unit.ecap
    allowed = {
        "DTE": ecap.DT,
        "PASIDE": ecap.PASID,
        "PRE": ecap.PRS,
        "HPTE": ecap.HPTS,
        "EPTR": ecap.PTRS,
        "RID_PASID": ecap.RPS,
        "RID_PRIV": ecap.RPRIVS,
    }
    return _any_without(context, allowed)


def pasid_entry_reserved(unit: VtdUnit, entry: Fields) -> bool:
    """9.6: the bits of a pointer above HAW are reserved also where the pointer is ignored, or a GPA."""
    if SCALABLE_PASID_ENTRY.has_reserved_bits(entry):
        return True
    pointers = (entry.SLPTPTR, entry.FLPTPTR, entry.HPTPTR)
    if any(unit.above_haw(pointer) for pointer in pointers):
        return True
    if unit.domain_too_wide(entry.DID) or unit.domain_too_wide(entry.HPTDID):
        return True
    return _any_without(entry, _first_half(unit) | _other_words(unit))


def _first_half(unit: VtdUnit) -> dict[str, int]:
    """Words 0 and 1."""
    ecap = unit.ecap
    executes, walks_have_a_type = not unit.since(4, 1), not unit.since(3, 4)
    return {
        "AW": ecap.SLTS or not unit.since(4, 1),
        "SLEE": executes,
        "SLADE": ecap.SLTS and ecap.SLADS,
        "SLPTPTR": ecap.SLTS,
        "PWSNP": ecap.SMPWCS,
        "PGSNP": ecap.SC or not unit.since(3, 4),
        "CD": ecap.MTS,
        "EMTE": ecap.MTS,
        "EMT": walks_have_a_type,
        "PWT": walks_have_a_type,
        "PCD": walks_have_a_type,
        "PAT": ecap.MTS,
    }


def _other_words(unit: VtdUnit) -> dict[str, int]:
    """Words 2 to 5; NXE and SMEP are ignored since nothing executes (4.1)."""
    ecap = unit.ecap
    return {
        "SRE": ecap.SRS,
        "ERE": not unit.since(4, 1),
        "FLPM": ecap.FLTS,
        "WPE": ecap.FLTS,
        "EAFE": ecap.EAFS,
        "FLPTPTR": ecap.FLTS,
        "HPTSZ": ecap.HPTS,
        "HPTPFD": ecap.HPTS,
        "HPTPTR": ecap.HPTS,
        "HPTDID": ecap.HPTS,
    }


def extended_context_reserved(unit: VtdUnit, context: Fields) -> bool:
    """Revision 2.x, 9.4: EAFE and PAT by its words, the other capabilities by the same pattern."""
    if EXTENDED_CONTEXT_ENTRY.has_reserved_bits(context) or unit.domain_too_wide(context.DID):
        return True
    ecap = unit.ecap
    allowed = {
        "EMT": ecap.MTS,
        "DINVE": ecap.DIS,
        "PRE": ecap.PRS,
        "NESTE": ecap.NEST,
        "PASIDE": ecap.PASID,
        "CD": ecap.MTS,
        "EMTE": ecap.MTS,
        "EAFE": ecap.EAFS,
        "ERE": ecap.ERS,
        "PAT": ecap.MTS,
    }
    if _any_without(context, allowed) or (context.PASIDE and context.PAT & PAT_TOP_BITS):
        return True
    return _extended_pointer_reserved(unit, context)


def _extended_pointer_reserved(unit: VtdUnit, context: Fields) -> bool:
    """Pointers that are used and are HPA."""
    uses_second_stage = context.T in (0, 1) or (context.PASIDE and context.NESTE)
    if uses_second_stage and unit.above_haw(context.SLPTPTR):
        return True
    table_in_hpa = context.PASIDE and not context.NESTE
    return bool(table_in_hpa and unit.above_haw(context.PASIDPTR))
