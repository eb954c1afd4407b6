"""RIMT: RISC-V IOMMUs and the device IDs at them (RISC-V IO Mapping Table specification 1.0)."""

from __future__ import annotations

from iommu_abi import requesters
from iommu_abi.acquire.acpi.table import Contents, Part
from iommu_abi.acquire.units import Found, Scope

KIND = "riscv"
_IOMMU, _ROOT_COMPLEX, _PLATFORM = range(3)
_IS_PCI = 1


def _unit(made: Contents, node: Part, index: int) -> None:
    if node.number(24, 4) & _IS_PCI:
        segment, rid = node.number(32, 2), node.number(34, 2)
        name = f"{segment:04x}:{requesters.name(rid)}"
        made.units[node.start] = Found(KIND, name, None, segment, {})
    else:
        made.units[node.start] = Found(KIND, f"iommu{index}", node.number(16, 8), 0, {})


def _devices(made: Contents, node: Part) -> None:
    is_pci = node.number(0, 1) == _ROOT_COMPLEX
    segment, at = (node.number(14, 2), 16) if is_pci else (0, 8)
    for row in node.rows(node.number(at, 2), node.number(at + 2, 2), 20, "array of ID mappings"):
        first, many, output, unit = (row.number(4 * i, 4) for i in range(4))
        if not many:
            continue
        rids, ids = (first, first + many - 1), (output, output + many - 1)
        if is_pci:
            name = f"{requesters.name(rids[0])}..{requesters.name(rids[1])} of segment {segment}"
            made.add(unit, Scope(name, segment, rids, ids))
        else:
            made.add(unit, Scope(node.text(12), 0, None, ids))


def read(table: Part) -> Contents:
    """Units and device IDs."""
    made = Contents(table)
    nodes = list(table.nodes(table.number(40, 4), table.number(36, 4), (2, 2), 12))
    for node in nodes:
        if node.number(0, 1) == _IOMMU:
            _unit(made, node, len(made.units))
    for node in nodes:
        if node.number(0, 1) in (_ROOT_COMPLEX, _PLATFORM):
            _devices(made, node)
    return made
