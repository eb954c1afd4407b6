"""What an engine is: something that spends time on a target and shows its inputs to a session."""

from __future__ import annotations

from abc import ABC, abstractmethod

from iommu_abi.fuzz.campaign.session import Session
from iommu_abi.fuzz.targets.target import FuzzTarget


class EngineFailed(Exception):
    """An engine has broken down, which says nothing about the target."""


class Engine(ABC):
    """A way to come by inputs. All engines read and write the same corpus."""

    name: str
    #: Seconds of a turn.
    turn: float = 1.0
    #: Its part of a target's time.
    share: float = 1.0

    @abstractmethod
    def missing(self) -> str:
        """What it needs and this machine lacks; "" if it can work."""

    def serves(self, target: FuzzTarget) -> bool:
        """Whether it can work on a target."""
        return True

    def prepare(self, targets: list[FuzzTarget]) -> None:  # noqa: B027 - most need nothing
        """Get ready, once, before processes are forked."""

    @abstractmethod
    def work(self, session: Session, seed: str, seconds: float) -> None:
        """Spend some time. What is random comes from ``seed``. EngineFailed if it broke down."""
