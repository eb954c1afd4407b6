"""Do the tests notice small mechanical changes to the core and the plain ledger?

    PYTHONPATH=tests python -m mutants [--count N] [--seed N] [--jobs N] [--json FILE]

A mutant that compiles meets the nearest tests, then all default tests, then five minutes of fuzzing; it is
killed by the first that fails. Survivors are listed for a person to judge (docs/mutants.md). With --json a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
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


def _known(path: Path | None) -> dict[Mutant, dict[str, Any]]:
    """What an earlier run has found out."""
    if path is None or not path.exists():
        return {}
    rows = json.loads(path.read_text())
    return {Mutant(*(row[name] for name in Mutant.__dataclass_fields__)): row for row in rows}


def _patience(copy: Copy) -> float:
    """Seconds after which tests that do not end are dead: by the time that all of them take unchanged."""
    start = time.monotonic()
    done = copy.run([*stages.PYTEST, "tests"], 3600)
    if not done.good:
        raise SystemExit(f"mutants: the tests fail without any change: {stages.failed(done)}")
    return 3 * (time.monotonic() - start)


def main() -> int:
    """Print the verdict on each mutant and a summary; 0 if the run itself went well."""
    parser = argparse.ArgumentParser(
        prog="mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="keep the verdicts there")
    args = parser.parse_args()
    mutants, found = sample(args.count, args.seed), _known(args.json)
    with tempfile.TemporaryDirectory() as directory:
        copies: Queue[Copy] = Queue()
        for i in range(args.jobs):
            (Path(directory) / str(i)).mkdir()
            copies.put(Copy(Path(directory) / str(i)))
        patience = _patience(copies.queue[0])

        def work(mutant: Mutant) -> None:
            copy, start = copies.get(), time.monotonic()
            try:
                by, what = stages.verdict(copy, mutant, patience)
            finally:
                copies.put(copy)
            seconds = round(time.monotonic() - start, 1)
            found[mutant] = {**asdict(mutant), "by": by, "what": what, "seconds": seconds}
            _tell(mutant, found[mutant])
            if args.json:
                args.json.write_text(json.dumps([found[m] for m in mutants if m in found], indent=1) + "\n")

        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(work, [mutant for mutant in mutants if mutant not in found]))
    _sum_up([found[mutant] for mutant in mutants], args.seed)
    return 0


def _tell(mutant: Mutant, row: dict[str, Any]) -> None:
    where = f"{mutant.path}:{mutant.line + 1} ({mutant.operator})"
    if row["by"]:
        print(f"{where}: {row['by']}: {row['what']}", flush=True)
    else:
        print(f"SURVIVED {where}\n  - {mutant.before}\n  + {mutant.after}", flush=True)


def _sum_up(rows: list[dict[str, Any]], seed: int) -> None:
    counts = Counter(row["by"] or "survived" for row in rows)
    killed = len(rows) - counts["survived"]
    print(f"{len(rows)} mutants, {killed} killed ({100 * killed / len(rows):.1f} %); seed {seed}")
    print(", ".join(f"{by} {n}" for by, n in counts.most_common()))


if __name__ == "__main__":
    sys.exit(main())
