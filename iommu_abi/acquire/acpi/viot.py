"""VIOT: paravirtual IOMMUs and their endpoints (ACPI 6.5, 5.2.35; virtio-iommu)."""

from __future__ import annotations

from iommu_abi import requesters
from iommu_abi.acquire.acpi.table import Contents, Part
from iommu_abi.acquire.units import Found, Scope

KIND = "virtio"
_PCI_RANGE, _MMIO, _IOMMU_PCI, _IOMMU_MMIO = 1, 2, 3, 4


def _unit(made: Contents, node: Part, index: int) -> None:
    if node.number(0, 1) == _IOMMU_MMIO:
        made.units[node.start] = Found(KIND, f"viommu{index}", node.number(8, 8), 0, {})
        return
    segment, rid = node.number(4, 2), node.number(6, 2)
    made.units[node.start] = Found(KIND, f"{segment:04x}:{requesters.name(rid)}", None, segment, {})


def _range(made: Contents, node: Part) -> None:
    """Endpoint IDs count through segments of 65,536 requester IDs each."""
    endpoint, unit = node.number(4, 4), node.number(16, 2)
    segments, rids = (node.number(8, 2), node.number(10, 2)), (node.number(12, 2), node.number(14, 2))
    name = f"{requesters.name(rids[0])}..{requesters.name(rids[1])}"
    for segment in range(segments[0], segments[1] + 1):
        first = endpoint + (segment - segments[0] << 16)
        ids = (first, first + rids[1] - rids[0])
        made.add(unit, Scope(f"{name} of segment {segment}", segment, rids, ids))


def read(table: Part) -> Contents:
    """Units and endpoints."""
    made = Contents(table)
    nodes = list(table.nodes(table.number(38, 2), table.number(36, 2), (2, 2), 16))
    for node in nodes:
        if node.number(0, 1) in (_IOMMU_PCI, _IOMMU_MMIO):
            _unit(made, node, len(made.units))
    for node in nodes:
        if node.number(0, 1) == _PCI_RANGE:
            _range(made, node)
        elif node.number(0, 1) == _MMIO:
            endpoint = node.number(4, 4)
            made.add(
                node.number(16, 2), Scope(f"device at {node.number(8, 8):#x}", 0, None, (endpoint, endpoint))
            )
    return made
