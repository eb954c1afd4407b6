"""Random valid worlds: what the builders of all formats share.

A :class:`World` is a memory image, the registers of one IOMMU, and requests that succeed. A
:class:`Wish` bends the random choices of a builder so that a combination of ``ways.Row`` is
within reach of a mutation: the stage is on, the table has the level, the leaf lies there.

Only what a walk reads is backed by memory; pages of data are addresses. Builders check nothing:
a request of a world that fails is a finding, either in the builder or in both ledgers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from iommu_abi.schemas import build
from iommu_abi.terms import Purpose, Reason, Request, Stage
from iommu_abi.worlds.dice import Dice
from iommu_abi.worlds.ways import Row

#: Reasons that are judged at a leaf.
LEAF_REASONS = (Reason.DENIED, Reason.PRIVILEGE, Reason.ACCESS_FLAG, Reason.UPDATE_DENIED)


@dataclass
class World:
    """Tables of one IOMMU, and requests that succeed."""

    format: str
    kind: str
    registers: dict[str, int]
    host: build.Memory
    requests: list[Request] = field(default_factory=list)


class Wish:
    """What a world is built for: a row, or None for any."""

    def __init__(self, dice: Dice, row: Row | None, purpose: Purpose | None = None) -> None:
        self.dice = dice
        self.row = row
        #: Stage 2 is walked for data and for tables: which of its leaves the row means.
        self.purpose = dice.pick(tuple(Purpose)) if purpose is None else purpose
        if row and row.reason is Reason.UPDATE_DENIED:
            self.purpose = Purpose.S1_UPDATE

    def stage(self, *stages: Stage) -> bool:
        """Whether the row is about one of ``stages``."""
        return self.row is not None and self.row.stage in stages

    def reason(self, *reasons: Reason) -> bool:
        """Whether the row is about one of ``reasons``."""
        return self.row is not None and self.row.reason in reasons

    def levels(self, stage: Stage, choices: Sequence[int]) -> int:
        """How many levels a stage gets."""
        if self.row is not None and self.row.stage is stage:
            level = self.row.level
            exact = self.row.reason is Reason.INPUT_RANGE and level + 1 in choices
            if exact and not (level >= 2 and 6 in choices and self.dice.chance(0.3)):
                return level + 1
            choices = [each for each in choices if each > level] or choices
        return self.dice.pick(choices)

    def leaf(self, stage: Stage, choices: Sequence[int], data: bool = True) -> int:
        """At which level a page of a stage is mapped; ``data`` or, in stage 2, a page of tables."""
        if self.row is not None and self.row.stage is stage:
            level = self.row.level
            if self.row.reason in LEAF_REASONS and (stage is Stage.S1 or data == self.for_data):
                choices = [each for each in choices if each == level] or choices
            choices = [each for each in choices if each <= level] or choices
        return self.dice.pick(choices)

    @property
    def for_data(self) -> bool:
        """Whether the row means the final walk of stage 2, not one for an entry."""
        return self.purpose is Purpose.DATA
