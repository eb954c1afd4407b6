"""IORT: SMMUs of a machine, and the StreamIDs of its devices (Arm DEN 0049E)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi import requesters
from iommu_abi.acquire.acpi.table import Contents, Part
from iommu_abi.acquire.units import Found, Scope

KIND = "smmuv3"
_NAMED, _ROOT_COMPLEX, _SMMU, _SMMUV3, _RMR = 1, 2, 3, 4, 6
#: 3.1.1.2: flags of an SMMUv3.
_COHACC, _HTTU = 1, 3 << 1
#: 3.1: flag of an ID mapping.
_SINGLE = 1


@dataclass(frozen=True, slots=True)
class _Mapping:
    """IDs ``first`` to ``last`` of a node are those from ``output`` on at the node at ``to``."""

    first: int
    last: int
    output: int
    to: int
    single: bool

    @property
    def ids(self) -> tuple[int, int]:
        """The IDs there."""
        return self.output, self.output + self.last - self.first


def _mappings(node: Part) -> Iterator[_Mapping]:
    for row in node.rows(node.number(12, 4), node.number(8, 4), 20, "array of ID mappings"):
        first, more, output, to, flags = (row.number(4 * i, 4) for i in range(5))
        single = bool(flags & _SINGLE)
        yield _Mapping(first, first if single else first + more, output, to, single)


def _devices(made: Contents, node: Part) -> None:
    """3.1.1.3, 3.1.1.5: a root complex by requester IDs, a named component by its name."""
    for mapping in _mappings(node):
        if mapping.to not in made.units:
            continue
        if node.number(0, 1) == _NAMED:
            made.add(mapping.to, Scope(node.text(29), 0, None, mapping.ids))
            continue
        segment, rids = node.number(28, 4), (mapping.first, mapping.last)
        name = f"{requesters.name(rids[0])}..{requesters.name(rids[1])} of segment {segment}"
        made.add(mapping.to, Scope(name, segment, rids, mapping.ids))


def _unit(made: Contents, node: Part, index: int) -> None:
    flags, base = node.number(24, 4), node.number(16, 8)
    evidence = []
    if flags & _COHACC:
        evidence.append("IORT: COHACC is overridden: table walks are coherent, whatever IDR0 says")
    if httu := (flags & _HTTU) >> 1:
        evidence.append(f"IORT: HTTU is overridden: {httu}, whatever IDR0 says")
    made.units[node.start] = Found(KIND, f"smmu{index}", base, 0, {}, evidence=tuple(evidence))


def _reserved(made: Contents, node: Part) -> None:
    """3.1.1.7: ranges, and by the ID mappings whose they are."""
    scopes = []
    for mapping in _mappings(node):
        unit = made.units.get(mapping.to)
        at = f" of the SMMU at {unit.base:#x}" if unit and unit.base is not None else ""
        first, last = mapping.ids
        scopes.append(Scope(f"StreamIDs {first:#x} to {last:#x}{at}", 0, None, mapping.ids))
    for row in node.rows(node.number(24, 4), node.number(20, 4), 20, "array of memory ranges"):
        first, size = row.number(0, 8), row.number(8, 8)
        made.reserve("RMR", first, first + size - 1, "rw", tuple(scopes))


def read(table: Part) -> Contents:
    """Units, StreamIDs, RMRs."""
    made = Contents(table)
    nodes = list(table.nodes(table.number(40, 4), table.number(36, 4), (1, 2), 16))
    for node in nodes:
        if node.number(0, 1) == _SMMUV3:
            _unit(made, node, len(made.units))
        elif node.number(0, 1) == _SMMU:
            made.notes.append(
                f"{table.where}: an SMMU of version 1 or 2 at {node.number(16, 8):#x}, not read here"
            )
    for node in nodes:
        if node.number(0, 1) in (_NAMED, _ROOT_COMPLEX):
            _devices(made, node)
        elif node.number(0, 1) == _RMR:
            _reserved(made, node)
    return made
