"""iommu-abi replay: does the walk agree with what was seen on a live system?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, target
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.replay import Verdict
    from iommu_abi.replay.capture import Capture

EPILOG = """\
a capture is a directory with meta.json, oracle.jsonl and sparse.elf.xz. A line
that differs in a way in which QEMU is known to depart from the specification
is counted as explained.

examples:
  iommu-abi replay captures/vtd-legacy-k6.12
  iommu-abi replay captures/vtd-scalable-fs-k6.12 --image vmcore.elf.xz --json
"""

MOST_SHOWN = 20


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("captures", metavar="CAPTURE_DIR", nargs="+")
    made.add_argument(
        "--image",
        metavar=target.IMAGE,
        action="append",
        default=[],
        help="use this memory with the capture's registers and oracle; again for more files",
    )
    target.add_image_options(made)
    made.add_argument("--json", action="store_true", help="print JSON")


def _verdicts(args: argparse.Namespace, directory: Path) -> tuple[Capture, list[Verdict]]:
    from iommu_abi.replay import capture, replay

    images = args.image or [str(capture.image(directory))]
    loaded = capture.load(directory)
    found = replay(loaded, target.memory(args, target.sources(images)))
    return loaded, list(output.track(found, len(loaded.lines), loaded.name, quiet=args.json))


def _line_json(verdict: Verdict) -> dict[str, object]:
    request = verdict.line.request
    made: dict[str, object] = {
        "line": verdict.line.number,
        "bdf": verdict.line.bdf,
        "rid": f"{request.rid:#x}",
        "pasid": request.pasid,
        "iova": f"{request.iova:#x}",
        "access": str(request.access.name).lower(),
        "expected": verdict.expected,
        "got": verdict.got,
    }
    if verdict.departure:
        made["departure"] = verdict.departure.name
    if verdict.differences:
        made["disagreement"] = [output.difference_json(d) for d in verdict.differences]
    return made


def _sorted(verdicts: list[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Explained and mismatched."""
    other = [v for v in verdicts if not v.matched]
    return [v for v in other if v.departure], [v for v in other if not v.departure]


def _json(capture: Capture, verdicts: list[Verdict]) -> dict[str, object]:
    explained, mismatched = _sorted(verdicts)
    return {
        "capture": capture.name,
        "kind": capture.meta.kind,
        "total": len(verdicts),
        "matched": sum(v.matched for v in verdicts),
        "explained": [_line_json(v) for v in explained],
        "mismatched": [_line_json(v) for v in mismatched],
        "disagreement": [_line_json(v) for v in verdicts if v.differences],
        "ignored_registers": list(capture.meta.ignored),
    }


def _rows(verdicts: list[Verdict]) -> list[tuple[str, ...]]:
    return [
        (
            str(v.line.number),
            v.line.bdf + (f" PASID {v.line.request.pasid}" if v.line.request.pasid is not None else ""),
            f"{str(v.line.request.access.name).lower()} {v.line.request.iova:#x}",
            v.expected,
            v.got,
        )
        for v in verdicts[:MOST_SHOWN]
    ]


def _print(capture: Capture, verdicts: list[Verdict]) -> None:
    explained, mismatched = _sorted(verdicts)
    matched = sum(v.matched for v in verdicts)
    output.line(
        f"{capture.name} ({capture.meta.kind}): {len(verdicts)} lines, {matched} matched,"
        f" {len(explained)} explained, {len(mismatched)} mismatched",
        "red" if mismatched else "green",
    )
    for departure, n in Counter(v.departure for v in explained).items():
        assert departure is not None
        vendor = " or ".join(f"{code:#x}" for code in departure.codes)
        output.line(
            f"  {n} explained by {departure.name}: {departure.logged:#x} logged where the vendor"
            f" has {vendor}\n    {departure.text}"
        )
    if mismatched:
        headings = ("line", "who", "request", "expected", "got")
        output.table(None, headings, _rows(mismatched))
        if len(mismatched) > MOST_SHOWN:
            output.line(f"... and {len(mismatched) - MOST_SHOWN} more: see --json")
    for v in [v for v in verdicts if v.differences][:MOST_SHOWN]:
        d = v.differences[0]
        output.line(
            f"DISAGREEMENT of the ledgers, line {v.line.number}: {d}",
            "bold red",
        )
    if capture.meta.ignored:
        output.line(
            f"  registers that are not known were ignored: {' '.join(capture.meta.ignored)}", "yellow"
        )


def _status(all_: list[Verdict]) -> int:
    from iommu_abi.cli import DISAGREE, FOUND

    if any(v.differences for v in all_):
        return DISAGREE
    return FOUND if _sorted(all_)[1] else 0


def run(args: argparse.Namespace) -> int:
    """Replay every capture, then say how they did."""
    if args.image and len(args.captures) > 1:
        raise UsageError("--image goes with one capture")
    results = [_verdicts(args, Path(directory)) for directory in args.captures]
    everything = [v for _, verdicts in results for v in verdicts]
    if not args.json:
        for capture, verdicts in results:
            _print(capture, verdicts)
        return _status(everything)
    made = [_json(capture, verdicts) for capture, verdicts in results]
    if len(made) == 1:
        output.emit_json(made[0])
    else:
        explained, mismatched = _sorted(everything)
        totals: dict[str, object] = {
            "total": len(everything),
            "matched": sum(v.matched for v in everything),
            "explained": [_line_json(v) for v in explained],
            "mismatched": [_line_json(v) for v in mismatched],
        }
        output.emit_json({**totals, "captures": made})
    return _status(everything)
