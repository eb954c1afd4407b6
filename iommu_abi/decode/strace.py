"""Lines of strace about ioctls, and the bytes that somebody noted below them.

Forms: with names or numbers (``-X raw``, or an strace that is older than the command), pids (``-f``),
times (``-t``, ``-r``, ``-T``), files of descriptors (``-y``, ``-yy``), unfinished and resumed calls. Calls
of other types than ``';'``, the one of iommufd and VFIO, are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from iommu_abi.decode import hexdump
from iommu_abi.decode.pieces import Piece
from iommu_abi.errors import UsageError
from iommu_abi.ioctl import TYPE, Direction, Request, family
from iommu_abi.schemas import uapi

_CALL = re.compile(r"\bioctl\((?P<inside>.*)\)\s+= (?P<result>.*)")
_BEGUN = re.compile(r"\bioctl\((?P<inside>.*?),? *<unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. ioctl resumed>(?P<inside>.*)\)\s+= (?P<result>.*)")
_PID = re.compile(r"\s*(?:\[pid\s+(\d+)\]|(\d+)(?= +\S))")
_FILE = re.compile(r"(-?\d+)(?:<(.*?)>)?, *")
_PARTS = re.compile(r"_IOC\(([^,]+), (0x[0-9a-f]+|\d+), (0x[0-9a-f]+|\d+), (0x[0-9a-f]+|\d+)\)")
_NUMBER = re.compile(r"(0x[0-9a-f]+|\d+)(?: /\* (.*?) \*/)?")
_NAMES = re.compile(r"[A-Z][A-Z0-9_]*(?: or [A-Z][A-Z0-9_]*)*")
_RESULT = re.compile(r"(-?\d+|0x[0-9a-f]+|\?)(?: (E[A-Z0-9]+))?")
_DIRECTIONS = {"_IOC_NONE": 0, "_IOC_WRITE": 1, "_IOC_READ": 2}


@dataclass(frozen=True, slots=True)
class Call:
    """One ioctl. ``names`` are what strace called it, ``nr`` its number in the low byte.

    ``arg`` is None if strace prints no number. ``result`` is None for a call that did not return; then,
    and if it did not fail, ``errno`` is "". ``lines`` are positions in the input, of which an unfinished
    call has two; ``below`` are bytes noted after the call. ``odd`` are a direction and size that no
    command of this type has.
    """

    lines: tuple[int, ...]
    fd: int
    file: str
    names: tuple[str, ...]
    nr: int
    arg: int | None
    result: int | None
    errno: str
    pid: int | None = None
    odd: Request | None = None
    below: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """The calls of a text; ``unread`` are positions of ioctls of this type that are of no known form.

    ``noted`` are lines of bytes, ``above`` those before the first call, which any call may use.
    """

    calls: tuple[Call, ...]
    unread: tuple[int, ...]
    lines: int
    noted: int = 0
    above: tuple[Piece, ...] = ()


@cache
def known() -> dict[str, int]:
    """Every command of iommufd and VFIO, proposed ones too, and its number in the low byte."""
    return {i.name: i.nr for gen in uapi.GENERATIONS.values() for i in gen.ioctls.values()}


def is_call(line: str) -> bool:
    """Does a line look like an ioctl of any type?"""
    return bool(_CALL.search(line) or _BEGUN.search(line) or _RESUMED.search(line))


class _Unread(ValueError):
    """A line about an ioctl of this type that is of no known form."""


def read(text: str, abi: str = "x86_64") -> Log:
    """The calls of a log; ``abi`` is the machine's where strace printed whole numbers."""
    lines = text.splitlines()
    calls: list[Call] = []
    unread: list[int] = []
    used: set[int] = set()
    dumps: dict[int, list[tuple[int, str]]] = {}  # number of calls before it -> lines
    for places, pid, inside, result in _whole(lines):
        used.update(places)
        try:
            call = _call(inside, result, abi)
        except _Unread:
            unread.append(places[0])
            continue
        if call:
            calls.append(replace(call, lines=places, pid=pid))
    calls.sort(key=lambda call: call.lines[-1])
    ends = [call.lines[-1] for call in calls]
    for at, line in enumerate(lines):
        before = bisect_right(ends, at)
        if at not in used and (hexdump.is_row(line) or (before in dumps and hexdump.is_end(line))):
            dumps.setdefault(before, []).append((at, line))
    pieces = {count: _pieces(rows) for count, rows in dumps.items()}
    noted = tuple(replace(call, below=pieces.get(i, ())) for i, call in enumerate(calls, 1))
    return Log(noted, tuple(unread), len(lines), sum(map(len, dumps.values())), pieces.get(0, ()))


def _whole(lines: list[str]) -> Iterator[tuple[tuple[int, ...], int | None, str, str]]:
    """Of each ioctl: its lines, pid, what is between the parentheses, and the result."""
    begun: dict[int | None, tuple[int, str]] = {}
    for at, line in enumerate(lines):
        pid = _pid(line)
        if found := _BEGUN.search(line):
            begun[pid] = at, found["inside"]
        elif found := _RESUMED.search(line):
            start, before = begun.pop(pid, (at, ""))
            rest = found["inside"].lstrip(", ")
            yield (start, at), pid, ", ".join(filter(None, (before, rest))), found["result"]
        elif found := _CALL.search(line):
            yield (at,), pid, found["inside"], found["result"]
    for pid, (at, before) in begun.items():
        yield (at,), pid, before, "?"


def _pieces(rows: list[tuple[int, str]]) -> tuple[Piece, ...]:
    return tuple(hexdump.rows([line for _, line in rows], rows[0][0] + 1))


def _pid(line: str) -> int | None:
    found = _PID.match(line)
    return int(found[1] or found[2]) if found else None


def _call(inside: str, result: str, abi: str) -> Call | None:
    """The call, None for one of another type."""
    found, ended = _FILE.match(inside), _RESULT.match(result)
    if not found or not ended:
        raise _Unread
    rest = inside[found.end() :]
    request, names, end = _request(rest, abi)
    if request is None and rest.startswith(("IOMMU_", "VFIO_")):
        raise _Unread
    if request is None or request.type != TYPE:
        return None
    arg = _argument(rest[end:].lstrip(", "))
    odd = request if request.direction or request.size else None
    number = None if ended[1] == "?" else int(ended[1], 0)
    return Call((), int(found[1]), found[2] or "", names, request.nr, arg, number, ended[2] or "", odd=odd)


def _argument(text: str) -> int | None:
    if text == "NULL":
        return 0
    found = re.fullmatch(r"0x[0-9a-f]+|-?\d+", text)
    return int(text, 0) if found else None


def _request(text: str, abi: str) -> tuple[Request | None, tuple[str, ...], int]:
    """The number's parts, the names that strace gave, and where the request ends."""
    if found := _PARTS.match(text):
        bits = sum(_DIRECTIONS.get(each.strip(), 0) for each in found[1].split("|"))
        type_, nr, size = (int(each, 0) for each in found.groups()[1:])
        return Request(Direction(bits), type_, nr, size), (), found.end()
    if found := _NUMBER.match(text):
        try:
            request = family(abi).decode(int(found[1], 0))
        except (UsageError, ValueError):
            return None, (), 0
        names = tuple(found[2].split(" or ")) if found[2] else ()
        return request, names, found.end()
    found = _NAMES.match(text)
    names = tuple(found[0].split(" or ")) if found else ()
    numbers = {known()[name] for name in names if name in known()}
    if found and len(numbers) == 1:
        return Request(Direction.NONE, TYPE, numbers.pop()), names, found.end()
    return None, names, 0
