"""What a fault line says, in the words of all vendors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from iommu_abi.terms import Access, Request, Stage

_BDF = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?(?:0x)?([0-9a-fA-F]{1,2}):(?:0x)?([0-9a-fA-F]{1,2})\.([0-7])")


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code of a vendor: its name, what it means, and whose table it is about (None: any)."""

    name: str
    text: str
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One fault. What the kernel did not print is None.

    ``lines`` are positions in the input; ``extra`` is what only this vendor says.
    """

    kind: str
    code: int
    meaning: Meaning
    source: str
    lines: tuple[int, ...]
    rid: int | None = None
    device: str = ""
    pasid: int | None = None
    address: int | None = None
    access: Access | None = None
    priv: bool | None = None
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def request(self) -> Request | None:
        """The DMA to walk again, as a read where the line does not say; None if there is none in the line."""
        if self.rid is None or self.address is None:
            return None
        access = self.access or Access.READ
        return Request(self.rid, self.address, self.pasid, access, priv=bool(self.priv))

    @property
    def same(self) -> Report:
        """Equal for faults that differ in their time only."""
        return replace(self, lines=())


def bdf(text: str) -> int:
    """``[SSSS:]BB:DD.F`` as a requester ID; ValueError if it is none."""
    found = _BDF.fullmatch(text)
    if not found or int(found[3], 16) > 31:
        raise ValueError(text)
    return int(found[2], 16) << 8 | int(found[3], 16) << 3 | int(found[4])


def meaning(known: Mapping[int, Meaning], code: int) -> Meaning:
    """What a code means; unknown ones say so."""
    return known.get(code) or Meaning("", "a code that this version of the tables does not name")


def follow(
    lines: Sequence[str], start: int, pattern: re.Pattern[str], most: int
) -> list[tuple[int, re.Match[str]]]:
    """The next matches after a line, in at most ``most`` lines: other messages may stand between."""
    places = range(start + 1, min(len(lines), start + 1 + most))
    return [(i, found) for i in places if (found := pattern.search(lines[i]))]
