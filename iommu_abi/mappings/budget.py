"""How much an enumeration may look at: hostile tables of a few KiB hold 2^36 ranges for each device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from iommu_abi.errors import Error
from iommu_abi.memory import Memory

RANGES = 1_000_000  # of a run, if nobody says otherwise
FEW = 64  # places of a first call, and what a context costs beside its own
STEPS = 1 << 16  # places of one call at most: milliseconds
#: Places of a run, however few ranges it wants; seconds. Tables of honest dumps have as many as their words.
PLACES = 1 << 26
OF_IMAGE = 1 << 30


class OutOfSteps(Error):
    """A :class:`Budget` is used up."""

    def __init__(self) -> None:
        super().__init__("the tables hold more than may be looked at")


class Budget:
    """What enumerations may still do, all together, and what they have done.

    There are two limits, for neither bounds the other: ranges that are found, and places (pages, holes, IDs)
    that are looked at for them. None is no limit.
    """

    def __init__(self, places: int | None = None, ranges: int | None = None) -> None:
        self.most_places, self.most_ranges = places, ranges
        self.places = self.ranges = self.contexts = 0

    @classmethod
    def of_ranges(cls, most: int, *images: Memory) -> Budget:
        """A run's, for so many ranges (0: without end); what these images can honestly hold is looked at."""
        if not most:
            return cls()
        words = sum(region.size for image in images for region in image if not region.hole) // 8
        return cls(max(PLACES, FEW * most) + min(words, OF_IMAGE), most)

    def again(self) -> Budget:
        """The same, unused."""
        return Budget(self.most_places, self.most_ranges)

    def half(self) -> Budget:
        """One with half of the places, unused; without a limit of ranges."""
        return Budget(None if self.most_places is None else self.most_places // 2)

    def grant(self, places: int) -> int:
        """Pay for so many places, or for those that are left; OutOfSteps if none are."""
        if self.most_places is not None:
            places = min(places, self.most_places - self.places)
            if places <= 0:
                raise OutOfSteps
        self.places += places
        return places

    def calls(self) -> Iterator[int]:
        """Places for each of an enumeration's calls: most end with the first, so that begins with few."""
        places = FEW
        while True:
            yield self.grant(places)
            places = min(2 * places, STEPS)

    def count_ranges(self, n: int) -> int:
        """So many more ranges, or those that may still be found: how many of them."""
        if self.most_ranges is not None:
            n = min(n, self.most_ranges - self.ranges)
        self.ranges += n
        return n

    def count_context(self) -> None:
        """One more context; each costs something, even if it reaches nothing."""
        self.grant(FEW)
        self.contexts += 1

    def __str__(self) -> str:
        return f"{self.ranges:,} ranges, {self.contexts:,} contexts, {self.places:,} places"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a budget has ended a run. ``more``: more contexts are left than that."""

    ranges: int
    contexts_left: int
    more: bool = False

    def __str__(self) -> str:
        more = "more than " if self.more else ""
        return f"stopped after {self.ranges} ranges; {more}{self.contexts_left} contexts not looked at"


def stop(budget: Budget, contexts: Callable[[Budget], Iterable[object]]) -> Stop:
    """What to say of a budget that is used up; ``contexts`` lists all those that it should have lasted for.

    They are counted within limits, too.
    """
    places = budget.most_places
    found = contexts(Budget(None if places is None else 2 * places))
    total, more = 0, False
    try:
        for _ in found:
            total += 1
    except OutOfSteps:
        more = True
    return Stop(budget.ranges, max(0, total - budget.contexts), more)
