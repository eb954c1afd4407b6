r"""The lines of a log as messages: one message a line, wraps undone where a message needs it.

A line with several messages is cut where each begins; ``\n`` in letters, as JSON and syslog write it, is a
cut too.
What mail adds in front (``>``) is dropped. A message that is not whole goes on in the lines below, as long as
none of them begins a message of its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from iommu_abi.decode import text as texts
from iommu_abi.decode.excerpt import ABOVE, BELOW, FIELD, Excerpt
from iommu_abi.decode.patterns import regex

#: A message is looked for on so many lines.
WRAPS = 4
#: No message of a kernel is longer; the rest of a line that long is not searched.
LONGEST = 2048

_QUOTE = regex(r"\s{0,8}(?:[>|]\s{0,8}){1,16}")
_CLOCK = r"\d\d:\d\d:\d\d"
_SECONDS = r"\d{1,10}\.\d{1,9}"
_DATE = r"\d{4}-\d\d-\d\d"
#: dmesg; its -d, -H and -T; what consoles and Xen put in front.
_STAMP = (
    rf"\[\s{{0,8}}\+?{_SECONDS}(?:\s{{1,4}}<\s{{0,8}}{_SECONDS}>)?\]"
    r"|\[[A-Z][a-z]{2} {0,2}\d{1,2} \d\d:\d\d\]"
    rf"|\[[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ \d]\d {_CLOCK} \d{{4}}\]"
    rf"|\[{_DATE}[T ]{_CLOCK}[^\]]{{0,16}}\]"
)
#: journald in its forms, syslog (RFC 3164 and 5424), ISO times of containers, /dev/kmsg, Android.
_WHEN = (
    rf"[A-Z][a-z]{{2}} [ \d]\d (?:\d{{4}} )?{_CLOCK}(?:[.,]\d{{1,9}})?(?=\s)"
    rf"|(?:1 |[A-Z][a-z]{{2}} )?{_DATE}[T ]{_CLOCK}\S{{0,16}}(?=\s)"
    rf"|\d{{9,10}}\.\d{{1,9}}(?= \S)"
    r"|\d{1,6},\d{1,19},\d{1,19},[-+c][^;\s]{0,48}(?=;)"
    rf"|\d\d-\d\d {_CLOCK}\.\d{{3}}(?=\s)"
)
#: What stands before a message, with the line numbers of grep -n, priorities, dmesg -x, Xen's name.
PREFIX = regex(
    r"\s{0,16}(?:\d{1,9}[:\t-]\s{0,4})?(?:<\d{1,3}>\s{0,4})?(?:kern\s{0,3}:\w{1,8}\s{0,3}:\s{0,3})?"
    rf"(?:(?P<stamp>{_STAMP})|(?P<when>{_WHEN})|\(XEN\)\s{{0,4}}(?P<xen>{_STAMP})?)"
)
_INNER_STAMP = regex(rf"(?:\S{{1,64}} )?kernel:\s{{0,4}}(?P<stamp>{_STAMP})")
_CUT_STAMP = regex(_STAMP)
_ESCAPES = regex(r'\\\\?(?:[nrt"/]|u000[aAdD9])|#01[125]|<br ?/?>')
#: The member of an object of JSON that has the message: of journald, docker, dmesg and others.
_MEMBER = regex(
    r'"(?:MESSAGE|[Mm]essage|msg|log|line|textPayload|body)"\s{0,4}:\s{0,4}("(?:[^"\\]|\\.){0,8192}")'
)
_MONOTONIC = regex(r'"_SOURCE_MONOTONIC_TIMESTAMP"\s{0,4}:\s{0,4}"(\d{7,16})"')
_RECORD = regex(r'[>\s]{0,24}(?:MESSAGE=|"MESSAGE" : "| (?:SUBSYSTEM|DEVICE)=|"msg": ")')
#: No terminal has fewer columns.
_NARROWEST = 60
_NUMBER_END = regex(r"[ =:x][0-9a-fA-F]{1,16}$")
_NUMBER_START = regex(r"(?=[a-fA-F]{0,14}\d)[0-9a-fA-F]{1,15}(?![\w:.])")
_JSON_END = regex(r"""(?<=[\w\]])["'][}\],\s]{0,16}$""")
_OWNER = regex(r"\s{0,4}\S{1,48} \S{1,48}: $")


@dataclass(frozen=True, slots=True)
class Found:
    """A match, and the positions of the messages that it is in."""

    match: re.Match[str]
    at: tuple[int, ...]

    def __getitem__(self, key: int | str) -> str:
        found: str = self.match[key]
        return found


@dataclass(slots=True)
class Lines:
    """Messages by position. ``numbers`` are their lines in the file, which has ``total``.

    ``begins`` finds where one begins.

    ``memo`` is for what a kind of message finds out about all of them once.
    """

    messages: list[str]
    numbers: list[int]
    begins: re.Pattern[str]
    total: int
    memo: dict[str, object] = field(default_factory=dict)
    _clean: dict[int, str] = field(default_factory=dict)
    _rests: dict[int, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.messages)

    def __getitem__(self, at: int) -> str:
        """A message without quotes and colours, at most so long as a kernel makes one."""
        if at not in self._clean:
            line = texts.plain(self.messages[at][:LONGEST])
            quote = _QUOTE.match(line)
            self._clean[at] = line[quote.end() :] if quote else line
        return self._clean[at]

    def find(self, at: int, pattern: re.Pattern[str]) -> Found | None:
        """A match that begins in a message, and may go on where mail or a terminal wrapped it."""
        first = self[at]
        found = pattern.search(first)
        if found and not (found.end() == len(first) and self._is_split(at, first)):
            return Found(found, (at,))
        return self._find_wrapped(at, first, pattern)

    def _is_split(self, at: int, first: str) -> bool:
        """Does a number go on in the next line? So it does where a terminal wrapped at its last column.

        No line near it is longer then.
        """
        columns = len(self.messages[at])
        if columns < _NARROWEST or not _NUMBER_END.search(first):
            return False
        rest = self._goes_on(at)
        if not rest or not _NUMBER_START.match(rest[0]):
            return False
        near = self.messages[max(0, at - ABOVE) : at + BELOW]
        return columns == max(map(len, near))

    def _find_wrapped(self, at: int, first: str, pattern: re.Pattern[str]) -> Found | None:
        rest = self._goes_on(at)
        if not rest:
            return None
        split = self._is_split(at, first)
        for glue in ("",) if split else (" ", ""):  # wrapped at a column, or at a blank
            whole = first.rstrip() if glue else first
            for count, more in enumerate(rest, 1):
                whole += glue + (more.strip() if glue else more)
                found = pattern.search(whole)
                if found:
                    inside = found.start() < len(first)
                    return Found(found, tuple(range(at, at + count + 1))) if inside else None
        return None

    def _goes_on(self, at: int) -> list[str]:
        """The lines below that begin no message of their own."""
        if at in self._rests:
            return self._rests[at]
        rest = self._rests[at] = []
        for place in range(at + 1, min(len(self), at + WRAPS)):
            line = self[place]
            if not line.strip() or PREFIX.match(line) or self.begins.search(line):
                break
            rest.append(line)
        return rest

    def below(self, at: int, pattern: re.Pattern[str], most: int) -> Iterator[Found]:
        """Matches in the messages after one, in at most ``most`` lines: others may stand between."""
        for place in range(at + 1, min(len(self), at + 1 + most)):
            found = self.find(place, pattern)
            if found:
                yield found

    def time(self, at: int) -> str:
        """When the message was written, in the log's own words; "" if it does not say."""
        line = self[at]
        found = PREFIX.match(line)
        if not found:
            return ""
        inner = _INNER_STAMP.search(line, found.end(), found.end() + 128)
        stamp = inner["stamp"] if inner else found["stamp"] or found["xen"] or found["when"] or ""
        return stamp.strip("[] ")


def read(
    excerpt: Excerpt,
    marks: tuple[str, ...],
    begins: re.Pattern[str],
    begins_in: Callable[[str], re.Pattern[str]],
) -> tuple[Lines, list[int]]:
    """The messages of a text, and the positions of those with one of the ``marks`` in them.

    ``begins_in`` is less than ``begins``: what can begin in a line, by its marks.
    """
    text = excerpt.text
    found, places_in_text = texts.lines(text)
    numbers = [excerpt.numbers[place] for place in places_in_text]
    if any(word in text for word in ("MESSAGE", " SUBSYSTEM=", " DEVICE=", '"msg": "')):
        found, numbers = _without_fields(found, numbers)
    marked = _marked(found, marks)
    messages: list[str] = []
    places: list[int] = []
    candidates: list[int] = []
    done = 0
    for at in marked:
        messages += found[done:at]
        places += numbers[done:at]
        for part in _parts(found[at], begins_in):
            candidates.append(len(messages))
            messages.append(part)
            places.append(numbers[at])
        done = at + 1
    lines = Lines(messages + found[done:], places + numbers[done:], begins, excerpt.total)
    return lines, candidates


def _without_fields(found: list[str], numbers: list[int]) -> tuple[list[str], list[int]]:
    """Without the other fields of records that take a line for each: journald's, /dev/kmsg's."""
    if not any(_RECORD.match(line) for line in found):
        return found, numbers
    kept = [(line, number) for line, number in zip(found, numbers, strict=True) if not FIELD.match(line)]
    return [line for line, _ in kept], [number for _, number in kept]


def _marked(found: list[str], marks: tuple[str, ...]) -> list[int]:
    """Which lines have a mark, by plain search in the whole text."""
    whole = "\n".join(found)
    starts: list[int] = []
    hits: set[int] = set()
    for mark in marks:
        place = whole.find(mark)
        while place >= 0:
            if not starts:
                starts = _starts(found)
            line = bisect_left(starts, place + 1) - 1
            hits.add(line)
            place = whole.find(mark, starts[line] + len(found[line]))
    return sorted(hits)


def _starts(found: list[str]) -> list[int]:
    starts, place = [], 0
    for line in found:
        starts.append(place)
        place += len(line) + 1
    return starts


def _parts(line: str, begins_in: Callable[[str], re.Pattern[str]]) -> Iterator[str]:
    """The messages of a line."""
    if '"' in line and (member := _MEMBER.search(line)):
        line = _member(line, member)
    if "\\" in line or "#01" in line or "<br" in line:
        line = _ESCAPES.sub(_unescape, line)
    for each in _JSON_END.sub("", line).split("\n"):
        yield from _cut(each, begins_in(each))


def _member(line: str, member: re.Match[str]) -> str:
    """The message of an object of JSON, behind the kernel's own time where journald gives it."""
    import json

    try:
        message = str(json.loads(member[1], strict=False))
    except ValueError:
        return line
    found = _MONOTONIC.search(line)
    return f"[{int(found[1]) / 1e6:.6f}] {message}" if found else message


def _unescape(found: re.Match[str]) -> str:
    end = found[0][-1]
    if found[0].startswith("<"):
        return "\n"
    if end in '"/':
        return end
    return "\n" if end in "nrdDaA25" else " "


def _cut(line: str, begins: re.Pattern[str]) -> Iterator[str]:
    """A line where its second and later messages begin: at their time, or at the name of the driver."""
    stamps = [found.start() for found in _CUT_STAMP.finditer(line)]
    cuts: list[int] = []
    last = 0
    for found in begins.finditer(line):
        place = found.start()
        stamp = bisect_left(stamps, place) - 1
        if stamp >= 0 and stamps[stamp] >= last and place - stamps[stamp] <= 128:
            place = stamps[stamp]
        else:
            owner = _OWNER.search(line[max(last, place - 100) : place])
            place -= len(owner[0]) if owner else 0
        cuts.append(place)
        last = found.end()
    for start, end in pairwise([0, *cuts[1:], len(line)]):
        yield line[start:end]
