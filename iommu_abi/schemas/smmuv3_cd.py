"""Arm SMMUv3: the legality of a CD, its two halves, and what of it is not modelled.

Source: Arm IHI 0070, 5.4 (fields) and 5.4.2 (CdIllegal), Non-secure; 5.5 for STALL_MODEL.
"""

from __future__ import annotations

from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.smmuv3_entries import STAGE_1, TG0_LG2, TG1_LG2
from iommu_abi.schemas.smmuv3_features import AARCH32, AARCH64, Features
from iommu_abi.schemas.smmuv3_ste import Unmodelled, is_any_el2
from iommu_abi.schemas.vmsa import Half
from iommu_abi.schemas.vmsa_entries import Granule

_WRITE, _EXECUTE = 4, 2  # bits of PIIU's and PIIP's encodings


class Regime:
    """A CD as a stream's STE has it read: EL2 has one half, which EPD0 does not disable."""

    def __init__(self, unit: Features, ste: Fields, cd: Fields, e2h: int) -> None:
        self.unit = unit
        self.ste = ste
        self.cd = cd
        self.e2h = is_any_el2(unit, ste) and bool(e2h)
        self.el2 = is_any_el2(unit, ste) and not e2h

    def halves(self) -> tuple[Half, ...]:
        """Return the halves that are enabled."""
        cd, found = self.cd, []
        if self.el2 or not cd.EPD0:
            granule = self._granule(TG0_LG2.get(cd.TG0, 0))
            table = self.unit.table_address(cd.TTB0)
            found.append(Half(False, cd.T0SZ, granule, table, cd.TBI0, cd.HAD0, cd.E0PD0))
        if not self.el2 and not cd.EPD1:
            granule = self._granule(TG1_LG2.get(cd.TG1, 0))
            table = self.unit.table_address(cd.TTB1)
            found.append(Half(True, cd.T1SZ, granule, table, cd.TBI1, cd.HAD1, cd.E0PD1))
        return tuple(found)

    def _granule(self, lg2: int) -> Granule:
        return self.unit.granule(lg2, self.cd.DS)

    # CdIllegal.

    @property
    def _is_wide(self) -> bool:
        return bool(not self.cd.AA64 and self.unit.idr5.D128)

    @property
    def _is_aarch32(self) -> bool:
        return bool(not self.cd.AA64 and not self.unit.idr5.D128)

    def illegal(self) -> bool:
        """Whether the CD, which is valid, is ILLEGAL."""
        unit, cd = self.unit, self.cd
        return any(
            (
                unit.stall_illegal(cd.S) or (cd.S and self.ste.S1STALLD),
                unit.idr0.TERM_MODEL and not cd.A,
                self.halves() and unit.endianness_illegal(cd.ENDI),
                self._format_illegal(),
                not self._is_aarch32 and unit.flags_illegal(cd.HA, cd.HD, cd.HAFT),
                cd.ASID > 0xFF and not unit.idr0.ASID16 and not self.el2,
                cd.AA64 and any(self._half_illegal(half) for half in self.halves()),
                self._is_indirect() and self._permissions_illegal(),
            )
        )

    def _format_illegal(self) -> bool:
        """AA64 against TTF, the regime and stage 2 (5.4 AA64)."""
        if self._is_wide:
            return not self.ste.S1PIE or self.el2
        if self._is_aarch32:
            return not self.unit.idr0.TTF & AARCH32 or self.e2h
        over_aarch32 = self.ste.Config != STAGE_1 and not self.ste.S2AA64 and not self.unit.idr5.D128
        return not self.unit.idr0.TTF & AARCH64 or over_aarch32

    def _half_illegal(self, half: Half) -> bool:
        granule = half.granule
        return (
            not self.unit.has_granule(granule.lg2)
            or not self.unit.smallest_size(granule) <= half.size <= self.unit.largest_size(granule.lg2)
            or bool(half.table >> self.unit.table_lg2(self.cd.IPS, granule))
        )

    def _is_indirect(self) -> bool:
        return self._is_wide or bool(self.unit.idr3.S1PI and self.ste.S1PIE and self.cd.PIE)

    def _permissions_illegal(self) -> bool:
        """PIIP, and but for EL2 PIIU: reserved encodings, and execution of what others may write."""
        for index in range(0, 48, 3):
            privileged, unprivileged = self.cd.PIIP >> index & 7, self.cd.PIIU >> index & 7
            if privileged in (4, 6):
                return True
            if self.el2:
                continue
            if unprivileged in (4, 6) or (privileged & _EXECUTE and unprivileged & _WRITE):
                return True
        return False

    # What is not modelled.

    def unmodelled(self) -> Unmodelled | None:
        """Name what of a legal CD is not modelled."""
        if self._is_wide:
            return Unmodelled.WIDE_DESCRIPTORS
        if self._is_aarch32:
            return Unmodelled.AARCH32_TABLES
        return Unmodelled.INDIRECTION if self._is_indirect() else None
