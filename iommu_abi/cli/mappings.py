"""iommu-abi mappings: what can each device reach, and who reaches this address?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import limits, mapping_rows, mappings_diff, mappings_map, output, target, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from iommu_abi.mappings import Reach
    from iommu_abi.memory import Memory
    from iommu_abi.walk import Unit

EPILOG = """\
Neighbours that continue each other with the same rights are one line; interrupt messages are not
listed. Rights are those of unprivileged requests. Output streams: it begins at once and needs no
memory. exit status: 0 something is reached, 1 nothing is, or --max-ranges has ended it.

--diff compares by address, whatever the pages: added (+), removed (-), or changed (~): moved to another
HPA, other rights, other page sizes, or the same HPA via another GPA. exit status of --diff, as of
diff(1): 0 no difference, 1 differences, 2 misuse or unreadable input.

--map and -o draw what is reached of host memory, and where the IOMMU's tables lie; wide gaps are left
out. With --reverse they show these addresses only.

examples:
  iommu-abi mappings vmcore.elf.xz --config meta.json
  iommu-abi mappings vmcore.elf.xz --config meta.json --rid 00:03.0 --csv
  iommu-abi mappings vmcore.elf.xz --config meta.json --reverse 0x4ef1000:4096
  iommu-abi mappings before.elf --config meta.json --diff after.elf
  iommu-abi mappings one.elf --config one.json --diff other.elf --other-config other.json --json
  iommu-abi mappings vmcore.elf.xz --config meta.json --map
  iommu-abi mappings vmcore.elf.xz --config meta.json -o map.svg
"""
COLUMNS = ("rid", "pasid", "ids", "state", "first", "last", *mapping_rows.REACHED, "fault")


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("mappings", help="what can each device reach?", epilog=EPILOG)
    made.add_argument("images", metavar=target.IMAGE, nargs="+", help=target.IMAGE_HELP)
    target.add_unit_options(made, required=True)
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
    made.set_defaults(run=run)


def _row(each: Reach) -> dict[str, object]:
    m, context = each.mapping, each.context
    row: dict[str, object] = {
        "rid": words.name_of_requester(each.rid),
        "pasid": each.pasid,
        "ids": context.last - context.first + 1,
        "state": context.state.name.lower(),
    }
    if m is None:
        return row | {"fault": str(context.fault) if context.fault else None}
    return row | {"first": hex(m.first), "last": hex(m.last)} | mapping_rows.reached_json(m)


def _who(each: Reach) -> str:
    """Whose context it is, and what that does."""
    first, last = each.context.first, each.context.last
    if each.pasid is None:
        name = words.names_of_requesters(first, last)
    else:
        name = words.name_of_context(each.rid, first) + (f"..{last}" if last > first else "")
    number = f", {last - first + 1} of them" if last > first else ""
    return f"{name}: {each.context.state.name.lower()}{number}"


def _print(found: Iterator[Reach], listing: limits.Listing) -> int:
    from iommu_abi.mappings import refusals_joined

    n, before = 0, None
    for each in refusals_joined(found):
        if before != (each.rid, each.pasid):
            print(_who(each))
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

    def __init__(self, found: Iterator[Reach]) -> None:
        self.found, self.reached = found, 0

    def rows(self) -> Iterator[dict[str, object]]:
        for each in self.found:
            self.reached += each.mapping is not None
            yield _row(each)


def _list(args: argparse.Namespace, found: Iterator[Reach], listing: limits.Listing) -> int:
    """How many ranges are reached."""
    until = listing.until(found)
    if not args.json and not args.csv:
        return _print(until, listing)
    counted = _Count(until)
    if args.json:
        mapping_rows.emit_json(listing.rows(counted.rows()))
    else:
        mapping_rows.emit_csv(COLUMNS, counted.rows())
        listing.say(to_stderr=True)
    return counted.reached


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
    rid = None if args.rid is None else words.requester(args.rid)
    pasid = None if args.pasid is None else words.number(args.pasid, "--pasid", (1 << 20) - 1)
    window = _window(args.reverse)
    unit: Unit = target.unit(args)
    memory: Memory = target.memory(args, target.sources(args.images))
    if args.diff:
        return mappings_diff.run(args, unit, memory, rid, pasid)
    good = None
    if args.file or args.map:
        good = mappings_map.run(args, unit, memory, rid, pasid, window)
    if args.json or args.csv or good is None:
        good = _run_list(args, unit, memory, rid, pasid, window)
    return 0 if good else 1


def _run_list(
    args: argparse.Namespace,
    unit: Unit,
    memory: Memory,
    rid: int | None,
    pasid: int | None,
    window: tuple[int, int] | None,
) -> bool:
    """Is anything reached, and is this all of it?"""
    from iommu_abi.mappings import everything, reaching, requesters

    spent = limits.budget(args, memory)
    listing = limits.Listing(spent, lambda most: requesters(unit, memory, rid, pasid, most))
    found = everything(unit, memory, rid, pasid, spent)
    reached = _list(args, reaching(found, *window) if window else found, listing)
    return reached > 0 and listing.stop is None
