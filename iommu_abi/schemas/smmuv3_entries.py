"""Arm SMMUv3: the stream table, the context descriptors, and the registers that decide a walk.

Source: Arm IHI 0070 (System Memory Management Unit architecture version 3), 5.1 to 5.4
(entries), 6.3 (registers). Of the fields that later revisions added, those that bear on the walk.
"""

from __future__ import annotations

from iommu_abi.schemas.entries import Layout, bit, bits, ignored, pointer, word

# ---------------------------------------------------------------- registers (6.3)

#: Address sizes of IDR5.OAS, CD.IPS and STE.S2PS, in bits.
ADDRESS_LG2 = (32, 36, 40, 42, 44, 48, 52, 52)
_SIZES = {code: f"{lg2} bits" for code, lg2 in enumerate(ADDRESS_LG2)}
_ALL = ignored(63, 32)

IDR0 = Layout(
    "SMMU_IDR0",
    8,
    bit(0, "S2P", "stage 2"),
    bit(1, "S1P", "stage 1"),
    bits(3, 2, "TTF", "table formats; bit 0: AArch32, 1: AArch64"),
    bit(4, "COHACC"),
    bit(5, "BTM"),
    bits(7, 6, "HTTU", "flag updates", {0: "none", 1: "AF", 2: "AF and dirty", 3: "also AF of tables"}),
    bit(8, "DORMHINT"),
    bit(9, "HYP", "EL2"),
    bit(10, "ATS"),
    bit(11, "NS1ATS", "no split-stage ATS"),
    bit(12, "ASID16"),
    bit(13, "MSI"),
    bit(14, "SEV"),
    bit(15, "ATOS"),
    bit(16, "PRI"),
    bit(17, "VMW"),
    bit(18, "VMID16"),
    bit(19, "CD2L", "two-level CD tables"),
    bit(20, "VATOS"),
    bits(22, 21, "TTENDIAN", "endianness of tables", {0: "mixed", 2: "little", 3: "big"}),
    bit(23, "ATSRECERR"),
    bits(25, 24, "STALL_MODEL", "stalls", {0: "both models", 1: "terminate only", 2: "stall forced"}),
    bit(26, "TERM_MODEL", "CD.A must be 1"),
    bits(28, 27, "ST_LEVEL", "stream tables", {0: "linear", 1: "linear and two-level"}),
    ignored(31, 29),
    _ALL,
)
IDR1 = Layout(
    "SMMU_IDR1",
    8,
    bits(5, 0, "SIDSIZE", "StreamID bits"),
    bits(10, 6, "SSIDSIZE", "SubstreamID bits"),
    bits(15, 11, "PRIQS"),
    bits(20, 16, "EVTQS"),
    bits(25, 21, "CMDQS"),
    bit(26, "ATTR_PERMS_OVR", "STE.PRIVCFG and INSTCFG count"),
    bit(27, "ATTR_TYPES_OVR"),
    bit(28, "REL"),
    bit(29, "QUEUES_PRESET"),
    bit(30, "TABLES_PRESET"),
    bit(31, "ECMDQ"),
    _ALL,
)
IDR3 = Layout(
    "SMMU_IDR3",
    8,
    ignored(1, 0),
    bit(2, "HAD", "hierarchical attributes can be disabled"),
    bit(3, "PBHA"),
    bit(4, "XNX", "stage-2 execution by privilege"),
    bit(5, "PPS"),
    ignored(6),
    bit(7, "MPAM"),
    bit(8, "FWB", "STE.S2FWB counts"),
    bit(9, "STT", "small tables"),
    bit(10, "RIL"),
    bits(12, 11, "BBML"),
    bit(13, "E0PD", "CD.E0PDx count"),
    bit(14, "PTWNNC"),
    bit(15, "DPT", "STE.EATS 3"),
    bit(16, "PASIDTT", "translated requests with SubstreamID"),
    bit(17, "EPAN", "CD.EPAN counts"),
    bit(18, "S1PI", "stage-1 permission indirection"),
    bit(19, "S2PI", "stage-2 permission indirection"),
    bit(20, "S2PO", "stage-2 permission overlays"),
    bit(21, "THE", "translation hardening"),
    bit(22, "MTEPERM"),
    bit(23, "AIE", "CD.AIE counts"),
    ignored(31, 24),
    _ALL,
)
IDR5 = Layout(
    "SMMU_IDR5",
    8,
    bits(2, 0, "OAS", "output addresses", _SIZES),
    ignored(3),
    bit(4, "GRAN4K"),
    bit(5, "GRAN16K"),
    bit(6, "GRAN64K"),
    bit(7, "DS", "52-bit addresses with 4 and 16 KiB"),
    bit(8, "D128", "VMSAv9-128"),
    ignored(9),
    bits(11, 10, "VAX", "virtual addresses", {0: "48 bits", 1: "52 bits", 2: "56 bits"}),
    ignored(15, 12),
    bits(31, 16, "STALL_MAX"),
    _ALL,
)
AIDR = Layout(
    "SMMU_AIDR",
    8,
    bits(3, 0, "MINOR", "v3.MINOR"),
    bits(7, 4, "MAJOR"),
    ignored(31, 8),
    _ALL,
)
CR0 = Layout(
    "SMMU_CR0",
    8,
    bit(0, "SMMUEN", "translation is on"),
    bit(1, "PRIQEN"),
    bit(2, "EVTQEN"),
    bit(3, "CMDQEN"),
    bit(4, "ATSCHK", "translated requests are checked"),
    ignored(5),
    bits(8, 6, "VMW"),
    ignored(9),
    bit(10, "DPT_WALK_EN"),
    ignored(31, 11),
    _ALL,
)
CR2 = Layout(
    "SMMU_CR2",
    8,
    bit(0, "E2H", "EL2 streams are EL2-E2H"),
    bit(1, "RECINVSID", "C_BAD_STREAMID is recorded"),
    bit(2, "PTM"),
    bit(3, "REC_CFG_ATS", "configuration errors of ATS are recorded"),
    ignored(31, 4),
    _ALL,
)
GBPA = Layout(
    "SMMU_GBPA",
    8,
    bits(3, 0, "MemAttr"),
    bit(4, "MTCFG"),
    ignored(7, 5),
    bits(11, 8, "ALLOCCFG"),
    bits(13, 12, "SHCFG"),
    ignored(15, 14),
    bits(17, 16, "PRIVCFG"),
    bits(19, 18, "INSTCFG"),
    bit(20, "ABORT", "requests are aborted while SMMUEN is 0"),
    ignored(30, 21),
    bit(31, "Update"),
    _ALL,
)
STRTAB_BASE = Layout(
    "SMMU_STRTAB_BASE",
    8,
    ignored(5, 0),
    pointer(55, 6, "ADDR", "stream table, PA"),
    ignored(61, 56),
    bit(62, "RA"),
    ignored(63),
)
STRTAB_BASE_CFG = Layout(
    "SMMU_STRTAB_BASE_CFG",
    8,
    bits(5, 0, "LOG2SIZE", "log2 of the StreamIDs"),
    bits(10, 6, "SPLIT", "StreamID bits of the second level"),
    ignored(15, 11),
    bits(17, 16, "FMT", "format", {0: "linear", 1: "two-level"}),
    ignored(31, 18),
    _ALL,
)

# ---------------------------------------------------------------- stream table (5.1, 5.2)

#: Index: the upper StreamID bits.
L1STD = Layout(
    "L1STD",
    8,
    bits(4, 0, "Span", "2^(Span-1) STEs; 0: none"),
    ignored(5),
    pointer(55, 6, "L2Ptr", "STEs, PA"),
    ignored(63, 56),
)

BYPASS, STAGE_1, STAGE_2, NESTED = 4, 5, 6, 7
_CONFIG = {
    **dict.fromkeys(range(4), "abort"),
    BYPASS: "bypass",
    STAGE_1: "stage 1",
    STAGE_2: "stage 2",
    NESTED: "nested",
}
LINEAR, TWO_LEVEL_4K, TWO_LEVEL_64K = 0, 1, 2
_S1FMT = {LINEAR: "linear", TWO_LEVEL_4K: "two-level, 64 CDs", TWO_LEVEL_64K: "two-level, 1024 CDs"}
DSS_BYPASS, DSS_CD0 = 1, 2
_S1DSS = {0: "terminate", DSS_BYPASS: "bypass stage 1", DSS_CD0: "CD 0", 3: "reserved, terminate"}
NO_ATS, FULL_ATS, SPLIT_ATS, DPT_ATS = range(4)
_EATS = {
    NO_ATS: "no ATS",
    FULL_ATS: "full ATS",
    SPLIT_ATS: "split-stage ATS",
    DPT_ATS: "full ATS with DPT checks",
}
EL2 = 2
_STRW = {0: "EL1", EL2: "EL2"}
_OVERRIDE_PRIV = {0: "incoming", 1: "incoming", 2: "unprivileged", 3: "privileged"}
_OVERRIDE_INST = {0: "incoming", 1: "incoming", 2: "data", 3: "instruction"}
_TG0 = {0: "4 KiB", 1: "64 KiB", 2: "16 KiB"}
_TG1 = {1: "16 KiB", 2: "4 KiB", 3: "64 KiB"}
#: log2 of the granules that TG0 and S2TG, and TG1, name.
TG0_LG2 = {0: 12, 1: 16, 2: 14}
TG1_LG2 = {1: 14, 2: 12, 3: 16}

#: Index: StreamID, or its lower bits.
STE = Layout(
    "STE",
    64,
    *word(
        0,
        bit(0, "V", "valid"),
        bits(3, 1, "Config", "stages", _CONFIG),
        bits(5, 4, "S1Fmt", "CD table", _S1FMT),
        pointer(55, 6, "S1ContextPtr", "CDs; IPA if nested, else PA"),
        ignored(58, 56),
        bits(63, 59, "S1CDMax", "log2 of the CDs"),
    ),
    *word(
        1,
        bits(1, 0, "S1DSS", "requests without SubstreamID", _S1DSS),
        bits(3, 2, "S1CIR"),
        bits(5, 4, "S1COR"),
        bits(7, 6, "S1CSH"),
        bits(11, 8, "S2HWU", "bits 62:59 of stage-2 leaves"),
        ignored(18, 12),
        bit(19, "MEV", "events may be merged"),
        ignored(23, 20),
        bit(24, "S1PIE", "CDs may use permission indirection"),
        bit(25, "S2FWB", "MemAttr bit 2 clear is Device"),
        bit(26, "S1MPAM", "CDs have a PARTID"),
        bit(27, "S1STALLD", "CDs may not stall"),
        bits(29, 28, "EATS", "ATS", _EATS),
        bits(31, 30, "STRW", "regime", _STRW),
        bits(35, 32, "MemAttr"),
        bit(36, "MTCFG"),
        bits(40, 37, "ALLOCCFG"),
        ignored(43, 41),
        bits(45, 44, "SHCFG"),
        bits(47, 46, "NSCFG"),
        bits(49, 48, "PRIVCFG", "privilege", _OVERRIDE_PRIV),
        bits(51, 50, "INSTCFG", "instruction or data", _OVERRIDE_INST),
        ignored(63, 52),
    ),
    *word(
        2,
        bits(15, 0, "S2VMID"),
        ignored(31, 16),
        bits(37, 32, "S2T0SZ", "64 - IPA bits"),
        bits(39, 38, "S2SL0", "start level"),
        bits(41, 40, "S2IR0"),
        bits(43, 42, "S2OR0"),
        bits(45, 44, "S2SH0"),
        bits(47, 46, "S2TG", "granule", _TG0),
        bits(50, 48, "S2PS", "output addresses", _SIZES),
        bit(51, "S2AA64", "VMSAv8-64"),
        bit(52, "S2ENDI", "big-endian"),
        bit(53, "S2AFFD", "no access-flag faults"),
        bit(54, "S2PTW", "no table walks in Device memory"),
        bit(55, "S2HD", "hardware keeps the dirty state"),
        bit(56, "S2HA", "hardware sets AF"),
        bit(57, "S2S", "stall"),
        bit(58, "S2R", "faults are recorded"),
        bit(59, "S2HAFT", "hardware sets AF of tables"),
        bit(60, "S2PIE", "permission indirection"),
        bit(61, "S2POE", "permission overlays"),
        bits(63, 62, "DPT_VMATCH"),
    ),
    *word(
        3,
        ignored(1, 0),
        bit(2, "S2SL0_2", "start level, bit 2"),
        bit(3, "S2DS", "52-bit addresses with 4 and 16 KiB"),
        pointer(51, 4, "S2TTB", "top stage-2 table, PA"),
        ignored(60, 52),
        bits(62, 61, "S2SKL"),
        ignored(63),
    ),
    *word(4, ignored(15, 0), bits(31, 16, "PARTID"), ignored(63, 32)),
    *word(
        5,
        bits(7, 0, "PMG"),
        ignored(8),
        bits(11, 9, "HARDENING", "AssuredOnly, TL0, TL1"),
        pointer(55, 12, "VMSPtr", "VMS, PA"),
        ignored(63, 56),
    ),
    *word(6, ignored(63, 0)),
    *word(7, bits(63, 0, "S2POI", "16 overlay interpretations")),
)

# ---------------------------------------------------------------- context descriptors (5.3, 5.4)

#: Index: the upper SubstreamID bits.
L1CD = Layout(
    "L1CD",
    8,
    bit(0, "V", "valid"),
    ignored(11, 1),
    pointer(55, 12, "L2Ptr", "CDs; IPA if nested, else PA"),
    ignored(63, 56),
)

#: Index: SubstreamID, or its lower bits.
CD = Layout(
    "CD",
    64,
    *word(
        0,
        bits(5, 0, "T0SZ", "64 - bits of the lower half"),
        bits(7, 6, "TG0", "granule of TTB0", _TG0),
        bits(9, 8, "IR0"),
        bits(11, 10, "OR0"),
        bits(13, 12, "SH0"),
        bit(14, "EPD0", "no walks of TTB0"),
        bit(15, "ENDI", "big-endian"),
        bits(21, 16, "T1SZ", "64 - bits of the upper half"),
        bits(23, 22, "TG1", "granule of TTB1", _TG1),
        bits(25, 24, "IR1"),
        bits(27, 26, "OR1"),
        bits(29, 28, "SH1"),
        bit(30, "EPD1", "no walks of TTB1"),
        bit(31, "V", "valid"),
        bits(34, 32, "IPS", "output addresses", _SIZES),
        bit(35, "AFFD", "no access-flag faults"),
        bit(36, "WXN", "what may be written may not be executed"),
        bit(37, "UWXN"),
        bit(38, "TBI0", "top byte is ignored, TTB0"),
        bit(39, "TBI1", "top byte is ignored, TTB1"),
        bit(40, "PAN", "no privileged access to unprivileged pages"),
        bit(41, "AA64", "VMSAv8-64"),
        bit(42, "HD", "hardware keeps the dirty state"),
        bit(43, "HA", "hardware sets AF"),
        bit(44, "S", "stall"),
        bit(45, "R", "faults are recorded"),
        bit(46, "A", "abort"),
        bit(47, "ASET"),
        bits(63, 48, "ASID"),
    ),
    *word(
        1,
        bit(0, "NSCFG0"),
        bit(1, "HAD0", "table attributes are ignored, TTB0"),
        bit(2, "E0PD0", "no unprivileged access, TTB0"),
        bit(3, "HAFT", "hardware sets AF of tables"),
        pointer(51, 4, "TTB0", "top table, lower half"),
        ignored(57, 52),
        bit(58, "PnCH"),
        bit(59, "EPAN", "PAN also for what the unprivileged may execute"),
        bits(63, 60, "HWU0", "bits 62:59 of leaves, TTB0"),
    ),
    *word(
        2,
        bit(0, "NSCFG1"),
        bit(1, "HAD1", "table attributes are ignored, TTB1"),
        bit(2, "E0PD1", "no unprivileged access, TTB1"),
        bit(3, "AIE", "16 memory types; table attributes are ignored"),
        pointer(51, 4, "TTB1", "top table, upper half"),
        ignored(57, 52),
        bit(58, "DS", "52-bit addresses with 4 and 16 KiB"),
        bit(59, "PIE", "permission indirection"),
        bits(63, 60, "HWU1", "bits 62:59 of leaves, TTB1"),
    ),
    *word(3, bits(63, 0, "MAIR")),
    *word(4, bits(63, 0, "AMAIR")),
    *word(5, ignored(63, 0)),
    *word(6, bits(47, 0, "PIIU", "16 unprivileged permissions"), ignored(63, 48)),
    *word(7, bits(47, 0, "PIIP", "16 privileged permissions"), ignored(63, 48)),
)
