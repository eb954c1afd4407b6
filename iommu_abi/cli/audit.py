"""iommu-abi audit: what is wrong with these tables, or more open than it should be?"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from iommu_abi.cli import answers, limits, machine, output, target, trace, words
from iommu_abi.terms import Access

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from iommu_abi.audit import Audit, Evidence, Finding, FindingKind, Spot, Summary, Who
    from iommu_abi.cli.machine import Machine, One
    from iommu_abi.memory import Memory
    from iommu_abi.terms import Request

SHOWN = 5  # findings of a kind, and requesters of a finding, that are printed; --json has all
STYLES = ("bold red", "yellow", "cyan")

EPILOG = """\
Looks at all contexts, mappings and tables of the IOMMU. docs/audit.md says
what each finding means, and what no audit can see. exit status: 0 nothing was
found, 1 something was.

examples:
  iommu-abi audit vmcore
  iommu-abi audit vmcore.elf.xz --config meta.json
  iommu-abi audit vmcore.elf.xz --config meta.json --rid 00:03.0
  iommu-abi audit ram.bin --iommu vtd --reg RTADDR=0x4eae400 --json
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    target.add_images(made)
    target.add_unit_options(made)
    target.add_image_options(made)
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", help="show only findings that concern this device")
    limits.add_option(made)
    made.add_argument(
        "--max-places",
        metavar="N",
        help="look at N pages and IDs (default: by --max-ranges and what the image can hold)",
    )
    made.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Audit and print."""
    from iommu_abi.audit import audit

    if args.rid is not None:
        words.requester(args.rid)
    most = None if args.max_places is None else words.number(args.max_places, "--max-places")
    whole, memory = machine.opened(args, target.sources(args.images))
    spent = limits.budget(args, memory)
    spent.most_places = spent.most_places if most is None else most
    asked: list[tuple[One, int | None]] = [(one, None) for one in whole.units]
    if args.rid is not None:
        asked = [(each.one, each.rid) for each in whole.serving(args.rid)]
    found = []
    for one, rid in asked:
        with output.busy(spent, quiet=False):
            found.append((one, audit(one.unit, memory, rid, budget=spent)))
    (_print_json if args.json else _print_all)(args, whole, memory, found)
    return 1 if any(each.findings or each.stop for _, each in found) else 0


def _command(args: argparse.Namespace, one: One, request: Request) -> str:
    """The command that shows an entry in its walk."""
    given = ["--attach", args.attach] if args.attach else []
    given += ["--config", args.config] if args.config else []
    given += ["--iommu", args.iommu] if args.iommu else []
    given += [] if args.iommu or one.alone else ["--unit", one.found.name]
    given += [word for reg in args.reg for word in ("--reg", reg)]
    given += ["--format", args.format] if args.format != "auto" else []
    given += ["--base", args.base] if args.base != "0" else []
    asked = ["--rid", words.name_of_requester(request.rid)]
    asked += [] if request.pasid is None else ["--pasid", str(request.pasid)]
    asked += ["--iova", f"{request.iova:#x}"]
    asked += [] if request.access is Access.READ else ["--access", str(request.access.name).lower()]
    asked += ["--priv"] if request.priv else []
    return shlex.join(["iommu-abi", "translate", *args.images, *given, *asked, "--explain"])


# ---------------------------------------------------------------- text


def _many(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _who_text(who: Who, one: One) -> str:
    text = words.name_of_requester(who.rid) + one.label(who.rid)
    if who.rid_last != who.rid:
        text += f" to {words.name_of_requester(who.rid_last)}"
    if who.pasid is None:
        return text
    last = f" to {who.pasid_last}" if who.pasid_last != who.pasid else ""
    return f"{text} PASID {who.pasid}{last}{' privileged' if who.priv else ''}"


def _headline(finding: Finding, one: One) -> str:
    """Who, how much, and what in particular."""
    spots = finding.spots
    names = [_who_text(who, one) for who in finding.who[:SHOWN]]
    if len(finding.who) > SHOWN:
        names.append(f"{len(finding.who) - SHOWN} more")
    parts = [", ".join(names)] if names else []
    if spots.bytes:
        parts.append(f"{answers.bytes_text(spots.bytes)} in {_many(spots.count, 'range')}")
    elif spots.count > 1:
        parts.append(_many(spots.count, "entry", "entries"))
    return ": ".join(filter(None, [", ".join(parts), finding.what]))


def _spot_text(spot: Spot) -> str:
    parts = []
    if spot.iova is not None and spot.size:
        parts.append(f"{spot.iova:#x}..{spot.iova + spot.size - 1:#x}")
    if spot.hpa is not None:
        parts.append(f"HPA {spot.hpa:#x}..{spot.hpa + spot.size - 1:#x}")
    return " -> ".join(parts) + (f" {spot.access}" if spot.access is not None else "")


def _print_all(
    args: argparse.Namespace, whole: Machine, memory: Memory, found: list[tuple[One, Audit]]
) -> None:
    whole.say()
    for one, each in found:
        if len(whole.units) > 1:
            output.line(one.found.place, "bold")
        _print(args, one, memory, each)


def _print(args: argparse.Namespace, one: One, memory: Memory, found: Audit) -> None:
    if found.stop:
        output.line(str(found.stop), "yellow")
    _print_summary(one.unit.kind, found.summary)
    if not found.findings:
        output.line("nothing was found" + " so far" * bool(found.stop), "green")
        return
    counts = Counter(finding.kind for finding in found.findings)
    rows = [(k.severity.name.lower(), k.name, str(n), k.title) for k, n in counts.items()]
    output.table(None, ("severity", "finding", "count", "what"), rows)
    for kind, group in groupby(found.findings, key=lambda finding: finding.kind):
        _print_kind(args, one, memory, kind, list(group))


def _print_summary(kind: str, seen: Summary) -> None:
    contexts = [_many(seen.contexts, "context"), f"{seen.passing} pass through", f"{seen.refusing} refuse"]
    output.line(f"{kind}: {_many(seen.devices, 'device')}, {', '.join(contexts)}, {seen.broken} broken")
    output.line(
        f"{_many(seen.domains, 'domain')} with {_many(seen.mappings, 'mapping')}"
        f" reach {answers.bytes_text(seen.reached)}; the IOMMU itself reads {_many(seen.table_pages, 'page')}"
    )


def _print_kind(
    args: argparse.Namespace, one: One, memory: Memory, kind: FindingKind, findings: list[Finding]
) -> None:
    from iommu_abi.audit import evidence

    out = output.console()
    out.print(f"{kind.severity.name.lower()}: {kind.title}", style=STYLES[kind.severity])
    out.print(f"  {kind.why}", style="dim")
    for finding in findings[:SHOWN]:
        out.print(f"  {_headline(finding, one)}", style="bold")
        if finding.spots.bytes:
            more = " ..." if finding.spots.count > 1 else ""
            out.print(f"    {_spot_text(finding.spots.kept[0])}{more}")
        shown = evidence(one.unit, memory, finding)
        for each in shown:
            _print_evidence(each)
        if asked := [each.request for each in shown if each.request]:
            output.line(f"    $ {_command(args, one, asked[-1])}", "dim")
    if len(findings) > SHOWN:
        out.print(f"  and {len(findings) - SHOWN} more (--json has all)")
    out.print()


def _print_evidence(each: Evidence) -> None:
    from rich.padding import Padding

    out = output.console()
    if each.step is None:
        out.print(Padding(each.note, (0, 0, 0, 4), expand=False))
        return
    assert each.request
    who = answers.request_text(each.request)
    out.print(Padding(f"{each.note}: {who}", (0, 0, 0, 4), expand=False))
    out.print(Padding(f"{each.step.entry.name}, {trace.place_text(each.step)}", (0, 0, 0, 6), expand=False))
    out.print(Padding(trace.fields_text(each.step), (0, 0, 0, 6), expand=False), style="dim")


# ---------------------------------------------------------------- JSON


def _print_json(
    args: argparse.Namespace, whole: Machine, memory: Memory, found: list[tuple[One, Audit]]
) -> None:
    audits = [_audit_json(args, one, memory, each) for one, each in found]
    shown = {**audits[0]} if len(audits) == 1 else {"audits": audits}
    output.emit_json(shown | whole.to_json())


def _audit_json(args: argparse.Namespace, one: One, memory: Memory, found: Audit) -> dict[str, object]:
    from iommu_abi.audit import evidence

    return {
        **({} if one.alone else {"unit": one.found.name}),
        "summary": asdict(found.summary),
        "findings": [_finding_json(args, one, f, evidence(one.unit, memory, f)) for f in found.findings],
        **({"stopped": limits.stop_json(found.stop)} if found.stop else {}),
    }


def _finding_json(
    args: argparse.Namespace, one: One, finding: Finding, shown: Iterable[Evidence]
) -> dict[str, object]:
    return {
        "kind": finding.kind.name,
        "severity": finding.kind.severity.name.lower(),
        "title": finding.kind.title,
        "why": finding.kind.why,
        "what": finding.what,
        "requesters": [
            {
                "rid": f"{who.rid:#x}",
                "rid_last": f"{who.rid_last:#x}",
                "pasid": who.pasid,
                "pasid_last": who.pasid_last,
                "priv": who.priv,
            }
            for who in finding.who
        ],
        "count": finding.spots.count,
        "bytes": finding.spots.bytes,
        "places": [_spot_json(spot) for spot in finding.spots.kept],
        "evidence": [_evidence_json(args, one, each) for each in shown],
    }


def _spot_json(spot: Spot) -> dict[str, object]:
    return {
        "iova": output.hex_or_none(spot.iova),
        "hpa": output.hex_or_none(spot.hpa),
        "size": spot.size,
        "access": None if spot.access is None else str(spot.access),
        "entry": output.hex_or_none(spot.entry),
    }


def _evidence_json(args: argparse.Namespace, one: One, each: Evidence) -> dict[str, object]:
    return {
        "note": each.note,
        "request": answers.request_json(each.request) if each.request else None,
        "entry": trace.step_json(each.step) if each.step else None,
        "command": _command(args, one, each.request) if each.request else None,
    }
