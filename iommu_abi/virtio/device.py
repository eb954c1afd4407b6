"""The device of virtio-iommu: requests, and what becomes of an access. VIRTIO 1.2, 5.13.6.

Checks that the specification and QEMU both have come in QEMU's order; where only one has a check it stands
where it decides last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import construct  # type: ignore[import-untyped]

from iommu_abi.errors import UsageError
from iommu_abi.schemas import virtio as wire
from iommu_abi.terms import Access, Target
from iommu_abi.virtio import domain
from iommu_abi.virtio.words import (
    LAST_ADDRESS,
    AttachFlag,
    Blocked,
    BlockedBy,
    Config,
    Feature,
    MapFlag,
    Reached,
    Reserved,
    ReservedFor,
    Status,
    Type,
)

OFFERED = Feature.MAP_UNMAP | Feature.PROBE | Feature.MMIO | Feature.BYPASS_CONFIG
DEFAULT = Config()
ANY_ACCESS = Access.READ | Access.WRITE | Access.EXEC


class VirtioIommu:
    """A device with these endpoints, each with its reserved ranges."""

    def __init__(
        self,
        endpoints: Mapping[int, Iterable[Reserved]],
        features: Feature = OFFERED,
        config: Config = DEFAULT,
    ) -> None:
        self.endpoints = {number: tuple(ranges) for number, ranges in endpoints.items()}
        self.features, self.config = features, config
        self.bypass = config.bypass
        self.domains: dict[int, domain.Domain] = {}
        self._attached: dict[int, int] = {}
        self._requests: Mapping[Type, Callable[[Any], Status]] = {
            Type.ATTACH: self._attach,
            Type.DETACH: self._detach,
            Type.MAP: self._map,
            Type.UNMAP: self._unmap,
        }
        if not config.page_size_mask:
            raise UsageError("page_size_mask: got 0, expected a page size at least")
        for number, ranges in self.endpoints.items():
            size = sum(len(each.pack()) for each in ranges)
            if size > config.probe_size:
                raise UsageError(
                    f"endpoint {number}: its properties have {size} bytes, expected at most probe_size,"
                    f" {config.probe_size}"
                )

    # ------------------------------------------------------------ requests

    def handle(self, request: bytes, room: int = wire.TAIL_SIZE) -> bytes:
        """A request as it lies in the queue: what the device reads. Returns what it writes.

        ``room``: bytes that it may write. Nothing is written for a request that is too small to have its
        parts, of an unknown type, or of a feature that was not agreed on.
        """
        if not request or not self._knows(request[0]) or room < wire.TAIL_SIZE:
            return b""
        kind = Type(request[0])
        try:
            asked = wire.REQUESTS[kind.name].parse(request)
        except construct.StreamError:
            return b""
        if kind is Type.PROBE:
            return self._probe(asked, room)
        return bytes(wire.TAIL.build({"status": self._requests[kind](asked)}))

    def _knows(self, kind: int) -> bool:
        needs = {Type.MAP: Feature.MAP_UNMAP, Type.UNMAP: Feature.MAP_UNMAP, Type.PROBE: Feature.PROBE}
        return kind in set(Type) and needs.get(Type(kind), Feature(0)) in self.features

    def _attach(self, asked: Any) -> Status:
        known = AttachFlag.BYPASS if Feature.BYPASS_CONFIG in self.features else AttachFlag(0)
        if any(asked.reserved) or asked.flags & ~int(known):
            return Status.INVAL
        if asked.endpoint not in self.endpoints:
            return Status.NOENT
        if Feature.DOMAIN_RANGE in self.features and not _inside(asked.domain, self.config.domain_range):
            return Status.RANGE  # ours
        return self.attach(asked.domain, asked.endpoint, bypass=bool(asked.flags & AttachFlag.BYPASS))

    def attach(self, number: int, endpoint: int, *, bypass: bool = False) -> Status:
        """Put a known endpoint into a domain, made if it is not there; it leaves its former one."""
        there = self.domains.get(number, domain.Domain(bypass))
        if there.bypass != bypass:
            return Status.INVAL
        if any(there.mappings[there.touched(each.first, each.last)] for each in self.endpoints[endpoint]):
            return Status.UNSUPP  # its properties do not fit what the domain maps
        if self._attached.get(endpoint) != number:
            self._leave(endpoint)
            there.endpoints.add(endpoint)
            self.domains[number] = there
            self._attached[endpoint] = number
        return Status.OK

    def _leave(self, endpoint: int) -> None:
        """Take an endpoint out of its domain. A domain without endpoints ceases to exist."""
        number = self._attached.pop(endpoint, None)
        if number is None:
            return
        self.domains[number].endpoints.remove(endpoint)
        if not self.domains[number].endpoints:
            del self.domains[number]

    def _detach(self, asked: Any) -> Status:
        if asked.endpoint not in self.endpoints:
            return Status.NOENT
        if self._attached.get(asked.endpoint) != asked.domain:
            return Status.INVAL
        self._leave(asked.endpoint)
        return Status.OK

    def _map(self, asked: Any) -> Status:
        known = MapFlag.READ | MapFlag.WRITE
        if Feature.MMIO in self.features:
            known |= MapFlag.MMIO
        if asked.flags & ~int(known):
            return Status.INVAL
        there = self.domains.get(asked.domain)
        if there is None:
            return Status.NOENT
        if there.bypass:
            return Status.INVAL
        if not self._mappable(asked.virt_start, asked.virt_end, asked.phys_start):
            return Status.RANGE
        wanted = domain.Mapping(asked.virt_start, asked.virt_end, asked.phys_start, MapFlag(asked.flags))
        if self._is_reserved(there, wanted) or not there.add(wanted):
            return Status.INVAL
        return Status.OK

    def _mappable(self, first: int, last: int, phys: int) -> bool:
        """Aligned, and inside what there is. That an empty range or one beyond 2^64 is none is ours."""
        granule = self.config.granule
        if any(address % granule for address in (first, last + 1, phys)):
            return False
        if Feature.INPUT_RANGE in self.features and not (
            _inside(first, self.config.input_range) and _inside(last, self.config.input_range)
        ):
            return False
        return first <= last and phys + last - first <= LAST_ADDRESS

    def _is_reserved(self, there: domain.Domain, wanted: domain.Mapping) -> bool:
        return any(
            each.first <= wanted.last and wanted.first <= each.last
            for endpoint in there.endpoints
            for each in self.endpoints[endpoint]
        )

    def _unmap(self, asked: Any) -> Status:
        there = self.domains.get(asked.domain)
        if there is None:
            return Status.NOENT
        if there.bypass:
            return Status.INVAL
        if asked.virt_end < asked.virt_start:
            return Status.RANGE  # ours
        return Status.OK if there.remove(asked.virt_start, asked.virt_end) else Status.RANGE

    def _probe(self, asked: Any, room: int) -> bytes:
        """Properties, then the tail. Of a buffer too small for probe_size, the last bytes are the tail."""
        size = min(self.config.probe_size, room - wire.TAIL_SIZE)
        properties, status = b"", Status.OK
        if asked.endpoint not in self.endpoints:
            status = Status.NOENT
        elif size < self.config.probe_size:
            status = Status.INVAL
        else:
            properties = b"".join(each.pack() for each in self.endpoints[asked.endpoint])
        return properties.ljust(size, b"\0") + bytes(wire.TAIL.build({"status": status}))

    # ------------------------------------------------------------ accesses

    def translate(self, endpoint: int, address: int, access: Access = Access.READ) -> Reached | Blocked:
        """Where an access of an endpoint goes, or why not; ``pack()`` of the latter is the fault report.

        Reserved ranges come before the domain, as in QEMU. Execute is a read: no mapping tells them apart.
        """
        if endpoint not in self.endpoints:
            raise UsageError(
                f"endpoint {endpoint}: not of this device, expected one of {sorted(self.endpoints)}"
            )
        there = self._domain(endpoint)
        if there.bypass if there else self._bypasses_unattached():
            return Reached(address, ANY_ACCESS)
        for each in self.endpoints[endpoint]:
            if each.first <= address <= each.last:
                if each.use is ReservedFor.MSI:
                    return Reached(address, access, Target.INTERRUPT)
                return Blocked(BlockedBy.MAPPING, endpoint, address, access)
        if there is None:
            return Blocked(BlockedBy.DOMAIN, endpoint, address, access)
        mapping = there.find(address)
        if mapping is None or access & ~_rights(mapping.flags):
            return Blocked(BlockedBy.MAPPING, endpoint, address, access)
        return Reached(mapping.phys + address - mapping.first, _rights(mapping.flags))

    def _domain(self, endpoint: int) -> domain.Domain | None:
        return self.domains[self._attached[endpoint]] if endpoint in self._attached else None

    def _bypasses_unattached(self) -> bool:
        """With BYPASS_CONFIG the field ``bypass`` decides, which the driver may write; else BYPASS."""
        if Feature.BYPASS_CONFIG in self.features:
            return self.bypass
        return Feature.BYPASS in self.features


def _inside(number: int, limits: tuple[int, int]) -> bool:
    return limits[0] <= number <= limits[1]


def _rights(flags: MapFlag) -> Access:
    read = Access.READ | Access.EXEC if MapFlag.READ in flags else Access.NONE
    return read | (Access.WRITE if MapFlag.WRITE in flags else Access.NONE)
