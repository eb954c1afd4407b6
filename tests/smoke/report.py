"""What a fuzzing run has to say: as JSON, and as tables."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from iommu_abi.fuzz import blobs
from iommu_abi.vendors import KINDS
from iommu_abi.worlds import coverage
from iommu_abi.worlds.formats import FORMATS
from iommu_abi.worlds.ways import Row
from smoke.pool import Tally


@dataclass(frozen=True, slots=True)
class Goals:
    """What a run has to reach."""

    hits: int = 100
    rules: int = 1000
    free: int = 25_000
    passed: float = 0.30
    accepted: float = 0.30
    #: Of formats whose names begin so; blobs are "blob".
    only: str = ""

    def includes(self, name: str) -> bool:
        """Whether a format, or "blob", is run at all."""
        return name.startswith(self.only)


def share(part: int, whole: int) -> float:
    """A part of a whole, 0 of nothing."""
    return part / whole if whole else 0.0


def shortfalls(tally: Tally, goals: Goals) -> list[str]:
    """What was not reached, in words."""
    n = tally.numbers
    found = [
        f"{row}: {tally.rows[row]} hits of {goals.hits}"
        for row in coverage.ROWS
        if goals.includes(row.format) and tally.rows[row] < goals.hits
    ]
    found += [
        f"{use}: {tally.uses[use]} of {goals.hits}"
        for use in coverage.USES
        if goals.includes(use.format) and tally.uses[use] < goals.hits
    ]
    found += [
        f"{name}: code {code:#x} was never reported"
        for name, code in coverage.codes()
        if goals.includes(name) and not tally.codes[name, code]
    ]
    found += [
        f"rule {rule} of {generation}: broken alone {tally.rules[generation, rule]} times of {goals.rules}"
        for generation in blobs.GENERATIONS
        for rule in blobs.RULES
        if goals.includes("blob") and tally.rules[generation, rule] < goals.rules
    ]
    if n["translations"] and share(n["passed"], n["translations"]) < goals.passed:
        found.append(f"{share(n['passed'], n['translations']):.1%} of translations succeed")
    if n["blobs"] and share(n["accepted"], n["blobs"]) < goals.accepted:
        found.append(f"{share(n['accepted'], n['blobs']):.1%} of blobs are accepted")
    return found


def as_json(tally: Tally, goals: Goals, run: dict[str, Any]) -> dict[str, Any]:
    """All counts."""
    return run | {
        "goals": asdict(goals),
        "numbers": dict(sorted(tally.numbers.items())),
        "coverage": [_row(row) | {"hits": tally.rows[row]} for row in coverage.ROWS],
        "out_of_reach": [_row(row) | {"cause": cause} for row, cause in coverage.unreached()],
        "uses": [
            {"format": use.format, "purpose": use.purpose.name, "reason": use.reason.name, "hits": hits}
            for use, hits in sorted(tally.uses.items())
        ],
        "codes": [
            {"format": name, "code": f"{code:#x}", "hits": hits}
            for (name, code), hits in sorted(tally.codes.items())
        ],
        "rules": [
            {"generation": generation, "rule": rule, "broken_alone": tally.rules[generation, rule]}
            for generation in blobs.GENERATIONS
            for rule in blobs.RULES
        ],
        "findings": [asdict(finding) for finding in tally.findings],
        "shortfalls": shortfalls(tally, goals),
    }


def _row(row: Row) -> dict[str, Any]:
    return {"format": row.format, "stage": row.stage.name, "level": row.level, "reason": row.reason.name}


# ---------------------------------------------------------------- tables


def show(console: Console, tally: Tally, goals: Goals) -> None:
    """Print the tables."""
    console.print(_numbers(tally), _coverage(tally), _uses(tally), _rules(tally))
    low = [row for row in coverage.ROWS if goals.includes(row.format) and tally.rows[row] < goals.hits]
    if low:
        console.print(_low(tally, low, goals))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def _numbers(tally: Tally) -> Table:
    n = tally.numbers
    table = _table("Inputs", "", "in all", "passed", "")

    def line(what: str, whole: int, part: int) -> None:
        table.add_row(what, f"{whole:,}", f"{part:,}", f"{share(part, whole):.1%}")

    line("translations", n["translations"], n["passed"])
    line("  of requests as they were built", n["valid"], n["valid passed"])
    line("  after one or two mutations", n["mutated"], n["mutated passed"])
    line("blobs, half of them mutated", n["blobs"], n["accepted"])
    for kind in KINDS:
        asked_back = f"{n[f'claims {kind}']:,}"
        table.add_row(f"answers of {kind} whose rights and size were asked back", asked_back, "", "")
    table.add_row("requests that are errors, refused by both", f"{n['refused']:,}", "", "")
    return table


def _coverage(tally: Tally) -> Table:
    columns = ("format", "reached", "of", "least", "median", "out of reach", "codes", "of")
    table = _table("Ways to fail: (stage, level, reason), and the vendor's codes", *columns)
    out = Counter(row.format for row, _ in coverage.unreached())
    codes = coverage.codes()
    for name in FORMATS:
        hits = [tally.rows[row] for row in coverage.rows_of(name)]
        reached = sum(1 for each in hits if each)
        middle = round(statistics.median(hits))
        known = [code for code in codes if code[0] == name]
        seen = sum(1 for code in known if tally.codes[code])
        numbers = (reached, len(hits), min(hits), middle, out[name], seen, len(known))
        table.add_row(name, *map(str, numbers))
    return table


def _rules(tally: Tally) -> Table:
    table = _table("Rules of blobs, each broken alone", "rule", *blobs.GENERATIONS)
    for rule in blobs.RULES:
        table.add_row(rule, *(f"{tally.rules[generation, rule]:,}" for generation in blobs.GENERATIONS))
    return table


def _low(tally: Tally, rows: list[Row], goals: Goals) -> Table:
    table = _table(f"Below {goals.hits} hits", "format", "stage", "level", "reason", "hits", "named by")
    for row in rows:
        table.add_row(
            row.format,
            row.stage.name,
            str(row.level),
            row.reason.name,
            str(tally.rows[row]),
            coverage.source(row),
        )
    return table


def _uses(tally: Tally) -> Table:
    table = _table(
        "Stage 2, by what it was walked for, at any level", "format", "purpose", "reasons", "least"
    )
    for name, purpose in dict.fromkeys((use.format, use.purpose) for use in coverage.USES):
        hits = [tally.uses[use] for use in coverage.USES if (use.format, use.purpose) == (name, purpose)]
        table.add_row(name, purpose.name, str(len(hits)), str(min(hits)))
    return table
