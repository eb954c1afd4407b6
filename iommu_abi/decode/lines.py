r"""The lines of a log as messages: one message a line, wraps undone where a message needs it.

A line with several messages is cut where each begins; ``\n`` in letters, as JSON and syslog write it, is a
cut too.
What mail adds in front (``>``) is dropped. A message that is not whole goes on in the lines below, as long as
none of them begins a message of its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from iommu_abi.decode import text as texts

#: A message is looked for on so many lines.
WRAPS = 4
#: No message of a kernel is longer; the rest of a line that long is not searched.
LONGEST = 2048

_QUOTE = re.compile(r"\s{0,8}(?:[>|]\s{0,8}){1,16}")
_CLOCK = r"\d\d:\d\d:\d\d"
_STAMP = r"\[\s{0,8}\d{1,9}\.\d{1,9}\]|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d " + _CLOCK + r" \d{4}\]"
#: What stands before a message: dmesg, dmesg -T, journald and syslog, ISO times, priorities.
PREFIX = re.compile(
    r"\s{0,16}(?:<\d{1,3}>\s{0,4})?(?:kern\s{0,3}:\w{1,8}\s{0,3}:\s{0,3})?(?:"
    rf"(?P<stamp>{_STAMP})"
    rf"|(?P<clock>[A-Z][a-z]{{2}} [ \d]\d {_CLOCK})\s"
    rf"|(?P<iso>\d{{4}}-\d\d-\d\d[T ]{_CLOCK}\S{{0,16}})\s)"
)
_INNER_STAMP = re.compile(rf"(?:\S{{1,64}} )?kernel:\s{{0,4}}(?P<stamp>{_STAMP})")
_CUT_STAMP = re.compile(_STAMP)
_ESCAPES = re.compile(r'\\\\?(?:[nrt"/]|u000[aAdD9])|#01[125]')
_JSON_END = re.compile(r"""(?<=[\w\]])["'][}\],\s]{0,16}$""")
_OWNER = re.compile(r"\s{0,4}\S{1,48} \S{1,48}: $")


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
    """Messages by position. ``numbers`` are their lines in the file, ``begins`` finds where one begins.

    ``memo`` is for what a kind of message finds out about all of them once.
    """

    messages: list[str]
    numbers: list[int]
    begins: re.Pattern[str]
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
        return Found(found, (at,)) if found else self._find_wrapped(at, first, pattern)

    def _find_wrapped(self, at: int, first: str, pattern: re.Pattern[str]) -> Found | None:
        rest = self._goes_on(at)
        if not rest:
            return None
        for glue in (" ", ""):  # wrapped at a blank, or at a column
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
        return (inner or found)["stamp"].strip("[] ") if (inner or found["stamp"]) else found[0].strip()


def read(text: str, marks: tuple[str, ...], begins: re.Pattern[str]) -> tuple[Lines, list[int]]:
    """The messages of a text, and the positions of those with one of the ``marks`` in them."""
    found, numbers = texts.lines(text)
    marked = _marked(found, marks)
    messages: list[str] = []
    places: list[int] = []
    candidates: list[int] = []
    done = 0
    for at in marked:
        messages += found[done:at]
        places += numbers[done:at]
        for part in _parts(found[at], begins):
            candidates.append(len(messages))
            messages.append(part)
            places.append(numbers[at])
        done = at + 1
    return Lines(messages + found[done:], places + numbers[done:], begins), candidates


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


def _parts(line: str, begins: re.Pattern[str]) -> Iterator[str]:
    """The messages of a line."""
    if "\\" in line or "#01" in line:
        line = _ESCAPES.sub(_unescape, line)
    for each in _JSON_END.sub("", line).split("\n"):
        yield from _cut(each, begins)


def _unescape(found: re.Match[str]) -> str:
    end = found[0][-1]
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
