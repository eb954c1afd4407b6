"""VMSAv8-64: the descriptors of Arm's stage 1 and stage 2, with granules of 4, 16 and 64 KiB.

Sources: Arm DDI 0487 (Arm architecture, A-profile): D8.2.8 to D8.2.10 (which level has blocks of
which size), D8.3.1 (descriptors: tables D8-50 to D8-53).

The vendor counts levels from the top, 3 the last; :func:`vendor_level` converts. With 4 KiB and
52-bit addresses the top is level -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from iommu_abi.schemas.entries import Bits, Fields, Layout, bit, bits, ignored, pointer

# ---------------------------------------------------------------- descriptors (D8.3)

AF = 1 << 10
S1_READ_ONLY = 1 << 7
S2_WRITABLE = 1 << 7
VALID_TABLE = 3
_UP_TO_47 = (1 << 48) - 1
_UP_TO_49 = (1 << 50) - 1


def vendor_level(level: int) -> int:
    """Return the vendor's number of a level; the same function converts back."""
    return 3 - level


class Descriptor(Enum):
    """What a descriptor is."""

    INVALID = "invalid descriptor"
    TABLE = "table descriptor"
    BLOCK = "block descriptor"
    PAGE = "page descriptor"


@dataclass(frozen=True, slots=True)
class Granule:
    """Tables of 2^lg2 bytes. ``wide``: descriptors have addresses of 52 bits.

    With 64 KiB bits 51:48 lie in 15:12; with the others (DS) bits 51:50 lie in 9:8, in SH's place.
    """

    lg2: int
    wide: bool = False

    @property
    def index_lg2(self) -> int:
        """Bits of input that a full table resolves."""
        return self.lg2 - 3

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return self.lg2 + self.index_lg2 * level

    def levels(self, input_lg2: int) -> int:
        """Return the levels that an input of 2^input_lg2 bytes needs."""
        return -(-(input_lg2 - self.lg2) // self.index_lg2)

    def has_block(self, level: int) -> bool:
        """Whether entries of ``level`` may map blocks."""
        last = 2 if self.lg2 == 12 else 1
        return 1 <= level <= last + self.wide

    def kind(self, level: int, raw: int) -> Descriptor:
        """Tell what a descriptor is: by bits 1:0, and what its level allows."""
        if not raw & 1:
            return Descriptor.INVALID
        if raw & 2:
            return Descriptor.TABLE if level else Descriptor.PAGE
        return Descriptor.BLOCK if self.has_block(level) else Descriptor.INVALID

    def address(self, fields: Fields) -> int:
        """Join the two parts of a descriptor's address."""
        if not self.wide:
            return fields.ADDR
        return fields.ADDR | (fields.ADDR_51_48 << 48 if self.lg2 == 16 else fields.ADDR_51_50 << 50)

    def address_fields(self, address: int) -> dict[str, int]:
        """Split an address into the fields of a descriptor."""
        if not self.wide:
            return {"ADDR": address & _UP_TO_47}
        if self.lg2 == 16:
            return {"ADDR": address & _UP_TO_47, "ADDR_51_48": address >> 48}
        return {"ADDR": address & _UP_TO_49, "ADDR_51_50": address >> 50}


#: Of a table that tells nothing of its granule.
DEFAULT_GRANULE = Granule(12)

_START = (bit(0, "VALID"), bit(1, "TYPE", "table or page"))
_S1_ATTRIBUTES = (
    *_START,
    bits(4, 2, "AttrIndx", "memory type"),
    bit(5, "NS"),
    bit(6, "AP1", "unprivileged access"),
    bit(7, "AP2", "read-only"),
)
_S1_FLAGS = (bit(10, "AF", "accessed"), bit(11, "nG", "not global"))
_S1_END = (
    bit(50, "GP"),
    bit(51, "DBM", "writable if clean"),
    bit(52, "Contiguous"),
    bit(53, "PXN", "no privileged execution"),
    bit(54, "UXN", "no unprivileged execution (EL2: none)"),
    ignored(63, 55),
)
_S2_ATTRIBUTES = (
    *_START,
    bits(5, 2, "MemAttr", "memory type; 0 to 3: Device (with FWB if bit 2 is clear)"),
    bits(7, 6, "S2AP", "rights", {0: "none", 1: "read", 2: "write", 3: "read and write"}),
)
_S2_FLAGS = (bit(10, "AF", "accessed"), bit(11, "FnXS"))
_S2_END = (
    ignored(50),
    bit(51, "DBM", "writable if clean"),
    bit(52, "Contiguous"),
    bits(54, 53, "XN", "execution", {0: "all", 1: "unprivileged", 2: "none", 3: "privileged"}),
    ignored(63, 55),
)
_TABLE_FLAGS = (bit(10, "AF", "accessed, with HAFT"), ignored(11))
_S1_TABLE_END = (
    ignored(58, 50),
    bit(59, "PXNTable", "no privileged execution below"),
    bit(60, "UXNTable", "no unprivileged execution below (EL2: none)"),
    bit(61, "APTable0", "no unprivileged access below"),
    bit(62, "APTable1", "read-only below"),
    bit(63, "NSTable"),
)

#: Neither a table nor a page or block.
INVALID = Layout("invalid descriptor", 8, bit(0, "VALID"), bit(1, "TYPE"), ignored(63, 2))


def _address(granule: Granule, first: int) -> tuple[Bits, ...]:
    """Bits 49:12 of a descriptor: an address from bit ``first`` up."""
    if granule.wide and granule.lg2 != 16:
        return (*_unused(first - 1, 12), pointer(49, first, "ADDR"))
    high = (bits(15, 12, "ADDR_51_48", "bits 51:48 of ADDR"),) if granule.wide else ()
    start = 16 if granule.wide else 12
    return (*high, *_unused(first - 1, start), pointer(47, first, "ADDR"), ignored(49, 48))


def _unused(high: int, low: int) -> tuple[Bits, ...]:
    return (ignored(high, low),) if high >= low else ()


@cache
def descriptor_layout(stage: int, granule: Granule, level: int, kind: Descriptor) -> Layout:
    """Return the layout of a descriptor of ``stage`` 1 or 2."""
    if kind is Descriptor.INVALID:
        return INVALID
    name = f"stage-{stage} {kind.value}, {1 << granule.lg2 - 10} KiB granule"
    first = granule.lg2 if kind is Descriptor.TABLE else granule.page_lg2(level)
    low = (*_bits_7_0(stage, kind), _bits_9_8(granule, kind), *_bits_11_10(stage, kind))
    return Layout(name, 8, *low, *_address(granule, first), *_bits_63_50(stage, kind))


def _bits_7_0(stage: int, kind: Descriptor) -> tuple[Bits, ...]:
    if kind is Descriptor.TABLE:
        return (*_START, ignored(7, 2))
    return _S1_ATTRIBUTES if stage == 1 else _S2_ATTRIBUTES


def _bits_9_8(granule: Granule, kind: Descriptor) -> Bits:
    if granule.wide and granule.lg2 != 16:
        return bits(9, 8, "ADDR_51_50", "bits 51:50 of ADDR")
    return ignored(9, 8) if kind is Descriptor.TABLE else bits(9, 8, "SH")


def _bits_11_10(stage: int, kind: Descriptor) -> tuple[Bits, ...]:
    if kind is Descriptor.TABLE:
        return _TABLE_FLAGS
    return _S1_FLAGS if stage == 1 else _S2_FLAGS


def _bits_63_50(stage: int, kind: Descriptor) -> tuple[Bits, ...]:
    if kind is Descriptor.TABLE:
        return _S1_TABLE_END if stage == 1 else (ignored(63, 50),)
    return _S1_END if stage == 1 else _S2_END
