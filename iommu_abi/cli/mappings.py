"""iommu-abi mappings: what can each device reach, and who reaches this address?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from iommu_abi.cli import limits, machine, mapping_rows, mappings_diff, mappings_map, output, target, words
from iommu_abi.cli.mapping_lists import COLUMNS, Lists
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from iommu_abi.cli.machine import Machine, One
    from iommu_abi.mappings import Reach
    from iommu_abi.memory import Memory

EPILOG = """\
Neighbours that continue each other with the same rights are one line;
interrupt messages are not listed. Rights are those of unprivileged requests.
Output streams: it begins at once and needs no memory. exit status: 0 something
is reached, 1 nothing is, or --max-ranges has ended it.

--diff compares by address, whatever the pages: added (+), removed (-), or
changed (~): moved to another HPA, other rights, other page sizes, or the same
HPA via another GPA. exit status of --diff, as of diff(1): 0 no difference, 1
differences, 2 misuse or unreadable input.

--map and -o draw what is reached of host memory, and where the IOMMU's tables
lie; wide gaps are left out. With --reverse they show these addresses only.

examples:
  iommu-abi mappings vmcore
  iommu-abi mappings vmcore.elf.xz --config meta.json
  iommu-abi mappings vmcore.elf.xz --config meta.json --rid 00:03.0 --csv
  iommu-abi mappings vmcore.elf.xz --config meta.json --reverse 0x4ef1000:4096
  iommu-abi mappings before.elf --config meta.json --diff after.elf
  iommu-abi mappings one.elf --config one.json --diff other.elf \\
      --other-config other.json --json
  iommu-abi mappings vmcore.elf.xz --config meta.json --map
  iommu-abi mappings vmcore.elf.xz --config meta.json -o map.svg
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    target.add_images(made)
    target.add_unit_options(made)
    target.add_image_options(made)
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", help="only this device")
    made.add_argument("--pasid", metavar="N", help="only this PASID")
    made.add_argument("--reverse", metavar="HPA[:LEN]", help="only what reaches these addresses")
    made.add_argument(
        "--diff",
        metavar="OTHER",
        action="append",
        help="what changes from IMAGE to OTHER; again for more files",
    )
    made.add_argument("--other-config", metavar="META.json", help="registers of OTHER, if not those of IMAGE")
    limits.add_option(made)
    made.add_argument("-o", dest="file", metavar="FILE.svg", help="draw a map to this file")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--map", action="store_true", help="draw a map of host memory")
    how.add_argument("--json", action="store_true", help="print JSON, a list")
    how.add_argument("--csv", action="store_true", help="print CSV")


def _window(text: str | None) -> tuple[int, int] | None:
    """The addresses of --reverse."""
    if text is None:
        return None
    at, _, length = text.partition(":")
    first = words.number(at, "--reverse")
    return first, first + max(1, words.number(length or "1", "--reverse")) - 1


def _check(args: argparse.Namespace) -> None:
    """Refuse what makes no sense together."""
    if args.diff is None:
        if args.other_config:
            raise UsageError("mappings: --other-config needs --diff")
        return
    for given, name in ((args.map, "--map"), (args.file, "-o"), (args.reverse, "--reverse")):
        if given:
            raise UsageError(f"mappings: --diff and {name} do not go together")
    if args.config == args.other_config == "-":
        raise UsageError("mappings: standard input can be --config or --other-config, not both")


def run(args: argparse.Namespace) -> int:
    """Enumerate and print."""
    _check(args)
    if args.file:
        words.check_svg_name(args.file)
    rid = None if args.rid is None else words.requester(args.rid)
    pasid = None if args.pasid is None else words.number(args.pasid, "--pasid", (1 << 20) - 1)
    window = _window(args.reverse)
    found, memory = machine.opened(args, target.sources(args.images))
    if not args.json:
        found.say(to_stderr=args.csv)
    if args.diff:
        return mappings_diff.run(args, found.only("--diff"), memory, rid, pasid)
    good = None
    if args.file or args.map:
        unit = found.only("a map").unit
        good = mappings_map.run(args, unit, memory, rid, pasid, window)
    if args.json or args.csv or good is None:
        good = _Run(args, found, memory, pasid, window).print()
    return 0 if good else 1


class _Run:
    """The lists of all units, whose budget is one."""

    def __init__(
        self,
        args: argparse.Namespace,
        found: Machine,
        memory: Memory,
        pasid: int | None,
        window: tuple[int, int] | None,
    ) -> None:
        self.args, self.machine, self.memory = args, found, memory
        self.pasid, self.window = pasid, window
        self.spent = limits.budget(args, memory)
        asked: list[tuple[One, int | None]] = [(one, None) for one in found.units]
        if args.rid is not None:
            asked = [(each.one, each.rid) for each in found.serving(args.rid)]
        self.asked, self.several, self.reached, self.stopped = asked, len(found.units) > 1, False, False

    def _each(self) -> Iterator[tuple[Lists, Iterator[Reach], limits.Listing]]:
        from iommu_abi.mappings import everything, requesters

        for one, rid in self.asked:
            listing = limits.Listing(
                self.spent,
                lambda most: requesters(one.unit, self.memory, rid, self.pasid, most),  # noqa: B023
            )
            made = Lists(one, one.found.name if self.several else "", self.window)
            yield made, everything(one.unit, self.memory, rid, self.pasid, self.spent), listing
            self.reached |= made.reached
            self.stopped |= listing.stop is not None
            if self.stopped:
                return

    def _json(self) -> Iterator[str]:
        for made, found, listing in self._each():
            yield from listing.rows(listing.until(made.json(found)))
        if self.machine.source:
            yield json.dumps({"state": "found", **self.machine.to_json()})

    def _csv(self) -> Iterator[str]:
        for made, found, listing in self._each():
            yield from listing.until(made.csv(found))
            listing.say(to_stderr=True)

    def _print(self) -> None:
        for made, found, listing in self._each():
            if self.several:
                output.line(made.one.found.place, "bold")
            output.lines(listing.until(made.text(found)))
            if not made.reached:
                output.line(f"nothing is reached{listing.so_far}")
            listing.say()

    def print(self) -> bool:
        """Is anything reached, and is this all of it?"""
        if self.args.json:
            mapping_rows.emit_json(self._json())
        elif self.args.csv:
            mapping_rows.emit_csv(("unit", *COLUMNS) if self.several else COLUMNS, self._csv())
        else:
            self._print()
        return self.reached and not self.stopped
