"""What benchmarks in Python have in common: rounds of all contenders alternate, and a table shows the goals.

Each figure is the median of its rounds, so that a busy machine slows all contenders. A goal that is missed is
shown and fails nothing: times of a shared machine are no gate.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Goal(NamedTuple):
    """A figure and what it should be: ``sense`` is "at most" or "at least"."""

    what: str
    found: float
    sense: str
    target: float


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call: not what others on the machine take in between."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def rounds(works: Mapping[str, Callable[[], object]], n: int) -> dict[str, float]:
    """Median seconds of each, alternating."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(n):
        for name, work in works.items():
            found[name].append(seconds(work))
    return {name: statistics.median(times) for name, times in found.items()}


def show(title: str, goals: Sequence[Goal]) -> None:
    """A table of goals and what is reached."""
    table = Table("what", "found", "goal", title=title)
    for what, found, sense, target in goals:
        good = found <= target if sense == "at most" else found >= target
        table.add_row(what, f"{found:.2f}", f"{sense} {target}{'' if good else '  MISSED'}")
    Console().print(table)
