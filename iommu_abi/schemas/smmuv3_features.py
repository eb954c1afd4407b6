"""Arm SMMUv3: what a unit has, by its ID registers and the version in AIDR.

Source: Arm IHI 0070, 6.3.1 (IDR0), 6.3.2 (IDR1), 6.3.4 (IDR3), 6.3.6 (IDR5), and 3.4 (address
sizes). A feature that a version makes mandatory is there whatever the register says, and one that it
has not is absent: registers that cannot exist together are taken for the unit that comes nearest.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.smmuv3_entries import ADDRESS_LG2, AIDR, CR0, CR2, IDR0, IDR1, IDR3, IDR5, TG0_LG2
from iommu_abi.schemas.vmsa_entries import Granule, vendor_level

#: What is assumed of a unit of which only the stream table is known.
DEFAULT_AIDR = AIDR.value(MINOR=1)
DEFAULT_IDR0 = IDR0.value(S2P=1, S1P=1, TTF=2, ATS=1, ASID16=1, VMID16=1, CD2L=1, TTENDIAN=2, ST_LEVEL=1)
DEFAULT_IDR1 = IDR1.value(SIDSIZE=32, SSIDSIZE=20)
DEFAULT_IDR3 = IDR3.value(HAD=1, XNX=1)
DEFAULT_IDR5 = IDR5.value(OAS=5, GRAN4K=1, GRAN16K=1, GRAN64K=1)
DEFAULT_CR0 = CR0.value(SMMUEN=1, EVTQEN=1)
DEFAULT_CR2 = CR2.value(RECINVSID=1)
#: The registers that say what a unit has.
IDENTITY = {
    "AIDR": DEFAULT_AIDR,
    "IDR0": DEFAULT_IDR0,
    "IDR1": DEFAULT_IDR1,
    "IDR3": DEFAULT_IDR3,
    "IDR5": DEFAULT_IDR5,
}

AARCH32, AARCH64 = 1, 2
OAS_48, OAS_52 = 5, 6
STALL_NEVER, STALL_ALWAYS = 1, 2
LITTLE_ENDIAN, BIG_ENDIAN = 2, 3
_GRANULE_BITS = {12: "GRAN4K", 14: "GRAN16K", 16: "GRAN64K"}
#: Granule and start level (the vendor's) -> the output width that the unit must have (J1.1.4.40).
_START_NEEDS = {(12, -1): 52, (12, 0): 44, (14, 0): 52, (14, 1): 42, (16, 1): 44}


def _values(layout: Layout, register: int) -> dict[str, int]:
    parsed = layout.of(register)
    return {each.name: parsed[each.name] for each in layout.fields}


class Features:
    """The unit: the ID registers as they must be, and what they make of a field of an STE or CD."""

    def __init__(self, registers: Mapping[str, int]) -> None:
        version = AIDR.of(registers["AIDR"])
        #: Minor versions of v3; a later major has all that v3.15 would have.
        self.minor = version.MINOR if not version.MAJOR else 15
        self.idr1 = IDR1.of(registers["IDR1"])
        idr0, idr3 = _values(IDR0, registers["IDR0"]), _values(IDR3, registers["IDR3"])
        idr5 = _values(IDR5, registers["IDR5"])
        self._complete_sizes(idr0, idr3, idr5)
        self._complete_stage1(idr0, idr3, idr5)
        self._complete_stage2(idr0, idr3, idr5)
        self._complete_ats(idr0, idr3)
        self.idr0 = IDR0.of(IDR0.value(**idr0))
        self.idr3 = IDR3.of(IDR3.value(**idr3))
        self.idr5 = IDR5.of(IDR5.value(**idr5))
        self.oas_lg2 = ADDRESS_LG2[self.idr5.OAS]

    # Registers that cannot exist together.

    def _complete_sizes(self, idr0: dict[str, int], idr3: dict[str, int], idr5: dict[str, int]) -> None:
        """Formats of tables and widths of addresses (6.3.1, 6.3.6)."""
        # 56 bits of output exist with VMSAv9-128 alone, whose tables are not modelled.
        idr5["OAS"] = min(idr5["OAS"], OAS_52)
        if self.minor == 0:
            idr5["OAS"] = min(idr5["OAS"], OAS_48)
            idr5["VAX"] = idr5["DS"] = 0
        if idr5["D128"]:
            idr0["TTF"] |= AARCH64
        if idr5["D128"] or idr3["DPT"]:
            idr0["TTF"] &= ~AARCH32
        if idr0["TTF"] & AARCH32:
            idr5["GRAN4K"] = 1
        if not (idr5["GRAN4K"] or idr5["GRAN16K"]):
            idr5["DS"] = 0
        if idr5["DS"]:
            idr5["VAX"] = max(idr5["VAX"], 1)

    def _complete_stage1(self, idr0: dict[str, int], idr3: dict[str, int], idr5: dict[str, int]) -> None:
        """HAD, E0PD, EPAN, AIE, indirection and hardening of stage 1 (6.3.4)."""
        s1p = idr0["S1P"]
        if self.minor >= 1:
            idr3["HAD"] = s1p
        if self.minor >= 3:
            idr3["E0PD"] = 1
        if self.minor >= 4:
            idr3["EPAN"] = 1
        idr3["S1PI"] |= idr5["D128"]
        idr3["AIE"] |= idr5["D128"]
        for name in ("HAD", "S1PI", "THE", "AIE"):
            idr3[name] &= s1p

    def _complete_stage2(self, idr0: dict[str, int], idr3: dict[str, int], idr5: dict[str, int]) -> None:
        """Hyp, XNX, FWB, indirection and overlays of stage 2 (6.3.1, 6.3.4)."""
        both = idr0["S1P"] & idr0["S2P"]
        idr0["HYP"] = both if self.minor >= 2 else idr0["HYP"] & both
        idr3["XNX"] = idr0["S2P"] if self.minor >= 1 else 0
        if self.minor >= 2:
            idr3["FWB"] = 1
        idr3["S2PO"] |= idr5["D128"]
        idr3["S2PI"] |= idr5["D128"] | idr3["S2PO"] | idr3["THE"]
        for name in ("S2PI", "S2PO"):
            idr3[name] &= idr0["S2P"]

    def _complete_ats(self, idr0: dict[str, int], idr3: dict[str, int]) -> None:
        """ATS and what needs it (6.3.4)."""
        idr0["ATS"] |= idr3["DPT"]
        if not (idr0["ATS"] and self.idr1.SSIDSIZE):
            idr3["PASIDTT"] = 0

    # Address sizes (3.4).

    @property
    def ias_lg2(self) -> int:
        """Width of intermediate addresses."""
        ttf = self.idr0.TTF
        return max(40 if ttf & AARCH32 else 0, self.oas_lg2 if ttf & AARCH64 else 0)

    def output_lg2(self, code: int) -> int:
        """Width of a stage's output, from CD.IPS or STE.S2PS; codes above the unit's are as the unit's."""
        return min(ADDRESS_LG2[code], self.oas_lg2)

    def table_lg2(self, code: int, granule: Granule) -> int:
        """Width of the address of a stage's top table (5.2 S2TTB, 5.4 TTB0)."""
        wide = granule.wide or granule.lg2 == 16
        return min(self.output_lg2(code), 52 if wide else 48)

    def table_address(self, address: int) -> int:
        """Return TTBx or S2TTB as the unit has it: in v3.0 the field ends at bit 47."""
        return address & ((1 << 48) - 1) if self.minor == 0 else address

    # Granules and sizes of tables.

    def granule(self, lg2: int, ds: int) -> Granule:
        """Make a granule; ``ds`` is that of the STE or CD, which counts with IDR5.DS alone."""
        wide = self.oas_lg2 == 52 if lg2 == 16 else bool(self.idr5.DS and ds)
        return Granule(lg2, wide)

    def has_granule(self, lg2: int) -> bool:
        """Whether the unit has tables of 2^lg2 bytes; there are none of 2^0."""
        return lg2 in _GRANULE_BITS and bool(self.idr5[_GRANULE_BITS[lg2]])

    def largest_size(self, granule_lg2: int) -> int:
        """Return the largest TxSZ (5.4 T0SZ, 5.2 S2T0SZ)."""
        if not self.idr3.STT:
            return 39
        return 47 if granule_lg2 == 16 else 48

    def smallest_size(self, granule: Granule) -> int:
        """Return the smallest TxSZ of stage 1; without VAX there are no addresses of 52 bits."""
        return 12 if self.idr5.VAX and (granule.lg2 == 16 or granule.wide) else 16

    def smallest_second_size(self, granule: Granule) -> int:
        """Return the smallest S2T0SZ."""
        return max(12 if granule.lg2 == 16 or granule.wide else 16, 64 - self.ias_lg2)

    # Stage 2's start (5.2 S2SL0; DDI 0487 tables D8-19, D8-29, D8-38; J1.1.4.38, J1.1.4.40).

    def second_granule(self, ste: Fields) -> Granule:
        """Return the granule that an STE's S2TG names; one of 2^0 bytes if it names none."""
        return self.granule(TG0_LG2.get(ste.S2TG, 0), ste.S2DS)

    def second_start(self, ste: Fields) -> int | None:
        """Return the start level that S2SL0 names, the vendor's number; None if the unit has it not."""
        granule = self.second_granule(ste)
        level = self._named_start(ste, granule)
        if level is None or self.oas_lg2 < _START_NEEDS.get((granule.lg2, level), 0):
            return None
        return level

    def _named_start(self, ste: Fields, granule: Granule) -> int | None:
        if granule.lg2 == 12:
            code = ste.S2SL0 | (ste.S2SL0_2 << 2 if granule.wide else 0)
            return {0: 2, 1: 1, 2: 0, 3: 3 if self.idr3.STT else None, 4: -1}.get(code)
        if ste.S2SL0 == 3 and not (granule.lg2 == 14 and granule.wide):
            return None
        return 3 - ste.S2SL0

    def second_size_legal(self, ste: Fields) -> bool:
        """Whether S2T0SZ, S2SL0 and S2TG belong together."""
        granule, start = self.second_granule(ste), self.second_start(ste)
        if not self.smallest_second_size(granule) <= ste.S2T0SZ <= self.largest_size(granule.lg2):
            return False
        if start is None:
            return False
        # More than one entry, and at most 16 tables side by side.
        level = vendor_level(start)
        return granule.page_lg2(level) + 1 <= 64 - ste.S2T0SZ <= granule.page_lg2(level + 1) + 4

    # Fields that both stages have.

    def endianness_illegal(self, big: int) -> bool:
        """Whether ENDI or S2ENDI names an order that TTENDIAN excludes."""
        only = {LITTLE_ENDIAN: 0, BIG_ENDIAN: 1}.get(self.idr0.TTENDIAN, big)
        return big != only

    def flags_illegal(self, ha: int, hd: int, haft: int) -> bool:
        """Whether HA, HD and HAFT ask for updates that HTTU excludes (5.2 S2HA, S2HAFT; 5.4 HA, HAFT)."""
        httu = self.idr0.HTTU
        return bool((ha and not httu) or (hd and httu < 2) or (haft and httu == 3 and not ha))

    def stall_illegal(self, stall: int) -> bool:
        """Whether S or S2S contradicts STALL_MODEL (5.5)."""
        model = self.idr0.STALL_MODEL
        return bool((stall and model == STALL_NEVER) or (not stall and model == STALL_ALWAYS))

    def haft(self, haft: int) -> int:
        """Return HAFT or S2HAFT, which HTTU=3 alone has."""
        return haft if self.idr0.HTTU == 3 else 0
