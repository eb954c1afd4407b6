"""A domain of virtio-iommu: its endpoints and mappings. VIRTIO 1.2, 5.13.6.3 to 5.13.6.6."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from iommu_abi.terms import hex_repr
from iommu_abi.virtio.words import MapFlag


@dataclass(frozen=True, slots=True)
class Mapping:
    """What one MAP request made; ``last`` is inclusive."""

    first: int
    last: int
    phys: int
    flags: MapFlag

    def __repr__(self) -> str:
        return hex_repr(self)


@dataclass(slots=True)
class Domain:
    """An address space: mappings in ascending order that do not overlap."""

    bypass: bool = False
    endpoints: set[int] = field(default_factory=set)
    mappings: list[Mapping] = field(default_factory=list)

    def touched(self, first: int, last: int) -> slice:
        """Which mappings have an address from ``first`` to ``last``."""
        start = bisect_left(self.mappings, first, key=lambda m: m.last)
        return slice(start, bisect_right(self.mappings, last, lo=start, key=lambda m: m.first))

    def find(self, address: int) -> Mapping | None:
        """The mapping of an address."""
        found = self.mappings[self.touched(address, address)]
        return found[0] if found else None

    def add(self, mapping: Mapping) -> bool:
        """Add a mapping; False if there is one already in its range."""
        place = self.touched(mapping.first, mapping.last)
        if self.mappings[place]:
            return False
        self.mappings.insert(place.start, mapping)
        return True

    def remove(self, first: int, last: int) -> bool:
        """Remove every mapping in a range; False, and nothing is removed, if that would split one."""
        place = self.touched(first, last)
        touched = self.mappings[place]
        if touched and (touched[0].first < first or last < touched[-1].last):
            return False
        del self.mappings[place]
        return True
