"""AMD-Vi: what a device has: its device table entry, and with a PASID the root of its guest tables.

Source: AMD I/O Virtualization Technology (IOMMU) Specification, document 48882: 2.2.2 (device table),
2.2.6 (GCR3 table), 3.4 (registers); as ``amdvi`` says, where from.
"""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.schemas.amdvi_entries import (
    BAD_MODE,
    CONTROL,
    DEFAULT_CONTROL,
    DEFAULT_EXT_FEATURES,
    DEVICE_TABLE_ENTRY,
    DEVTAB_BASE,
    EXT_FEATURES,
    FEATURE_FIELDS,
    GCR3_ENTRY,
    NO_HOST_LEVELS,
    gcr3_root,
)
from iommu_abi.schemas.amdvi_events import (
    DEV_TAB_HARDWARE_ERROR,
    ILLEGAL_DEV_TABLE_ENTRY,
    INVALID_DEVICE_REQUEST,
    IO_PAGE_FAULT,
    PAGE_TAB_HARDWARE_ERROR,
)
from iommu_abi.schemas.amdvi_tables import HostTables
from iommu_abi.schemas.amdvi_transaction import AmdviTransaction
from iommu_abi.schemas.context import Context, Unit
from iommu_abi.schemas.entries import Fields
from iommu_abi.schemas.table_walk import PAGE_LG2, Fetched, Walk
from iommu_abi.terms import Reason, Request, Stage


class AmdviUnit(Unit):
    """An AMD IOMMU."""

    def __init__(self, registers: Mapping[str, int]) -> None:
        super().__init__(registers)
        self.device_table = DEVTAB_BASE.of(self.register("DEVTAB_BASE"))
        self.control = CONTROL.of(self.register("CONTROL", DEFAULT_CONTROL))
        self.features = EXT_FEATURES.of(self.register("EXT_FEATURES", DEFAULT_EXT_FEATURES))

    @property
    def reads_tables(self) -> bool:
        """IommuEn."""
        return bool(self.control.IommuEn)

    def context(self, walk: Walk, rid: int, pasid: int | None) -> AmdviContext:
        """Make the context of a device."""
        return AmdviContext(self, walk, rid, pasid)


class AmdviContext(Context):
    """A device, with a PASID or without.

    ``entry`` and ``dte`` are its device table entry. ``guest_root`` is the root of its guest tables, None
    where the host tables are alone.
    """

    unit: AmdviUnit
    entry: Fetched
    dte: Fields
    guest_root: int | None = None

    def read_parts(self) -> None:
        """Read the DTE, then the GCR3 table."""
        self.device = self.part(self._read_device)
        self.roots = self.part(self._read_roots)

    # The device table (2.2.2).

    def _read_device(self) -> None:
        """Read the device table entry."""
        self.entry = self._device_entry()
        self.dte = DEVICE_TABLE_ENTRY.parse(self.entry.contents)
        if self.dte.V:
            self._check()

    def _device_entry(self) -> Fetched:
        offset = 32 * self.rid
        if offset >= (self.unit.device_table.Size + 1) << PAGE_LG2:
            raise self.place(Stage.DEVICE).stop(Reason.RID_RANGE, IO_PAGE_FAULT)
        address = self.unit.device_table.DevTabBase + offset
        return self.walk.fetch(self.place(Stage.DEVICE), address, 32, DEV_TAB_HARDWARE_ERROR)

    def _check(self) -> None:
        """Judge the reserved bits of a valid entry, and of which features the unit has none."""
        self.suppressed = bool(self.dte.SA)
        features = self.unit.features
        lacking = (
            name for feature, names in FEATURE_FIELDS.items() if not features[feature] for name in names
        )
        if DEVICE_TABLE_ENTRY.has_reserved_bits(self.dte) or any(self.dte[name] for name in lacking):
            raise self.entry.stop(Reason.RESERVED, ILLEGAL_DEV_TABLE_ENTRY)

    # What translates: host tables, guest tables (2.2.3, 2.2.6).

    def _read_roots(self) -> None:
        """Follow the GCR3 table, if guest tables serve this requester; without V or TV there are none."""
        if not (self.dte.V and self.dte.TV):
            return
        self._check_mode()
        if self.pasid is not None and not self.dte.GV:
            raise self.entry.stop(Reason.BLOCKED, INVALID_DEVICE_REQUEST)
        if self.dte.GV and (self.pasid is not None or self.dte.GIoV):
            self._check_guest()
            self.guest_root = self._gcr3(self.pasid or 0)

    def _check_mode(self) -> None:
        hats = self.unit.features.HATS
        most = 0 if hats == 3 else hats + 4
        if self.dte.Mode == BAD_MODE or self.dte.Mode > most:
            raise self.entry.stop(Reason.INVALID, IO_PAGE_FAULT)

    def _check_guest(self) -> None:
        dte, features = self.dte, self.unit.features
        supported = (
            self.unit.control.GTEn
            and dte.GLX in range(min(2, features.GLXSup) + 1)
            and (dte.GuestPagingMode == 0 or (dte.GuestPagingMode == 1 and features.GATS != 0))
        )
        if not supported:
            raise self.entry.stop(Reason.INVALID, ILLEGAL_DEV_TABLE_ENTRY)

    def _gcr3(self, pasid: int) -> int:
        """Return the root of the guest tables of a PASID."""
        dte = self.dte
        if pasid >> 9 * (dte.GLX + 1) or pasid >> (self.unit.features.PASmax + 1):
            raise self.entry.stop(Reason.PASID_RANGE, IO_PAGE_FAULT)
        table, host = gcr3_root(dte), self.host_tables()
        through = host if self.unit.control.GCR3TRPMode else None
        for level in range(dte.GLX, -1, -1):
            address = table + 8 * (pasid >> 9 * level & 0x1FF)
            place = self.place(Stage.PASID, level)
            entry = self.walk.fetch(place, address, 8, PAGE_TAB_HARDWARE_ERROR, through)
            fields = GCR3_ENTRY.parse(entry.contents)
            if not fields.V:
                raise entry.stop(Reason.NOT_PRESENT, IO_PAGE_FAULT)
            if GCR3_ENTRY.has_reserved_bits(fields):
                raise entry.stop(Reason.RESERVED, IO_PAGE_FAULT)
            table, through = fields.ADDR, host
        return table

    def host_tables(self) -> HostTables | None:
        """Make the host tables; None if GPA is SPA."""
        if self.dte.Mode == NO_HOST_LEVELS:
            return None
        return HostTables(self.dte.HostPTRoot, self.dte.Mode, self.dte.HAD)

    def transaction(self, walk: Walk, request: Request) -> AmdviTransaction:
        """Let the device ask for something."""
        return AmdviTransaction(self, walk, request)
