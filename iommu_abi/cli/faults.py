"""Fault lines and their walks, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output, target, trace
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.decode import Decoded, Report, Walked

MOST_SHOWN = 8


def _walks(args: argparse.Namespace, decoded: Decoded) -> dict[Report, Walked]:
    """Of each fault whose request the line says."""
    from iommu_abi.decode import walk

    described = args.config or args.iommu
    if bool(described) != bool(args.images):
        raise UsageError("a walk needs both IMAGE and --config or --iommu")
    if not described:
        return {}
    images = target.sources(args.images)
    unit = target.unit(args)
    if all(report.kind != unit.kind for report in decoded.reports):
        kinds = " ".join(sorted({report.kind for report in decoded.reports}))
        raise UsageError(f"the fault lines are of {kinds}, the IOMMU is {unit.kind}")
    memory = target.memory(args, images)
    found = ((report, walk(unit, memory, report)) for report, _ in decoded.distinct)
    return {report: walked for report, walked in found if walked}


def _facts(report: Report) -> list[str]:
    who = [report.device or "no device"]
    who.append("" if report.pasid is None else f"PASID {report.pasid:#x}")
    who.append({True: "privileged", False: "unprivileged", None: ""}[report.priv])
    who.append("" if report.access is None else str(report.access.name).lower())
    who.append("" if report.address is None else f"{report.address:#x}")
    shown = [", ".join(filter(None, who))]
    if report.meaning.stage is not None:
        shown.append(answers.STAGES[report.meaning.stage])
    return [*shown, *(f"{name}: {value}" for name, value in report.extra)]


def _title(report: Report) -> str:
    code = f"{answers.CODES[report.kind]} {report.code:#x}"
    return f"{code} {report.meaning.name}: {report.meaning.text}".replace("  ", " ").replace(" :", ":")


def places(at: tuple[int, ...]) -> str:
    """Positions of lines in words."""
    shown = ", ".join(str(i + 1) for i in at[:MOST_SHOWN])
    more = f" and {len(at) - MOST_SHOWN} more" if len(at) > MOST_SHOWN else ""
    return f"line{'s' if len(at) > 1 else ''} {shown}{more}"


def _verdict(walked: Walked) -> str:
    if walked.same:
        return "the walk stops with the code of the line"
    if walked.explained.answer.fault is not None:
        return "the walk is blocked too, but DIFFERENTLY from what the line says"
    return "the walk is NOT blocked: the tables are not as they were, or a cache was stale"


def _show(decoded: Decoded, walks: dict[Report, Walked]) -> None:
    for report, at in decoded.distinct:
        output.line(f"{places(at)}: {_title(report)}", "bold")
        for fact in _facts(report):
            output.line(f"  {fact}")
        output.line(f"  {report.source}", "dim")
        if report in walks:
            trace.show(report.kind, walks[report].explained)
            output.line(_verdict(walks[report]), "green" if walks[report].same else "red")
    for at_line in decoded.unread:
        output.line(f"line {at_line + 1}: looks like a fault, and is of no known form", "red")
    output.line(f"{count(len(decoded.reports), 'fault')}, {count(decoded.skipped, 'other line')}")


def count(number: int, what: str) -> str:
    """``3 calls``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _json(report: Report, at: tuple[int, ...], walked: Walked | None) -> dict[str, object]:
    made: dict[str, object] = {
        "kind": report.kind,
        "code": f"{report.code:#x}",
        "name": report.meaning.name,
        "meaning": report.meaning.text,
        "source": report.source,
        "stage": None if report.meaning.stage is None else report.meaning.stage.name.lower(),
        "device": report.device,
        "rid": output.hex_or_none(report.rid),
        "pasid": report.pasid,
        "address": output.hex_or_none(report.address),
        "access": None if report.access is None else str(report.access.name).lower(),
        "priv": report.priv,
        "extra": dict(report.extra),
        "lines": [i + 1 for i in at],
    }
    if walked:
        answer = answers.answer_json(walked.explained.answer)
        made["walk"] = {"same": walked.same, **answer, **trace.trace_json(walked.explained)}
    return made


def run(args: argparse.Namespace, decoded: Decoded) -> int:
    """Print the faults of a text; the exit status."""
    from iommu_abi.cli import DISAGREE

    walks = _walks(args, decoded)
    if args.json:
        faults = [_json(report, at, walks.get(report)) for report, at in decoded.distinct]
        unread = [i + 1 for i in decoded.unread]
        output.emit_json({"faults": faults, "unread": unread, "skipped": decoded.skipped})
    else:
        _show(decoded, walks)
    if any(walked.explained.differences for walked in walks.values()):
        return DISAGREE
    return 1 if decoded.unread or not all(walked.same for walked in walks.values()) else 0
