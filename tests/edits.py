"""Changes of a world of tables, put together; and a fault as facts about such worlds write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from iommu_abi.terms import Fault

World = TypeVar("World")


def both(*edits: Callable[[World], object]) -> Callable[[World], None]:
    """One change after the other."""

    def change(world: World) -> None:
        for each in edits:
            each(world)

    return change


def nothing(world: object) -> None:
    """Leave the world as it is."""
    del world


def words(fault: Fault) -> list[str]:
    """Reason, stage, level, and the native code in hex."""
    return [fault.reason.name, fault.stage.name, str(fault.level), f"{fault.native:#x}"]
