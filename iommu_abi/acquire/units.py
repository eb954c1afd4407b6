"""IOMMUs as they are found: registers, the devices behind them, and how it is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PCI = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


@dataclass(frozen=True, slots=True)
class Device:
    """A device behind an IOMMU. ``ids`` are the requester or stream IDs that it is known by there."""

    name: str  # as the kernel has it: SSSS:BB:DD.F for those of PCI
    ids: tuple[int, ...] = ()
    segment: int = 0
    label: str = ""  # nvme0, eth0: what hangs on it
    driver: str = ""
    group: int | None = None

    @property
    def is_pci(self) -> bool:
        """Is its name a place on a PCI bus?"""
        return bool(_PCI.fullmatch(self.name))

    @property
    def short(self) -> str:
        """``BB:DD.F`` in segment 0, else the whole name."""
        return self.name[5:] if self.is_pci and self.name.startswith("0000:") else self.name

    @property
    def known_as(self) -> str:
        """``nvme0 (nvme, group 2)``."""
        group = None if self.group is None else f"group {self.group}"
        facts = ", ".join(filter(None, (self.driver, group)))
        return " ".join(filter(None, (self.label, facts and f"({facts})")))


@dataclass(frozen=True, slots=True)
class Scope:
    """Devices that an IOMMU serves, as a firmware table gives them.

    ``rids`` are the first and the last requester ID in a PCI segment, None for what is no PCI device or is
    behind bridges whose buses are not known; ``ids`` are the IDs of the same devices at the IOMMU, where
    ``name`` says who they are of. ``rest``: only those that no other IOMMU has.
    """

    name: str
    segment: int = 0
    rids: tuple[int, int] | None = None
    ids: tuple[int, int] | None = None
    rest: bool = False

    def id_of(self, segment: int | None, rid: int) -> int | None:
        """The ID that a device has at the IOMMU; None if it is not in this scope. No segment is all."""
        if (
            self.rids is None
            or not self.rids[0] <= rid <= self.rids[1]
            or segment not in (None, self.segment)
        ):
            return None
        first, last = self.ids or self.rids
        return first if first == last else first + rid - self.rids[0]


@dataclass(frozen=True, slots=True)
class Reserved:
    """Memory that firmware or devices use by DMA: devices of ``scopes`` must reach it where it is.

    ``access`` is r, w or rw. No scopes: all devices.
    """

    kind: str  # as its table calls it: RMRR, IVMD, RMR
    first: int
    last: int
    access: str
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class Firmware:
    """What tables say of the machine as a whole. ``opt_in``: the platform wants DMA to be remapped."""

    reserved: tuple[Reserved, ...] = ()
    opt_in: bool | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One IOMMU. ``assumed`` says which registers nobody stored, and what stands for them."""

    kind: str
    name: str
    base: int | None
    segment: int
    registers: Mapping[str, int]
    devices: tuple[Device, ...] = ()
    evidence: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()

    @property
    def place(self) -> str:
        """``vtd dmar0 at 0xfed90000``."""
        at = "" if self.base is None else f" at {self.base:#x}"
        return f"{self.kind}{'' if self.name == self.kind else f' {self.name}'}{at}"

    def device(self, rid: int, segment: int | None = None) -> Device | None:
        """The device with an ID."""
        return next(
            (d for d in self.devices if rid in d.ids and segment in (None, d.segment)),
            None,
        )

    def id_of(self, segment: int | None, rid: int, *, rest: bool) -> int | None:
        """The ID that a device has here by firmware's tables: among those named, or those that are left."""
        ids = (scope.id_of(segment, rid) for scope in self.scopes if scope.rest == rest)
        return next((each for each in ids if each is not None), None)


@dataclass(frozen=True, slots=True)
class Acquired:
    """All that a source says. ``notes`` are contradictions, and what was there and is not read.

    ``lists_all``: an IOMMU that it does not name, of a kind that it does, is not there to it.
    """

    source: str
    units: tuple[Found, ...]
    notes: tuple[str, ...] = field(default=())
    firmware: Firmware = field(default_factory=Firmware)
    lists_all: bool = False

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed of all units, with their names where there are several."""
        several = len(self.units) > 1
        told = [f"{unit.name}: {text}" if several else text for unit in self.units for text in unit.assumed]
        return (*told, *self.notes)
