"""Ways for a request to fail: (format, stage, level, reason), and how a text names many at once.

Each kind of IOMMU has a :class:`Ways` in its own module: what its texts name has to be reached,
and everything else has a cause why nothing can reach it. ``coverage`` puts them together.
Levels count from the leaves, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from iommu_abi.terms import Purpose, Reason, Stage

DEVICE, PASID, S1, S2 = Stage.DEVICE, Stage.PASID, Stage.S1, Stage.S2


class Row(NamedTuple):
    """One way for a request to fail."""

    format: str
    stage: Stage
    level: int
    reason: Reason

    def __str__(self) -> str:
        return f"{self.format} {self.stage.name} {self.level} {self.reason.name}"


class Use(NamedTuple):
    """A failure of stage 2 by what it was walked for, at any level: the codes differ by that."""

    format: str
    purpose: Purpose
    reason: Reason

    def __str__(self) -> str:
        return f"{self.format} S2 for {self.purpose.name} {self.reason.name}"


def levels(first: int, last: int | None = None) -> range:
    """The levels from ``first`` to ``last``, both included."""
    return range(first, (first if last is None else last) + 1)


ANY = levels(0, 5)


@dataclass(frozen=True, slots=True)
class Named:
    """Combinations that a text names: all ``formats`` x ``levels`` x ``reasons``."""

    formats: tuple[str, ...]
    stage: Stage
    levels: range
    reasons: str
    source: str

    def rows(self) -> Iterator[Row]:
        """Each combination."""
        for name in self.formats:
            for level in self.levels:
                for reason in self.reasons.split():
                    yield Row(name, self.stage, level, Reason[reason])


@dataclass(frozen=True, slots=True)
class Cause:
    """Why no request can end so. ``formats`` is None for every format; the first that fits counts."""

    formats: tuple[str, ...] | None
    stages: tuple[Stage, ...]
    levels: range
    reasons: str
    text: str

    def fits(self, row: Row) -> bool:
        """Whether this is why ``row`` is out of reach."""
        return (
            (self.formats is None or row.format in self.formats)
            and row.stage in self.stages
            and row.level in self.levels
            and row.reason.name in self.reasons.split()
        )


@dataclass(frozen=True, slots=True)
class Ways:
    """How requests at one kind of IOMMU can fail, and how not."""

    #: Format -> stage -> levels that its tables can have. The formats are reported in this order.
    levels: Mapping[str, Mapping[Stage, range]]
    #: What has to be reached, in the order of the texts.
    named: tuple[Named, ...]
    #: Why the rest is out of reach, beside :data:`EVERYWHERE`.
    causes: tuple[Cause, ...]
    #: Format -> codes that the texts name for it and a walk reports; 0 where a fault has no code.
    codes: Mapping[str, str]
    #: Codes that the texts name and no walk reports -> the cause.
    silent: Mapping[str, str]
    #: Format -> what its stage 2 is walked for; UPDATE_DENIED has a purpose of its own, and is in ``named``.
    purposes: Mapping[str, tuple[Purpose, ...]] = field(default_factory=dict)
    #: The reasons that have to be reached for each purpose.
    purpose_reasons: str = ""

    def uses(self) -> Iterator[Use]:
        """Each reason for each purpose of stage 2."""
        for name, purposes in self.purposes.items():
            for purpose in purposes:
                for reason in self.purpose_reasons.split():
                    yield Use(name, purpose, Reason[reason])


#: Formats whose walks may always set flags: all but one in which they may not be snooped.
_SNOOPED = (
    "vtd-ecs", "amdvi-v2", "amdvi-nested", "smmuv3-s1", "smmuv3-s2", "smmuv3-nested",
    "riscv-s1", "riscv-nested",
)  # fmt: skip

#: Causes that hold for every IOMMU.
EVERYWHERE = (
    Cause(None, (DEVICE,), ANY, "PRIVILEGE", "device tables know no privilege"),
    Cause(None, (DEVICE, PASID), ANY, "UPDATE_DENIED", "hardware sets no flag in these tables"),
    Cause(None, (DEVICE, PASID), ANY, "ACCESS_FLAG", "these tables have no accessed flag"),
    Cause(None, (PASID,), ANY, "DENIED PRIVILEGE", "no such rights: what an entry forbids is BLOCKED"),
    Cause(None, (PASID,), ANY, "PASID_RANGE RID_RANGE ABORTED", "decided before the PASID table"),
    Cause(_SNOOPED, (S1,), ANY, "UPDATE_DENIED", "stage 2 denies the update and is named"),
    Cause(None, (S1, S2), ANY, "BLOCKED PASID_RANGE RID_RANGE ABORTED", "decided in device or PASID tables"),
)
