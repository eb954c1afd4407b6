"""Run all modes: ``PYTHONPATH=tests python -m peers``. Exit 1 for anything unexplained."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.table import Table

from peers.modes import MODES, Mode
from peers.qtest import qemus
from peers.run import Tally, run


def main() -> int:
    options = _arguments()
    here = {binary: qemus(binary) for binary in {mode.binary for mode in MODES}}
    if not any(here.values()):
        print("peers: no QEMU here, nothing compared (Debian: tests/peers/install)")
        return 0
    chosen = [mode for mode in MODES if options.mode in mode.name]
    pairs = [(mode, qemu) for mode in chosen for qemu in here[mode.binary] if qemu.version >= mode.since]
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = [
            pool.submit(run, mode, qemu, options.seed, options.count, options.set) for mode, qemu in pairs
        ]
        tallies = [future.result() for future in futures]
    _report(tallies, [mode for mode in chosen if mode not in dict(pairs)], options.show)
    idle = [f"{tally.mode.name} ({tally.qemu})" for tally in tallies if not tally.cases]
    if idle or not tallies:
        print("peers: QEMU is here, but no case was run:", ", ".join(idle) or "no such mode", file=sys.stderr)
        return 1
    return int(any(tally.problems or tally.error for tally in tallies))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peers", description=__doc__)
    parser.add_argument("--mode", default="", help="only modes whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2500, help="cases of each mode, at least")
    parser.add_argument("--set", type=int, help="only this table set")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", type=int, default=5, help="problems of each mode to print")
    return parser.parse_args()


def _report(tallies: list[Tally], absent: list[Mode], show: int) -> None:
    console = Console(width=110)
    table = Table(title="the C walk and QEMU on random tables")
    for heading in ("mode", "QEMU", "cases", "reached", "blocked", "explained", "unexplained"):
        table.add_column(heading, justify="left" if heading == "mode" else "right")
    for mode in absent:
        console.print(f"{mode.name}: left out, needs {mode.binary} {'.'.join(map(str, mode.since))}")
    for tally in tallies:
        numbers = (tally.cases, tally.passed, tally.blocked, tally.explained, len(tally.problems))
        table.add_row(tally.mode.name, str(tally.qemu), *map(str, numbers))
    console.print(table)
    console.print(_departures(tallies))
    for tally in tallies:
        for problem in [*tally.problems[:show], *filter(None, [tally.error])]:
            console.print(f"[red]{tally.mode.name}, {tally.qemu}[/]: {problem}", highlight=False)


def _departures(tallies: list[Tally]) -> Table:
    """What explained the differences, and how often."""
    table = Table(title="where QEMU departs from the specification")
    for heading in ("mode", "QEMU", "departure", "cases", "why"):
        table.add_column(heading, justify="right" if heading in ("QEMU", "cases") else "left")
    for tally in tallies:
        for departure in tally.known:
            if count := tally.departures[departure.name]:
                name, why = departure.name, departure.why
                table.add_row(tally.mode.name, str(tally.qemu), name, str(count), why)
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
