"""iommu-abi layout: where the bytes of a struct lie, on one ABI or on all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.uapi.layout import Abi, Layout

EPILOG = """\
without STRUCT: all generations and their structs. A name without @GENERATION
is accepted when all generations agree on its layout; the seed's structs are
those of v1_2017.

examples:
  iommu-abi layout iommu_pasid_table_config@ptc_v12
  iommu-abi layout iommu_hwpt_alloc --abi all --json
  iommu-abi layout pasid_table_info -o info.svg
"""

STYLES = {"frame": "dim", "field": "cyan", "reserved": "dim", "hole": "red", "tail": "cyan"}


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument(
        "struct", metavar="STRUCT[@GEN]", nargs="?", help="iommu_hwpt_alloc, iommu_fault@ptc_v3"
    )
    made.add_argument("--abi", metavar="A", help="an ABI, or all (default: this machine's)")
    made.add_argument("-o", dest="file", metavar="FILE.svg", help="draw the struct to this file")
    made.add_argument("--json", action="store_true", help="print JSON")


def _json(abi: Abi, made: Layout) -> dict[str, object]:
    fields = [
        {"name": f.name, "offset": f.offset, "size": f.size}
        | ({"bit_offset": f.bit_offset, "bits": f.bits} if f.bits else {})
        for f in made.fields
    ]
    holes = [{"offset": at, "size": size} for at, size in made.holes]
    return {"abi": abi.name, "size": made.size, "align": made.align, "fields": fields, "holes": holes}


def _title(name: str, abis: list[Abi], made: Layout) -> str:
    on = ", ".join(abi.name for abi in abis)
    return f"struct {name}, {made.size} bytes, aligned to {made.align}: {on}"


def _print(name: str, abis: list[Abi], made: Layout) -> None:
    from iommu_abi.uapi import picture

    output.line(_title(name, abis, made))
    for line in picture.lines(made):
        output.picture_line(line, STYLES)
    rows = [
        (
            str(f.offset),
            f"{f.bits} bit" if f.bits else str(f.size),
            f.name,
            picture.type_name(f.type),
            "union" if f.in_union else "",
        )
        for f in made.fields
    ]
    rows += [(str(at), str(size), "(hole)", "", "") for at, size in made.holes]
    output.table(None, ("offset", "bytes", "field", "type", ""), sorted(rows, key=lambda row: int(row[0])))


def _list(as_json: bool) -> int:
    from iommu_abi import uapi

    found = {gen: [name for name, gens in uapi.structs().items() if gen in gens] for gen in uapi.GENERATIONS}
    if as_json:
        output.emit_json(found)
    else:
        output.table(None, ("generation", "structs"), ((gen, " ".join(found[gen])) for gen in found))
    return 0


def run(args: argparse.Namespace) -> int:
    """Find the struct, lay it out, show it."""
    from iommu_abi import uapi
    from iommu_abi.uapi import picture
    from iommu_abi.uapi.layout import ABIS

    if args.struct is None:
        if args.abi or args.file:
            raise UsageError("layout: --abi and -o need a struct")
        return _list(args.json)
    if args.file:
        words.check_svg_name(args.file)
    struct, gen = uapi.resolve(args.struct)
    name = f"{struct}@{gen}"
    if args.abi == "all":
        found = picture.groups(uapi.layout_of(name).record)
    else:
        made = uapi.layout_of(name, args.abi)
        found = [([made.abi], made)]
    if args.file:
        panels = [(_title(name, abis, made), made) for abis, made in found]
        output.write_bytes(args.file, picture.svg(panels).encode())
    if args.json:
        by_abi = {abi.name: _json(abi, made) for abis, made in found for abi in abis}
        output.emit_json([by_abi[abi] for abi in ABIS if abi in by_abi])
    elif not args.file:
        for abis, made in found:
            _print(name, abis, made)
    return 0
