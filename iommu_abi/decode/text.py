"""Bytes as people save them -> text: unpacked, from UTF-16, without what terminals and mail add.

Line numbers stay those of the file: what a transport split in two is joined, and the lines after it keep
their numbers.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from typing import BinaryIO, cast

from iommu_abi.decode.patterns import regex
from iommu_abi.inputs import InputError

#: No line, and nothing that has to be read as a whole, is longer.
MOST_BYTES = 1 << 28
#: So much of a file is looked at in one go.
BLOCK = 1 << 20

#: How a packed file begins, and what unpacks it.
_LIBRARIES = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "lzma", b"BZh": "bz2"}
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

#: Colours and cursor movements; the second form has lost its escape character on the way.
_COLOURS = regex(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b\n]{0,256}\x07")
_PALE_COLOURS = regex(r"(?:\^\[|\\e|\\033|\\x1b|\\u001b|#033|␛)?\[(?:[0-9]{1,3}(?:;[0-9]{1,3}){0,4})?m")
_ENTITIES = regex(r"&(?:gt|lt|amp|quot|apos|nbsp|#39|#34|#x27);")
#: What Markdown's editors put a backslash before.
_MARKDOWN = regex(r"\\([\[\]_*()<>#~-])")
_QUOTED = regex(r"=([0-9A-F]{2})")
_NOT_QUOTED = regex(r"=(?![0-9A-F]{2})")
#: What only an encoder writes: an escape of =, or an = in the middle of a word that ends a line.
_ENCODED = regex(r"=3D|=20|[0-9a-z]=\n")
_ASSIGNS = regex(r".{0,64}?[\w#]\s{1,8}=$")
_QUOTED_NUMBER = regex(r"\s{0,8}>[>\s]{0,16}(?:0x)?[0-9a-fA-F]{1,16}(?!\w)")
_MARKS_OF_QUOTES = regex(r"^(?:> ?){1,16}")
_QUOTED_COLUMNS = 76  # RFC 2045 6.7: no encoded line is longer, and = ends those that go on


class Source:
    """A file as people save them, unpacked: read in blocks, or as a whole, each time from where it stands.

    ``file`` can be sought. InputError where it is damaged, or more than can be a log.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self._start = file, name, file.tell()
        begin = file.read(max(map(len, _LIBRARIES)))
        self._library = next((each for magic, each in _LIBRARIES.items() if begin.startswith(magic)), "")

    def _opened(self) -> BinaryIO:
        self._file.seek(self._start)
        if not self._library:
            return self._file
        return cast("BinaryIO", import_module(self._library).open(self._file))

    def _read(self, file: BinaryIO, most: int) -> bytes:
        try:
            return file.read(most)
        except Exception as error:  # each library has errors of its own
            if not self._library:
                raise
            raise InputError(f"{self._name}: cannot be unpacked: {error}") from None

    def _check_size(self, size: int) -> None:
        if size > MOST_BYTES:
            what = "unpacks to more" if self._library else "more"
            raise InputError(f"{self._name}: {what} than {MOST_BYTES} bytes, which is no log")

    def data(self, most: int = MOST_BYTES + 1) -> bytes:
        """All of it, or its first bytes."""
        found = self._read(self._opened(), most)
        self._check_size(len(found))
        return found

    def blocks(self) -> Iterator[str]:
        """Its text in pieces that end in a newline, but for the last one."""
        file = self._opened()
        data = self._read(file, BLOCK)
        decoder = codecs.getincrementaldecoder(encoding(data))("replace")
        begun: list[str] = []
        size = 0
        while data:
            lines, newline, rest = decoder.decode(data).removeprefix("\ufeff").rpartition("\n")
            if newline:
                yield "".join((*begun, lines, newline))
                begun, size = [], 0
            begun.append(rest)
            size += len(data)
            self._check_size(size)
            data = self._read(file, BLOCK)
        if last := "".join((*begun, decoder.decode(b"", final=True))):
            yield last


def unpacked(data: bytes, name: str) -> bytes:
    """What a packed file holds, other bytes as they are; InputError where it is damaged."""
    return Source(BytesIO(data), name).data()


def encoding(data: bytes) -> str:
    """By its byte order mark, or by the zero bytes of UTF-16's Latin letters."""
    for mark, name in _BOMS.items():
        if data.startswith(mark):
            return name
    start = data[:256]
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = start[first::2], start[1 - first :: 2]
        if len(start) >= 16 and not any(zeros) and b"\0" not in others and others.isascii():
            return name
    return "utf-8"


def decoded(data: bytes) -> str:
    """The text, with U+FFFD for what is none."""
    return data.decode(encoding(data), "replace").removeprefix("\ufeff")


def newlines(text: str) -> str:
    """A text whose lines end in newlines alone."""
    if "\r" not in text:
        return text
    return text.replace("\r", "" if "\n" in text else "\n")


def lines(text: str) -> tuple[list[str], list[int]]:
    """The lines of a text with what terminals and mail added taken away, and the line of the file of each."""
    text = without_markdown(text)
    found = text.split("\n")
    if found and not found[-1]:
        found.pop()
    numbers = list(range(len(found)))
    if "=\n" in text or "=3D" in text:
        pairs = list(_unquoted(found, bool(_ENCODED.search(text))))
        found, numbers = [line for line, _ in pairs], [number for _, number in pairs]
    return found, numbers


def without_markdown(text: str) -> str:
    """A text without the backslashes of Markdown, where it has them in what looks like a message."""
    return _MARKDOWN.sub(r"\1", text) if "\\_" in text or "\\[" in text else text


def plain(line: str) -> str:
    """A line without colours and HTML entities."""
    if "\x1b" in line:
        line = _COLOURS.sub("", line)
    if "m" in line and "[" in line:
        line = _PALE_COLOURS.sub("", line)
    return _ENTITIES.sub(_entity, line) if "&" in line else line


def _entity(found: re.Match[str]) -> str:
    from html import unescape

    return unescape(found[0])


def _unquoted(found: list[str], encoded: bool) -> Iterator[tuple[str, int]]:
    """Lines of quoted-printable (RFC 2045 6.7): in one, every = begins an escape or ends the line."""
    at = 0
    while at < len(found):
        first, parts = at, [found[at]]
        while (
            at + 1 < len(found)
            and _goes_on(parts[-1])
            and (encoded or not _is_equals_sign(found[at], found[at + 1]))
        ):
            parts[-1] = parts[-1][:-1]
            at += 1
            parts.append(
                _MARKS_OF_QUOTES.sub("", found[at], count=1) if found[first].startswith(">") else found[at]
            )
        whole = "".join(parts)
        if "=" in whole and not _NOT_QUOTED.search(whole):
            raw = _QUOTED.sub(lambda escape: chr(int(escape[1], 16)), whole)
            whole = raw if raw.isascii() else raw.encode("utf-8", "replace").decode("utf-8")
        yield whole, first
        at += 1


def _is_equals_sign(line: str, below: str) -> bool:
    """Is the = at the end its own? ``FSR    =`` and a number, wrapped by mail: both lines are quoted then."""
    return bool(_ASSIGNS.match(line[-64:]) and _QUOTED_NUMBER.match(below)) and line.lstrip().startswith(">")


def _goes_on(line: str) -> bool:
    """Does an encoded line go on in the next?"""
    return (
        line.endswith("=") and len(line.lstrip("> ")) <= _QUOTED_COLUMNS and not _NOT_QUOTED.search(line[:-1])
    )
