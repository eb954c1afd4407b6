"""iommu-abi decode: what do these fault lines say, and which table entry caused them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output, target, trace, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.decode import Decoded, Report, Walked

EPILOG = """\
Lines of Linux's drivers, as dmesg, syslog or a bug report shows them: DMAR, arm-smmu-v3, AMD-Vi,
riscv-iommu. Other lines are skipped. With IMAGE and --config (or --iommu), the request of each fault is
walked through the tables again; as a read where the line does not say what it was.
exit status: 0 every fault line was understood, and the walks stop as the lines say; 1 a line was not
understood or a walk differs; 2 there is no fault line.

examples:
  dmesg | iommu-abi decode
  iommu-abi decode dmesg.txt vmcore.elf.xz --config meta.json
"""
MOST_SHOWN = 8


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("decode", help="what do these fault lines say?", epilog=EPILOG)
    made.add_argument(
        "text", metavar="FILE", nargs="?", default="-", help="text with fault lines (default: -)"
    )
    made.add_argument("images", metavar=target.IMAGE, nargs="*", help=target.IMAGE_HELP)
    target.add_unit_options(made, required=False)
    target.add_image_options(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


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


def _places(at: tuple[int, ...]) -> str:
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
        output.line(f"{_places(at)}: {_title(report)}", "bold")
        for fact in _facts(report):
            output.line(f"  {fact}")
        output.line(f"  {report.source}", "dim")
        if report in walks:
            trace.show(report.kind, walks[report].explained)
            output.line(_verdict(walks[report]), "green" if walks[report].same else "red")
    for at_line in decoded.unread:
        output.line(f"line {at_line + 1}: looks like a fault, and is of no known form", "red")
    output.line(f"{_count(len(decoded.reports), 'fault')}, {_count(decoded.skipped, 'other line')}")


def _count(number: int, what: str) -> str:
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


def run(args: argparse.Namespace) -> int:
    """Decode and print."""
    from iommu_abi.cli import DISAGREE
    from iommu_abi.decode import decode

    decoded = decode(words.read_bytes(args.text).decode("utf-8", "replace"))
    if not decoded.reports and not decoded.unread:
        raise UsageError(f"{words.input_name(args.text)}: no fault line among {decoded.lines} lines")
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
