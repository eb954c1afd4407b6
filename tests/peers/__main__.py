"""Run all modes: ``PYTHONPATH=tests python -m peers``. Exit 1 for anything unexplained."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.table import Table

from peers.modes import MODES, Mode
from peers.qtest import installed, version
from peers.run import Tally, run


def main() -> int:
    options = _arguments()
    binaries = sorted({mode.binary for mode in MODES})
    found = {binary: version(binary) for binary in binaries if installed(binary)}
    if not found:
        print("peers: no QEMU here, nothing compared (Debian: tests/peers/install)")
        return 0
    chosen = [mode for mode in MODES if options.mode in mode.name and mode.binary in found]
    modes = [mode for mode in chosen if found[mode.binary] >= mode.since]
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(_run, mode.name, options.seed, options.count, options.set) for mode in modes]
        tallies = [future.result() for future in futures]
    _report(tallies, modes, found, options.show)
    bad = [tally for tally in tallies if tally.problems or tally.error]
    if not any(tally.cases for tally in tallies):
        print("peers: QEMU is here, but no case was run", file=sys.stderr)
        return 1
    return 1 if bad else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    parser.add_argument("--mode", default="", help="only modes whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2500, help="cases of each mode, at least")
    parser.add_argument("--set", type=int, help="only this table set")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, default=5, help="problems of each mode to print")
    return parser.parse_args()


def _run(name: str, seed: int, count: int, only: int | None) -> Tally:
    mode = next(mode for mode in MODES if mode.name == name)
    return run(mode, seed, count, only)


def _report(tallies: list[Tally], modes: list[Mode], found: dict[str, tuple[int, ...]], show: int) -> None:
    console = Console(width=110)
    table = Table(title="the C walk and QEMU on random tables")
    for heading in ("mode", "QEMU", "cases", "reached", "blocked", "explained", "unexplained"):
        table.add_column(heading, justify="left" if heading == "mode" else "right")
    for mode in MODES:
        if mode.binary in found and mode.since > found[mode.binary]:
            console.print(f"{mode.name}: left out, needs QEMU {'.'.join(map(str, mode.since))}")
        elif mode.binary not in found:
            console.print(f"{mode.name}: left out, no {mode.binary}")
    for tally, mode in zip(tallies, modes):
        qemu = ".".join(map(str, found[mode.binary]))
        numbers = (tally.cases, tally.passed, tally.blocked, tally.explained, len(tally.problems))
        table.add_row(tally.mode, qemu, *map(str, numbers))
    console.print(table)
    console.print(_departures(tallies, modes))
    for tally in tallies:
        for problem in tally.problems[:show]:
            console.print(f"[red]{tally.mode}[/]: {problem}", highlight=False)
        if tally.error:
            console.print(f"[red]{tally.mode}[/]: {tally.error}", highlight=False)


def _departures(tallies: list[Tally], modes: list[Mode]) -> Table:
    """What explained the differences, and how often."""
    table = Table(title="where QEMU departs from the specification")
    for heading in ("mode", "departure", "cases", "why"):
        table.add_column(heading, justify="right" if heading == "cases" else "left")
    for tally, mode in zip(tallies, modes):
        for departure in mode.departures:
            if count := tally.departures[departure.name]:
                table.add_row(tally.mode, departure.name, str(count), departure.why)
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
