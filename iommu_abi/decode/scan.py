"""Which lines of a log are messages about IOMMUs, and what each says.

A kind of message is a module with ``MARKS``, words without which no line is one of its messages;
``BEGINS``, where one begins; ``HINT``, what looks like a fault; and ``recognise(lines, at)`` for the message
at a position: a :class:`Report`, a :class:`Note`, or None. A line with a HINT that nobody recognises is told,
never left out.
A vendor's module has ``DRIVER`` too, what stands in front of all lines of Linux's driver.

No expression here may backtrack: all counts are bounded, and all lines too (``lines.LONGEST``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, cast

from iommu_abi.decode import (
    adreno,
    boot,
    failures,
    foreign,
    freebsd,
    freebsd_amd,
    lost,
    page_requests,
    programs,
    smmuv2,
    trace_events,
    virtio,
    vtd_dumps,
    vtd_queue,
    xen,
)
from iommu_abi.decode import lines as log
from iommu_abi.decode.excerpt import Excerpt, excerpt, whole
from iommu_abi.decode.lines import Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note, Report
from iommu_abi.vendors import modules


class Messages(Protocol):
    """A module of messages."""

    @property
    def MARKS(self) -> tuple[str, ...]:  # noqa: N802, a constant of the module
        """Words of which every message has one."""

    @property
    def BEGINS(self) -> str:  # noqa: N802, a constant of the module
        """Where a message begins, as a regular expression."""

    @property
    def HINT(self) -> re.Pattern[str]:  # noqa: N802, a constant of the module
        """What looks like a fault."""

    @property
    def recognise(self) -> Callable[[Lines, int], Report | Note | None]:
        """What the message at a position says; None if it is none of this kind."""


#: In the order in which they are asked: fault lines of each vendor first.
KINDS: tuple[Messages, ...] = (
    *cast("tuple[Messages, ...]", modules("iommu_abi.decode")),
    vtd_dumps,
    vtd_queue,
    page_requests,
    smmuv2,
    adreno,
    virtio,
    xen,
    freebsd,
    freebsd_amd,
    foreign,
    lost,
    boot,
    trace_events,
    programs,
    failures,
)
MARKS = tuple(sorted({mark for kind in KINDS for mark in kind.MARKS}))
#: What several marks have in common, so that a text is searched for fewer.
_COMMON: tuple[str, ...] = (
    "IOMMU_",
    "dma_map(",
    "dma_unmap(",
    "iommufd_backend",
    "IommuDma",
    " DMA remapping",
    "iommu table",
)
_COMMON += ("smmu", "-iommu", "_iommu", "container", "QI ")
#: Words that have no other of these in them: a line with any mark has one of them.
LEAST_MARKS = tuple(
    each
    for each in sorted({*MARKS, *_COMMON})
    if not any(other in each for other in (*MARKS, *_COMMON) if other != each)
)
#: Such a word -> the marks that it is in.
_OF_LEAST = {least: [mark for mark in MARKS if least in mark] for least in LEAST_MARKS}
BEGINS = regex("|".join(f"(?:{kind.BEGINS})" for kind in KINDS))


#: A line of a program that prints faults, as patches quote it.
_SOURCE = regex(r"%[-#0-9.]{0,8}(?:hh?|ll?|z|j)?[xXduspc](?![a-z])|%\"? ?PRI")


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a log says, in order; positions are lines of the file, from 0. ``times`` are those of lines."""

    found: tuple[Report | Note, ...]
    unread: tuple[int, ...]
    lines: int
    times: dict[int, str]


def is_marked(text: str) -> bool:
    """May a text have such messages?"""
    return any(mark in text for mark in LEAST_MARKS)


def is_far(line: str) -> bool:
    """Is a line about others that may be anywhere in its text: in a program, a trace, or strace's log?"""
    if "ioctl" in line:
        from iommu_abi.decode.strace import is_call

        return is_call(line) or any(mark in line for mark in programs.MARKS)
    return any(mark in line for mark in trace_events.MARKS)


def excerpt_of_blocks(blocks: Iterable[str]) -> Excerpt:
    """What of a text may be messages. Each of its blocks but the last one ends a line."""
    return excerpt(blocks, is_marked, is_far)


@lru_cache(maxsize=1)  # the form of a text is asked first, then what it says
def excerpt_of(text: str) -> Excerpt:
    """What of a text may be messages: all of it, if lines far apart belong together."""
    found = excerpt_of_blocks([text])
    return whole(text) if found.far else found


@lru_cache(maxsize=1)
def scan(text: Excerpt) -> Scanned:
    """All messages about IOMMUs in a text."""
    lines, candidates = log.read(text, LEAST_MARKS, BEGINS, lambda line: _begins(_kinds(line)))
    found: list[Report | Note] = []
    unread: list[int] = []
    used: set[int] = set()
    for at in candidates:
        if at in used:
            continue
        kinds = _kinds(lines[at])
        one = _recognise(kinds, lines, at) or _begun_above(kinds, lines, at, used)
        if one and used.isdisjoint(one.lines):
            used.update(one.lines)
            found.append(one)
        elif any(kind.HINT.search(lines[at]) for kind in kinds) and not _SOURCE.search(lines[at]):
            unread.append(at)
    times = {lines.numbers[one.lines[0]]: lines.time(one.lines[0]) for one in found}
    placed = tuple(replace(one, lines=_numbers(lines, one.lines)) for one in found)
    left = tuple(dict.fromkeys(lines.numbers[at] for at in unread if at not in used))
    return Scanned(placed, left, lines.total, times)


@lru_cache(maxsize=4096)  # logs repeat themselves
def _kinds(line: str) -> tuple[Messages, ...]:
    """The kinds whose mark a line has, in their order."""
    near = [marks for least, marks in _OF_LEAST.items() if least in line]
    return _kinds_of(tuple(mark for marks in near for mark in marks if mark in line))


@lru_cache(maxsize=1024)
def _kinds_of(marks: tuple[str, ...]) -> tuple[Messages, ...]:
    return tuple(kind for kind in KINDS if any(mark in kind.MARKS for mark in marks))


@lru_cache(maxsize=256)
def _begins(kinds: tuple[Messages, ...]) -> re.Pattern[str]:
    """Where messages of these kinds begin."""
    return regex("|".join(f"(?:{kind.BEGINS})" for kind in kinds) or "(?!)")


def _numbers(lines: Lines, at: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(lines.numbers[each] for each in at))


def _begun_above(kinds: tuple[Messages, ...], lines: Lines, at: int, used: set[int]) -> Report | Note | None:
    """A message that was wrapped before the word by which its kind is known."""
    if not at or at - 1 in used or lines.begins.search(lines[at]):
        return None
    one = _recognise(kinds, lines, at - 1)
    return one if one and at in one.lines else None


def _recognise(kinds: tuple[Messages, ...], lines: Lines, at: int) -> Report | Note | None:
    """A number that is none makes a message one of no known form."""
    for kind in kinds:
        try:
            found = kind.recognise(lines, at)
        except ValueError:
            continue
        if found:
            return found
    return None
