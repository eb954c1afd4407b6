r"""Bytes as text: hex, ``\x10``, and what xxd, hexdump -C, od -t x1, gdb's x/16xb and strace print.

Offsets at the start of a line must be right; one that begins with ``0x`` is an address, and begins a
new piece unless it continues the row before. ``*`` repeats the row before up to the next offset, which
after od's rows is octal, as od prints it by default, wherever it can be.
"""

from __future__ import annotations

from dataclasses import dataclass

from iommu_abi.decode.patterns import regex
from iommu_abi.decode.pieces import Piece, TextError, joined
from iommu_abi.hextext import HexError, parse_hex

#: No repeated row makes more bytes than this.
MOST_BYTES = 1 << 28

_ADDRESS = regex(r"\s*@?(0x[0-9a-fA-F]{1,16})(?:\s+<[^>]*>)?:(.*)")  # gdb, and our own form
_STRACE = regex(r"\s{0,64}\| ([0-9a-f]{5,16}) ((?: {1,2}[0-9a-f]{2}){1,16}) .*\|")
_XXD = regex(r"\s{0,64}([0-9a-fA-F]{4,16}): ?([0-9a-fA-F]{2,8}(?: [0-9a-fA-F]{2,8}){0,255}) ?(?: .*)?")
_CANONICAL = regex(r"([0-9a-fA-F]{8,16})  ([0-9a-fA-F]{2}(?: {1,2}[0-9a-fA-F]{2}){0,15}) {0,64}\|.*")
_OD = regex(r"([0-9a-fA-F]{6,16})((?: [0-9a-fA-F]{2})+)(?: {2,}>.*)?\s*")
_WORDS = regex(r"[0-9a-fA-F]{7,16}(?: +[0-9a-fA-F]{4,16})+\s*")
_END = regex(r"[0-9a-fA-F]{6,16}\s*")
_ESCAPES = regex(r'"?((?:\\x[0-9a-fA-F]{1,2})+)"?')


@dataclass(frozen=True, slots=True)
class _Row:
    """A line: bytes, and where they are by the text in front."""

    data: bytes
    offset: str = ""
    radices: tuple[int, ...] = (16,)
    address: int | None = None


def _bytes(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()))


def _row(line: str) -> _Row | None:
    """The row of a dump; None for any other line."""
    line = line.split("#", 1)[0].rstrip()
    if found := _ADDRESS.fullmatch(line):
        try:
            return _Row(parse_hex(found[2]), address=int(found[1], 16))
        except HexError:
            return None
    if found := _STRACE.fullmatch(line) or _CANONICAL.fullmatch(line) or _XXD.fullmatch(line):
        return _Row(_bytes(found[2]), found[1]) if len("".join(found[2].split())) % 2 == 0 else None
    if found := _OD.fullmatch(line):
        hex_ = len(found[1]) != 7  # od has 6 digits in hex and 7 in octal and decimal
        return _Row(_bytes(found[2]), found[1], (16,) if hex_ else (8, 10))
    return None


def is_row(line: str) -> bool:
    """Is this line a row of a dump, with an offset or address at its start?"""
    return _row(line) is not None


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
    data = bytearray()
    for number, line in enumerate(lines, 1):
        for token in line.split():
            found = _ESCAPES.fullmatch(token)
            if not found:
                raise TextError(f"line {number}: {token!r} is not of the form \\x10\\x00")
            data += bytes(int(each, 16) for each in found[1].split("\\x")[1:])
    return bytes(data)


def _check_words(lines: list[str]) -> None:
    number = next((i for i, line in enumerate(lines, 1) if _WORDS.fullmatch(line)), None)
    if number:
        raise TextError(
            f"line {number}: words, whose byte order depends on the machine that printed them: dump single"
            " bytes with xxd, hexdump -C or od -t x1"
        )


def rows(lines: list[str], first: int = 1) -> list[Piece]:
    """The pieces of lines of a dump; ``first`` is the number of the first line in errors."""
    placed: list[Piece] = []
    dump: _Dump | None = None  # of rows with offsets, which are one piece
    for number, line in enumerate(lines, first):
        row = _row(line)
        if row and row.address is not None:
            placed.append(Piece(row.data, row.address))
        elif row:
            dump = dump or _Dump(row.radices)
            dump.add(row.offset, row.data, number)
        elif dump and line.strip() == "*":
            dump.repeats = True
        elif dump and _END.fullmatch(line):
            dump.add(line.strip(), b"", number)
        elif line.strip():
            _check_words([line])
            raise TextError(f"line {number}: {line.strip()[:40]!r} is no row of a dump")
    return [*([Piece(bytes(dump.data))] if dump else []), *joined(placed)]


class _Dump:
    """Rows with offsets, one after the other; ``radices`` are those that the offsets may have."""

    def __init__(self, radices: tuple[int, ...]) -> None:
        self.radices = radices
        self.data = bytearray()
        self.repeats = False

    def add(self, offset: str, data: bytes, line: int) -> None:
        """A row; TextError if its offset is not that of the bytes before it."""
        places = {radix: _number(offset, radix) for radix in self.radices}
        if self.repeats:
            self._repeat(places, line)
        right = tuple(radix for radix, place in places.items() if place == len(self.data))
        if not right:
            raise TextError(f"line {line}: offset {offset}, but {len(self.data):#x} bytes come before it")
        self.radices = right
        self.data += data

    def _repeat(self, places: dict[int, int], line: int) -> None:
        """Fill up to the next offset with the last row."""
        before = len(self.data)
        width = min(16, before)
        fits = (
            place for place in places.values() if width and place > before and not (place - before) % width
        )
        end = next(fits, 0)
        if not before < end <= MOST_BYTES:
            raise TextError(f"line {line}: the offset is none that the repeated row before it leads to")
        self.data += self.data[-width:] * ((end - before) // width)
        self.repeats = False


def _number(text: str, radix: int) -> int:
    try:
        return int(text, radix)
    except ValueError:
        return -1
