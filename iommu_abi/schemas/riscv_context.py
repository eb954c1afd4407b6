"""RISC-V IOMMU: what a device has: its device context, and for a process the process context.

Source: RISC-V IOMMU Architecture Specification 1.0: chapter 3 (the directories, and the process to
translate an IOVA), 5 (registers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iommu_abi.schemas import riscv_entries as rv
from iommu_abi.schemas.context import Context, Unit
from iommu_abi.schemas.entries import Fields, Layout
from iommu_abi.schemas.riscv_causes import (
    ALL_DISALLOWED,
    DDT_LOAD,
    DDT_MISCONFIGURED,
    DDT_NOT_VALID,
    NOT_MODELLED,
    PDT_LOAD,
    PDT_MISCONFIGURED,
    PDT_NOT_VALID,
    TYPE_DISALLOWED,
)
from iommu_abi.schemas.riscv_features import DEFAULT_CAPABILITIES, Features
from iommu_abi.schemas.riscv_tables import FirstStage, SecondStage
from iommu_abi.schemas.riscv_transaction import RiscvTransaction
from iommu_abi.schemas.table_walk import Fetched, Paging, Walk
from iommu_abi.terms import Reason, Request, Stage

# ---------------------------------------------------------------- directories (3.1.2, 3.1.4)


@dataclass(frozen=True, slots=True)
class Directory:
    """How a directory is indexed and what its faults are called.

    ``index_lg2``: index bits by level, 0 the one of the contexts. ``causes``: not readable, not
    valid, misconfigured.
    """

    stage: Stage
    entry: Layout
    context: Layout
    index_lg2: tuple[int, int, int]
    causes: tuple[int, int, int]

    def width(self, levels: int) -> int:
        """Bits of identifiers that ``levels`` of the directory resolve."""
        return sum(self.index_lg2[:levels])

    def index(self, identifier: int, level: int) -> int:
        """Return the index into a table of ``level``."""
        return identifier >> self.width(level) & ((1 << self.index_lg2[level]) - 1)


_DDT = (DDT_LOAD, DDT_NOT_VALID, DDT_MISCONFIGURED)
_PDT = (PDT_LOAD, PDT_NOT_VALID, PDT_MISCONFIGURED)
DEVICES = Directory(Stage.DEVICE, rv.DDTE, rv.DC, (7, 9, 8), _DDT)
EXTENDED_DEVICES = Directory(Stage.DEVICE, rv.DDTE, rv.EXTENDED_DC, (6, 9, 9), _DDT)
PROCESSES = Directory(Stage.PASID, rv.PDTE, rv.PC, (8, 9, 3), _PDT)


# ---------------------------------------------------------------- the unit


class Riscv(Unit):
    """A RISC-V IOMMU."""

    rid_last = 0xFF_FFFF

    def __init__(self, registers: Mapping[str, int]) -> None:
        super().__init__(registers)
        self.ddtp = rv.DDTP.of(self.register("DDTP"))
        self.features = Features(
            self.register("CAPABILITIES", DEFAULT_CAPABILITIES),
            self.register("FCTL", 0),
            self.register("GXL_WRITABLE", 0),
        )
        self.capabilities = self.features.capabilities
        self.address_lg2 = self.capabilities.PAS

    @property
    def reads_tables(self) -> bool:
        """Any ddtp.iommu_mode but Bare, in which untranslated requests pass."""
        return self.ddtp.iommu_mode != rv.BARE

    def context(self, walk: Walk, rid: int, pasid: int | None) -> DeviceContext:
        """Make the context of a device."""
        return DeviceContext(self, walk, rid, pasid)


class DeviceContext(Context):
    """A device, with a process or without.

    ``entry`` and ``dc`` are its device context, ``pc_entry`` and ``pc`` the process context that serves it,
    None if none does.
    """

    unit: Riscv
    entry: Fetched
    dc: Fields
    pc_entry: Fetched
    pc: Fields | None = None

    def transaction(self, walk: Walk, request: Request) -> RiscvTransaction:
        """Let the device ask for something."""
        return RiscvTransaction(self, walk, request)

    def read_parts(self) -> None:
        """Read the device context, then the process context."""
        self.registers = self.part(self._check_registers)
        self.device = self.part(self._read_device)
        self.choice = self.part(self._choose)
        self.roots = self.part(self._read_process)

    def _check_registers(self) -> None:
        """Ddtp may switch all off, or have no meaning."""
        if self.unit.ddtp.iommu_mode == rv.OFF:
            raise self.place(Stage.DEVICE).stop(Reason.ABORTED, ALL_DISALLOWED)
        if self.unit.ddtp.iommu_mode > rv.THREE_LEVEL:
            raise self.place(Stage.DEVICE).stop(Reason.INVALID, ALL_DISALLOWED)

    # The device directory (3.1).

    def _read_device(self) -> None:
        """Read the device context, and see whether it may be as it is."""
        self.entry, self.dc = self._device_context(levels=self.unit.ddtp.iommu_mode - 1)
        self.suppressed = bool(self.dc.DTF)
        if self.unit.features.reserved(self.dc):
            raise self.entry.stop(Reason.RESERVED, DDT_MISCONFIGURED)
        if self.unit.features.misconfigured(self.dc):
            raise self.entry.stop(Reason.INVALID, DDT_MISCONFIGURED)

    def _device_context(self, levels: int) -> tuple[Fetched, Fields]:
        directory = EXTENDED_DEVICES if self.unit.capabilities.MSI_FLAT else DEVICES
        if self.rid >> directory.width(levels):
            raise self.place(Stage.DEVICE).stop(Reason.RID_RANGE, TYPE_DISALLOWED)
        return self._find(directory, self.unit.ddtp.PPN, levels, self.rid, None)

    def _find(
        self, directory: Directory, table: int, levels: int, identifier: int, through: Paging | None
    ) -> tuple[Fetched, Fields]:
        """Follow a directory to a context that is valid."""
        unreadable, not_valid, misconfigured = directory.causes
        for level in range(levels - 1, 0, -1):
            where = table + 8 * directory.index(identifier, level)
            entry = self.walk.fetch(self.place(directory.stage, level), where, 8, unreadable, through)
            fields = directory.entry.parse(entry.contents)
            if not fields.V:
                raise entry.stop(Reason.NOT_PRESENT, not_valid)
            if directory.entry.has_reserved_bits(fields):
                raise entry.stop(Reason.RESERVED, misconfigured)
            table = fields.PPN
        length = directory.context.size
        where = table + length * directory.index(identifier, 0)
        entry = self.walk.fetch(self.place(directory.stage), where, length, unreadable, through)
        context = directory.context.parse(entry.contents)
        if not context.V:
            raise entry.stop(Reason.NOT_PRESENT, not_valid)
        return entry, context

    # The process directory (3.1.4).

    def _choose(self) -> None:
        """Whether the device has this process."""
        if self.pasid is None:
            return
        if not self.dc.PDTV:
            raise self.entry.stop(Reason.BLOCKED, TYPE_DISALLOWED)
        if self.dc.fsc_MODE and self.pasid >> PROCESSES.width(self.dc.fsc_MODE):
            raise self.entry.stop(Reason.PASID_RANGE, TYPE_DISALLOWED)

    def _read_process(self) -> None:
        """Read and check the context of a process; all of its directory lies in GPA."""
        dc = self.dc
        process = 0 if self.pasid is None and dc.DPE else self.pasid
        if not dc.fsc_MODE or (dc.PDTV and process is None):
            return
        if dc.SBE:
            # Tables of processes and of the first stage would be big-endian (3.9).
            raise self.entry.stop(Reason.INVALID, NOT_MODELLED)
        if dc.PDTV and process is not None:
            second = self.second_stage()
            self.pc_entry, pc = self._find(PROCESSES, dc.fsc_PPN, dc.fsc_MODE, process, second)
            self._check_process(self.pc_entry, pc)
            self.pc = pc

    def _check_process(self, entry: Fetched, pc: Fields) -> None:
        if rv.PC.has_reserved_bits(pc):
            raise entry.stop(Reason.RESERVED, PDT_MISCONFIGURED)
        if pc.fsc_MODE and self.unit.features.first_mode(self.dc.SXL, pc.fsc_MODE) is None:
            raise entry.stop(Reason.INVALID, PDT_MISCONFIGURED)

    # The stages.

    def second_stage(self) -> SecondStage | None:
        """Make the second stage, as a walk for an entry sees it; None if it is Bare."""
        mode = self.unit.features.second_mode(self.dc.iohgatp_MODE)
        if mode is None:
            return None
        second = SecondStage(self.dc.iohgatp_PPN, mode, self.unit.capabilities)
        second.narrow_guest = bool(self.dc.SXL)
        second.hardware_ad = bool(self.dc.GADE)
        return second

    def first_stage(self, second: Paging | None) -> FirstStage | None:
        """Make the first stage, by the device context or the process context; None if it is Bare."""
        if self.dc.PDTV and self.pc is None:
            return None
        root = self.dc if self.pc is None else self.pc
        mode = self.unit.features.first_mode(self.dc.SXL, root.fsc_MODE)
        if mode is None:
            return None
        first = FirstStage(root.fsc_PPN, mode, self.unit.capabilities, second)
        first.hardware_ad = bool(self.dc.SADE)
        return first
