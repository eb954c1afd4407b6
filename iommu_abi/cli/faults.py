"""Fault lines and their walks, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import answers, machine, output, target, trace
from iommu_abi.errors import ImageError, UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.acquire.units import Device
    from iommu_abi.cli.machine import Machine, One
    from iommu_abi.decode import Block, Decoded, Note, Report, Walked
    from iommu_abi.memory import Memory

MOST_SHOWN = 8


class _Walks:
    """The walk of each fault whose request the line says, and the IOMMU and device that it is about."""

    def __init__(self) -> None:
        self.of: dict[Report, Walked] = {}
        self.one: dict[Report, One] = {}
        self.machine: Machine | None = None
        self.why_not = ""

    def device(self, report: Report) -> Device | None:
        """What is known of the device of a fault."""
        one = self.one.get(report)
        return one.found.device(report.rid) if one and report.rid is not None else None


def _walks(args: argparse.Namespace, decoded: Decoded) -> _Walks:
    """An image that the log is of (``args.memory``) need not have IOMMUs that can be found."""
    made = _Walks()
    given = machine.described(args)
    if given and not (args.images or args.attach):
        raise UsageError("a walk needs IMAGE too, which --config and --iommu describe the IOMMU of")
    if not (args.images or args.attach) or not decoded.reports:
        return made
    try:
        whole, memory = _machine(args, given)
    except ImageError as error:
        if not args.memory:
            raise
        made.why_not = str(error)
        return made
    made.machine = whole
    kinds = {one.unit.kind for one in whole.units}
    if all(report.kind not in kinds for report in decoded.reports):
        said = " ".join(sorted({report.kind for report in decoded.reports}))
        raise UsageError(f"the fault lines are of {said}, the IOMMU is {' '.join(sorted(kinds))}")
    for report, _ in decoded.distinct:
        _walk(made, whole, memory, report)
    return made


def _machine(args: argparse.Namespace, given: Machine | None) -> tuple[Machine, Memory]:
    if args.attach:
        return machine.attached(args)
    memory = args.memory or target.memory(args, target.sources(args.images))
    return given or machine.found(args, memory, args.images[0]), memory


def _walk(made: _Walks, whole: Machine, memory: Memory, report: Report) -> None:
    """By the IOMMU in whose scope the device is; else by each, until one stops as the line says."""
    from iommu_abi.decode import walk

    units = [one for one in whole.units if one.unit.kind == report.kind]
    own = [one for one in units if report.rid is not None and one.found.device(report.rid)]
    for one in own or units:
        walked = walk(one.unit, memory, report)
        if walked and (report not in made.of or walked.same):
            made.of[report], made.one[report] = walked, one
            if walked.same:
                return


def _address(block: Block) -> str:
    """The address, or the range of a flood."""
    if block.is_flood:
        first, last = block.addresses[0], block.addresses[-1]
        return f"{len(block.addresses)} addresses from {first:#x} to {last:#x}"
    return "" if block.report.address is None else f"{block.report.address:#x}"


def _facts(block: Block, device: Device | None) -> list[str]:
    report = block.report
    named = f"{report.device or 'no device'} {device.known_as if device else ''}".rstrip()
    if device and device.short != report.device:
        named = f"{report.device} = {device.short} {device.known_as}".rstrip()
    who = [named]
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
    code = f"{answers.code_text(report.kind)} {report.code:#x}"
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


def _show_block(block: Block, walks: _Walks) -> None:
    report = block.report
    walked = walks.of.get(report)
    output.line(f"{places(block.at)}: {_title(report)}", "bold")
    for fact in _facts(block, walks.device(report)):
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


def _show(decoded: Decoded, walks: _Walks) -> None:
    if walks.machine:
        walks.machine.say()
    if walks.why_not:
        output.line(f"no walk: {walks.why_not}", "dim")
    for block in decoded.blocks(floods=not walks.of):
        _show_block(block, walks)
    for note, at in decoded.distinct_notes:
        _show_note(note, at)
    if decoded.unread:
        verb = "look like faults, and are" if len(decoded.unread) > 1 else "looks like a fault, and is"
        output.line(f"{places(decoded.unread)}: {verb} of no known form", "red")
    read = [note for note in decoded.notes if note.read and not note.lost and not note.fault]
    foreign = sum(not note.read for note in decoded.notes)
    faults = len(decoded.reports) + sum(note.fault for note in decoded.notes)
    parts = [count(faults, "fault"), count(decoded.skipped, "other line")]
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


def _json(block: Block, walks: _Walks) -> dict[str, object]:
    report = block.report
    walked, device = walks.of.get(report), walks.device(report)
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
    if device:
        from iommu_abi.acquire.meta_file import device_json

        made["known_as"] = {"unit": walks.one[report].found.name, **device_json(device)}
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


def _all_json(decoded: Decoded, walks: _Walks) -> dict[str, object]:
    return {
        "faults": [_json(block, walks) for block in decoded.blocks(floods=not walks.of)],
        "messages": [_note_json(note, at) for note, at in decoded.distinct_notes],
        "unread": [i + 1 for i in decoded.unread],
        "skipped": decoded.skipped,
        "lost": decoded.lost,
        **(walks.machine.to_json() if walks.machine else {}),
        **({"no_walk": walks.why_not} if walks.why_not else {}),
    }


def run(args: argparse.Namespace, decoded: Decoded, calls: dict[str, object] | None = None) -> int:
    """Print the faults of a text; the exit status. ``calls`` are those of the same text, for --json."""
    from iommu_abi.cli import DISAGREE

    walks = _walks(args, decoded)
    if args.json:
        output.emit_json({**_all_json(decoded, walks), **(calls or {})})
    else:
        _show(decoded, walks)
    if any(walked.explained.differences for walked in walks.of.values()):
        return DISAGREE
    understood = not decoded.unread and all(note.read for note in decoded.notes)
    return 0 if understood and all(walked.same for walked in walks.of.values()) else 1
