"""Tables of ACPI in memory.

The root pointer (RSDP; ACPI 6.5, 5.2.5) leads to a root table (RSDT, XSDT; 5.2.7, 5.2.8), which names the
places of the others. Where no root pointer is in the image, bytes with a signature, a length and a sum of 0
are taken for a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from iommu_abi.acquire.acpi import TABLES
from iommu_abi.acquire.acpi.table import HEADER, MOST_BYTES
from iommu_abi.memory import Memory

#: A root table's signature -> bytes of its entries.
_ROOTS = {b"RSDT": 4, b"XSDT": 8}
_POINTER, _OLD, _NEW = b"RSD PTR ", 20, 36
_STEP = 1 << 22
_MOST_PLACES = 1 << 12


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its physical address."""

    data: bytes
    address: int

    @property
    def where(self) -> str:
        """``DMAR at 0xffe2b35``."""
        return f"{self.data[:4].decode()} at {self.address:#x}"


def _whole(memory: Memory, address: int) -> bytes | None:
    """The bytes of a table, if they are one: a revision, OEM and creator of text, a sum of 0."""
    header = memory.read(address, HEADER) or b""
    size = int.from_bytes(header[4:8], "little")
    text = header[10:24] + header[28:32]
    if not HEADER <= size <= MOST_BYTES or not all(32 <= byte < 127 or not byte for byte in text):
        return None
    data = memory.read(address, size)
    return data if data and not sum(data) & 0xFF else None


def _roots(memory: Memory) -> Iterator[int]:
    """Places of root tables, by every root pointer; the wide one of a pointer first."""
    for at in islice(memory.search(_POINTER), _MOST_PLACES):
        old, new = memory.read(at, _OLD), memory.read(at, _NEW)
        if old is None or sum(old) & 0xFF:
            continue
        if old[15] >= 2 and new and not sum(new) & 0xFF:
            yield int.from_bytes(new[24:32], "little")
        yield int.from_bytes(old[16:20], "little")


def _named(memory: Memory) -> Iterator[Table]:
    """Tables that root tables name."""
    for root in islice(_roots(memory), _MOST_PLACES):
        data = _whole(memory, root)
        size = _ROOTS.get(data[:4]) if data else None
        if data is None or size is None:
            continue
        for at in range(HEADER, len(data) - size + 1, size):
            address = int.from_bytes(data[at : at + size], "little")
            if memory.read(address, 4) in TABLES and (found := _whole(memory, address)):
                yield Table(found, address)


def _anywhere(memory: Memory) -> Iterator[Table]:
    """Tables by what they look like."""
    for first, data in memory.chunks(_STEP, 3):
        for signature in TABLES:
            at = data.find(signature)
            while at >= 0:
                if found := _whole(memory, first + at):
                    yield Table(found, first + at)
                at = data.find(signature, at + 1)


def _different(tables: Iterator[Table]) -> list[Table]:
    """Each content once, at its first place."""
    found: dict[bytes, Table] = {}
    for table in islice(tables, _MOST_PLACES):
        found.setdefault(table.data, table)
    return list(found.values())


def find(memory: Memory, *, anywhere: bool) -> tuple[list[Table], list[str]]:
    """One table of each signature, and what is said of others; ``anywhere``: also without a root pointer."""
    tables = _different(_named(memory))
    if not tables and anywhere:
        tables = _different(_anywhere(memory))
    best: dict[bytes, Table] = {}
    notes = []
    for table in tables:
        first = best.setdefault(table.data[:4], table)
        if first is not table:
            notes.append(f"{table.where} says something else than {first.where}, and is not taken")
    return list(best.values()), notes
