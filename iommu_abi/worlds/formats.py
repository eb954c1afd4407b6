"""The kinds of IOMMU that have worlds, and their formats. Start here to add one.

A kind is a package beside this file. It provides

- ``worlds.py``, ``WORLDS``: for each of its formats a function that builds a valid :class:`World`
  from dice. What it builds leans to what a :class:`Wish` says: if the wish is about stage 2, level 3,
  there is a stage 2 with a level 3. Tables come from ``schemas.build`` (the plain ledger's), placed
  at random by ``spaces.Host`` and, behind a stage 2, ``spaces.Guest``; ``pages.through`` finds a
  page for a nested mapping. Every request of a world succeeds.
- ``aims.py``, ``VENDOR``: a :class:`mutate.Knowledge`, from which the generic mutations know the
  fields they need (what makes an entry present, which field gives a right, ...), and the aims that
  only this kind has: (format, stage, reason) -> changes that may lead there. Generic aims
  (``aimed.GENERIC``) know NOT_PRESENT, RESERVED, UNREADABLE, DENIED, PRIVILEGE, INPUT_RANGE and
  UPDATE_DENIED already.
- ``ways.py``, ``WAYS``: a :class:`ways.Ways`, which says what has to be reached, with the text that
  names it, and for everything else the cause why it cannot be reached.

Nothing else names a format. ``PYTHONPATH=tests python -m smoke --only X`` runs the plans of one
kind; a row that stays below its goal is listed at the end, a valid request that fails is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iommu_abi.vendors import modules
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.mutate import Knowledge
from iommu_abi.worlds.ways import Ways
from iommu_abi.worlds.world import Wish, World

Build = Callable[[Dice, Wish], World]


@dataclass(frozen=True, slots=True)
class Kind:
    """How worlds of a kind of IOMMU are built, how they are broken, and how its requests can fail."""

    worlds: Mapping[str, Build]
    vendor: Knowledge
    ways: Ways


KINDS = tuple(Kind(each.WORLDS, each.VENDOR, each.WAYS) for each in modules("iommu_abi.worlds"))

#: Format -> its kind, in the order in which they are reported.
FORMATS: dict[str, Kind] = {name: kind for kind in KINDS for name in kind.ways.levels}
