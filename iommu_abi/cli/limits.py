"""--max-ranges: where enumerations end that tables do not end, what is said then, and counts until then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from iommu_abi.cli import output, words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from iommu_abi.mappings.budget import Budget, Stop
    from iommu_abi.memory import Memory

T = TypeVar("T")


def add_option(made: argparse.ArgumentParser) -> None:
    """Describe it."""
    made.add_argument(
        "--max-ranges",
        metavar="N",
        default="1000000",
        help="stop after N ranges of the whole run, 0 for never (default: 1000000)",
    )


def budget(args: argparse.Namespace, *images: Memory) -> Budget:
    """What a run may look at."""
    from iommu_abi.mappings.budget import Budget

    return Budget.of_ranges(words.number(args.max_ranges, "--max-ranges"), *images)


def stop_json(stop: Stop) -> dict[str, object]:
    """The last element of a list that a budget has ended."""
    made: dict[str, object] = {"state": "stopped", "ranges": stop.ranges, "contexts_left": stop.contexts_left}
    return made | {"more": True} if stop.more else made


class Listing:
    """A list up to the end of its budget; ``stop`` says whether that has ended it."""

    def __init__(self, spent: Budget, contexts: Callable[[Budget], Iterable[object]]) -> None:
        """``contexts``: all those of the run, whether they were looked at or not."""
        self.spent, self.contexts = spent, contexts
        self.stop: Stop | None = None

    def until(self, found: Iterator[T]) -> Iterator[T]:
        """What is found; counts on stderr until something of it is shown on the same terminal."""
        from iommu_abi.mappings.budget import OutOfSteps, stop

        shown = sys.stdout.isatty()
        with output.busy(self.spent, quiet=False) as sign:
            try:
                for each in found:
                    if shown:
                        sign.close()
                    yield each
            except OutOfSteps:
                self.stop = stop(self.spent, self.contexts)

    def rows(self, found: Iterable[str]) -> Iterator[str]:
        """Objects of JSON, and that it was stopped as a last one."""
        import json

        yield from found
        if self.stop:
            yield json.dumps(stop_json(self.stop))

    @property
    def so_far(self) -> str:
        """To be added where nothing was found."""
        return " so far" if self.stop else ""

    def say(self, *, to_stderr: bool = False) -> None:
        """One line, if it was stopped."""
        if self.stop:
            output.line(str(self.stop), stderr=to_stderr)
