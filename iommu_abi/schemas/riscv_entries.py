"""RISC-V IOMMU: device and process directories, page table entries, and the registers.

Sources:
- RISC-V IOMMU Architecture Specification 1.0: chapter 3 (data structures), 5 (registers).
- RISC-V Instruction Set Manual, Volume II (privileged): Sv32, Sv39, Sv48, Sv57, their x4
  variants, Svnapot and Svpbmt; as read by the specification's reference model.
"""

from __future__ import annotations

from iommu_abi.schemas.entries import Bits, Layout, bit, bits, ignored, reserved, word

# ---------------------------------------------------------------- registers (chapter 5)

CAPABILITIES = Layout(
    "capabilities",
    8,
    bits(7, 0, "version"),
    bit(8, "Sv32"),
    bit(9, "Sv39"),
    bit(10, "Sv48"),
    bit(11, "Sv57"),
    ignored(13, 12),
    bit(14, "Svrsw60t59b", "bits 60:59 of page table entries are software's"),
    bit(15, "Svpbmt", "memory types in page table entries"),
    bit(16, "Sv32x4"),
    bit(17, "Sv39x4"),
    bit(18, "Sv48x4"),
    bit(19, "Sv57x4"),
    ignored(20),
    bit(21, "AMO_MRIF"),
    bit(22, "MSI_FLAT", "device contexts have 64 bytes"),
    bit(23, "MSI_MRIF", "memory-resident interrupt files"),
    bit(24, "AMO_HWAD", "hardware can set A and D"),
    bit(25, "ATS"),
    bit(26, "T2GPA", "translation requests can be answered with GPA"),
    bit(27, "END", "either endianness"),
    bits(29, 28, "IGS"),
    bit(30, "HPM"),
    bit(31, "DBG"),
    bits(37, 32, "PAS", "physical address bits"),
    bit(38, "PD8"),
    bit(39, "PD17"),
    bit(40, "PD20"),
    bit(41, "QOSID"),
    bit(42, "NL"),
    bit(43, "S"),
    ignored(55, 44),
    ignored(63, 56, "custom"),
)
FCTL = Layout("fctl", 8, bit(0, "BE", "big-endian"), bit(1, "WSI"), bit(2, "GXL", "Sv32x4"), ignored(63, 3))

OFF, BARE, ONE_LEVEL, TWO_LEVEL, THREE_LEVEL = range(5)
_DDTP_MODE = {
    OFF: "off",
    BARE: "bare",
    ONE_LEVEL: "1 level",
    TWO_LEVEL: "2 levels",
    THREE_LEVEL: "3 levels",
}


def _page_number(high: int, low: int, name: str, doc: str) -> Bits:
    """Make a field that holds an address >> 12."""
    return Bits(high, low, name, doc, unit_lg2=12)


DDTP = Layout(
    "ddtp",
    8,
    bits(3, 0, "iommu_mode", "device directory", _DDTP_MODE),
    bit(4, "busy"),
    ignored(9, 5),
    _page_number(53, 10, "PPN", "device directory, SPA"),
    ignored(63, 54),
)

# ---------------------------------------------------------------- directories (3.1, 3.3)


def _directory_entry(name: str, doc: str) -> Layout:
    return Layout(
        name,
        8,
        bit(0, "V", "valid"),
        reserved(9, 1),
        _page_number(53, 10, "PPN", doc),
        reserved(63, 54),
    )


DDTE = _directory_entry("non-leaf DDT entry", "next table, SPA")
PDTE = _directory_entry("non-leaf PDT entry", "next table; GPA unless iohgatp is Bare")

# ---------------------------------------------------------------- device context (3.1.3)

#: iohgatp and iosatp; x4 for the former. With GXL or SXL, 8 is Sv32.
SV39, SV48, SV57 = 8, 9, 10
SV32 = 8
_SATP = {0: "Bare", SV39: "Sv39, Sv32 with SXL", SV48: "Sv48", SV57: "Sv57"}
_HGATP = {0: "Bare", SV39: "Sv39x4, Sv32x4 with GXL", SV48: "Sv48x4", SV57: "Sv57x4"}
PD8, PD17, PD20 = 1, 2, 3
#: fsc of a device context: iosatp, or pdtp with PDTV.
_FSC = {**_SATP, PD8: "PD8", PD17: "PD17", PD20: "PD20"}
MSI_OFF, MSI_FLAT = 0, 1

_DC_BASE = (
    *word(
        0,
        bit(0, "V", "valid"),
        bit(1, "EN_ATS", "ATS"),
        bit(2, "EN_PRI", "page requests"),
        bit(3, "T2GPA", "translation requests are answered with GPA"),
        bit(4, "DTF", "most faults are not recorded"),
        bit(5, "PDTV", "fsc is pdtp"),
        bit(6, "PRPR"),
        bit(7, "GADE", "hardware sets A and D, second stage"),
        bit(8, "SADE", "hardware sets A and D, first stage"),
        bit(9, "DPE", "requests without process_id use process 0"),
        bit(10, "SBE", "big-endian"),
        bit(11, "SXL", "Sv32"),
        reserved(23, 12),
        ignored(31, 24, "custom"),
        reserved(63, 32),
    ),
    *word(
        1,
        _page_number(43, 0, "iohgatp_PPN", "top second-stage table, SPA"),
        bits(59, 44, "GSCID"),
        bits(63, 60, "iohgatp_MODE", "second stage", _HGATP),
    ),
    # RCID and MCID are reserved without QOSID: the walk looks.
    *word(
        2,
        reserved(11, 0),
        bits(31, 12, "PSCID"),
        reserved(39, 32),
        bits(51, 40, "RCID"),
        bits(63, 52, "MCID"),
    ),
    *word(
        3,
        _page_number(43, 0, "fsc_PPN", "first-stage table or process directory"),
        reserved(59, 44),
        bits(63, 60, "fsc_MODE", "first stage or process directory", _FSC),
    ),
)

#: Index: device_id, without MSI_FLAT.
DC = Layout("device context", 32, *_DC_BASE)
#: The same with MSI_FLAT. Mask and pattern are page numbers.
EXTENDED_DC = Layout(
    "extended device context",
    64,
    *_DC_BASE,
    *word(
        4,
        _page_number(43, 0, "msiptp_PPN", "MSI page table, SPA"),
        reserved(59, 44),
        bits(63, 60, "msiptp_MODE", "MSI page table", {MSI_OFF: "off", MSI_FLAT: "flat"}),
    ),
    *word(5, bits(51, 0, "msi_addr_mask"), reserved(63, 52)),
    *word(6, bits(51, 0, "msi_addr_pattern"), reserved(63, 52)),
    *word(7, reserved(63, 0)),
)

# ---------------------------------------------------------------- process context (3.3.2)

#: Index: process_id.
PC = Layout(
    "process context",
    16,
    *word(
        0,
        bit(0, "V", "valid"),
        bit(1, "ENS", "supervisor requests"),
        bit(2, "SUM", "supervisor's data access to user pages"),
        reserved(11, 3),
        bits(31, 12, "PSCID"),
        reserved(63, 32),
    ),
    *word(
        1,
        _page_number(43, 0, "fsc_PPN", "top first-stage table"),
        reserved(59, 44),
        bits(63, 60, "fsc_MODE", "first stage", _SATP),
    ),
)

# ---------------------------------------------------------------- page table entries

R, W, X = 1 << 1, 1 << 2, 1 << 3
A, D = 1 << 6, 1 << 7
NAPOT_PPN = 0x8  # PPN[3:0] of a page of 64 KiB

_FLAGS = (
    bit(0, "V", "valid"),
    bit(1, "R", "reads allowed"),
    bit(2, "W", "writes allowed"),
    bit(3, "X", "execution allowed"),
    bit(4, "U", "user"),
    bit(5, "G", "global"),
    bit(6, "A", "accessed"),
    bit(7, "D", "dirty"),
    bits(9, 8, "RSW"),
)

#: Sv39, Sv48, Sv57 and their x4 variants. Whether 60:59 are reserved depends on Svrsw60t59b.
PTE = Layout(
    "PTE",
    8,
    *_FLAGS,
    _page_number(53, 10, "PPN", "page or next table"),
    reserved(58, 54),
    bits(60, 59, "RSW60t59b"),
    bits(62, 61, "PBMT", "memory type", {0: "PMA", 1: "NC", 2: "IO"}),
    bit(63, "N", "64 KiB"),
)
#: Sv32 and Sv32x4.
PTE32 = Layout("Sv32 PTE", 4, *_FLAGS, _page_number(31, 10, "PPN", "page or next table"))

# ---------------------------------------------------------------- MSI page table (3.5)

MRIF, BASIC = 1, 3
_M = {MRIF: "MRIF", BASIC: "basic"}
_MSI_START = (bit(0, "V", "valid"), bits(2, 1, "M", "mode", _M))
_MSI_END = (reserved(62, 54), bit(63, "C", "custom format"))

MSI_BASIC = Layout(
    "MSI PTE, basic",
    16,
    *word(0, *_MSI_START, reserved(9, 3), _page_number(53, 10, "PPN", "interrupt file, SPA"), *_MSI_END),
    *word(1, ignored(63, 0)),
)
MSI_MRIF = Layout(
    "MSI PTE, MRIF",
    16,
    *word(
        0,
        *_MSI_START,
        reserved(6, 3),
        Bits(53, 7, "MRIF", "memory-resident interrupt file, SPA", unit_lg2=9),
        *_MSI_END,
    ),
    *word(
        1,
        bits(9, 0, "NID", "notice data, bits 9:0"),
        _page_number(53, 10, "NPPN", "notice address"),
        reserved(59, 54),
        bit(60, "NID_10", "notice data, bit 10"),
        reserved(63, 61),
    ),
)


def is_mrif(data: bytes) -> bool:
    """Whether an entry of an MSI page table leads to a memory-resident interrupt file."""
    return data[0] >> 1 & 3 == MRIF


def extract(value: int, mask: int) -> int:
    """Move the bits of ``value`` under the mask together, which number an MSI page table's entries."""
    extracted = 0
    for position in reversed(range(mask.bit_length())):
        if mask >> position & 1:
            extracted = extracted << 1 | value >> position & 1
    return extracted
