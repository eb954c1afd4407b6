"""Sv32, Sv39, Sv48, Sv57 and their x4 variants: the page tables of a RISC-V IOMMU's two stages.

Sources:
- RISC-V Instruction Set Manual, Volume II (privileged): the formats, Svnapot and Svpbmt.
- RISC-V IOMMU Architecture Specification 1.0, chapter 3 (A and D, which pages a request may
  access), 4.2 (causes); its reference model for the order of checks.
- ``docs/walk_riscv.md`` where these are silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.riscv_causes import ACCESS_FAULT, GUEST_PAGE_FAULT, PAGE_FAULT, PDT_LOAD
from iommu_abi.schemas.table_walk import ADDRESS_MASK, PAGE_LG2, Next, Page, Paging, Use
from iommu_abi.terms import Access, Purpose, Reason, Stage

#: Bits of a GPA if SXL=1.
NARROW_GPA_LG2 = 34

# ---------------------------------------------------------------- formats


@dataclass(frozen=True, slots=True)
class Mode:
    """A format of page tables; its x4 variant has the same but for the root."""

    name: str
    levels: int
    index_lg2: int
    layout: Layout

    def page_lg2(self, level: int) -> int:
        """log2 of the bytes that an entry of ``level`` covers."""
        return PAGE_LG2 + self.index_lg2 * level

    @property
    def narrow(self) -> bool:
        """True for Sv32, whose entries have 4 bytes and no upper bits."""
        return self.layout is rv.PTE32


SV32 = Mode("Sv32", 2, 10, rv.PTE32)
SV39 = Mode("Sv39", 3, 9, rv.PTE)
SV48 = Mode("Sv48", 4, 9, rv.PTE)
SV57 = Mode("Sv57", 5, 9, rv.PTE)
#: SXL or GXL, and the field MODE -> the format.
MODES = {(0, rv.SV39): SV39, (0, rv.SV48): SV48, (0, rv.SV57): SV57, (1, rv.SV32): SV32}


class Rights(IntFlag):
    """What a leaf leaves; the entries above it take no rights. R, W and X count as in Access."""

    R = 1
    W = 2
    X = 4
    U = 8


class Tables(Paging):
    """Page tables of either stage.

    ``root_lg2``: index bits of the root beyond those of the other tables. ``hardware_ad``:
    hardware sets A and D. ``judged``: R, W and X count; they do not for translation requests.
    """

    all_rights = Rights(15)
    root_lg2 = 0

    def __init__(self, root: int, mode: Mode, capabilities: Fields) -> None:
        self.root = root
        self.mode = mode
        self.entry_len = mode.layout.size
        self.svpbmt = bool(capabilities.Svpbmt)
        self.svrsw = bool(capabilities.Svrsw60t59b)
        self.hardware_ad = False
        self.judged = True

    def start(self, address: int) -> tuple[int, int]:
        """Begin at the root, whatever the address."""
        return self.root, self.mode.levels - 1

    def takes(self, address: int) -> bool:
        """Take addresses below the width of the format."""
        return not address >> self.mode.page_lg2(self.mode.levels) + self.root_lg2

    def entry_address(self, table: int, level: int, address: int) -> int:
        """Index a table."""
        index_lg2 = self.mode.index_lg2 + (self.root_lg2 if level == self.mode.levels - 1 else 0)
        index = address >> self.mode.page_lg2(level) & ((1 << index_lg2) - 1)
        return table + self.entry_len * index

    def decode(self, data: bytes, level: int) -> Fields:
        """All entries of a format have one layout."""
        return self.mode.layout.parse(data)

    @staticmethod
    def _is_table(fields: Fields) -> bool:
        return not (fields.R or fields.W or fields.X)

    def problem(self, fields: Fields, level: int, address: int) -> Reason | None:
        """Look at V, then at reserved bits and encodings."""
        if not fields.V:
            return Reason.NOT_PRESENT
        if fields.W and not fields.R:
            return Reason.RESERVED
        if not self.mode.narrow and self._upper_bits_reserved(fields, level):
            return Reason.RESERVED
        if self._is_table(fields) and self._table_reserved(fields, level):
            return Reason.RESERVED
        return None

    def _upper_bits_reserved(self, fields: Fields, level: int) -> bool:
        """Judge bits 63:54."""
        if rv.PTE.has_reserved_bits(fields) or (fields.RSW60t59b and not self.svrsw):
            return True
        if fields.PBMT == 3 or (fields.PBMT and not self.svpbmt):
            return True
        return bool(fields.N and level)

    def _table_reserved(self, fields: Fields, level: int) -> bool:
        """Judge what only a page may have; there are no tables below level 0."""
        if level == 0 or fields.A or fields.D or fields.U:
            return True
        return not self.mode.narrow and bool(fields.PBMT or fields.N)

    def step(self, fields: Fields, level: int, address: int) -> Next | Page:
        """Follow PPN to the next table or into the page."""
        if self._is_table(fields):
            return Next(fields.PPN, level - 1)
        napot = not self.mode.narrow and fields.N
        size_lg2 = 16 if napot else self.mode.page_lg2(level)
        offset = (1 << size_lg2) - 1
        return Page(fields.PPN & ~offset | address & offset, size_lg2)

    def rights(self, fields: Fields, leaf: bool) -> int:
        """Keep what R, W, X and U leave."""
        if not leaf:
            return self.all_rights
        return fields.R | fields.W << 1 | fields.X << 2 | fields.U << 3

    def refuses(self, fields: Fields, level: int, rights: int, use: Use) -> Reason | None:
        """Judge R, W and X, the mode, the alignment of the page, then A and D."""
        judged = self.judged or use.purpose is not Purpose.DATA
        if judged and not rights & use.access:
            return Reason.DENIED
        refused = self.mode_refuses(rights, use.access)
        if refused is not None:
            return refused
        if self._misaligned(fields, level):
            return Reason.RESERVED
        if not self.hardware_ad and self._lacks_flags(fields, use.access):
            return Reason.ACCESS_FLAG
        return None

    def mode_refuses(self, rights: int, access: Access) -> Reason | None:
        """Why the request's mode may not access a page."""
        return None if rights & Rights.U else Reason.PRIVILEGE

    def _misaligned(self, fields: Fields, level: int) -> bool:
        if not self.mode.narrow and fields.N:
            return fields.PPN >> PAGE_LG2 & 0xF != rv.NAPOT_PPN
        return bool(fields.PPN & ((1 << self.mode.page_lg2(level)) - 1))

    @staticmethod
    def _lacks_flags(fields: Fields, access: Access) -> bool:
        """D counts only where W allows the write at all (reference model)."""
        return not fields.A or bool(access is Access.WRITE and fields.W and not fields.D)

    def grants(self, rights: int) -> Access:
        """Allow what R, W and X and the mode do."""
        granted = Access.NONE
        for access in (Access.READ, Access.WRITE, Access.EXEC):
            if rights & access and self.mode_refuses(rights, access) is None:
                granted |= access
        return granted

    def flags(self, fields: Fields, access: Access, leaf: bool) -> int:
        """Ask for A, and for D in the leaf of a write, where hardware sets them."""
        if not leaf or not self.hardware_ad:
            return 0
        return rv.A | (rv.D if access is Access.WRITE and fields.W else 0)


class FirstStage(Tables):
    """Sv32 to Sv57. ``supervisor`` and ``sum``: the request's mode, and SUM of the process."""

    stage = Stage.S1

    def __init__(self, root: int, mode: Mode, capabilities: Fields, through: Paging | None) -> None:
        super().__init__(root, mode, capabilities)
        self.through = through
        self.supervisor = False
        self.sum = False

    def takes(self, address: int) -> bool:
        """Take canonical addresses; for Sv32 those of 32 bits."""
        if self.mode.narrow:
            return super().takes(address)
        highest = self.mode.page_lg2(self.mode.levels) - 1
        return address >> highest in (0, ADDRESS_MASK >> highest)

    def mode_refuses(self, rights: int, access: Access) -> Reason | None:
        """Keep users from supervisor pages, and supervisors from user pages but for data with SUM."""
        if not self.supervisor:
            return super().mode_refuses(rights, access)
        allowed = not rights & Rights.U or (self.sum and access is not Access.EXEC)
        return None if allowed else Reason.DENIED

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the cause of a read; the access that was asked may make it another (``as_asked``)."""
        return ACCESS_FAULT if reason is Reason.UNREADABLE else PAGE_FAULT


class SecondStage(Tables):
    """Sv32x4 to Sv57x4: the root is four times as large, and every page must be a user's.

    ``narrow_guest``: the guest is one of 32 bits (tc.SXL), and no GPA of it has a bit beyond 33.
    """

    stage = Stage.S2
    root_lg2 = 2

    def __init__(self, root: int, mode: Mode, capabilities: Fields) -> None:
        super().__init__(root, mode, capabilities)
        self.narrow_guest = False

    def takes(self, address: int) -> bool:
        """Take what the format does; of a guest of 32 bits what Sv32x4 would (3.1.3.1, SXL)."""
        if self.narrow_guest and address >> NARROW_GPA_LG2:
            return False
        return super().takes(address)

    def native(self, reason: Reason, level: int, use: Use) -> int:
        """Name the cause of a read, as the first stage does."""
        if reason is not Reason.UNREADABLE:
            return GUEST_PAGE_FAULT
        return PDT_LOAD if use.purpose is Purpose.PASID_ENTRY else ACCESS_FAULT
