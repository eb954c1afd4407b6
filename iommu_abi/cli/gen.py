"""iommu-abi gen: text for other tools, made from what is known of the user API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iommu_abi.cli import output
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

EPILOG = """\
syzlang    a description for syzkaller. It stands beside
           sys/linux/dev_iommu.txt and has what that lacks; with --all
           everything, in place of it. Generations: those of iommufd and of
           VFIO's device files; all commands of the generation's kernel are
           described.
c-asserts  a C file of _Static_assert (static_assert in C++), one fact a line,
           to compile against a header: sizeof, offsetof, enumerators, numbers
           of ioctls. Without --abi it holds on all ABIs, by #if where they
           differ.
rust       a module of repr(C) types, constants and ioctl numbers, with
           assertions of every size, alignment and offset; for all targets.

The default is iommufd_7_2. STRUCT@GEN leaves out what has nothing to do with
the struct.

examples:
  iommu-abi gen syzlang -o sys/linux/dev_iommu_more.txt
  iommu-abi gen syzlang iommu_viommu_alloc@iommufd_7_2
  iommu-abi gen c-asserts iommufd_6_12 -o check.c && cc -fsyntax-only check.c
  iommu-abi gen c-asserts iommu_hwpt_alloc@iommufd_7_2 --abi i386 \\
      --include '"my_iommufd.h"'
  iommu-abi gen rust iommufd_7_2 -o src/iommufd.rs
"""

DEFAULT = "iommufd_7_2"

#: Each kind, and which of the options are for it.
KINDS = {"syzlang": ("all",), "c-asserts": ("abi", "include"), "rust": ()}


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("kind", metavar="KIND", choices=tuple(KINDS), help=f"one of: {' '.join(KINDS)}")
    made.add_argument("subjects", metavar="GEN|STRUCT@GEN", nargs="*", help=f"of what (default: {DEFAULT})")
    made.add_argument("--all", action="store_true", help="syzlang: also what dev_iommu.txt covers")
    made.add_argument(
        "--abi",
        metavar="A",
        action="append",
        default=[],
        help="c-asserts: on this ABI alone; may be repeated",
    )
    made.add_argument(
        "--include",
        metavar="HEADER",
        action="append",
        default=[],
        help='c-asserts: <x.h> or "x.h" (default: the kernel\'s header of the generation); may be repeated',
    )
    made.add_argument(
        "-o", dest="file", metavar="FILE", default="-", help="write here, at once or not at all"
    )
    made.add_argument("--json", action="store_true", help="print JSON, with the text in it")


def _by_generation(subjects: list[str]) -> dict[str, list[str]]:
    """GEN and STRUCT@GEN -> structs by generation, none for all of them."""
    from iommu_abi import uapi

    found: dict[str, list[str]] = {}
    whole = set()
    for word in subjects or [DEFAULT]:
        if word in uapi.GENERATIONS:
            whole.add(word)
            found.setdefault(word, [])
        else:
            struct, generation = uapi.resolve(word)
            found.setdefault(generation, []).append(struct)
    return {generation: [] if generation in whole else names for generation, names in found.items()}


def _syzlang(wanted: Mapping[str, list[str]], everything: bool) -> tuple[str, dict[str, object]]:
    from iommu_abi.gen import syzlang

    kernels = {syzlang.kernel_of(generation) for generation in wanted}
    if len(kernels) > 1:
        raise UsageError(f"gen syzlang: one kernel at a time, not {' and '.join(sorted(kernels))}")
    structs = [] if [] in wanted.values() else [name for names in wanted.values() for name in names]
    made = syzlang.describe(kernels.pop(), structs, everything)
    return made.text, {"kernel": made.kernel, "calls": made.calls, "structs": made.structs}


def _c_asserts(
    wanted: Mapping[str, list[str]], abis: list[str], includes: list[str]
) -> tuple[str, dict[str, object]]:
    from iommu_abi.gen import c_asserts
    from iommu_abi.uapi.layout import ABIS

    found = {gen: c_asserts.facts(gen, names, abis or ABIS) for gen, names in wanted.items()}
    text = c_asserts.text(found, includes or [c_asserts.header(generation) for generation in wanted])
    facts = [
        {"generation": generation, "expression": fact.expression, "values": fact.values}
        for generation, each in found.items()
        for fact in each
    ]
    return text, {"facts": facts}


def _rust(wanted: Mapping[str, list[str]]) -> tuple[str, dict[str, object]]:
    from iommu_abi.gen import rust

    if len(wanted) > 1:
        raise UsageError(f"gen rust: a module is one generation, not {' and '.join(sorted(wanted))}")
    ((generation, structs),) = wanted.items()
    return rust.text(generation, structs), {"generation": generation}


def run(args: argparse.Namespace) -> int:
    """Make the text, write it or print it."""
    for kind, options in KINDS.items():
        for option in options:
            if kind != args.kind and getattr(args, option):
                raise UsageError(f"gen {args.kind}: --{option} is for {kind}")
    wanted = _by_generation(args.subjects)
    if args.kind == "syzlang":
        text, described = _syzlang(wanted, args.all)
    elif args.kind == "c-asserts":
        text, described = _c_asserts(wanted, args.abi, args.include)
    else:
        text, described = _rust(wanted)
    if args.file != "-" or not args.json:
        output.write_bytes(args.file, text.encode())
    if args.json:
        output.emit_json({**described, "text": text})
    return 0
