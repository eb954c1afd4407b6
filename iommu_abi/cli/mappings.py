"""iommu-abi mappings: what can each device reach, and who reaches this address?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import limits, machine, mapping_rows, mappings_diff, mappings_map, output, target, words
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
COLUMNS = ("rid", "pasid", "ids", "state", "first", "last", *mapping_rows.REACHED, "fault")


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("images", metavar=target.IMAGE, nargs="+", help=target.IMAGE_HELP)
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
    made.add_argument("--other-config", metavar="META.json", help="of OTHER, if not that of IMAGE")
    limits.add_option(made)
    made.add_argument("-o", dest="file", metavar="FILE.svg", help="draw a map there")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--map", action="store_true", help="draw a map of host memory")
    how.add_argument("--json", action="store_true", help="print JSON, a list")
    how.add_argument("--csv", action="store_true", help="print CSV")


def _row(each: Reach, name: str) -> dict[str, object]:
    """``name`` of the unit, where there are several."""
    m, context = each.mapping, each.context
    row: dict[str, object] = {"unit": name} if name else {}
    row |= {
        "rid": words.name_of_requester(each.rid),
        "pasid": each.pasid,
        "ids": context.last - context.first + 1,
        "state": context.state.name.lower(),
    }
    if m is None:
        return row | {"fault": str(context.fault) if context.fault else None}
    return row | {"first": hex(m.first), "last": hex(m.last)} | mapping_rows.reached_json(m)


def _who(each: Reach, one: One) -> str:
    """Whose context it is, and what that does."""
    first, last = each.context.first, each.context.last
    if each.pasid is None:
        name = words.names_of_requesters(first, last) + (one.label(first) if first == last else "")
    else:
        name = words.name_of_context(each.rid, first) + (f"..{last}" if last > first else "")
    number = f", {last - first + 1} of them" if last > first else ""
    return f"{name}: {each.context.state.name.lower()}{number}"


def _print(found: Iterator[Reach], listing: limits.Listing, one: One) -> int:
    from iommu_abi.mappings import refusals_joined

    n, before = 0, None
    for each in refusals_joined(found):
        if before != (each.rid, each.pasid):
            print(_who(each, one))
        before = each.rid, each.pasid
        if each.mapping is None:
            print(f"  {each.context.fault or 'nothing is mapped'}")
        else:
            print(f"  {mapping_rows.span_text(each.mapping)} {mapping_rows.reached_text(each.mapping)}")
            n += 1
    if not n:
        output.line(f"nothing is reached{listing.so_far}")
    listing.say()
    return n


class _Count:
    """Counts what is reached while it passes by."""

    def __init__(self, found: Iterator[Reach], name: str) -> None:
        self.found, self.name, self.reached = found, name, 0

    def rows(self) -> Iterator[dict[str, object]]:
        for each in self.found:
            self.reached += each.mapping is not None
            yield _row(each, self.name)


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
        good = _Lists(args, found, memory, pasid, window).print()
    return 0 if good else 1


class _Lists:
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
        self.asked, self.several, self.reached, self.stopped = asked, len(found.units) > 1, 0, False

    def _each(self) -> Iterator[tuple[One, Iterator[Reach], limits.Listing]]:
        from iommu_abi.mappings import everything, reaching, requesters

        for one, rid in self.asked:
            listing = limits.Listing(
                self.spent,
                lambda most: requesters(one.unit, self.memory, rid, self.pasid, most),  # noqa: B023
            )
            found = everything(one.unit, self.memory, rid, self.pasid, self.spent)
            yield one, listing.until(reaching(found, *self.window) if self.window else found), listing
            self.stopped |= listing.stop is not None
            if self.stopped:
                return

    def _rows(self, *, with_end: bool) -> Iterator[dict[str, object]]:
        for one, found, listing in self._each():
            counted = _Count(found, one.found.name if self.several else "")
            yield from listing.rows(counted.rows()) if with_end else counted.rows()
            self.reached += counted.reached
            if not with_end:
                listing.say(to_stderr=True)
        if with_end and self.machine.source:
            yield {"state": "found", **self.machine.to_json()}

    def print(self) -> bool:
        """Is anything reached, and is this all of it?"""
        if self.args.json:
            mapping_rows.emit_json(self._rows(with_end=True))
        elif self.args.csv:
            columns = ("unit", *COLUMNS) if self.several else COLUMNS
            mapping_rows.emit_csv(columns, self._rows(with_end=False))
        else:
            for one, found, listing in self._each():
                if self.several:
                    output.line(one.found.place, "bold")
                self.reached += _print(found, listing, one)
        return self.reached > 0 and not self.stopped
