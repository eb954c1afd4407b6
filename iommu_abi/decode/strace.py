"""Lines of strace about ioctls, and the bytes that somebody noted below them.

Forms: with names or numbers (``-X raw``, ``-e raw=ioctl``, or an strace that is older than the command), pids
(``-f``) and names of processes (``-Y``), times (``-t``, ``-r``, ``-T``), files of descriptors (``-y``,
``-yy``), unfinished and resumed calls. Calls of other types than ``';'``, the one of iommufd and VFIO, are
left out.

Every expression here reads a character once: each begins at a fixed place, or at a character that what
follows cannot contain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from iommu_abi.decode import hexdump
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.pieces import Piece
from iommu_abi.errors import UsageError, errno_name
from iommu_abi.ioctl import TYPE, Direction, Request, family
from iommu_abi.schemas import uapi

_OPEN, _RESUMED, _UNFINISHED = "ioctl(", "<... ioctl resumed>", "<unfinished ...>"
_RESULTS = regex(r"\)[ \t]+= ")
_PID = regex(r"[ \t]*(?:\[pid +(\d{1,10})|(\d{1,10})(?=<| +\S))")
_FD = regex(r"0x[0-9a-f]{1,16}|-?\d{1,10}")
_PARTS = regex(r"_IOC\(([A-Z_|]+|0x[0-9a-f]+|0), (0x[0-9a-f]+|\d+), (0x[0-9a-f]+|\d+), (0x[0-9a-f]+|\d+)\)")
_NUMBER = regex(r"(0x[0-9a-f]{1,16}|\d{1,20})(?: /\* ([A-Za-z0-9_ ]*) \*/)?")
_NAMES = regex(r"[A-Z][A-Z0-9_]*(?: or [A-Z][A-Z0-9_]*)*")
_ARGUMENT = regex(r"0x[0-9a-f]{1,16}|-?\d{1,20}")
_RESULT = regex(r"(-?\d{1,20}|0x[0-9a-f]{1,16}|\?)(?: (?:(E[A-Z0-9]+)|\(errno (\d{1,5})\)))?")
_DIRECTIONS = {"_IOC_NONE": 0, "_IOC_WRITE": 1, "_IOC_READ": 2}


#: A command of kernels with CONFIG_IOMMUFD_TEST (drivers/iommu/iommufd/iommufd_test.h), and its number.
SELFTEST = ("IOMMU_TEST_CMD", 0xA0)


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
    process: str = ""
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
    merged = {i.name: i.nr for gen in uapi.GENERATIONS.values() for i in gen.ioctls.values()}
    return {**merged, SELFTEST[0]: SELFTEST[1]}


def is_call(line: str) -> bool:
    """Does a line look like an ioctl of any type?"""
    return _spoken(line) is not None


class _Unread(ValueError):
    """A line about an ioctl of this type that is of no known form."""


def read(text: str, abi: str = "x86_64") -> Log:
    """The calls of a log; ``abi`` is the machine's where strace printed whole numbers."""
    lines = text.splitlines()
    calls: list[Call] = []
    unread: list[int] = []
    used: set[int] = set()
    dumps: dict[int, list[tuple[int, str]]] = {}  # number of calls before it -> lines
    for places, who, inside, result in _whole(lines):
        used.update(places)
        try:
            call = _call(inside, result, abi)
        except _Unread:
            unread.append(places[0])
            continue
        if call:
            calls.append(replace(call, lines=places, pid=who.pid, process=who.name))
    calls.sort(key=lambda call: call.lines[-1])
    ends = [call.lines[-1] for call in calls]
    for at, line in enumerate(lines):
        before = bisect_right(ends, at)
        if line and at not in used and (hexdump.is_row(line) or (before in dumps and hexdump.is_end(line))):
            dumps.setdefault(before, []).append((at, line))
    pieces = {count: _pieces(rows) for count, rows in dumps.items()}
    noted = tuple(replace(call, below=pieces.get(i, ())) for i, call in enumerate(calls, 1))
    return Log(noted, tuple(unread), len(lines), sum(map(len, dumps.values())), pieces.get(0, ()))


@dataclass(frozen=True, slots=True)
class _Who:
    """The process, or thread, of a line."""

    pid: int | None = None
    name: str = ""


def _who(line: str) -> _Who:
    found = _PID.match(line)
    if not found:
        return _Who()
    name, at = "", found.end()
    if line[at : at + 1] == "<":
        end = line.find(">]" if found[1] else "> ", at)
        name = line[at + 1 : end] if end > 0 else ""
    return _Who(int(found[1] or found[2]), name)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A line of an ioctl: what is between the parentheses; ``result`` is None where it is unfinished."""

    inside: str
    result: str | None
    resumed: bool = False


def _opening(line: str) -> int:
    """Where the arguments begin, -1 if nowhere."""
    at = line.find(_OPEN)
    while at > 0 and (line[at - 1].isalnum() or line[at - 1] == "_"):
        at = line.find(_OPEN, at + 1)
    return at if at < 0 else at + len(_OPEN)


def _spoken(line: str) -> _Spoken | None:
    resumed = line.find(_RESUMED)
    start = resumed + len(_RESUMED) if resumed >= 0 else _opening(line)
    if start < 0:
        return None
    cut = line.find(_UNFINISHED, start)
    if cut >= 0:
        return _Spoken(line[start:cut].rstrip(", "), None, resumed >= 0)
    ends = list(_RESULTS.finditer(line, start))
    if not ends:
        return None
    return _Spoken(line[start : ends[-1].start()], line[ends[-1].end() :], resumed >= 0)


def _whole(lines: list[str]) -> Iterator[tuple[tuple[int, ...], _Who, str, str]]:
    """Of each ioctl: its lines, process, what is between the parentheses, and the result.

    A process that begins a call while one of its is unfinished never saw the end of that.
    """
    begun: dict[int | None, tuple[int, _Who, str]] = {}
    for at, line in enumerate(lines):
        spoken = _spoken(line)
        if spoken is None:
            continue
        who = _who(line)
        # strace names the process from the second one on.
        before = begun.pop(who.pid, None) or (begun.pop(None, None) if spoken.resumed else None)
        if spoken.resumed:
            start, _, first = before or (at, who, "")
            inside = ", ".join(filter(None, (first, spoken.inside.lstrip(", "))))
            places = (start,) if start == at else (start, at)
        else:
            if before:
                yield (before[0],), before[1], before[2], "?"
            inside, places = spoken.inside, (at,)
        if spoken.result is None:
            begun[who.pid] = places[0], who, inside
        else:
            yield places, who, inside, spoken.result
    for start, who, inside in begun.values():
        yield (start,), who, inside, "?"


def _pieces(rows: list[tuple[int, str]]) -> tuple[Piece, ...]:
    return tuple(hexdump.rows([line for _, line in rows], rows[0][0] + 1))


@lru_cache(1024)  # a process repeats itself
def _call(inside: str, result: str, abi: str) -> Call | None:
    """The call, None for one of another type."""
    found, ended = _FD.match(inside), _RESULT.match(result)
    if not found or not ended:
        raise _Unread
    end, file = found.end(), ""
    if inside[end : end + 1] == "<":
        closed = inside.find(">, ", end)
        file, end = inside[end + 1 : closed], closed + 1
    if inside[end : end + 1] != "," or not end:
        raise _Unread
    rest = inside[end:].lstrip(", ")
    request, names, end = _request(rest, abi)
    if request is None and rest.startswith(("IOMMU_", "VFIO_")):
        raise _Unread
    if request is None or request.type != TYPE:
        return None
    arg = _argument(rest[end:].lstrip(", "))
    odd = request if request.direction or request.size else None
    number = None if ended[1] == "?" else int(ended[1], 0)
    errno = ended[2] or (errno_name(int(ended[3])) if ended[3] else "")
    return Call((), _fd(found[0]), file, names, request.nr, arg, number, errno, odd=odd)


def _fd(text: str) -> int:
    """A descriptor; with ``-e raw`` -1 is written as an unsigned number."""
    number = int(text, 0)
    return number - (1 << 32) if number >> 31 == 1 else number


def _argument(text: str) -> int | None:
    if text == "NULL":
        return 0
    return int(text, 0) if _ARGUMENT.fullmatch(text) else None


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
