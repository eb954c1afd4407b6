"""Do the tests notice small mechanical changes to the core and the plain ledger?

    PYTHONPATH=tests python -m mutants [--count N] [--seed N] [--jobs N] [--json FILE] [--stages S ...]

A mutant that compiles meets the nearest tests; those that live meet all default tests; those that still live,
five minutes of fuzzing each. What the compiler makes the same code of is not counted. Survivors are listed
for a person to judge (docs/mutants.md). With --json a run that was stopped goes on where it was; a row that
somebody has given a "reason" is not run any more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from typing import Any

from mutants import stages
from mutants.copy import Copy
from mutants.operators import Mutant, sample


class Verdicts:
    """What is known of each mutant, kept in a file if there is one."""

    def __init__(self, mutants: list[Mutant], path: Path | None) -> None:
        self.path, self.lock = path, threading.Lock()
        self.rows: dict[Mutant, dict[str, Any]] = {
            mutant: {**asdict(mutant), "by": "", "what": "", "passed": []} for mutant in mutants
        }
        for row in json.loads(path.read_text()) if path and path.exists() else []:
            self.rows[Mutant(*(row[name] for name in Mutant.__dataclass_fields__))] = row

    def alive(self, stage: str) -> list[Mutant]:
        """Those that have not been through a stage."""
        rows = self.rows.items()
        return [
            m for m, row in rows if not row["by"] and not row.get("reason") and stage not in row["passed"]
        ]

    def put(self, mutant: Mutant, stage: str, by: str, what: str) -> None:
        """Note how a stage ended."""
        with self.lock:
            row = self.rows[mutant]
            row.update({"by": by, "what": what} if by else {"passed": [*row["passed"], stage]})
            if self.path:
                made = self.path.with_suffix(".new")
                made.write_text(json.dumps(list(self.rows.values()), indent=1) + "\n")
                made.replace(self.path)  # it may be killed at any time


def main() -> int:
    """Print the verdict on each mutant and a summary; 0 if the run itself went well."""
    parser = argparse.ArgumentParser(
        prog="mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="keep the verdicts there")
    parser.add_argument("--stages", nargs="+", choices=stages.STAGES, default=list(stages.STAGES))
    args = parser.parse_args()
    verdicts = Verdicts(sample(args.count, args.seed), args.json)
    with tempfile.TemporaryDirectory() as directory:
        copies: Queue[Copy] = Queue()
        for i in range(args.jobs):
            (Path(directory) / str(i)).mkdir()
            copies.put(Copy(Path(directory) / str(i)))
        for stage in args.stages:
            _run(stage, verdicts, copies, args.jobs)
    _sum_up(list(verdicts.rows.values()), args.seed)
    return 0


def _run(stage: str, verdicts: Verdicts, copies: Queue[Copy], jobs: int) -> None:
    ahead = verdicts.alive(stage)
    print(f"{stage}: {len(ahead)} mutants", flush=True)
    if stage == "all" and ahead and (broken := stages.sound(copies.queue[0])):
        raise SystemExit(f"mutants: the tests fail without any change: {broken}")

    def work(mutant: Mutant) -> None:
        copy, start = copies.get(), time.monotonic()
        try:
            by, what = stages.run(copy, mutant, stage)
        finally:
            copies.put(copy)
        verdicts.put(mutant, stage, by, what)
        seconds = time.monotonic() - start
        print(f"{mutant.path}:{mutant.line + 1} ({mutant.operator}) {seconds:.0f} s: {by or 'lives'} {what}")
        sys.stdout.flush()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, ahead))


def _sum_up(rows: list[dict[str, Any]], seed: int) -> None:
    living = [row for row in rows if not row["by"]]
    for row in living:
        print(
            f"SURVIVED {row['path']}:{row['line'] + 1} ({row['operator']}) after {', '.join(row['passed'])}"
        )
        print(f"  - {row['before']}\n  + {row['after']}")
    count = sum(row["by"] != stages.SAME for row in rows)
    killed = count - len(living)
    print(f"{count} mutants, {killed} killed ({100 * killed / count:.1f} %); seed {seed}")
    print(", ".join(f"{by or 'survived'} {n}" for by, n in Counter(row["by"] for row in rows).most_common()))


if __name__ == "__main__":
    sys.exit(main())
