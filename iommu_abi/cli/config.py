"""iommu-abi config: what a C compiler needs to know."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

EPILOG = """\
example:
  cc $(iommu-abi config --cflags) -c driver.c
"""

QUESTIONS = ("cflags", "libs", "includedir", "libdir")


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("config", help="compiler flags for the C headers", epilog=EPILOG)
    made.add_argument("--cflags", action="store_true", help="flags to compile with")
    made.add_argument("--libs", action="store_true", help="flags to link with")
    made.add_argument("--static", action="store_true", help="with --libs: link the archive")
    made.add_argument("--includedir", action="store_true", help="directory of the headers")
    made.add_argument("--libdir", action="store_true", help="directory of the library")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is asked for, in the order of QUESTIONS on one line."""
    from iommu_abi import get_include

    if not any(getattr(args, question) for question in QUESTIONS):
        raise UsageError(f"config: say what to print: {' '.join(f'--{q}' for q in QUESTIONS)}")
    if args.libs or args.libdir:
        raise UsageError(
            "config: this installation has the C headers and no library to link; `make lib` in a checkout"
            " builds libiommu_abi.a"
        )
    include = get_include()
    flags = [f"-I{include}", "-DCONFIG_IOMMU_API"]
    if args.json:
        asked = {"cflags": flags, "includedir": include}
        output.emit_json({name: value for name, value in asked.items() if getattr(args, name)})
        return 0
    found = [*map(shlex.quote, flags)] if args.cflags else []
    found += [include] if args.includedir else []
    print(" ".join(found))
    return 0
