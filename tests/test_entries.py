"""Schemas of table entries, one suite for all formats.

What is built is parsed, each bit has one owner, and fields lie where the specifications put them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iommu_abi.schemas import amdvi_entries, riscv_entries, smmuv3_entries, vmsa_entries, vtd_entries
from iommu_abi.schemas.entries import Bits, Layout
from iommu_abi.schemas.vmsa_entries import Descriptor, Granule

VTD = [
    *(each for each in vars(vtd_entries).values() if isinstance(each, Layout)),
    vtd_entries.FIRST_STAGE.top,
    vtd_entries.FIRST_STAGE.table,
    *vtd_entries.FIRST_STAGE.pages.values(),
    *vtd_entries.SECOND_STAGE_PAGES.values(),
]

AMDVI = [
    *(each for each in vars(amdvi_entries).values() if isinstance(each, Layout)),
    amdvi_entries.V2.top,
    amdvi_entries.V2.table,
    *amdvi_entries.V2.pages.values(),
]


def descriptors() -> Iterator[Layout]:
    """Every layout of a descriptor: levels 1 to 3 may map blocks."""
    yield vmsa_entries.INVALID
    for stage in (1, 2):
        for granule in (Granule(lg2, wide) for lg2 in (12, 14, 16) for wide in (False, True)):
            yield vmsa_entries.descriptor_layout(stage, granule, 1, Descriptor.TABLE)
            yield vmsa_entries.descriptor_layout(stage, granule, 0, Descriptor.PAGE)
            for level in filter(granule.has_block, (1, 2, 3)):
                yield vmsa_entries.descriptor_layout(stage, granule, level, Descriptor.BLOCK)


SMMUV3 = [
    *(each for each in vars(smmuv3_entries).values() if isinstance(each, Layout)),
    *descriptors(),
]

RISCV = [each for each in vars(riscv_entries).values() if isinstance(each, Layout)]

LAYOUTS = [*VTD, *AMDVI, *SMMUV3, *RISCV]


def numbers(each: Bits) -> st.SearchStrategy[int]:
    """Values of a field; those of a pointer are aligned."""
    return st.integers(0, (1 << each.width) - 1).map(lambda number: number << each.unit_lg2)


def values(layout: Layout) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({each.name: numbers(each) for each in layout.fields})


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_parsing_what_was_built_gives_every_field_back(layout: Layout, data: st.DataObject) -> None:
    wanted = data.draw(values(layout))

    built = layout.build(**wanted)
    parsed = layout.parse(built)

    assert len(built) == layout.size
    assert {name: parsed[name] for name in wanted} == wanted
    assert layout.schema.parse(built) == parsed  # compiled and interpreted agree


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_bit_belongs_to_exactly_one_named_field(layout: Layout) -> None:
    for position in range(8 * layout.size):
        parsed = layout.of(1 << position)
        owners = [each for each in layout.fields if parsed[each.name]]
        assert len(owners) == 1
        assert owners[0].low <= position <= owners[0].high


# Intel VT-d 4.x, chapters 9 (entries) and 11.4 (registers); extended context and PASID entries: 2.x,
# chapter 9; word and bits.
VTD_POSITIONS = [
    (vtd_entries.CONTEXT_ENTRY, "TT", 0, 3, 2),
    (vtd_entries.CONTEXT_ENTRY, "AW", 1, 2, 0),
    (vtd_entries.CONTEXT_ENTRY, "DID", 1, 23, 8),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "T", 0, 4, 2),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "NESTE", 0, 10, 10),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "PASIDE", 0, 11, 11),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "SMEP", 1, 24, 24),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "SLEE", 1, 27, 27),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "PTS", 2, 3, 0),
    (vtd_entries.EXTENDED_CONTEXT_ENTRY, "PASIDPTR", 2, 63, 12),
    (vtd_entries.EXTENDED_PASID_ENTRY, "SRE", 0, 11, 11),
    (vtd_entries.SCALABLE_CONTEXT_ENTRY, "DTE", 0, 2, 2),
    (vtd_entries.SCALABLE_CONTEXT_ENTRY, "PDTS", 0, 11, 9),
    (vtd_entries.SCALABLE_CONTEXT_ENTRY, "RID_PASID", 1, 19, 0),
    (vtd_entries.SCALABLE_CONTEXT_ENTRY, "RID_PRIV", 1, 20, 20),
    (vtd_entries.SCALABLE_PASID_ENTRY, "AW", 0, 4, 2),
    (vtd_entries.SCALABLE_PASID_ENTRY, "PGTT", 0, 8, 6),
    (vtd_entries.SCALABLE_PASID_ENTRY, "SLADE", 0, 9, 9),
    (vtd_entries.SCALABLE_PASID_ENTRY, "FLPM", 2, 3, 2),
    (vtd_entries.SCALABLE_PASID_ENTRY, "EAFE", 2, 7, 7),
    (vtd_entries.SCALABLE_PASID_ENTRY, "FLPTPTR", 2, 63, 12),
    (vtd_entries.CAP, "SAGAW", 0, 12, 8),
    (vtd_entries.CAP, "MGAW", 0, 21, 16),
    (vtd_entries.CAP, "SLLPS", 0, 37, 34),
    (vtd_entries.CAP, "FL1GP", 0, 56, 56),
    (vtd_entries.CAP, "FL5LP", 0, 60, 60),
    (vtd_entries.ECAP, "PT", 0, 6, 6),
    (vtd_entries.ECAP, "ECS", 0, 24, 24),
    (vtd_entries.ECAP, "NEST", 0, 26, 26),
    (vtd_entries.ECAP, "PASID", 0, 40, 40),
    (vtd_entries.ECAP, "SMTS", 0, 43, 43),
    (vtd_entries.ECAP, "SLTS", 0, 46, 46),
    (vtd_entries.ECAP, "FLTS", 0, 47, 47),
    (vtd_entries.ECAP, "RPS", 0, 49, 49),
]

# Positions as Linux 7.2 has them in drivers/iommu/amd/amd_iommu_types.h (DTE_*, FEATURE_*,
# CONTROL_*) and generic_pt/fmt/amdv1.h (AMDV1PT_FMT_*); word and bits.
AMDVI_POSITIONS = [
    (amdvi_entries.DEVICE_TABLE_ENTRY, "HAD", 0, 8, 7),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "Mode", 0, 11, 9),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "HostPTRoot", 0, 51, 12),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GIoV", 0, 54, 54),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GV", 0, 55, 55),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GLX", 0, 57, 56),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GCR3TRP_14_12", 0, 60, 58),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "IR", 0, 61, 61),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "IW", 0, 62, 62),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "DomainID", 1, 15, 0),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GCR3TRP_30_15", 1, 31, 16),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "I", 1, 32, 32),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GCR3TRP_51_31", 1, 63, 43),
    (amdvi_entries.DEVICE_TABLE_ENTRY, "GuestPagingMode", 2, 55, 54),
    (amdvi_entries.V1_PAGE, "NextLevel", 0, 11, 9),
    (amdvi_entries.V1_PAGE, "FC", 0, 60, 60),
    (amdvi_entries.V1_PAGE, "IR", 0, 61, 61),
    (amdvi_entries.V1_PAGE, "IW", 0, 62, 62),
    (amdvi_entries.CONTROL, "GTEn", 0, 16, 16),
    (amdvi_entries.CONTROL, "GCR3TRPMode", 0, 58, 58),
    (amdvi_entries.EXT_FEATURES, "HATS", 0, 11, 10),
    (amdvi_entries.EXT_FEATURES, "GATS", 0, 13, 12),
    (amdvi_entries.EXT_FEATURES, "GLXSup", 0, 15, 14),
    (amdvi_entries.EXT_FEATURES, "PASmax", 0, 36, 32),
]

# Arm IHI 0070, chapters 5 (STE, CD) and 6.3 (registers); word and bits.
SMMUV3_POSITIONS = [
    (smmuv3_entries.STE, "Config", 0, 3, 1),
    (smmuv3_entries.STE, "S1Fmt", 0, 5, 4),
    (smmuv3_entries.STE, "S1ContextPtr", 0, 55, 6),
    (smmuv3_entries.STE, "S1CDMax", 0, 63, 59),
    (smmuv3_entries.STE, "S1DSS", 1, 1, 0),
    (smmuv3_entries.STE, "S1STALLD", 1, 27, 27),
    (smmuv3_entries.STE, "EATS", 1, 29, 28),
    (smmuv3_entries.STE, "STRW", 1, 31, 30),
    (smmuv3_entries.STE, "SHCFG", 1, 45, 44),
    (smmuv3_entries.STE, "PRIVCFG", 1, 49, 48),
    (smmuv3_entries.STE, "INSTCFG", 1, 51, 50),
    (smmuv3_entries.STE, "S2VMID", 2, 15, 0),
    (smmuv3_entries.STE, "S2T0SZ", 2, 37, 32),
    (smmuv3_entries.STE, "S2SL0", 2, 39, 38),
    (smmuv3_entries.STE, "S2TG", 2, 47, 46),
    (smmuv3_entries.STE, "S2PS", 2, 50, 48),
    (smmuv3_entries.STE, "S2AA64", 2, 51, 51),
    (smmuv3_entries.STE, "S2PTW", 2, 54, 54),
    (smmuv3_entries.STE, "S2HA", 2, 56, 56),
    (smmuv3_entries.STE, "S2R", 2, 58, 58),
    (smmuv3_entries.STE, "S1PIE", 1, 24, 24),
    (smmuv3_entries.STE, "S2FWB", 1, 25, 25),
    (smmuv3_entries.STE, "S1MPAM", 1, 26, 26),
    (smmuv3_entries.STE, "S2HAFT", 2, 59, 59),
    (smmuv3_entries.STE, "S2PIE", 2, 60, 60),
    (smmuv3_entries.STE, "S2POE", 2, 61, 61),
    (smmuv3_entries.STE, "S2SL0_2", 3, 2, 2),
    (smmuv3_entries.STE, "S2DS", 3, 3, 3),
    (smmuv3_entries.STE, "S2TTB", 3, 51, 4),
    (smmuv3_entries.STE, "VMSPtr", 5, 55, 12),
    (smmuv3_entries.L1STD, "Span", 0, 4, 0),
    (smmuv3_entries.L1STD, "L2Ptr", 0, 55, 6),
    (smmuv3_entries.L1CD, "L2Ptr", 0, 55, 12),
    (smmuv3_entries.CD, "TG0", 0, 7, 6),
    (smmuv3_entries.CD, "EPD0", 0, 14, 14),
    (smmuv3_entries.CD, "T1SZ", 0, 21, 16),
    (smmuv3_entries.CD, "TG1", 0, 23, 22),
    (smmuv3_entries.CD, "EPD1", 0, 30, 30),
    (smmuv3_entries.CD, "V", 0, 31, 31),
    (smmuv3_entries.CD, "IPS", 0, 34, 32),
    (smmuv3_entries.CD, "TBI1", 0, 39, 39),
    (smmuv3_entries.CD, "AA64", 0, 41, 41),
    (smmuv3_entries.CD, "HA", 0, 43, 43),
    (smmuv3_entries.CD, "A", 0, 46, 46),
    (smmuv3_entries.CD, "ASID", 0, 63, 48),
    (smmuv3_entries.CD, "HAD0", 1, 1, 1),
    (smmuv3_entries.CD, "E0PD0", 1, 2, 2),
    (smmuv3_entries.CD, "TTB0", 1, 51, 4),
    (smmuv3_entries.CD, "HAFT", 1, 3, 3),
    (smmuv3_entries.CD, "EPAN", 1, 59, 59),
    (smmuv3_entries.CD, "DS", 2, 58, 58),
    (smmuv3_entries.CD, "PIE", 2, 59, 59),
    (smmuv3_entries.CD, "E0PD1", 2, 2, 2),
    (smmuv3_entries.CD, "TTB1", 2, 51, 4),
    (smmuv3_entries.IDR0, "HTTU", 0, 7, 6),
    (smmuv3_entries.IDR0, "CD2L", 0, 19, 19),
    (smmuv3_entries.IDR0, "STALL_MODEL", 0, 25, 24),
    (smmuv3_entries.IDR0, "ST_LEVEL", 0, 28, 27),
    (smmuv3_entries.IDR1, "SSIDSIZE", 0, 10, 6),
    (smmuv3_entries.IDR1, "ATTR_PERMS_OVR", 0, 26, 26),
    (smmuv3_entries.IDR3, "XNX", 0, 4, 4),
    (smmuv3_entries.IDR3, "STT", 0, 9, 9),
    (smmuv3_entries.IDR3, "E0PD", 0, 13, 13),
    (smmuv3_entries.IDR3, "DPT", 0, 15, 15),
    (smmuv3_entries.IDR3, "PASIDTT", 0, 16, 16),
    (smmuv3_entries.IDR3, "EPAN", 0, 17, 17),
    (smmuv3_entries.IDR3, "S2PO", 0, 20, 20),
    (smmuv3_entries.IDR5, "GRAN64K", 0, 6, 6),
    (smmuv3_entries.IDR5, "DS", 0, 7, 7),
    (smmuv3_entries.IDR5, "VAX", 0, 11, 10),
    (smmuv3_entries.CR0, "ATSCHK", 0, 4, 4),
    (smmuv3_entries.CR2, "REC_CFG_ATS", 0, 3, 3),
    (smmuv3_entries.GBPA, "ABORT", 0, 20, 20),
    (smmuv3_entries.STRTAB_BASE_CFG, "FMT", 0, 17, 16),
]

# RISC-V IOMMU 1.0, "In-memory data structures" and the register chapter; word and bits.
RISCV_POSITIONS = [
    (riscv_entries.DDTP, "iommu_mode", 0, 3, 0),
    (riscv_entries.DDTP, "PPN", 0, 53, 10),
    (riscv_entries.DDTE, "PPN", 0, 53, 10),
    (riscv_entries.DC, "EN_ATS", 0, 1, 1),
    (riscv_entries.DC, "T2GPA", 0, 3, 3),
    (riscv_entries.DC, "DTF", 0, 4, 4),
    (riscv_entries.DC, "PDTV", 0, 5, 5),
    (riscv_entries.DC, "GADE", 0, 7, 7),
    (riscv_entries.DC, "SADE", 0, 8, 8),
    (riscv_entries.DC, "DPE", 0, 9, 9),
    (riscv_entries.DC, "SXL", 0, 11, 11),
    (riscv_entries.DC, "iohgatp_PPN", 1, 43, 0),
    (riscv_entries.DC, "GSCID", 1, 59, 44),
    (riscv_entries.DC, "iohgatp_MODE", 1, 63, 60),
    (riscv_entries.DC, "PSCID", 2, 31, 12),
    (riscv_entries.DC, "RCID", 2, 51, 40),
    (riscv_entries.DC, "fsc_MODE", 3, 63, 60),
    (riscv_entries.EXTENDED_DC, "msiptp_PPN", 4, 43, 0),
    (riscv_entries.EXTENDED_DC, "msi_addr_mask", 5, 51, 0),
    (riscv_entries.EXTENDED_DC, "msi_addr_pattern", 6, 51, 0),
    (riscv_entries.PC, "ENS", 0, 1, 1),
    (riscv_entries.PC, "SUM", 0, 2, 2),
    (riscv_entries.PC, "fsc_PPN", 1, 43, 0),
    (riscv_entries.PTE, "U", 0, 4, 4),
    (riscv_entries.PTE, "PPN", 0, 53, 10),
    (riscv_entries.PTE, "PBMT", 0, 62, 61),
    (riscv_entries.PTE, "N", 0, 63, 63),
    (riscv_entries.PTE32, "PPN", 0, 31, 10),
    (riscv_entries.MSI_BASIC, "M", 0, 2, 1),
    (riscv_entries.MSI_BASIC, "PPN", 0, 53, 10),
    (riscv_entries.MSI_MRIF, "MRIF", 0, 53, 7),
    (riscv_entries.MSI_MRIF, "NPPN", 1, 53, 10),
    (riscv_entries.MSI_MRIF, "NID_10", 1, 60, 60),
    (riscv_entries.CAPABILITIES, "Svpbmt", 0, 15, 15),
    (riscv_entries.CAPABILITIES, "MSI_FLAT", 0, 22, 22),
    (riscv_entries.CAPABILITIES, "AMO_HWAD", 0, 24, 24),
    (riscv_entries.CAPABILITIES, "PAS", 0, 37, 32),
    (riscv_entries.CAPABILITIES, "PD20", 0, 40, 40),
    (riscv_entries.FCTL, "GXL", 0, 2, 2),
]


@pytest.mark.parametrize(
    ("layout", "name", "word", "high", "low"),
    [*VTD_POSITIONS, *AMDVI_POSITIONS, *SMMUV3_POSITIONS, *RISCV_POSITIONS],
)
def test_a_field_lies_where_the_specification_puts_it(
    layout: Layout, name: str, word: int, high: int, low: int
) -> None:
    found = next(each for each in layout.fields if each.name == name)

    assert (found.high, found.low) == (64 * word + high, 64 * word + low)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_bytes_of_another_size_are_refused_with_both_sizes(layout: Layout) -> None:
    for size in (0, layout.size - 1, layout.size + 1):
        with pytest.raises(ValueError, match=rf"has {layout.size} bytes, not {size}$"):
            layout.parse(bytes(size))


# Values of fields of up to three bits that the vendors leave reserved, or that mean nothing: VT-d chapter 9,
# AMD 48882 chapter 2 and 3, Arm IHI 0070 chapters 5 and 6, RISC-V IOMMU chapter 2, RISC-V Svpbmt.
RESERVED_VALUES = {
    "TT": [3], "AW": [0, 4, 5, 6, 7], "T": [3, 6, 7], "PGTT": [0, 5, 6, 7], "FLPM": [2, 3],
    "GATS": [2, 3], "HAD": [2], "Mode": [7], "GuestPagingMode": [2, 3],
    "TTENDIAN": [1], "STALL_MODEL": [3], "ST_LEVEL": [2, 3], "VAX": [3], "FMT": [2, 3], "S1Fmt": [3],
    "STRW": [1, 3], "S2TG": [3], "TG0": [3], "TG1": [0],
    "PBMT": [3], "M": [0, 2],
}  # fmt: skip


def test_every_value_of_a_field_has_a_name_but_those_that_vendors_reserve() -> None:
    named = [field for layout in LAYOUTS for field in layout.fields if field.values]

    assert [field.name for field in named if max(field.values) >> field.width] == []
    nameless = {
        field.name: [value for value in range(1 << field.width) if value not in field.values]
        for field in named
        if field.width <= 3
    }
    assert {name: values for name, values in nameless.items() if values} == RESERVED_VALUES
