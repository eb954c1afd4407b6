"""A table of ACPI as bytes with bounds: every length in it may lie.

ACPI 6.5, 5.2.6: a header of 36 bytes with signature, length, revision, checksum (all bytes sum to 0), OEM.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from iommu_abi.acquire.units import Firmware, Found, Reserved, Scope
from iommu_abi.errors import ImageError

HEADER = 36
#: No table of a machine is larger, and none has so many scopes.
MOST_BYTES, MOST_SCOPES = 1 << 20, 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """A table or a structure in it. Offsets are from its start; ImageError for what is beyond its end."""

    data: bytes
    where: str
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of it."""
        return self.end - self.start

    def number(self, offset: int, size: int) -> int:
        """A little-endian integer."""
        at = self.start + offset
        if offset < 0 or at + size > self.end:
            raise ImageError(
                f"{self.where}: a field of {size} bytes at {at:#x}, but what it is in ends at {self.end:#x}"
            )
        return int.from_bytes(self.data[at : at + size], "little")

    def part(self, offset: int, size: int, what: str, least: int = 1) -> Part:
        """``size`` bytes as a structure of its own, which has at least ``least``."""
        at = self.start + offset
        if size < least or offset < 0 or at + size > self.end:
            raise ImageError(
                f"{self.where}: the {what} at {at:#x} says that it has {size} bytes,"
                f" expected {least} to {max(self.end - at, 0)}"
            )
        return Part(self.data, self.where, at, at + size)

    def text(self, offset: int) -> str:
        """A string up to a NUL or the end."""
        raw = self.data[self.start + offset : self.end].split(b"\0")[0]
        return "".join(chr(byte) if 32 < byte < 127 else "?" for byte in raw[:256])

    def parts(self, offset: int, what: str, length: tuple[int, int], least: int) -> Iterator[Part]:
        """Structures one behind the other, each with its length at (offset, size) of it."""
        while self.start + offset < self.end:
            rest = self.part(offset, self.size - offset, what)
            found = self.part(offset, rest.number(*length), what, least)
            yield found
            offset += found.size

    def nodes(self, offset: int, count: int, length: tuple[int, int], least: int) -> Iterator[Part]:
        """The first ``count`` of the structures from an offset on."""
        rest = self.part(offset, self.size - offset, "array of nodes")
        return islice(rest.parts(0, "node", length, least), count)

    def rows(self, offset: int, count: int, size: int, what: str) -> Iterator[Part]:
        """``count`` structures of one size from an offset on; the offset of none may be anything."""
        whole = self.part(offset, count * size, what) if count else None
        for at in range(0, whole.size if whole else 0, size):
            yield Part(self.data, self.where, self.start + offset + at, self.start + offset + at + size)


@dataclass(slots=True)
class Contents:
    """What a table says, as it is read: IOMMUs by the place of their structures."""

    table: Part
    units: dict[int, Found] = field(default_factory=dict)
    scopes: dict[int, list[Scope]] = field(default_factory=dict)
    reserved: list[Reserved] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    opt_in: bool | None = None
    count: int = 0

    def add(self, unit: int, scope: Scope) -> None:
        """A scope of the IOMMU whose structure is at a place."""
        self.count += 1
        if self.count > MOST_SCOPES:
            raise ImageError(f"{self.table.where}: it has more than {MOST_SCOPES} device scopes")
        self.scopes.setdefault(unit, []).append(scope)

    def reserve(self, kind: str, first: int, last: int, access: str, scopes: tuple[Scope, ...]) -> None:
        """A reserved range; one that ends before it begins is told."""
        if last < first:
            self.notes.append(f"{self.table.where}: {kind} of {first:#x} ends before it, at {last:#x}")
        else:
            self.reserved.append(Reserved(kind, first, last, access, scopes))

    @property
    def firmware(self) -> Firmware:
        """What is said of the whole machine."""
        return Firmware(tuple(self.reserved), self.opt_in, tuple(self.facts))


def opened(data: bytes, where: str) -> Part:
    """A table that is whole; ImageError for one that is not."""
    if len(data) < HEADER:
        raise ImageError(f"{where}: {len(data)} bytes, and a table of ACPI has at least {HEADER}")
    size = int.from_bytes(data[4:8], "little")
    if not HEADER <= size <= min(len(data), MOST_BYTES):
        raise ImageError(f"{where}: its header says {size} bytes, there are {len(data)}")
    if total := sum(data[:size]) & 0xFF:
        raise ImageError(f"{where}: its bytes sum to {total:#x}, expected 0: the table is damaged")
    return Part(data, where, 0, size)
