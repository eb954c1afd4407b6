"""Bytes as hex text: what xxd -p, od and people write."""

from __future__ import annotations

from collections.abc import Callable

from iommu_abi.errors import UsageError


class HexError(UsageError):
    """Text that is no bytes in hex."""


_HEX_CHARACTERS = frozenset(b"0123456789abcdefABCDEFxX,: \t\r\n")


def is_hex_text(data: bytes) -> bool:
    """Only characters that hex text has? Comments from ``#`` to the end of a line do not count."""
    return all(_HEX_CHARACTERS.issuperset(line.split(b"#", 1)[0]) for line in data.split(b"\n"))


def _digits(token: str, alone: bool, line: int) -> str:
    digits = token[2:] if token[:2] in ("0x", "0X") else token
    if not digits or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise HexError(f"line {line}: {token[:40]!r} is not hex")
    if digits is not token and not alone:
        if len(digits) > 2:
            raise HexError(
                f"line {line}: {token[:40]!r} is a number of more than one byte: its byte order is not known"
            )
        return digits.zfill(2)
    if len(digits) % 2:
        raise HexError(f"line {line}: {token[:40]!r} has an odd number of digits")
    return digits


def parse_hex(text: str) -> bytes:
    """Bytes from hex digits, with spaces, newlines, commas, ``0x`` and comments after ``#``.

    ``OFFSET:`` may begin a line and must then be right. HexError says which line is wrong.
    """
    rows = [row.split("#", 1)[0] for row in text.splitlines()]
    words = [row.rpartition(":")[2].replace(",", " ").split() for row in rows]
    alone = sum(map(len, words)) == 1
    data = bytearray()
    for number, (row, tokens) in enumerate(zip(rows, words), 1):
        _check_offset(row, number, len(data))
        for token in tokens:
            data += bytes.fromhex(_digits(token, alone, number))
    return bytes(data)


def _check_offset(row: str, line: int, expected: int) -> None:
    before, colon, _ = row.rpartition(":")
    if not colon:
        return
    try:
        offset = int(before, 16)
    except ValueError:
        raise HexError(f"line {line}: {before!r} is no offset") from None
    if offset != expected:
        raise HexError(f"line {line}: offset {offset:#x}, but {expected:#x} bytes come before it")


def hex_or_raw(data: bytes, form: str, valid: Callable[[bytes], bool]) -> tuple[bytes, str]:
    """The blob in ``data``, which is "hex", "raw" or, for "auto", whichever it can only be.

    Returns the bytes and what they were taken as. HexError for what is no hex; UsageError for data
    that is a valid blob either way.
    """
    if form == "raw" or (form == "auto" and not is_hex_text(data)):
        return data, "raw bytes" if form == "raw" else "raw bytes, for it is not hex text"
    if form == "hex":
        return parse_hex(data.decode("ascii", "replace")), "hex text"
    raw_valid = bool(data) and valid(data)
    try:
        found = parse_hex(data.decode("ascii", "replace"))
    except HexError as error:
        if raw_valid:
            return data, "raw bytes, for it is not valid as hex text"
        raise HexError(f"{error} (taken as hex text, for it has only such characters)") from None
    if not raw_valid:
        return found, "hex text, for it has only such characters"
    if valid(found):
        raise UsageError("a valid blob both as hex text and as raw bytes: say which with --in")
    return data, "raw bytes, for it is not valid as hex text"
