"""Lists of what devices can reach, as text, JSON and CSV: lines are made while mappings come.

There may be millions: what is the same for neighbours is made once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from iommu_abi.cli import mapping_rows, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from iommu_abi.cli.machine import One
    from iommu_abi.mappings import Mapping, Reach

#: What neighbours have in common, before the first one.
_NONE: tuple[object, ...] = ()
COLUMNS = ("rid", "pasid", "ids", "state", "first", "last", *mapping_rows.REACHED, "fault")


class Lists:
    """Makes the lines of one IOMMU. ``name`` of it, where there are several; ``reached``: is anything?

    With a ``window`` only what reaches these host-physical addresses is listed, and no refusal.
    """

    def __init__(self, one: One, name: str, window: tuple[int, int] | None) -> None:
        self.one, self.name, self.window = one, name, window
        self.reached = False

    def _mappings(self, each: Reach) -> Iterator[Mapping]:
        from iommu_abi.mappings import reaching

        found = reaching(each.mappings, *self.window) if self.window else each.mappings
        for mapping in found:
            self.reached = True
            yield mapping
            break
        yield from found

    # ------------------------------------------------------------ text

    def text(self, found: Iterable[Reach]) -> Iterator[str]:
        """A line for each context, and one for each mapping below it."""
        from iommu_abi.mappings import refusals_joined

        for each in refusals_joined(found):
            lines = self._text(each)
            if line := next(lines, ""):
                yield f"{self._who(each)}\n{line}"
                yield from lines
            elif not self.window:
                yield f"{self._who(each)}\n  {each.context.fault or 'nothing is mapped'}\n"

    def _text(self, each: Reach) -> Iterator[str]:
        before, rights, kind = _NONE, "", ""
        for m in self._mappings(each):
            first, last, gpa, hpa, access, s1_sizes, s2_sizes, target, _ = m
            alike = access, s1_sizes, s2_sizes, target
            if alike != before:
                before, rights, kind = alike, mapping_rows.rights_text(m), mapping_rows.kind_text(m)
            via = f" via GPA {gpa:#x}" if gpa != first and gpa != hpa else ""
            yield f"  {first:#014x}..{last:#014x} -> {hpa:#014x} {rights}{via}{kind}\n"

    def _who(self, each: Reach) -> str:
        """Whose context it is, and what that does."""
        first, last = each.context.first, each.context.last
        if each.pasid is None:
            name = words.names_of_requesters(first, last) + (self.one.label(first) if first == last else "")
        else:
            name = words.name_of_context(each.rid, first) + (f"..{last}" if last > first else "")
        number = f", {last - first + 1} of them" if last > first else ""
        return f"{name}: {each.context.state.name.lower()}{number}"

    # ------------------------------------------------------------ JSON and CSV

    def json(self, found: Iterable[Reach]) -> Iterator[str]:
        """An object for each mapping, and for each context without."""
        for each in found:
            start = json.dumps(self._start(each)).removesuffix("}")
            before, end = _NONE, None
            for m in self._mappings(each):
                first, last, gpa, hpa, access, s1_sizes, s2_sizes, target, _ = m
                alike = access, s1_sizes, s2_sizes, target
                if alike != before:
                    before, end = alike, json.dumps(self._end(m)).removeprefix("{")
                yield (
                    f'{start}, "first": "{first:#x}", "last": "{last:#x}",'
                    f' "gpa": "{gpa:#x}", "hpa": "{hpa:#x}", {end}'
                )
            if end is None and not self.window:
                fault = each.context.fault
                yield json.dumps(self._start(each) | {"fault": str(fault) if fault else None})

    def csv(self, found: Iterable[Reach]) -> Iterator[str]:
        """A line for each mapping, and for each context without."""
        for each in found:
            start = mapping_rows.csv_line(self._start(each).values()).removesuffix("\n")
            before, end = _NONE, None
            for m in self._mappings(each):
                first, last, gpa, hpa, access, s1_sizes, s2_sizes, target, _ = m
                alike = access, s1_sizes, s2_sizes, target
                if alike != before:
                    before, end = alike, mapping_rows.csv_line((*self._end(m).values(), None))
                yield f"{start},{first:#x},{last:#x},{gpa:#x},{hpa:#x},{end}"
            if end is None and not self.window:
                empty = [None] * (len(COLUMNS) - len(self._start(each)) - 1 + bool(self.name))
                fault = each.context.fault
                yield mapping_rows.csv_line((*self._start(each).values(), *empty, fault))

    def _start(self, each: Reach) -> dict[str, object]:
        """What rows of a context begin with."""
        context = each.context
        return ({"unit": self.name} if self.name else {}) | {
            "rid": words.name_of_requester(each.rid),
            "pasid": each.pasid,
            "ids": context.last - context.first + 1,
            "state": context.state.name.lower(),
        }

    def _end(self, m: Mapping) -> dict[str, object]:
        """What they end with, behind the addresses."""
        return {name: value for name, value in mapping_rows.reached_json(m).items() if name[1:] != "pa"}
