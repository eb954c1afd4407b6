"""PASID tables of IOMMUs that the seed's enum does not name: a request of our own in the seed's shape.

``ptr`` is a guest-physical address and ``size`` bytes, as in struct pasid_table_info, but these tables are
trees of pages of which ``ptr`` names the root alone: ``size`` is 4096 for each level, so that it says how
deep the tree is. The payload has 8 bytes in the machine's byte order, u32 version (1) and u32 flags, by
vendor; an empty one means version 1 without flags.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass

from iommu_abi.iommu import broken

PAGE = 4096
VERSION = 1
_PAYLOAD = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class Directory:
    """A guest's PASID table."""

    ptr: int
    size: int
    payload: bytes = b""

    @property
    def levels(self) -> int:
        """Tables from the root to an entry."""
        return self.size // PAGE

    @property
    def flags(self) -> int:
        """Flags of the payload, once it has been checked."""
        return self._payload()[1]

    def _payload(self) -> tuple[int, int]:
        version, flags = _PAYLOAD.unpack_from(self.payload or _PAYLOAD.pack(VERSION, 0))
        return version, flags

    def check(self, where: str, *, ptr_last: int, levels: Container[int], flags: int) -> None:
        """Payload's length, ptr, size, payload: in the order in which the seed's drivers check.

        ``ptr_last``, ``levels`` and ``flags`` are what the IOMMU takes.
        """
        if self.payload and len(self.payload) < _PAYLOAD.size:
            raise broken("bind.length", where, got=len(self.payload), want=_PAYLOAD.size)
        if not self.ptr:
            raise broken("bind.ptr.zero", where)
        if self.ptr % PAGE:
            raise broken("bind.ptr.align", where, got=self.ptr, want=PAGE)
        if not 0 < self.ptr <= ptr_last:
            raise broken("bind.ptr.range", where, got=self.ptr, want=ptr_last)
        if self.size % PAGE or self.levels not in levels:
            raise broken("bind.size.levels", where, got=self.size)
        version, asked = self._payload()
        if version != VERSION:
            raise broken("payload.version", where, got=version, want=VERSION)
        if asked & ~flags:
            raise broken("bind.flags", where, got=asked, want=flags)
        beyond = self.payload[_PAYLOAD.size :]
        if any(beyond):
            raise broken("payload.trailing", where, got=next(filter(None, beyond)), want=0)
