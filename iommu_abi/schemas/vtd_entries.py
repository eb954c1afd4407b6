"""Intel VT-d: the table entries and the registers that decide a walk.

Sources:
- Intel Virtualization Technology for Directed I/O, revision 5.10: 9.1 to 9.8 (entries), 11.4
  (registers). Names of fields are those of revisions up to 3.3; today's are beside them.
- Revision 2.x (2014 to 2018), 9.2 to 9.5, for extended mode (ECS), which 3.0 dropped.

A field that some revisions or units reserve has a name here; ``vtd_rules`` says who reserves it.
"""

from __future__ import annotations

from iommu_abi.schemas import x86
from iommu_abi.schemas.entries import Bits, Layout, bit, bits, ignored, pointer, reserved, word

# ---------------------------------------------------------------- registers (11.4)

LEGACY, SCALABLE, EXTENDED, ABORT = range(4)

VER = Layout(
    "VER_REG", 8, bits(3, 0, "MIN", "minor version"), bits(7, 4, "MAX", "major version"), ignored(63, 8)
)
RTADDR = Layout(
    "RTADDR_REG",
    8,
    ignored(6, 0),
    bit(7, "SSIRWE", "rights of the second stage are IR and IW; needs ECAP.SSIRWS"),
    ignored(9, 8),
    bits(11, 10, "TTM", "table type", {0: "legacy", 1: "scalable", 2: "extended (ECS)", 3: "abort"}),
    pointer(63, 12, "RTA", "root table, HPA"),
)
GSTS = Layout("GSTS_REG", 8, ignored(30, 0), bit(31, "TES", "translation is enabled"), ignored(63, 32))
CAP = Layout(
    "CAP_REG",
    8,
    bits(2, 0, "ND", "a domain ID has 4 + 2 ND bits"),
    bit(3, "AFL"),
    bit(4, "RWBF"),
    bit(5, "PLMR"),
    bit(6, "PHMR"),
    bit(7, "CM", "caching mode"),
    bits(12, 8, "SAGAW", "second-stage widths; bit i: AW=i"),
    ignored(15, 13),
    bits(21, 16, "MGAW", "guest address width - 1"),
    bit(22, "ZLR"),
    ignored(23),
    bits(33, 24, "FRO", "fault records, 16 bytes"),
    bits(37, 34, "SLLPS", "second-stage large pages (SSLPS); bit 0: 2 MiB, 1: 1 GiB"),
    ignored(38),
    bit(39, "PSI"),
    bits(47, 40, "NFR", "fault records - 1"),
    bits(53, 48, "MAMV"),
    bit(54, "DWD"),
    bit(55, "DRD"),
    bit(56, "FL1GP", "first-stage pages of 1 GiB (FS1GP)"),
    ignored(58, 57),
    bit(59, "PI"),
    bit(60, "FL5LP", "first stage of 5 levels (FS5LP)"),
    bit(61, "ECMDS"),
    bit(62, "ESIRTPS"),
    bit(63, "ESRTPS"),
)
ECAP = Layout(
    "ECAP_REG",
    8,
    bit(0, "C"),
    bit(1, "QI"),
    bit(2, "DT", "device TLB (ATS)"),
    bit(3, "IR"),
    bit(4, "EIM"),
    ignored(5),
    bit(6, "PT", "pass-through"),
    bit(7, "SC", "snoop control"),
    bits(17, 8, "IRO"),
    ignored(19, 18),
    bits(23, 20, "MHMV"),
    bit(24, "ECS", "extended mode"),
    bit(25, "MTS", "memory types"),
    bit(26, "NEST", "nested translation"),
    bit(27, "DIS", "deferred invalidation (2.x)"),
    ignored(28),
    bit(29, "PRS", "page requests"),
    bit(30, "ERS", "execute requests"),
    bit(31, "SRS", "supervisor requests"),
    ignored(32),
    bit(33, "NWFS", "the No Write flag of translation requests counts"),
    bit(34, "EAFS", "extended accessed flag"),
    bits(39, 35, "PSS", "PASID bits - 1"),
    bit(40, "PASID", "requests with PASID"),
    bit(41, "DIT"),
    bit(42, "PDS"),
    bit(43, "SMTS", "scalable mode"),
    bit(44, "VCS"),
    bit(45, "SLADS", "second-stage A/D flags (SSADS)"),
    bit(46, "SLTS", "second stage in scalable mode (SSTS)"),
    bit(47, "FLTS", "first stage in scalable mode (FSTS)"),
    bit(48, "SMPWCS", "page walks can be snooped"),
    bit(49, "RPS", "RID_PASID is used"),
    bit(50, "TDXCS"),
    bit(51, "PMS"),
    bit(52, "ADMS", "abort-DMA mode"),
    bit(53, "RPRIVS", "RID_PRIV is used"),
    ignored(54),
    bit(55, "HPTS", "host permission tables"),
    bit(56, "PTRS", "PASID in translated requests"),
    bit(57, "SSIRWS", "IR and IW in the second stage"),
    bit(58, "SMS"),
    bit(59, "HPT1GPS"),
    bit(60, "RDTS"),
    bit(61, "EIMER"),
    bit(62, "IRREQ"),
    ignored(63),
)

# ---------------------------------------------------------------- root and context entries

_AW = {1: "3 levels", 2: "4 levels", 3: "5 levels"}

#: 9.1; index: bus.
ROOT_ENTRY = Layout(
    "root entry",
    16,
    bit(0, "P", "present"),
    reserved(11, 1),
    pointer(63, 12, "CTP", "context table, HPA"),
    *word(1, reserved(63, 0)),
)

#: 9.3; index: devfn.
CONTEXT_ENTRY = Layout(
    "context entry",
    16,
    bit(0, "P", "present"),
    bit(1, "FPD", "faults are not recorded"),
    bits(3, 2, "TT", "translation type", {0: "second stage", 1: "second stage, ATS", 2: "pass-through"}),
    reserved(11, 4),
    pointer(63, 12, "SLPTPTR", "top second-stage table, HPA"),
    *word(
        1,
        bits(2, 0, "AW", "address width", _AW),
        ignored(6, 3),
        reserved(7),
        bits(23, 8, "DID", "domain"),
        reserved(63, 24),
    ),
)

#: 9.2: a half of 8 bytes: the lower serves devfn 0 to 0x7F, the upper 0x80 to 0xFF.
#: Extended mode has the same (specification 2.x, 9.2).
SCALABLE_ROOT_HALF = Layout(
    "scalable-mode root entry",
    8,
    bit(0, "P", "present (LP, UP)"),
    reserved(11, 1),
    pointer(63, 12, "CTP", "context table of this half (LCTP, UCTP), HPA"),
)

EXTENDED_TYPES = {
    0: "second stage",
    1: "second stage, ATS",
    2: "pass-through, no PASID",
    4: "pass-through, PASID",
    5: "pass-through, PASID, ATS",
}


#: Revision 2.x, 9.4; index: devfn & 0x7F.
EXTENDED_CONTEXT_ENTRY = Layout(
    "extended context entry",
    32,
    *word(
        0,
        bit(0, "P", "present"),
        bit(1, "FPD", "faults are not recorded"),
        bits(4, 2, "T", "translation type", EXTENDED_TYPES),
        bits(7, 5, "EMT", "memory type"),
        bit(8, "DINVE", "deferred invalidation"),
        bit(9, "PRE", "page requests"),
        bit(10, "NESTE", "requests with PASID are nested"),
        bit(11, "PASIDE", "requests with PASID are allowed"),
        pointer(63, 12, "SLPTPTR", "top second-stage table, HPA"),
    ),
    *word(
        1,
        bits(2, 0, "AW", "address width", _AW),
        bit(3, "PGE", "global pages"),
        bit(4, "NXE", "execute-disable"),
        bit(5, "WPE", "supervisor writes obey R/W"),
        bit(6, "CD", "cache disable"),
        bit(7, "EMTE", "extended memory type"),
        bits(23, 8, "DID", "domain"),
        bit(24, "SMEP", "no supervisor execution of user pages"),
        bit(25, "EAFE", "extended accessed flag"),
        bit(26, "ERE", "execute requests are allowed"),
        bit(27, "SLEE", "second stage has an execute bit"),
        reserved(31, 28),
        bits(63, 32, "PAT", "memory types"),
    ),
    *word(
        2,
        bits(3, 0, "PTS", "the PASID table has 2^(PTS+5) entries"),
        reserved(11, 4),
        pointer(63, 12, "PASIDPTR", "PASID table: HPA, with NESTE GPA"),
    ),
    *word(3, reserved(11, 0), pointer(63, 12, "PASIDSTPTR", "PASID-state table, with DINVE")),
)

#: 9.4; index: devfn & 0x7F.
SCALABLE_CONTEXT_ENTRY = Layout(
    "scalable-mode context entry",
    32,
    *word(
        0,
        bit(0, "P", "present"),
        bit(1, "FPD", "faults are not recorded"),
        bit(2, "DTE", "device TLB (ATS)"),
        bit(3, "PASIDE", "requests with PASID are allowed"),
        bit(4, "PRE", "page requests"),
        bit(5, "HPTE", "translated requests are checked by host permission tables"),
        bit(6, "EPTR", "translated requests may have a PASID"),
        reserved(8, 7),
        bits(11, 9, "PDTS", "the directory has 2^(PDTS+7) entries"),
        pointer(63, 12, "PASIDDIRPTR", "PASID directory, HPA"),
    ),
    *word(
        1,
        bits(19, 0, "RID_PASID", "PASID of requests without one"),
        bit(20, "RID_PRIV", "requests without PASID are privileged"),
        reserved(63, 21),
    ),
    *word(2, reserved(63, 0)),
    *word(3, reserved(63, 0)),
)

# ---------------------------------------------------------------- PASID entries

#: Revision 2.x, 9.5; index: PASID. Bit 9 is FLPM where CAP.FL5LP is set, else reserved.
EXTENDED_PASID_ENTRY = Layout(
    "PASID entry",
    8,
    bit(0, "P", "present"),
    reserved(2, 1),
    bit(3, "PWT", "memory type"),
    bit(4, "PCD", "memory type"),
    reserved(8, 5),
    bits(9, 9, "FLPM", "first-stage levels", {0: "4 levels", 1: "5 levels"}),
    reserved(10),
    bit(11, "SRE", "supervisor requests are allowed"),
    pointer(63, 12, "FLPTPTR", "top first-stage table: HPA, with NESTE GPA"),
)

#: Revision 2.x, 9.6: with DINVE the hardware keeps one per PASID. The walk never reads it.
EXTENDED_PASID_STATE_ENTRY = Layout(
    "PASID-state entry",
    8,
    reserved(31, 0),
    bits(47, 32, "AREFCNT", "active references"),
    reserved(62, 48),
    bit(63, "DINV", "deferred invalidation is due"),
)

#: 9.5; index: PASID[19:6].
PASID_DIRECTORY_ENTRY = Layout(
    "PASID directory entry",
    8,
    bit(0, "P", "present"),
    bit(1, "FPD", "faults are not recorded"),
    reserved(11, 2),
    pointer(63, 12, "SMPTBLPTR", "PASID table of 64 entries, HPA"),
)

FIRST, SECOND, NESTED, PASS_THROUGH = 1, 2, 3, 4
PGTT = {FIRST: "first stage", SECOND: "second stage", NESTED: "nested", PASS_THROUGH: "pass-through"}

#: 9.6; index: PASID[5:0].
SCALABLE_PASID_ENTRY = Layout(
    "scalable-mode PASID entry",
    64,
    *word(
        0,
        bit(0, "P", "present"),
        bit(1, "FPD", "faults are not recorded"),
        bits(4, 2, "AW", "second-stage width", _AW),
        bit(5, "SLEE", "second stage has an execute bit (up to 4.0)"),
        bits(8, 6, "PGTT", "translation type", PGTT),
        bit(9, "SLADE", "second-stage A/D flags (SSADE)"),
        reserved(11, 10),
        pointer(63, 12, "SLPTPTR", "top second-stage table, HPA"),
    ),
    *word(
        1,
        bits(15, 0, "DID", "domain"),
        reserved(22, 16),
        bit(23, "PWSNP", "page-walk snoop"),
        bit(24, "PGSNP", "page snoop"),
        bit(25, "CD", "cache disable"),
        bit(26, "EMTE", "extended memory type"),
        bits(29, 27, "EMT", "memory type (up to 3.3)"),
        bit(30, "PWT", "memory type (up to 3.3)"),
        bit(31, "PCD", "memory type (up to 3.3)"),
        bits(63, 32, "PAT", "memory types"),
    ),
    *word(
        2,
        bit(0, "SRE", "supervisor requests are allowed"),
        bit(1, "ERE", "execute requests are allowed (up to 4.0)"),
        bits(3, 2, "FLPM", "first-stage levels", {0: "4 levels", 1: "5 levels"}),
        bit(4, "WPE", "supervisor writes obey R/W"),
        bit(5, "NXE", "execute-disable (up to 4.0)"),
        bit(6, "SMEP", "no supervisor execution of user pages (up to 4.0)"),
        bit(7, "EAFE", "extended accessed flag"),
        reserved(11, 8),
        pointer(63, 12, "FLPTPTR", "top first-stage table: HPA, nested GPA"),
    ),
    *word(3, reserved(63, 0)),
    *word(
        4,
        bits(1, 0, "HPTSZ", "size of the host permission table"),
        bit(2, "HPTPFD", "no prefetch of host permissions"),
        reserved(11, 3),
        pointer(63, 12, "HPTPTR", "host permission table, HPA"),
    ),
    *word(5, bits(15, 0, "HPTDID", "domain of the host permission table"), reserved(63, 16)),
    *word(6, reserved(63, 0)),
    *word(7, reserved(63, 0)),
)

# ---------------------------------------------------------------- paging entries

#: 9.7: long mode, with the extended-accessed flag.
FIRST_STAGE = x86.layouts(bit(10, "EA", "extended accessed"))


_SECOND_STAGE_START = (
    bit(0, "R", "reads allowed"),
    bit(1, "W", "writes allowed"),
    bit(2, "X", "execution allowed, with SLEE (up to 4.0)"),
)
_SECOND_STAGE_END = (
    ignored(60, 52),
    bit(61, "IR", "reads allowed, with SSIRWE"),
    bit(62, "IW", "writes allowed, with SSIRWE; in pages up to 3.1 transient mapping (TM)"),
    ignored(63),
)
_SECOND_STAGE_PS = bits(7, 7, "PS", "page size", {0: "points to a table", 1: "maps a page"})


def _second_stage_page(name: str, size: Bits, *address: Bits) -> Layout:
    return Layout(
        name,
        8,
        *_SECOND_STAGE_START,
        bits(5, 3, "EMT", "memory type"),
        bit(6, "IPAT", "ignore PAT"),
        size,
        bit(8, "A", "accessed, with SLADE"),
        bit(9, "D", "dirty, with SLADE"),
        ignored(10),
        bit(11, "SNP", "snoop; needs ECAP.SC"),
        *address,
        *_SECOND_STAGE_END,
    )


def _second_stage_table(name: str, size: Bits) -> Layout:
    return Layout(
        name,
        8,
        *_SECOND_STAGE_START,
        ignored(6, 3),
        size,
        bit(8, "A", "accessed, with SLADE"),
        ignored(10, 9),
        reserved(11),
        pointer(51, 12, "ADDR", "next table, HPA"),
        *_SECOND_STAGE_END,
    )


#: 9.8: PML4E, PML5E and above, which are never pages.
SECOND_STAGE_TOP = _second_stage_table("second-stage top-level entry", reserved(7))
#: 9.8: PDPE and PDE that point to a table.
SECOND_STAGE_TABLE = _second_stage_table("second-stage table entry", _SECOND_STAGE_PS)
#: 9.8: level -> the entry that maps a page.
SECOND_STAGE_PAGES = {
    0: _second_stage_page("second-stage 4 KiB page entry", ignored(7), pointer(51, 12, "ADDR", "page, HPA")),
    1: _second_stage_page(
        "second-stage 2 MiB page entry",
        _SECOND_STAGE_PS,
        reserved(20, 12),
        pointer(51, 21, "ADDR", "page, HPA"),
    ),
    2: _second_stage_page(
        "second-stage 1 GiB page entry",
        _SECOND_STAGE_PS,
        reserved(29, 12),
        pointer(51, 30, "ADDR", "page, HPA"),
    ),
}


def second_stage_layout(level: int, raw: int) -> Layout:
    """Return the layout of a second-stage entry: by its level, and where there is a choice by its bit PS."""
    if level == 0 or (level in SECOND_STAGE_PAGES and raw & x86.PAGE_SIZE_BIT):
        return SECOND_STAGE_PAGES[level]
    return SECOND_STAGE_TABLE if level in SECOND_STAGE_PAGES else SECOND_STAGE_TOP
