"""Intel VT-d: the registers of a unit, and what its revision and capabilities make of the rest.

Source: Intel Virtualization Technology for Directed I/O, revision 5.10: revision history, 11.4
(registers).
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.context import Unit
from iommu_abi.schemas.vtd_entries import CAP, ECAP, EXTENDED, GSTS, RTADDR, VER

#: What is assumed of a unit of which only RTADDR is known.
DEFAULT_CAP = CAP.value(ND=6, MGAW=47, SAGAW=1 << 2, SLLPS=3, FL1GP=1)
DEFAULT_ECAP = ECAP.value(
    SC=1, DT=1, PT=1, NEST=1, SRS=1, ERS=1, PSS=19, PASID=1, SMTS=1, SLTS=1, FLTS=1, SMPWCS=1
)
DEFAULT_GSTS = GSTS.value(TES=1)
LEAST_HAW, DEFAULT_HAW = 12, 52


def rev(major: int, minor: int) -> int:
    """Number of a revision, as the pseudo-register REV has it."""
    return major << 8 | minor


#: Up to 4.0 what Linux writes on QEMU is legal: its entries have AW in units without a second stage.
DEFAULT_REV = rev(4, 0)
FIRST_REV, LAST_REV = rev(1, 0), rev(15, 255)
#: Extended mode is of 2.x; 3.0 dropped it.
LAST_EXTENDED_REV = rev(2, 5)


class VtdUnit(Unit):
    """A unit: its registers."""

    def __init__(self, registers: Mapping[str, int]) -> None:
        super().__init__(registers)
        self.rtaddr = RTADDR.of(self.register("RTADDR"))
        self.gsts = GSTS.of(self.register("GSTS", DEFAULT_GSTS))
        self.cap = CAP.of(self.register("CAP", DEFAULT_CAP))
        self.ecap = ECAP.of(self.register("ECAP", default_ecap(self.rtaddr.TTM)))
        self.ver = VER.of(self.register("VER", 0))
        self.haw = self.register("HAW", DEFAULT_HAW)
        if not LEAST_HAW <= self.haw <= DEFAULT_HAW:
            raise ValueError(f"HAW: no host has addresses of {self.haw} bits")
        self.revision = self._revision()

    def _revision(self) -> int:
        revision = self.register("REV", DEFAULT_REV)
        if not FIRST_REV <= revision <= LAST_REV:
            raise ValueError(f"REV: {revision:#x} is no revision; it is major << 8 | minor")
        return min(revision, LAST_EXTENDED_REV) if self.rtaddr.TTM == EXTENDED else revision

    @property
    def reads_tables(self) -> bool:
        """TES."""
        return bool(self.gsts.TES)

    def since(self, major: int, minor: int) -> bool:
        """Whether what came with a revision holds."""
        return self.revision >= rev(major, minor)

    # Widths.

    def above_haw(self, address: int) -> bool:
        """Return True for a host address that no host has."""
        return bool(address >> self.haw)

    def width_supported(self, aw: int) -> bool:
        """Whether the unit has this second-stage width: bits 0 and 4 of SAGAW are reserved (11.4.2)."""
        return aw in (1, 2, 3) and bool(self.cap.SAGAW >> aw & 1)

    def largest_width(self) -> int:
        """Return the largest AW that the unit has; 0 if it has none."""
        return max((aw for aw in (1, 2, 3) if self.width_supported(aw)), default=0)

    def second_stage_limit_lg2(self, aw: int) -> int:
        """log2 of the first address beyond the second stage: min(MGAW, AGAW)."""
        return min(self.cap.MGAW + 1, 30 + 9 * aw)

    def domain_too_wide(self, did: int) -> bool:
        """Whether a domain ID has bits that CAP.ND leaves unused (9.3, 9.6)."""
        return bool(did >> min(16, 4 + 2 * self.cap.ND))


def default_ecap(ttm: int) -> int:
    """ECAP when it is not given: extended mode exists if RTADDR asks for it."""
    return DEFAULT_ECAP | (ECAP.value(ECS=1) if ttm == EXTENDED else 0)
