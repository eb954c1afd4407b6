"""AMD-Vi: the registers and the table entries.

Source: AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.2.2 (device table),
2.2.3 (host page tables), 2.2.6 (guest tables), 3.4 (registers); as ``amdvi`` says, where from.
"""

from __future__ import annotations

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Fields, Layout, bit, bits, ignored, pointer, reserved, word
from iommu_abi.schemas.table_walk import PAGE_LG2

# ---------------------------------------------------------------- registers (3.4)

DEVTAB_BASE = Layout(
    "Device Table Base Address Register",
    8,
    bits(8, 0, "Size", "4 KiB pages of the table - 1"),
    ignored(11, 9),
    pointer(51, 12, "DevTabBase", "device table, SPA"),
    ignored(63, 52),
)
CONTROL = Layout(
    "IOMMU Control Register",
    8,
    bit(0, "IommuEn", "the IOMMU is on"),
    ignored(15, 1),
    bit(16, "GTEn", "guest translation is on"),
    ignored(47, 17),
    bit(48, "GDUpdateDis", "D of guest tables is not set"),
    ignored(53, 49),
    bit(54, "GAUpdateDis", "A of guest tables is not set"),
    ignored(57, 55),
    bit(58, "GCR3TRPMode", "the GCR3 root is a GPA"),
    ignored(63, 59),
)
EXT_FEATURES = Layout(
    "IOMMU Extended Feature Register",
    8,
    bit(0, "PreFSup"),
    bit(1, "PPRSup"),
    bit(2, "XTSup"),
    bit(3, "NXSup", "no-execute"),
    bit(4, "GTSup", "guest translation"),
    ignored(5),
    bit(6, "IASup"),
    bit(7, "GASup"),
    bit(8, "HESup"),
    bit(9, "PCSup"),
    bits(11, 10, "HATS", "host levels", {0: "4 levels", 1: "5 levels", 2: "6 levels", 3: "none"}),
    bits(13, 12, "GATS", "guest levels", {0: "4 levels", 1: "5 levels"}),
    bits(15, 14, "GLXSup", "largest GLX"),
    ignored(31, 16),
    bits(36, 32, "PASmax", "PASID bits - 1"),
    ignored(47, 37),
    bit(48, "GIoSup", "guest translation without PASID"),
    ignored(49),
    bit(50, "EPHSup", "enhanced handling of page requests"),
    ignored(63, 51),
)
#: Says what CONTROL may hold; the walk looks at CONTROL.
EXT_FEATURES2 = Layout(
    "IOMMU Extended Feature 2 Register", 8, ignored(2, 0), bit(3, "GCR3TRPMode"), ignored(63, 4)
)

#: What is assumed of a unit of which only the device table is known.
DEFAULT_CONTROL = CONTROL.value(IommuEn=1, GTEn=1, GCR3TRPMode=1)
DEFAULT_EXT_FEATURES = EXT_FEATURES.value(HATS=2, GTSup=1, NXSup=1, GIoSup=1, EPHSup=1, GLXSup=2, PASmax=19)

# ---------------------------------------------------------------- device table (2.2.2)

_HAD = {0: "no flags", 1: "A is set", 3: "A and D are set"}
NO_HOST_LEVELS, BAD_MODE = 0, 7
_MODE = {0: "no translation", **{mode: f"{mode} levels" for mode in range(1, 7)}}

#: Index: DeviceID. What is reserved in words 2 and 3 does not bear on translation.
DEVICE_TABLE_ENTRY = Layout(
    "device table entry",
    32,
    *word(
        0,
        bit(0, "V", "valid"),
        bit(1, "TV", "translation fields are valid"),
        reserved(6, 2),
        bits(8, 7, "HAD", "host A/D flags", _HAD),
        bits(11, 9, "Mode", "host levels", _MODE),
        pointer(51, 12, "HostPTRoot", "top host table, SPA"),
        bit(52, "PPR", "page requests"),
        bit(53, "GPRP", "PASID in responses"),
        bit(54, "GIoV", "requests without PASID use PASID 0"),
        bit(55, "GV", "guest translation"),
        bits(57, 56, "GLX", "GCR3 levels - 1"),
        bits(60, 58, "GCR3TRP_14_12", "GCR3 root"),
        bit(61, "IR", "reads allowed"),
        bit(62, "IW", "writes allowed"),
        reserved(63),
    ),
    *word(
        1,
        bits(15, 0, "DomainID", "domain"),
        bits(31, 16, "GCR3TRP_30_15", "GCR3 root"),
        bit(32, "I", "IOTLB (ATS)"),
        bit(33, "SE", "page faults after the first are not recorded"),
        bit(34, "SA", "page faults are not recorded"),
        bits(36, 35, "IoCtl", "port I/O"),
        bit(37, "Cache"),
        bit(38, "SD"),
        bit(39, "EX"),
        bits(41, 40, "SysMgt"),
        reserved(42),
        bits(63, 43, "GCR3TRP_51_31", "GCR3 root"),
    ),
    *word(
        2,
        bit(0, "IV", "interrupt fields are valid"),
        bits(4, 1, "IntTabLen"),
        bit(5, "IG"),
        pointer(51, 6, "IntTabRoot", "interrupt table, SPA"),
        ignored(53, 52),
        bits(55, 54, "GuestPagingMode", "guest levels", {0: "4 levels", 1: "5 levels"}),
        bit(56, "InitPass"),
        bit(57, "EIntPass"),
        bit(58, "NMIPass"),
        ignored(59),
        bits(61, 60, "IntCtl"),
        bit(62, "Lint0Pass"),
        bit(63, "Lint1Pass"),
    ),
    *word(
        3,
        ignored(53, 0),
        bit(54, "AttrV"),
        bit(55, "Mode0FC"),
        bits(63, 56, "SnoopAttribute"),
    ),
)

#: Feature of EXT_FEATURES -> the fields of a DTE that are reserved without it (VirtualBox,
#: IOMMU_DTE_QWORD_n_FEAT_*; the upper part of GCR3TRP is in no list there).
FEATURE_FIELDS = {
    "GTSup": ("GV", "GLX", "GCR3TRP_14_12", "GCR3TRP_30_15"),
    "GIoSup": ("GIoV",),
    "EPHSup": ("PPR", "GPRP"),
}

#: 2.2.6: an entry of a GCR3 table of any level.
GCR3_ENTRY = Layout(
    "GCR3 entry",
    8,
    bit(0, "V", "valid"),
    reserved(11, 1),
    pointer(51, 12, "ADDR", "next GCR3 table, or top guest table"),
    reserved(63, 52),
)

# ---------------------------------------------------------------- host tables, v1 (2.2.3)

NEXT_DEFAULT, NEXT_SIZED = 0, 7
_NEXT = {
    NEXT_DEFAULT: "page of the level's own size",
    NEXT_SIZED: "page, size in the address",
    **{level: f"table of level {level}" for level in range(1, 7)},
}
_V1_START = (
    bit(0, "PR", "present"),
    ignored(4, 1),
    bit(5, "A", "accessed, with HAD"),
    bit(6, "D", "dirty, with HAD"),
    ignored(8, 7),
    bits(11, 9, "NextLevel", "what ADDR is", _NEXT),
)
_V1_END = (bit(61, "IR", "reads allowed"), bit(62, "IW", "writes allowed"), ignored(63))

V1_TABLE = Layout(
    "v1 PDE", 8, *_V1_START, pointer(51, 12, "ADDR", "next table, SPA"), reserved(60, 52), *_V1_END
)
V1_PAGE = Layout(
    "v1 PTE",
    8,
    *_V1_START,
    pointer(51, 12, "ADDR", "page, SPA; with NextLevel 7 its size too"),
    reserved(58, 52),
    bit(59, "U"),
    bit(60, "FC", "force coherent"),
    *_V1_END,
)


def v1_layout(raw: int) -> Layout:
    """Return the layout of a v1 entry, which NextLevel decides."""
    return V1_PAGE if raw >> 9 & 7 in (NEXT_DEFAULT, NEXT_SIZED) else V1_TABLE


def sized_page_lg2(address: int) -> int | None:
    """log2 of the page that a NextLevel 7 entry maps: its address field is ...0111 for it.

    The first 0 from bit 12 up is at bit k, and the page has 2^(k+1) bytes. None if there is
    no 0.
    """
    for k in range(PAGE_LG2, 52):
        if not address >> k & 1:
            return k + 1
    return None


# ---------------------------------------------------------------- guest tables, v2 (2.2.6)

#: Long mode; bit 10 has no meaning.
V2 = x86.layouts(ignored(10))


def gcr3_root(dte: Fields) -> int:
    """GCR3TRP, which a DTE holds in three pieces."""
    return dte.GCR3TRP_51_31 << 31 | dte.GCR3TRP_30_15 << 15 | dte.GCR3TRP_14_12 << 12


def gcr3_pieces(root: int) -> dict[str, int]:
    """Return the three fields of a DTE that hold GCR3TRP."""
    if root & 0xFFF or root >> 52:
        raise ValueError(f"a GCR3 root is a page below 2^52, not {root:#x}")
    return {
        "GCR3TRP_51_31": root >> 31,
        "GCR3TRP_30_15": root >> 15 & 0xFFFF,
        "GCR3TRP_14_12": root >> 12 & 7,
    }
