"""Arm SMMUv3: the legality of an STE, and what of it is not modelled.

Source: Arm IHI 0070, 5.2 (fields) and 5.2.2 (SteIllegal), Non-secure; 5.5 for STALL_MODEL.
"""

from __future__ import annotations

from enum import IntFlag

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.smmuv3_entries import (
    BYPASS,
    DPT_ATS,
    EL2,
    FULL_ATS,
    LINEAR,
    NESTED,
    NO_ATS,
    SPLIT_ATS,
    STAGE_1,
    STAGE_2,
    TWO_LEVEL_4K,
    TWO_LEVEL_64K,
)
from iommu_abi.schemas.smmuv3_features import AARCH32, AARCH64, Features


class Unmodelled(IntFlag):
    """What a legal configuration may ask for and this walk does not do; refused by name."""

    AARCH32_TABLES = 1 << 3
    WIDE_DESCRIPTORS = 1 << 4
    INDIRECTION = 1 << 5
    OVERLAYS = 1 << 6
    DPT = 1 << 7
    HARDENING = 1 << 8


# ---------------------------------------------------------------- how fields are understood


def has_stage1(ste: Fields) -> bool:
    """Whether stage 1 is on."""
    return ste.Config in (STAGE_1, NESTED)


def has_stage2(ste: Fields) -> bool:
    """Whether stage 2 is on."""
    return ste.Config in (STAGE_2, NESTED)


def cd_max(unit: Features, ste: Fields) -> int:
    """log2 of the CDs of a stream."""
    return ste.S1CDMax if unit.idr1.SSIDSIZE else 0


def cd_format(unit: Features, ste: Fields) -> int:
    """Return the format of its CD table; S1Fmt 3 is as 0."""
    return ste.S1Fmt if cd_max(unit, ste) and ste.S1Fmt in (TWO_LEVEL_4K, TWO_LEVEL_64K) else LINEAR


def uses_strw(unit: Features, ste: Fields) -> bool:
    """Whether STRW counts (IgnoreSTESTRW)."""
    return bool(ste.Config == STAGE_1 and unit.idr0.S1P and unit.idr0.HYP)


def is_any_el2(unit: Features, ste: Fields) -> bool:
    """Whether stage 1 of a stream is EL2's or EL2-E2H's."""
    return uses_strw(unit, ste) and ste.STRW == EL2


def ats_mode(unit: Features, ste: Fields, checked: int) -> int:
    """Return the EATS that counts; ``checked`` is CR0.ATSCHK (5.2 EATS)."""
    if not unit.idr0.ATS or ste.Config == BYPASS:
        return NO_ATS
    if ste.EATS == SPLIT_ATS:
        return SPLIT_ATS if checked else NO_ATS
    if ste.EATS == DPT_ATS:
        return DPT_ATS if checked and unit.idr3.DPT else NO_ATS
    return ste.EATS


def _is_aarch32(unit: Features, ste: Fields) -> bool:
    return not ste.S2AA64 and not unit.idr5.D128


def _indirection(unit: Features, ste: Fields) -> bool:
    return bool(unit.idr3.S2PI and ste.S2PIE)


def _overlays(unit: Features, ste: Fields) -> bool:
    return bool(unit.idr3.S2PO and ste.S2POE)


# ---------------------------------------------------------------- SteIllegal


def ste_illegal(unit: Features, ste: Fields) -> bool:
    """Whether an STE that translates or bypasses is ILLEGAL; in Config 100 nothing can be."""
    if ste.Config == BYPASS:
        return False
    return any(
        (
            _ats_illegal(unit, ste),
            uses_strw(unit, ste) and ste.STRW & 1,
            has_stage1(ste) and _stage1_illegal(unit, ste),
            has_stage2(ste) and _stage2_illegal(unit, ste),
            _vmid_illegal(unit, ste),
        )
    )


def _ats_illegal(unit: Features, ste: Fields) -> bool:
    """EATS; S2S excludes ATS only where stage 2 translates (from v3.1; 3.0 leaves it to the unit)."""
    if not unit.idr0.ATS:
        return False
    stalls = bool(has_stage2(ste) and ste.S2S)
    if ste.EATS == SPLIT_ATS:
        return ste.Config != NESTED or stalls or bool(unit.idr0.NS1ATS)
    if ste.EATS == DPT_ATS and unit.idr3.DPT:
        return stalls or (uses_strw(unit, ste) and ste.STRW != 0)
    return ste.EATS == FULL_ATS and stalls


def _stage1_illegal(unit: Features, ste: Fields) -> bool:
    return any(
        (
            not unit.idr0.S1P,
            unit.idr0.STALL_MODEL and ste.S1STALLD,
            cd_max(unit, ste) > unit.idr1.SSIDSIZE,
            cd_format(unit, ste) != LINEAR and not unit.idr0.CD2L,
            # Nested, stage 2 finds that the IPA is too large (3.4.3, note 2b).
            ste.Config == STAGE_1 and ste.S1ContextPtr >> unit.oas_lg2,
        )
    )


def _stage2_illegal(unit: Features, ste: Fields) -> bool:
    return any(
        (
            not unit.idr0.S2P,
            unit.stall_illegal(ste.S2S),
            not unit.idr0.TTF & (AARCH64 if ste.S2AA64 else AARCH32) and not _is_wide(unit, ste),
            _is_aarch32(unit, ste) and _illegal_with_aarch32(unit, ste),
            unit.flags_illegal(ste.S2HA, ste.S2HD, ste.S2HAFT),
            ste.S2AA64 and _tables_illegal(unit, ste),
            unit.endianness_illegal(ste.S2ENDI),
            _overlays(unit, ste) and _overlays_illegal(unit, ste),
            _vms_illegal(unit, ste),
        )
    )


def _is_wide(unit: Features, ste: Fields) -> bool:
    return bool(not ste.S2AA64 and unit.idr5.D128)


def _illegal_with_aarch32(unit: Features, ste: Fields) -> bool:
    return bool((unit.idr3.FWB and ste.S2FWB) or ste.S2HA or ste.S2HD or _indirection(unit, ste))


def _tables_illegal(unit: Features, ste: Fields) -> bool:
    """What only VMSAv8-64 can have wrong: S2TG, S2T0SZ, S2SL0 and S2TTB."""
    granule = unit.second_granule(ste)
    if not unit.has_granule(granule.lg2) or not unit.second_size_legal(ste):
        return True
    return bool(unit.table_address(ste.S2TTB) >> unit.table_lg2(ste.S2PS, granule))


def _overlays_illegal(unit: Features, ste: Fields) -> bool:
    reserved = any(ste.S2POI >> 4 * index & 0xF in (1, 5) for index in range(16))
    direct = not _indirection(unit, ste) and not _is_wide(unit, ste)
    return direct or reserved or bool(unit.idr3.PBHA and ste.S2HWU)


def _vms_illegal(unit: Features, ste: Fields) -> bool:
    """VMSPtr, where MPAM needs it (from v3.2)."""
    enabled = unit.idr3.MPAM and unit.minor >= 2 and ste.Config == NESTED and ste.S1MPAM
    return bool(enabled and ste.VMSPtr >> unit.oas_lg2)


def _vmid_illegal(unit: Features, ste: Fields) -> bool:
    """S2VMID counts for EL1 alone, in Config 101 too (IgnoreSTES2VMID)."""
    ignored = not unit.idr0.S2P or (uses_strw(unit, ste) and ste.STRW != 0)
    return not ignored and ste.S2VMID > 0xFF and not unit.idr0.VMID16


# ---------------------------------------------------------------- what is not modelled


def unmodelled_stage2(unit: Features, ste: Fields) -> Unmodelled | None:
    """Name what of a legal stage 2 is not modelled."""
    if not ste.S2AA64:
        return Unmodelled.WIDE_DESCRIPTORS if unit.idr5.D128 else Unmodelled.AARCH32_TABLES
    if _overlays(unit, ste):
        return Unmodelled.OVERLAYS
    if _indirection(unit, ste):
        return Unmodelled.INDIRECTION
    if unit.idr3.THE and ste.HARDENING:
        return Unmodelled.HARDENING
    return None
