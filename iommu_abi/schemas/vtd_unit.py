"""Intel VT-d: the registers of a unit, and what its revision and capabilities make of the rest.

Source: Intel Virtualization Technology for Directed I/O, revision 5.10: revision history, 7.1 (what
is reported), 11.4 (registers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from iommu_abi.schemas.plain import X86_INTERRUPTS, Stop, Translator, Walk
from iommu_abi.schemas.vtd_entries import CAP, ECAP, EXTENDED, GSTS, RTADDR, VER
from iommu_abi.terms import Access, At, Fault, Reason, Stage, Target, Translation

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

#: Faults that FPD does not suppress (Table 30, "Qualified: No"; Table 15).
UNQUALIFIED = frozenset(
    (0x1, 0x8, 0x9, 0xA, 0x29, 0x30, 0x31, 0x33, 0x34, 0x38, 0x39, 0x3A, 0x40, 0x50, 0x58)
)  # fmt: skip
#: Faults of which a translation request is told by a completion without rights, and nobody else (Table 30).
RECOVERABLE = frozenset(
    (
        *(0x4, 0x5, 0x6),  # LGN.1.1, LGN.2, LGN.3
        *(0x19, 0x1A),  # ERE and SRE in extended mode: history of 2.5
        *(0x51, 0x59, 0x5C, 0x5D),  # SPD.2, SPT.2, SPT.5, SPT.6
        *(0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x90),  # SFS.1 to SFS.9
        0x79,  # SSS.2
        *(0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86),  # SGN.1 to SGN.7
    )
)


class Unit(Translator):
    """One request at a unit: its registers, and which faults are recorded."""

    def __init__(self, registers: Mapping[str, int], walk: Walk) -> None:
        super().__init__(registers, walk)
        self.rtaddr = RTADDR.of(self.register("RTADDR"))
        self.gsts = GSTS.of(self.register("GSTS", DEFAULT_GSTS))
        self.cap = CAP.of(self.register("CAP", DEFAULT_CAP))
        self.ecap = ECAP.of(self.register("ECAP", default_ecap(self.rtaddr.TTM)))
        self.ver = VER.of(self.register("VER", 0))
        self.haw = self.register("HAW", DEFAULT_HAW)
        if not LEAST_HAW <= self.haw <= DEFAULT_HAW:
            raise ValueError(f"HAW: no host has addresses of {self.haw} bits")
        self.revision = self._revision()
        self.suppressed = False

    def _revision(self) -> int:
        revision = self.register("REV", DEFAULT_REV)
        if not FIRST_REV <= revision <= LAST_REV:
            raise ValueError(f"REV: {revision:#x} is no revision; it is major << 8 | minor")
        return min(revision, LAST_EXTENDED_REV) if self.rtaddr.TTM == EXTENDED else revision

    def since(self, major: int, minor: int) -> bool:
        """Whether what came with a revision holds."""
        return self.revision >= rev(major, minor)

    # What is recorded.

    def finish(self, fault: Fault) -> Fault:
        """Note what is not recorded: faults after FPD, and what a completion tells."""
        qualified = fault.native not in UNQUALIFIED
        if (self.suppressed and qualified) or self._told_by_completion(fault):
            return replace(fault, recorded=False)
        return fault

    def _told_by_completion(self, fault: Fault) -> bool:
        return self.request.at is At.TRANSLATION and fault.native in RECOVERABLE

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

    # Translation requests.

    @property
    def no_write(self) -> bool:
        """Whether the unit obeys NW, and NW is set: only a request for WRITE has it clear (4.2.3)."""
        translation = self.request.at is At.TRANSLATION
        return translation and bool(self.ecap.NWFS) and self.request.access is not Access.WRITE

    def asks_for_messages(self) -> bool:
        """Whether this is a translation request for the addresses of interrupts (4.2.3)."""
        without_pasid = self.request.pasid is None and self.request.iova in X86_INTERRUPTS
        return without_pasid and self.request.at is At.TRANSLATION

    def messages_untranslated(self) -> Translation:
        """Complete such a request: writes, untranslated only (S.1 of Table 30); none with NW (S.2)."""
        if self.no_write:
            raise Stop(Reason.INTERRUPT_RANGE, 0, self.place(Stage.DEVICE), recorded=False)
        return self.message()

    def message(self) -> Translation:
        """Answer that a write is an interrupt."""
        return replace(self.untranslated(Access.WRITE), target=Target.INTERRUPT)


def default_ecap(ttm: int) -> int:
    """ECAP when it is not given: extended mode exists if RTADDR asks for it."""
    return DEFAULT_ECAP | (ECAP.value(ECS=1) if ttm == EXTENDED else 0)
