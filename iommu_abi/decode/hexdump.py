r"""Bytes as text: hex, ``\x10``, and what xxd, hexdump -C, od -t x1, gdb's x/16xb and strace print.

Offsets at the start of a line must be right; one that begins with ``0x`` is an address, and begins a
new piece unless it continues the row before. ``*`` repeats the row before up to the next offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from iommu_abi.blob import HexError, parse_hex
from iommu_abi.decode.pieces import Piece, TextError, joined

#: No repeated row makes more bytes than this.
MOST_BYTES = 1 << 28

_ADDRESS = re.compile(r"\s*@?(0x[0-9a-fA-F]{1,16})(?:\s+<[^>]*>)?:(.*)")  # gdb, and our own form
_STRACE = re.compile(r"\s*\| ([0-9a-f]{5,}) ((?: {1,2}[0-9a-f]{2}){1,16}) +.*\|\s*")
_XXD = re.compile(r"\s*([0-9a-fA-F]{4,16}): ?((?:[0-9a-fA-F]{2,8} ?)+?)(?:  .*)?")
_CANONICAL = re.compile(r"([0-9a-fA-F]{8,16})  ((?:[0-9a-fA-F]{2} {1,2}){1,16}) *\|.*\|?\s*")
_OD = re.compile(r"([0-9a-fA-F]{6,16})((?: [0-9a-fA-F]{2})+)(?: {2,}>.*)?\s*")
_WORDS = re.compile(r"[0-9a-fA-F]{7,16}(?: +[0-9a-fA-F]{4,16})+\s*")
_END = re.compile(r"[0-9a-fA-F]{6,16}\s*")
_ESCAPES = re.compile(r'"?((?:\\x[0-9a-fA-F]{1,2})+)"?')


@dataclass(frozen=True, slots=True)
class _Row:
    """A line: bytes, and where they are by the text in front; "*" has no data."""

    data: bytes | None
    offset: str = ""
    radices: tuple[int, ...] = (16,)
    address: int | None = None


def _bytes(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def _row(line: str) -> _Row | None:
    """The row of a dump; None for any other line."""
    line = line.split("#", 1)[0].rstrip()
    if line == "*":
        return _Row(None)
    if found := _ADDRESS.fullmatch(line):
        try:
            return _Row(parse_hex(found[2]), address=int(found[1], 16))
        except HexError:
            return None
    if found := _STRACE.fullmatch(line) or _CANONICAL.fullmatch(line) or _XXD.fullmatch(line):
        return _Row(_bytes(found[2]), found[1]) if len("".join(found[2].split())) % 2 == 0 else None
    if found := _OD.fullmatch(line):
        return _Row(_bytes(found[2]), found[1], (8, 16, 10))
    return None


def is_row(line: str) -> bool:
    """Is this line a row of a dump, with an offset or address at its start?"""
    row = _row(line)
    return row is not None and row.data is not None


def is_end(line: str) -> bool:
    """Is this line what a dump ends with, or a row that repeats: only an offset, or ``*``?"""
    return line.strip() == "*" or bool(_END.fullmatch(line))


def read(text: str) -> list[Piece]:
    """The pieces of a text; TextError, with its line, for what is no bytes."""
    lines = [line.split("#", 1)[0] for line in text.splitlines()]
    if any("\\x" in line for line in lines):
        return [Piece(_escapes(lines))]
    if not any(is_row(line) for line in lines):
        try:
            return [Piece(parse_hex(text))]
        except HexError as error:
            _check_words(lines)
            raise TextError(str(error)) from None
    return rows(lines)


def _escapes(lines: list[str]) -> bytes:
    data = b""
    for number, line in enumerate(lines, 1):
        for token in line.split():
            found = _ESCAPES.fullmatch(token)
            if not found:
                raise TextError(f"line {number}: {token!r} is not of the form \\x10\\x00")
            data += bytes(int(each, 16) for each in found[1].split("\\x")[1:])
    return data


def _check_words(lines: list[str]) -> None:
    number = next((i for i, line in enumerate(lines, 1) if _WORDS.fullmatch(line)), None)
    if number:
        raise TextError(
            f"line {number}: words, whose byte order depends on the machine that printed them: dump single"
            " bytes with xxd, hexdump -C or od -t x1"
        )


def rows(lines: list[str], first: int = 1) -> list[Piece]:
    """The pieces of lines of a dump; ``first`` is the number of the first line in errors."""
    made: list[Piece] = []
    data = bytearray()  # of rows with offsets, which are one piece
    begun = repeat = False
    radices: set[int] | None = None
    for number, line in enumerate(lines, first):
        row = _row(line)
        if row is None and begun and _END.fullmatch(line):
            row = _Row(b"", line.strip(), (16, 8, 10))
        if row is None and line.strip():
            _check_words([line])
            raise TextError(f"line {number}: {line.strip()[:40]!r} is no row of a dump")
        if row is None:
            continue
        if row.data is None:
            repeat = True
        elif row.address is not None:
            made.append(Piece(row.data, row.address))
        else:
            places = {
                radix: _number(row.offset, radix) for radix in row.radices if not radices or radix in radices
            }
            if repeat:
                _repeat(data, places, number)
            right = {radix for radix, place in places.items() if place == len(data)}
            if not right:
                raise TextError(
                    f"line {number}: offset {row.offset}, but {len(data):#x} bytes come before it"
                )
            radices = right if len(data) else None
            data += row.data
            begun, repeat = True, False
    return [*([Piece(bytes(data))] if begun else []), *joined(made)]


def _number(text: str, radix: int) -> int:
    try:
        return int(text, radix)
    except ValueError:
        return -1


def _repeat(data: bytearray, places: dict[int, int], number: int) -> None:
    """Fill up to the next offset with the last row."""
    width = min(16, len(data))
    fit = [
        place for place in places.values() if place > len(data) and width and not (place - len(data)) % width
    ]
    if not fit or min(fit) > MOST_BYTES:
        raise TextError(f"line {number}: no offset that the repeated row before it leads to")
    last = bytes(data[-width:])
    data += last * ((min(fit) - len(data)) // width)
