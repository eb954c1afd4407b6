"""Fault lines and their walks, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, output, target, trace
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.decode import Block, Decoded, Note, Report, Walked

MOST_SHOWN = 8


def _walks(args: argparse.Namespace, decoded: Decoded) -> dict[Report, Walked]:
    """Of each fault whose request the line says."""
    from iommu_abi.decode import walk

    described = args.config or args.iommu
    if bool(described) != bool(args.images):
        raise UsageError("a walk needs both IMAGE and --config or --iommu")
    if not described or not decoded.reports:
        return {}
    images = target.sources(args.images)
    unit = target.unit(args)
    if all(report.kind != unit.kind for report in decoded.reports):
        kinds = " ".join(sorted({report.kind for report in decoded.reports}))
        raise UsageError(f"the fault lines are of {kinds}, the IOMMU is {unit.kind}")
    memory = target.memory(args, images)
    found = ((report, walk(unit, memory, report)) for report, _ in decoded.distinct)
    return {report: walked for report, walked in found if walked}


def _address(block: Block) -> str:
    """The address, or the range of a flood."""
    if block.is_flood:
        first, last = block.addresses[0], block.addresses[-1]
        return f"{len(block.addresses)} addresses from {first:#x} to {last:#x}"
    return "" if block.report.address is None else f"{block.report.address:#x}"


def _facts(block: Block) -> list[str]:
    report = block.report
    who = [report.device or "no device"]
    who.append("" if report.pasid is None else f"PASID {report.pasid:#x}")
    who.append({True: "privileged", False: "unprivileged", None: ""}[report.priv])
    who.append("" if report.access is None else str(report.access.name).lower())
    who.append(_address(block))
    shown = [", ".join(filter(None, who))]
    if len(block.times) > 1:
        shown.append(f"{len(block.at)} times, from {block.times[0]} to {block.times[1]}")
    elif block.is_flood:
        shown.append(f"{len(block.at)} times")
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


def _next(look: str) -> None:
    if look:
        output.line(f"  look at: {look}")


def _show_block(block: Block, walked: Walked | None) -> None:
    report = block.report
    output.line(f"{places(block.at)}: {_title(report)}", "bold")
    for fact in _facts(block):
        output.line(f"  {fact}")
    output.line(f"  {report.source}", "dim")
    if walked:
        trace.show(report.kind, walked.explained)
        output.line(_verdict(walked), "green" if walked.same else "red")
    _next(report.look)


def _show_note(note: Note, at: tuple[int, ...]) -> None:
    output.line(f"{places(at)}: {note.title}", "bold" if note.read else "red")
    for fact in note.facts:
        output.line(f"  {fact}")
    if note.source:
        output.line(f"  {note.source}", "dim")
    _next(note.look)


def _show(decoded: Decoded, walks: dict[Report, Walked]) -> None:
    for block in decoded.blocks(floods=not walks):
        _show_block(block, walks.get(block.report))
    for note, at in decoded.distinct_notes:
        _show_note(note, at)
    if decoded.unread:
        verb = "look like faults, and are" if len(decoded.unread) > 1 else "looks like a fault, and is"
        output.line(f"{places(decoded.unread)}: {verb} of no known form", "red")
    read = [note for note in decoded.notes if note.read and not note.lost]
    foreign = sum(not note.read for note in decoded.notes)
    parts = [count(len(decoded.reports), "fault"), count(decoded.skipped, "other line")]
    if read:
        parts.insert(1, count(len(read), "other message"))
    if foreign:
        parts.insert(1, f"{count(foreign, 'fault')} not read")
    if decoded.lost:
        parts.append(f"at least {count(decoded.lost, 'message')} missing")
    output.line(", ".join(parts))


def count(number: int, what: str) -> str:
    """``3 calls``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _json(block: Block, walked: Walked | None) -> dict[str, object]:
    report = block.report
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
        "look_at": report.look,
        "count": len(block.at),
        "times": list(block.times),
        "lines": [i + 1 for i in block.at],
    }
    if block.is_flood:
        first, last = block.addresses[0], block.addresses[-1]
        made["addresses"] = {"count": len(block.addresses), "first": f"{first:#x}", "last": f"{last:#x}"}
    if walked:
        answer = answers.answer_json(walked.explained.answer)
        made["walk"] = {"same": walked.same, **answer, **trace.trace_json(walked.explained)}
    return made


def _note_json(note: Note, at: tuple[int, ...]) -> dict[str, object]:
    return {
        "kind": note.kind,
        "title": note.title,
        "facts": list(note.facts),
        "look_at": note.look,
        "source": note.source,
        "lost": note.lost,
        "read": note.read,
        "lines": [i + 1 for i in at],
    }


def _all_json(decoded: Decoded, walks: dict[Report, Walked]) -> dict[str, object]:
    return {
        "faults": [_json(block, walks.get(block.report)) for block in decoded.blocks(floods=not walks)],
        "messages": [_note_json(note, at) for note, at in decoded.distinct_notes],
        "unread": [i + 1 for i in decoded.unread],
        "skipped": decoded.skipped,
        "lost": decoded.lost,
    }


def run(args: argparse.Namespace, decoded: Decoded, calls: dict[str, object] | None = None) -> int:
    """Print the faults of a text; the exit status. ``calls`` are those of the same text, for --json."""
    from iommu_abi.cli import DISAGREE

    walks = _walks(args, decoded)
    if args.json:
        output.emit_json({**_all_json(decoded, walks), **(calls or {})})
    else:
        _show(decoded, walks)
    if any(walked.explained.differences for walked in walks.values()):
        return DISAGREE
    understood = not decoded.unread and all(note.read for note in decoded.notes)
    return 0 if understood and all(walked.same for walked in walks.values()) else 1
