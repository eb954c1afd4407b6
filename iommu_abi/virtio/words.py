"""The words of virtio-iommu: features, requests, statuses, reserved ranges, fault reports.

VIRTIO 1.2: 5.13.3 (feature bits), 5.13.4 (configuration), 5.13.6 (requests and faults).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from iommu_abi.schemas import virtio as wire
from iommu_abi.terms import Access, Target, hex_repr

LAST_ADDRESS = (1 << 64) - 1


class Feature(enum.IntFlag):
    """What device and driver have agreed on."""

    INPUT_RANGE = 1 << 0
    DOMAIN_RANGE = 1 << 1
    MAP_UNMAP = 1 << 2
    BYPASS = 1 << 3
    PROBE = 1 << 4
    MMIO = 1 << 5
    BYPASS_CONFIG = 1 << 6


class Type(enum.IntEnum):
    """What a request asks for."""

    ATTACH = 1
    DETACH = 2
    MAP = 3
    UNMAP = 4
    PROBE = 5


class Status(enum.IntEnum):
    """How a request went."""

    OK = 0
    IOERR = 1
    UNSUPP = 2
    DEVERR = 3
    INVAL = 4
    RANGE = 5
    NOENT = 6
    FAULT = 7
    NOMEM = 8


class AttachFlag(enum.IntFlag):
    """Flags of ATTACH."""

    BYPASS = 1 << 0


class MapFlag(enum.IntFlag):
    """Flags of MAP."""

    READ = 1 << 0
    WRITE = 1 << 1
    MMIO = 1 << 2


class ReservedFor(enum.IntEnum):
    """Subtypes of the property RESV_MEM."""

    RESERVED = 0
    MSI = 1


class BlockedBy(enum.IntEnum):
    """Reasons in a fault report."""

    UNKNOWN = 0
    DOMAIN = 1
    MAPPING = 2


@dataclass(frozen=True, slots=True)
class Config:
    """The device's configuration. A range is inclusive, and counts only with its feature."""

    page_size_mask: int = LAST_ADDRESS & ~0xFFF
    input_range: tuple[int, int] = (0, LAST_ADDRESS)
    domain_range: tuple[int, int] = (0, (1 << 32) - 1)
    probe_size: int = 512
    bypass: bool = False

    @property
    def granule(self) -> int:
        """Bytes of the smallest page."""
        return self.page_size_mask & -self.page_size_mask


@dataclass(frozen=True, slots=True)
class Reserved:
    """Addresses of an endpoint that cannot be mapped; ``last`` is inclusive."""

    first: int
    last: int
    use: ReservedFor = ReservedFor.RESERVED

    def __repr__(self) -> str:
        return hex_repr(self)

    def pack(self) -> bytes:
        """Write the property RESV_MEM."""
        length = wire.RESV_MEM.sizeof() - wire.PROPERTY.sizeof()
        values = {"subtype": self.use, "start": self.first, "end": self.last}
        return bytes(wire.RESV_MEM.build({"head": {"type": wire.T_RESV_MEM, "length": length}, **values}))


@dataclass(frozen=True, slots=True)
class Reached:
    """Where an access goes, in the guest's physical addresses, and what else it might have done there."""

    address: int
    access: Access
    target: Target = Target.MEMORY

    def __repr__(self) -> str:
        return hex_repr(self)


@dataclass(frozen=True, slots=True)
class Blocked:
    """An access that was blocked."""

    by: BlockedBy
    endpoint: int
    address: int
    access: Access

    def __repr__(self) -> str:
        return hex_repr(self)

    def pack(self) -> bytes:
        """Write the report for the event queue."""
        flags = wire.FAULT_F_ADDRESS | sum(flag for bit, flag in _FAULT_FLAGS.items() if bit in self.access)
        values = {"reason": self.by, "flags": flags, "endpoint": self.endpoint, "address": self.address}
        return bytes(wire.FAULT.build(values))


_FAULT_FLAGS = {
    Access.READ: wire.FAULT_F_READ,
    Access.WRITE: wire.FAULT_F_WRITE,
    Access.EXEC: wire.FAULT_F_EXEC,
}
