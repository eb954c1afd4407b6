"""A finding: what, who, where, and what to ask for the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from iommu_abi.audit.kinds import FindingKind
from iommu_abi.terms import Access, Request, hex_repr

KEPT = 1000  # places that a finding lists; all are counted


class Who(NamedTuple):
    """Requesters ``rid`` to ``rid_last``, without PASID or with ``pasid`` to ``pasid_last``.

    ``priv``: their requests in privileged mode, which PCIe knows with a PASID only.
    """

    rid: int
    rid_last: int
    pasid: int | None = None
    pasid_last: int | None = None
    priv: bool = False

    def __repr__(self) -> str:
        return hex_repr(self)

    def request(self, iova: int = 0, access: Access = Access.READ) -> Request:
        """A request of the first one."""
        return Request(self.rid, iova, self.pasid, access, self.priv)


class Spot(NamedTuple):
    """One place of a finding: IOVAs, what they reach, an entry of a table; None for what it is not about."""

    iova: int | None = None
    hpa: int | None = None
    size: int = 0
    access: Access | None = None
    entry: int | None = None

    def __repr__(self) -> str:
        return hex_repr(self)


class Spots:
    """The places of a finding: the first :data:`KEPT`, how many there are and their bytes."""

    def __init__(self, *spots: Spot) -> None:
        self.kept: list[Spot] = []
        self.count = self.bytes = 0
        for spot in spots:
            self.add(spot)

    def add(self, spot: Spot) -> None:
        """Count it; list it if there is room."""
        self.count += 1
        self.bytes += spot.size
        if len(self.kept) < KEPT:
            self.kept.append(spot)

    def grow(self, spot: Spot) -> None:
        """Add it, or let the last one reach further if IOVAs go on with the same rights."""
        last = self.kept[-1] if self.kept and self.count == len(self.kept) else None
        if last and _end(last) == spot.iova and last.access == spot.access:
            self.kept[-1] = last._replace(size=last.size + spot.size)
            self.bytes += spot.size
        else:
            self.add(spot)


def _end(spot: Spot) -> int:
    """The IOVA behind it."""
    return (spot.iova or 0) + spot.size


@dataclass(frozen=True, slots=True)
class Clue:
    """Where evidence is: the entry at HPA ``entry`` in the walk of ``request``, or the last one if None.

    Without ``request``, ``note`` is all.
    """

    note: str
    request: Request | None = None
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``what`` says more than ``kind.title``, or nothing; no ``who``: it is about the IOMMU."""

    kind: FindingKind
    who: tuple[Who, ...]
    what: str
    spots: Spots = field(default_factory=Spots)
    clues: tuple[Clue, ...] = ()

    def concerns(self, rid: int) -> bool:
        """Is it about this device, or about all?"""
        return not self.who or any(who.rid <= rid <= who.rid_last for who in self.who)
