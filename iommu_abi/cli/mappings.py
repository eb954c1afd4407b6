"""iommu-abi mappings: what can each device reach, and who reaches this address?"""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

from iommu_abi.cli import output, target, words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from iommu_abi.mappings import Reach

EPILOG = """\
Neighbours that continue each other with the same rights are one line; interrupt messages are not
listed. Rights are those of unprivileged requests. Output streams: it begins at once and needs no
memory. exit status: 0 something is reached, 1 nothing is.

examples:
  iommu-abi mappings vmcore.elf.xz --config meta.json
  iommu-abi mappings vmcore.elf.xz --config meta.json --rid 00:03.0 --csv
  iommu-abi mappings vmcore.elf.xz --config meta.json --reverse 0x4ef1000:4096
"""
COLUMNS = ("rid", "pasid", "state", "first", "last", "gpa", "hpa", "access", "s1_pages", "s2_pages", "fault")


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("mappings", help="what can each device reach?", epilog=EPILOG)
    made.add_argument("images", metavar=target.IMAGE, nargs="+", help=target.IMAGE_HELP)
    target.add_unit_options(made, required=True)
    target.add_image_options(made)
    made.add_argument("--rid", metavar="[SSSS:]BB:DD.F|N", help="only this device")
    made.add_argument("--pasid", metavar="N", help="only this PASID")
    made.add_argument("--reverse", metavar="HPA[:LEN]", help="only what reaches these addresses")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON, a list")
    how.add_argument("--csv", action="store_true", help="print CSV")
    made.set_defaults(run=run)


def _found(args: argparse.Namespace) -> Iterator[Reach]:
    from iommu_abi.mappings import everything, reaching

    rid = None if args.rid is None else words.requester(args.rid)
    pasid = None if args.pasid is None else words.number(args.pasid, "--pasid", (1 << 20) - 1)
    unit = target.unit(args)
    images = target.sources(args.images)
    wanted = None
    if args.reverse is not None:
        at, _, length = args.reverse.partition(":")
        first = words.number(at, "--reverse")
        wanted = first, first + max(1, words.number(length or "1", "--reverse")) - 1
    found = everything(unit, target.memory(args, images), rid, pasid)
    return reaching(found, *wanted) if wanted else found


def _row(each: Reach) -> dict[str, object]:
    from iommu_abi.mappings import page_sizes

    m, fault = each.mapping, each.context.fault
    row: dict[str, object] = {
        "rid": words.name_of_requester(each.rid),
        "pasid": each.pasid,
        "state": each.context.state.name.lower(),
    }
    if m is None:
        return row | {"fault": str(fault) if fault else None}
    return row | {
        "first": hex(m.first),
        "last": hex(m.last),
        "gpa": hex(m.gpa),
        "hpa": hex(m.hpa),
        "access": str(m.access),
        "s1_pages": list(page_sizes(m.s1_sizes)),
        "s2_pages": list(page_sizes(m.s2_sizes)),
    }


def _text(each: Reach) -> str:
    from iommu_abi.mappings import page_sizes

    m = each.mapping
    if m is None:
        return f"  {each.context.fault}"
    pages = "+".join(
        "/".join(output_size(n) for n in page_sizes(sizes)) for sizes in (m.s1_sizes, m.s2_sizes) if sizes
    )
    return f"  {m.first:#014x}..{m.last:#014x} -> {m.hpa:#014x} {m.access!s:3} {pages or 'untranslated'}"


def output_size(size: int) -> str:
    """A page size in the usual words."""
    from iommu_abi.cli.answers import size_text

    return size_text(size.bit_length() - 1)


def _print(found: Iterator[Reach]) -> int:
    n, before = 0, None
    for each in found:
        who = each.rid, each.pasid
        if who != before:
            pasid = "" if each.pasid is None else f" PASID {each.pasid}"
            state = each.context.state.name.lower()
            print(f"{words.name_of_requester(each.rid)}{pasid}: {state}")
        before = who
        print(_text(each))
        n += each.mapping is not None
    if not n:
        output.line("nothing is reached")
    return n


def _print_csv(found: Iterator[Reach]) -> int:
    out = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    out.writeheader()
    n = 0
    for each in found:
        row = _row(each)
        lists = {key: "/".join(map(str, value)) for key, value in row.items() if isinstance(value, list)}
        out.writerow(row | lists)
        n += each.mapping is not None
    return n


def _print_json(found: Iterator[Reach]) -> int:
    n = 0
    separator = "["
    for each in found:
        print(separator, json.dumps(_row(each)), sep="\n", end="")
        separator = ","
        n += each.mapping is not None
    print("\n]" if separator == "," else "[]")
    return n


def run(args: argparse.Namespace) -> int:
    """Enumerate and print."""
    found = _found(args)
    return 0 if (_print_json if args.json else _print_csv if args.csv else _print)(found) else 1
