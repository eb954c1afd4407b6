"""iommu-abi fuzz: inputs that look for trouble: in both ledgers, all generations, or a program of yours."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from iommu_abi.fuzz.campaign.state import Tally
    from iommu_abi.fuzz.campaign.store import Finding, Store
    from iommu_abi.fuzz.campaign.summary import Summary
    from iommu_abi.fuzz.campaign.worker import Chosen

EPILOG = """\
TARGET is a name of --list, or how some begin: walk, mappings-vtd. All if none
is given.

Everything is kept in --dir: the corpus, findings (minimised, one for each
cause), a journal. A campaign that was killed goes on when it is started again
with the same directory.

exit status: 0 nothing was found, now or before in this directory; 1 findings,
or a target or engine was not run; 2 misuse.

examples:
  iommu-abi fuzz --time 10m --jobs 2 --html report.html
  iommu-abi fuzz walk-vtd layouts --seed 7
  iommu-abi fuzz --target mymodule:parse_blob
  iommu-abi fuzz --program './vmm --check-blob -' --timeout 2
  iommu-abi fuzz walk-vtd-ecs --repro iommu-abi-fuzz/findings/X/input \\
      --pytest test_x.py
"""

#: Seconds between two lines of progress where there is no terminal.
OFTEN = 10.0
MOST_SECONDS = 366 * 24 * 3600.0

_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("targets", metavar="TARGET", nargs="*", help="what is fuzzed (default: everything)")
    made.add_argument("--list", action="store_true", help="list targets and engines, and do nothing")
    made.add_argument("--target", metavar="MODULE:FUNCTION", help="your function, which takes bytes")
    made.add_argument("--program", metavar="CMD", help="your program, which reads standard input")
    made.add_argument(
        "--timeout", metavar="S", type=float, default=5.0, help="seconds for one input of yours (default: 5)"
    )
    made.add_argument("--time", metavar="T", default="60s", help="90s, 10m, 1h (default: 60s)")
    made.add_argument("--max-findings", metavar="N", help="end when N causes are found")
    made.add_argument("--seed", metavar="N", default="1", help="seed of everything random (default: 1)")
    made.add_argument("--jobs", metavar="N", help="processes (default: one for each core)")
    made.add_argument(
        "--engine",
        choices=("auto", "hypothesis", "libfuzzer", "atheris"),
        default="auto",
        help="where inputs come from (default: auto, all that work here)",
    )
    made.add_argument(
        "--dir",
        metavar="D",
        default="iommu-abi-fuzz",
        help="the campaign's directory (default: iommu-abi-fuzz)",
    )
    made.add_argument("--repro", metavar="FILE", help="run this input of one target, and nothing else")
    made.add_argument("--pytest", metavar="FILE", help="write the findings as tests")
    made.add_argument("--html", metavar="FILE", help="write a report")
    made.add_argument("--json", action="store_true", help="print JSON")


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    if not found:
        raise UsageError(f"--time: got {text!r}, expected a number with s, m or h")
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    if seconds > MOST_SECONDS:
        raise UsageError(f"--time: got {text!r}, which is more than a year")
    return seconds


def _chosen(args: argparse.Namespace) -> list[Chosen]:
    """The targets, with the words that name each."""
    from iommu_abi.fuzz.campaign.worker import Chosen
    from iommu_abi.fuzz.targets import chosen, target_of

    if not 0 < args.timeout <= MOST_SECONDS:
        raise UsageError(f"--timeout: got {args.timeout:g}, expected more than 0 seconds, and no year")
    if (args.target is not None) + (args.program is not None) + bool(args.targets) > 1:
        raise UsageError("fuzz: give names of targets, --target or --program, one of them")
    for option in ("target", "program"):
        word = getattr(args, option)
        if word is not None:
            named = (f"--{option}", word)
            made = target_of(named)
            if made.name != word:  # --target may also name one of ours
                made.patience = args.timeout
            return [Chosen(made, named)]
    return [Chosen(each, (each.name,)) for each in chosen(args.targets)]


# ---------------------------------------------------------------- progress


def _numbers(state: Tally) -> str:
    features = sum(map(len, state.features.values()))
    return f"{state.executions:,} inputs, {sum(state.corpus.values()):,} kept, {features:,} features"


class _Progress:
    """How it goes, on stderr: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, store: Store, seconds: float, quiet: bool) -> None:
        self.store, self.seconds, self.quiet = store, seconds, quiet
        self.start = self.latest = time.monotonic()
        self.before: int | None = None
        self.found = 0
        self.bar = self._bar() if sys.stderr.isatty() and not quiet else None

    def _bar(self) -> object:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(20), TimeRemainingColumn(), TextColumn("{task.description}"))
        made = Progress(*columns, console=output.console(stderr=True), transient=True)
        self.task = made.add_task("starting", total=self.seconds)
        made.start()
        return made

    def __call__(self, state: Tally, news: list[Finding]) -> None:
        self.found += len(news)
        self.before = state.executions if self.before is None else self.before
        if self.quiet:
            return
        for each in news:
            self._say(f"FINDING {each.name}: {each.cause}", "bold red")
            self._say(f"  {self.store.reproducer(each)}")
        now = time.monotonic()
        rate = (state.executions - self.before) / max(now - self.start, 0.1)
        text = f"{_numbers(state)}, {rate:,.0f} a second, {self.found} new findings"
        if self.bar is not None:
            self.bar.update(self.task, completed=now - self.start, description=text)  # type: ignore[attr-defined]
        elif now - self.latest >= OFTEN:
            self.latest = now
            self._say(f"{now - self.start:.0f} s: {text}")

    def _say(self, text: str, style: str | None = None) -> None:
        console = self.bar.console if self.bar is not None else output.console(stderr=True)  # type: ignore[attr-defined]
        console.print(text, style=style, soft_wrap=True)

    def end(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.stop()  # type: ignore[attr-defined]


# ---------------------------------------------------------------- results


def _rows(found: Summary) -> Iterator[tuple[str, ...]]:
    for each in found.targets:
        of = f"{each.reached} of {each.known}" if each.known else str(each.features)
        rest = (f"{each.corpus:,}", of, str(each.findings))
        for i, (engine, count) in enumerate(each.engines.items()):
            name, ends = (each.target.name, rest) if i == 0 else ("", ("", "", ""))
            yield name, engine, f"{count.executions:,}", f"{count.rate:,.0f}", *ends


def _print(found: Summary) -> None:
    for text in found.not_run:
        output.line(f"not run: {text}", "yellow")
    headings = ("target", "engine", "inputs", "/s", "kept", "reached", "found")
    output.table(None, headings, _rows(found))
    for each in found.targets:
        for name in each.missing[:3]:
            output.line(f"not reached: {each.target.name}: {name}", "yellow")
        if len(each.missing) > 3:
            output.line(f"  and {len(each.missing) - 3} more of {each.target.name}", "yellow")
    for name in sorted(found.state.floods):
        output.line(f"{name} prints floods: only their end is kept", "yellow")
    if found.state.left_out:
        output.line(f"{found.state.left_out} lines of the journal are no events and were left out", "yellow")
    if found.differences:
        text = f"{len(found.differences)} meetings of generations with differences, all of them explained"
        output.line(f"{text}: --html and --json list them")
    for finding in found.findings:
        output.line(f"finding: {finding.name}: {finding.cause}", "bold red")
        output.line(f"  {found.store.reproducer(finding)}")
    count, text = len(found.findings), _numbers(found.state)
    style = "red" if count else "green"
    output.line(
        f"{text}, {found.rate:,.0f} a second over {found.state.elapsed:.0f} s: {count} findings", style
    )


def _list(args: argparse.Namespace) -> int:
    from iommu_abi.fuzz.engines import ENGINES

    targets = [each.target for each in _chosen(args)]
    engines = {name: engine.missing() for name, engine in ENGINES.items()}
    serving = {
        each.name: [name for name, engine in ENGINES.items() if not engines[name] and engine.serves(each)]
        for each in targets
    }
    if args.json:
        output.emit_json(
            {
                "targets": [
                    {"name": each.name, "about": each.about, "engines": serving[each.name]}
                    for each in targets
                ],
                "engines": {name: missing or "works" for name, missing in engines.items()},
            }
        )
        return 0
    output.table(None, ("target", "what is asked"), [(each.name, each.about) for each in targets])
    rows = [(name, f"needs {missing}" if missing else "works here") for name, missing in engines.items()]
    output.table(None, ("engine", ""), rows)
    return 0


def _repro(args: argparse.Namespace) -> int:
    """Run one input again; write it as a test, if that is asked for."""
    from iommu_abi.cli import FOUND
    from iommu_abi.fuzz.campaign.worker import outcome
    from iommu_abi.fuzz.engines import ENGINES

    chosen = _chosen(args)
    if len(chosen) != 1:
        raise UsageError(f"--repro: name the one target that {args.repro} is for (--list has their names)")
    target, data = chosen[0].target, words.read_bytes(args.repro)
    run_as = "process"
    if args.engine == "libfuzzer":
        missing = ENGINES["libfuzzer"].missing()
        if missing or not target.c_target:
            raise UsageError(f"--engine libfuzzer: it needs {missing or 'a target that C has too'}")
        run_as = "c"
    problem = outcome(target, data, run_as).problem
    if args.pytest:
        _write_tests(args, [(_as_finding(chosen[0], problem, run_as), data)])
    if args.json:
        made = None if problem is None else {"cause": problem.cause, "text": problem.text}
        output.emit_json({"target": target.name, "input": data.hex(), "problem": made})
    else:
        print(output.shown("\n".join(target.show(data))))
        output.line(problem.text if problem else "nothing is wrong with it", "red" if problem else "green")
    return FOUND if problem else 0


def _as_finding(chosen: Chosen, problem: object, run_as: str) -> Finding:
    from iommu_abi.fuzz.campaign.store import Finding

    cause = getattr(problem, "cause", "nothing was wrong with it when it was written")
    return Finding(chosen.words, chosen.target.name, cause, "", "", run_as)


def _write_tests(args: argparse.Namespace, found: list[tuple[Finding, bytes]]) -> None:
    from iommu_abi.fuzz.campaign.pytest_case import test_file

    output.write_bytes(args.pytest, test_file(found).encode())


def _jobs(text: str | None) -> int:
    if text is None:
        return len(os.sched_getaffinity(0))
    jobs = words.number(text, "--jobs", 256)
    if not jobs:
        raise UsageError("--jobs: got 0, expected at least 1")
    return jobs


def run(args: argparse.Namespace) -> int:
    """List, run one input, or a campaign."""
    from iommu_abi.cli import FOUND

    for option in ("dir", "repro", "html", "pytest"):
        if getattr(args, option) == "":
            raise UsageError(f"--{option}: got '', expected a name")
    if args.list:
        return _list(args)
    if args.repro:
        return _repro(args)
    from iommu_abi.fuzz import engines
    from iommu_abi.fuzz.campaign import html, summary
    from iommu_abi.fuzz.campaign.run import Campaign
    from iommu_abi.fuzz.campaign.store import Store

    seconds, targets = _seconds(args.time), _chosen(args)
    store = Store(Path(args.dir))
    seed, jobs = words.number(args.seed, "--seed"), _jobs(args.jobs)
    enough = None if args.max_findings is None else words.number(args.max_findings, "--max-findings")
    chosen = engines.chosen(args.engine)
    with output.busy("getting ready", quiet=args.json):
        campaign = Campaign(store, targets, chosen, seed=seed, jobs=jobs, enough=enough)
    progress = _Progress(store, seconds, args.json)
    try:
        state = campaign.run(seconds, progress)
    finally:
        progress.end()
    found = summary.make(store, state, [each.target for each in targets], campaign.failures)
    if args.html:
        output.write_bytes(args.html, html.page(found).encode())
    if args.pytest:
        _write_tests(args, [(each, store.input(each)) for each in found.findings])
    if args.json:
        output.emit_json(summary.as_json(found))
    else:
        _print(found)
    return FOUND if found.findings or found.not_run else 0
