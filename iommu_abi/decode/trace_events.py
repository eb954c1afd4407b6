"""Trace events of Linux about IOMMUs: a fault, and what was mapped and unmapped there before and after.

Forms of ftrace, trace-cmd and perf script. Source: include/trace/events/iommu.h, of which 5.15 and later
print the end of a range too. Times decide the order, not lines: some tools print the newest event first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from iommu_abi.decode.lines import Found, Lines
from iommu_abi.decode.patterns import regex
from iommu_abi.decode.report import Note

KIND, SOURCE = "trace", "Linux, include/trace/events/iommu.h"
MARKS = ("io_page_fault:",)
BEGINS = r"(?!)"
HINT = regex(r"\bio_page_fault:\s{0,8}IOMMU:")

_TIME = r"(?:(?P<time>\d{1,12}\.\d{1,9}):\s{1,8})?(?:iommu:)?"
_TIME_ABOVE = regex(r"\s(?P<time>\d{1,12}\.\d{1,9}):\s{0,8}$")
_FAULT = regex(
    rf"{_TIME}io_page_fault:\s{{1,8}}IOMMU:\s?(?P<driver>\S{{0,64}}) (?P<device>\S{{1,64}})"
    r" iova=(?P<iova>0x[0-9a-f]{1,16}) flags=(?P<flags>0x[0-9a-f]{1,8})"
)
_EVENT = regex(
    rf"{_TIME}(?P<name>map|unmap):\s{{1,8}}IOMMU: (?:dev=\S{{1,64}} )?iova=(?P<iova>0x[0-9a-f]{{1,16}})"
    r"(?: - 0x[0-9a-f]{1,17})?(?: paddr=(?P<paddr>0x[0-9a-f]{1,16}))? size=(?P<size>\d{1,20})"
    r"(?: unmapped_size=(?P<unmapped>\d{1,20}))?"
)
#: What <linux/iommu.h> calls IOMMU_FAULT_WRITE, and the RW bit of AMD's event (AMD specification 2.5.3).
_WRITE, _AMD_RW = 0x1, 0x20


@dataclass(frozen=True, slots=True)
class Event:
    """A map or unmap; ``order`` compares, ``time`` is as printed, ``line`` counts from 1."""

    order: tuple[float, int]
    time: str
    line: int
    maps: bool
    iova: int
    size: int
    paddr: int

    def covers(self, iova: int) -> bool:
        """Is the address in the range?"""
        return self.iova <= iova < self.iova + self.size


@dataclass(slots=True)
class History:
    """Events by size and place: of each power of two, in ranges of that many bytes, ascending in time."""

    places: dict[tuple[int, int], list[Event]] = field(default_factory=lambda: defaultdict(list))
    sizes: set[int] = field(default_factory=set)

    def add(self, event: Event) -> None:
        """Note an event; all have to be there before any is looked for."""
        size = event.size.bit_length()
        self.sizes.add(size)
        self.places[size, event.iova >> size].append(event)

    def sort(self) -> None:
        """Put events in order of time."""
        for events in self.places.values():
            events.sort(key=lambda event: event.order)

    def _lists(self, iova: int) -> Iterator[list[Event]]:
        for size in self.sizes:
            for place in ((iova >> size) - 1, iova >> size):
                yield self.places.get((size, place), [])

    def last(self, iova: int, before: tuple[float, int], *, maps: bool) -> Event | None:
        """The last event of a kind that covers an address, before a time."""
        found = []
        for events in self._lists(iova):
            at = bisect_left(events, before, key=lambda event: event.order)
            fits = (e for e in reversed(events[:at]) if e.maps == maps and e.covers(iova))
            found.append(next(fits, None))
        return max(filter(None, found), key=lambda event: event.order, default=None)

    def first(self, iova: int, after: tuple[float, int]) -> Event | None:
        """The first map that covers an address, after a time."""
        found = []
        for events in self._lists(iova):
            at = bisect_left(events, after, key=lambda event: event.order)
            found.append(next((e for e in events[at:] if e.maps and e.covers(iova)), None))
        return min(filter(None, found), key=lambda event: event.order, default=None)


def _history(lines: Lines) -> History:
    found = lines.memo.get(KIND)
    if not isinstance(found, History):
        found = History()
        for at, message in enumerate(lines.messages):
            if "map: " in message and (event := _event(lines, at)):
                found.add(event)
        found.sort()
        lines.memo[KIND] = found
    return found


def _time(lines: Lines, found: Found) -> str:
    """When an event was, "" if it is not said; where a line was wrapped, in the line above."""
    if found.match["time"]:
        return found["time"]
    at = found.at[0]
    above = _TIME_ABOVE.search(lines[at - 1]) if at and not lines[at][: found.match.start()].strip() else None
    return above["time"] if above else ""


def _event(lines: Lines, at: int) -> Event | None:
    found = lines.find(at, _EVENT)
    if found is None:
        return None
    said = found.match.groupdict()
    size = int(said["unmapped"] or said["size"])
    time = _time(lines, found)
    order = (float(time or 0), at)
    maps = said["name"] == "map"
    paddr = int(said["paddr"] or "0", 16)
    return Event(order, time, lines.numbers[at] + 1, maps, int(said["iova"], 16), size, paddr)


def _access(flags: int) -> str:
    if flags & _AMD_RW:
        return f"flags {flags:#x}: a write by AMD's bit RW"
    if flags in (0, _WRITE):
        return f"flags {flags:#x}: a {'write' if flags else 'read'}"
    return f"flags {flags:#x}, which are the driver's own"


def _when(event: Event) -> str:
    return f"at {event.time} (line {event.line})" if event.time else f"in line {event.line}"


def _mapped(event: Event) -> str:
    last = event.iova + event.size - 1
    return f"{event.iova:#x}..{last:#x} was mapped to {event.paddr:#x} {_when(event)}"


def _story(history: History, iova: int, order: tuple[float, int]) -> tuple[list[str], str]:
    """What happened to the address, and what to look at."""
    mapped, unmapped = (history.last(iova, order, maps=maps) for maps in (True, False))
    later = history.first(iova, order)
    facts = [_mapped(mapped)] if mapped else []
    if unmapped and (not mapped or unmapped.order > mapped.order):
        facts.append(f"it was unmapped {_when(unmapped)}: the device used it AFTERWARDS")
        look = "who unmapped it while the device had the address: a late completion, a stop that is missing"
    elif mapped:
        facts.append("it was still mapped: the mapping allows less than was asked, or is another domain's")
        look = "the direction of the mapping, the domain of the device, and whether its IOTLB was flushed"
    else:
        facts.append("nothing in this trace mapped it before: never mapped, or before the trace began")
        look = "the driver's descriptors: an address that no DMA mapping gave, or one cut to 32 bits"
    if later and not (mapped and not unmapped):
        facts.append(f"it was mapped {_when(later)}, AFTER the fault")
    return facts, look


def recognise(lines: Lines, at: int) -> Note | None:
    """A fault, with the story of its address."""
    found = lines.find(at, _FAULT)
    if found is None:
        return None
    time = _time(lines, found)
    iova, order = int(found["iova"], 16), (float(time or 0), at)
    history = _history(lines)
    facts, look = _story(history, iova, order)
    driver = f" ({found['driver']})" if found["driver"] else ""
    when = f" at {time}" if time else ""
    title = f"{found['device']}{driver}: a fault at {iova:#x}{when}"
    return Note(KIND, title, found.at, (_access(int(found["flags"], 16)), *facts), look, SOURCE, fault=True)
