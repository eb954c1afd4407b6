"""iommu-abi conform: conformance cases against both ledgers."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.conform import Case, Verdict

EPILOG = """\
exit status: 0 no case failed, 1 some did, 2 none could be run. Formats that
this version does not know are listed as unsupported. Keys that should match
and do not are notes, and fail nothing.

examples:
  iommu-abi conform cases.json
  iommu-abi conform cases.json --format vtd_scalable --format amd_v2 --json
"""

HEX_KEYS = ("hpa", "code", "iotval2")


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("cases", metavar="CASES.json", help="- is standard input")
    made.add_argument("--format", metavar="F", action="append", help="only cases of this format; repeatable")
    made.add_argument("--json", action="store_true", help="print JSON")


def _chosen(cases: list[Case], formats: list[str] | None) -> list[Case]:
    if not formats:
        return cases
    known = {case.format for case in cases}
    unknown = [name for name in formats if name not in known]
    if unknown:
        raise UsageError(
            f"--format: no case of format {' '.join(unknown)}, there are: {' '.join(sorted(known))}"
        )
    return [case for case in cases if case.format in formats]


def _readable(values: Any) -> dict[str, Any]:
    """Addresses and codes in hex."""
    return {
        key: f"{value:#x}" if key in HEX_KEYS and isinstance(value, int) else value
        for key, value in values.items()
    }


def _json(verdicts: list[Verdict]) -> dict[str, object]:
    failed = [v for v in verdicts if v.supported and not v.passed]
    return {
        "total": len(verdicts),
        "passed": sum(v.passed for v in verdicts),
        "failed": [
            {"id": v.case.id, "expected": _readable(v.expected), "got": _readable(v.got)} for v in failed
        ],
        "unsupported": [{"id": v.case.id, "format": v.case.format} for v in verdicts if not v.supported],
        "notes": [
            {"id": v.case.id, "key": key, "expected": expected, "got": got}
            for v in verdicts
            for key, expected, got in v.notes
        ],
        "disagreement": [
            {"id": v.case.id, "differences": [output.difference_json(d) for d in v.differences]}
            for v in verdicts
            if v.differences
        ],
    }


def _print(verdicts: list[Verdict]) -> None:
    made = _json(verdicts)
    formats = dict.fromkeys(v.case.format for v in verdicts)
    counts = Counter((v.case.format, v.passed) for v in verdicts)
    unsupported = {v.case.format for v in verdicts if not v.supported}
    rows = [
        (name, str(counts[name, True]), "unsupported" if name in unsupported else str(counts[name, False]))
        for name in formats
    ]
    output.table(None, ("format", "passed", "failed"), rows)
    for v in verdicts:
        if v.supported and not v.passed:
            expected, got = json.dumps(_readable(v.expected)), json.dumps(_readable(v.got))
            output.line(f"failed: {v.case.id}: expected {expected}, got {got}", "red")
        for key, wanted, got in v.notes:
            output.line(f"note: {v.case.id}: {key} should be {wanted}, is {got}", "yellow")
        for d in v.differences:
            output.line(
                f"DISAGREEMENT of the ledgers: {v.case.id}: {d}",
                "bold red",
            )
    failed = [v for v in verdicts if v.supported and not v.passed]
    n = sum(not v.supported for v in verdicts)
    output.line(
        f"{made['total']} cases: {made['passed']} passed, {len(failed)} failed, {n} unsupported",
        "red" if failed else "green",
    )


def run(args: argparse.Namespace) -> int:
    """Run the cases and say how they did."""
    from iommu_abi import conform
    from iommu_abi.cli import DISAGREE, FOUND, MISUSE

    cases = conform.read_cases(words.read_text(args.cases), words.input_name(args.cases))
    chosen = _chosen(cases, args.format)
    found = output.track(conform.run_all(chosen), len(chosen), "cases", quiet=args.json)
    verdicts = list(found)
    if args.json:
        output.emit_json(_json(verdicts))
    else:
        _print(verdicts)
    if not any(v.supported for v in verdicts):
        output.report(UsageError(f"{words.input_name(args.cases)}: no case of a format that is known"))
        return MISUSE
    if any(v.differences for v in verdicts):
        return DISAGREE
    return FOUND if any(v.supported and not v.passed for v in verdicts) else 0
