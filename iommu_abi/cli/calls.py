"""Ioctls of an strace log, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output, payloads
from iommu_abi.cli.faults import count, places

if TYPE_CHECKING:
    from iommu_abi.decode.calls import Decoded, Log
    from iommu_abi.decode.commands import Command


def _name(call: Decoded) -> str:
    names = " or ".join(command.name for command in call.meaning.commands)
    return names or "no known command"


def _result(call: Decoded) -> str:
    made = call.call
    if made.errno:
        return made.errno
    return "did not return" if made.result is None else str(made.result)


def _title(call: Decoded) -> str:
    made = call.call
    file = f"<{made.file}>" if made.file else ""
    pid = f", process {made.pid}" if made.pid is not None else ""
    pid += f" ({made.process})" if made.process else ""
    return f"{_name(call)} ({call.number:#x}) on {made.fd}{file}{pid} = {_result(call)}"


def _without_struct(command: Command, value: int | None) -> str:
    from iommu_abi.decode import strace, vfio_errors

    if argument := vfio_errors.argument(command.name, value):
        return f"the argument {value:#x} is {argument}"
    if command.name == strace.SELFTEST[0]:
        return "of the kernel's own test of iommufd (CONFIG_IOMMUFD_TEST); its struct is not described here"
    return "no struct, or one that is not described here"


def _facts(call: Decoded) -> list[str]:
    found = []
    for command in call.meaning.commands:
        prefix = f"{command.name}: " if len(call.meaning.commands) > 1 else ""
        if command.kind is None:
            found.append(f"{prefix}{_without_struct(command, call.call.arg)}")
            continue
        size = command.kind.layout.size
        writes = f"writes {', '.join(command.writes)}" if command.writes else "only reads it"
        least = f", at least {command.least}" if command.least != size else ""
        found.append(f"{prefix}struct {command.kind.name}, {size} bytes{least}; the kernel {writes}")
    known = {command.name for command in call.meaning.commands}
    other = [name for name in call.call.names if name not in known]
    if other:
        found.append(f"strace calls it {' or '.join(other)}")
    if call.meaning.also:
        found.append(f"proposed for the same number: {', '.join(call.meaning.also)}")
    if call.call.odd:
        found.append("its number has a direction or size, which no command of iommufd and VFIO has")
    return found


def _show(call: Decoded, at: tuple[int, ...]) -> None:
    output.line(f"{places(at)}: {_title(call)}", "bold")
    for fact in _facts(call):
        output.line(f"  {fact}")
    for field, reason in call.meaning.errors:
        output.line(
            f"  {call.call.errno} if {field}: {reason}" if field else f"  {call.call.errno} if {reason}"
        )
    if call.payload:
        payloads.show(call.payload, "  ")
    if call.verdict:
        output.line(f"  {call.verdict}", "yellow")


def _json(call: Decoded, at: tuple[int, ...]) -> dict[str, object]:
    made = call.call
    return {
        "lines": [i + 1 for i in at],
        "number": f"{call.number:#x}",
        "commands": [
            {
                "name": command.name,
                "generation": command.generation,
                "struct": command.kind.struct if command.kind else None,
                "size": command.kind.layout.size if command.kind else None,
                "least": command.least if command.kind else None,
                "writes": list(command.writes),
            }
            for command in call.meaning.commands
        ],
        "proposed": list(call.meaning.also),
        "strace": list(made.names),
        "fd": made.fd,
        "file": made.file,
        "pid": made.pid,
        "process": made.process or None,
        "argument": output.hex_or_none(made.arg),
        "result": made.result,
        "errno": made.errno or None,
        "reasons": [{"field": field, "reason": reason} for field, reason in call.meaning.errors],
        "payload": payloads.to_json(call.payload) if call.payload else None,
        "verdict": call.verdict or None,
    }


def to_json(log: Log) -> dict[str, object]:
    """The calls as JSON."""
    calls = [_json(call, at) for call, at in log.distinct]
    return {"calls": calls, "unread": [i + 1 for i in log.unread], "skipped": log.skipped}


def show(log: Log) -> None:
    """Print the calls."""
    for call, at in log.distinct:
        _show(call, at)
    for line in log.unread:
        output.line(f"line {line + 1}: an ioctl of no known form", "red")
    output.line(f"{count(len(log.calls), 'call')}, {count(log.skipped, 'other line')}")


def status(log: Log) -> int:
    """The exit status of a text with these calls."""
    found = any(call.payload and payloads.broken(call.payload) for call in log.calls)
    return 1 if log.unread or found else 0
