"""``python -m smoke``: both ledgers on valid and on broken inputs, until all is reached.

A run goes in rounds. Each asks for attempts at the plans that have not reached their goal, more
where they succeed rarely; so what is run depends on the seed and the goals only, not on time or
on the number of processes. It fails if the ledgers disagree, if anything crashes, if something
turns up that the coverage table excludes, or if time runs out before the goals are reached.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import iommu_abi
from iommu_abi.worlds.plans import BLOCK, WalkPlan
from smoke import cases, keep, report
from smoke.pool import Chunk, Finding, Pool, Tally, run_chunk
from smoke.report import Goals

BLOBS_PER_CHUNK = 250
#: Attempts of a plan in the first round, before anything is known, and in one round at most.
FIRST, MOST = 4 * BLOCK, 64 * BLOCK
#: The share of attempts that is expected to hit, at least.
LEAST_GUESS = 0.02

#: Sanitizer -> what a library that was built with it refers to.
SANITIZERS = {"address": b"__asan_report_", "undefined": b"__ubsan_handle_"}


class Schedule:
    """How far each plan has come."""

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        self.done = [0] * len(cases.PLANS)

    def round(self, tally: Tally) -> list[Chunk]:
        """The chunks that are to be run next; none if all is reached."""
        chunks = []
        for number, plan in enumerate(cases.PLANS):
            count = self._attempts(number, plan, tally) if self.goals.includes(plan.format) else 0
            size = BLOCK if isinstance(plan, WalkPlan) else BLOBS_PER_CHUNK
            for _ in range(0, count, size):
                chunks.append(Chunk(number, self.done[number], size))
                self.done[number] += size
        return chunks

    def _attempts(self, number: int, plan: WalkPlan | cases.BlobPlan, tally: Tally) -> int:
        done = self.done[number]
        if isinstance(plan, cases.BlobPlan):
            if plan.rule is None:
                return self.goals.rules - done
            return self.goals.rules - tally.rules[plan.generation, plan.rule]
        if plan.row is None and plan.use is None:
            return self.goals.free - done
        hits = tally.rows[plan.row] if plan.row else tally.uses[plan.use] if plan.use else 0
        missing = self.goals.hits - hits
        if not done:
            return min(FIRST, 2 * missing)
        return min(MOST, math.ceil(missing / max(LEAST_GUESS, hits / done)))


def run(seed: int, jobs: int, goals: Goals, seconds: float, console: Console) -> tuple[Tally, bool]:
    """All rounds: what was counted, and whether they came to an end."""
    tally, schedule = Tally(), Schedule(goals)
    start = time.monotonic()
    with Pool(seed, jobs) as pool:
        while chunks := schedule.round(tally):
            cases_now = sum(chunk.attempts for chunk in chunks)
            plans = sorted({chunk.plan for chunk in chunks})
            names = ", ".join(str(cases.PLANS[each]) for each in plans) if len(plans) < 4 else "plans"
            elapsed = time.monotonic() - start
            console.print(
                f"[dim]{elapsed:5.0f} s  {cases_now:,} cases for {len(plans)} {names}[/]", highlight=False
            )
            if not pool.run(chunks, tally, start + seconds):
                return tally, False
    return tally, True


def sanitizers() -> list[str]:
    """The sanitizers that the core was built with."""
    code = b"".join(path.read_bytes() for path in Path(iommu_abi.__file__).parent.glob("_core*.so"))
    return [name for name, symbol in SANITIZERS.items() if symbol in code]


# ---------------------------------------------------------------- findings


def reproducer(seed: int, index: int) -> str:
    """The command that runs one case again."""
    return f"python -m smoke --seed {seed} --case {index}"


def tell(console: Console, seed: int, finding: Finding, folder: Path) -> None:
    """Print a finding, and keep its case."""
    plan = cases.PLANS[finding.index % len(cases.PLANS)]
    console.print(f"[bold red]FINDING[/] at a case for: {plan}", highlight=False)
    console.print(finding.text, highlight=False, markup=False)
    console.print(f"  {reproducer(seed, finding.index)}", highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"case-{seed}-{finding.index}.json"
    try:
        path.write_text(json.dumps(keep.kept(seed, finding.index, finding.text), indent=1) + "\n")
        console.print(f"  kept in {path}", highlight=False, soft_wrap=True)
    except Exception as error:  # what broke the case may break this too; the command is there already
        console.print(f"  not kept: {error!r}", highlight=False)


def one_case(console: Console, seed: int, index: int) -> int:
    """Run a single case in this process."""
    number, attempt = index % len(cases.PLANS), index // len(cases.PLANS)
    console.print(f"{cases.PLANS[number]}, attempt {attempt}, seed {seed}", highlight=False)
    kept = keep.kept(seed, index, "")
    for name in ("registers", "request", "changed", "data", "rule"):
        if name in kept:
            console.print(f"  {name}: {kept[name]}", highlight=False, markup=False, soft_wrap=True)
    tally = run_chunk(seed, Chunk(number, attempt, 1))
    ended = [str(row) for row in tally.rows] or [name for name in tally.numbers if tally.numbers[name]]
    console.print(f"  ends: {', '.join(ended)}", highlight=False)
    for finding in tally.findings:
        console.print(finding.text, highlight=False, markup=False)
    return int(bool(tally.findings))


def one_file(console: Console, path: Path) -> int:
    """Run a case that was kept."""
    ended, problems = keep.load(path)
    console.print(f"ends: {ended or 'passed'}", highlight=False, markup=False)
    for problem in problems:
        console.print(problem, highlight=False, markup=False)
    return int(bool(problems))


# ---------------------------------------------------------------- the command


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    goals = Goals()
    parser = argparse.ArgumentParser(prog="python -m smoke", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=1500, help="time after which the run has failed (1500)")
    add("--seed", type=int, default=2017, help="all random choices come from it (2017)")
    add("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes (2)")
    add("--json", type=Path, metavar="FILE", help="write all counts there")
    add("--keep", type=Path, metavar="DIR", default=Path("build/fuzz"), help="cases of findings (build/fuzz)")
    add("--hits", type=int, default=goals.hits, help=f"of each way to fail ({goals.hits})")
    add("--rules", type=int, default=goals.rules, help=f"blobs that break a rule alone ({goals.rules})")
    add("--free", type=int, default=goals.free, help=f"unaimed cases of each format ({goals.free})")
    add("--only", default="", metavar="NAME", help='formats whose names begin so, or "blob"')
    add("--case", type=int, metavar="INDEX", help="run one case of the seed")
    add("--file", type=Path, help="run one case that was kept")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, report; 0 if all goals were reached and nothing was found."""
    args = _arguments(argv)
    console = Console(width=None if sys.stdout.isatty() else 110)
    if args.file is not None:
        return one_file(console, args.file)
    if args.case is not None:
        return one_case(console, args.seed, args.case)
    goals = Goals(args.hits, args.rules, args.free, only=args.only)
    start = time.monotonic()
    tally, ended = run(args.seed, args.jobs, goals, args.seconds, console)
    elapsed = time.monotonic() - start
    tally.findings.sort(key=lambda finding: finding.index)
    short = report.shortfalls(tally, goals)
    good = ended and not short and not tally.findings
    if args.json is not None:
        known = {"seed": args.seed, "jobs": args.jobs, "seconds": round(elapsed, 1), "good": good}
        known["sanitizers"] = sanitizers()
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report.as_json(tally, goals, known), indent=1) + "\n")
    report.show(console, tally, goals)
    _last_words(console, args, tally, elapsed)
    for finding in tally.findings:
        tell(console, args.seed, finding, args.keep)
    for text in short if not tally.findings else []:
        console.print(f"[bold red]NOT REACHED[/] {text}", highlight=False)
    if not ended and not tally.findings:
        console.print(f"[bold red]OUT OF TIME[/] after {args.seconds:.0f} s", highlight=False)
    return 0 if good else 1


def _last_words(console: Console, args: argparse.Namespace, tally: Tally, elapsed: float) -> None:
    n = tally.numbers
    total = n["translations"] + n["refused"] + n["blobs"]
    console.print(
        f"seed {args.seed}, {args.jobs} processes, {elapsed:.0f} s, sanitizers:"
        f" {', '.join(sanitizers()) or 'none'}; {total:,} inputs,"
        f" {total / elapsed:,.0f} per second; {len(tally.findings)} disagreements or crashes",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
