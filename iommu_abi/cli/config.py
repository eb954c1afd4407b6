"""iommu-abi config: what a C compiler needs to know."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

EPILOG = """\
examples:
  cc $(iommu-abi config --cflags) driver.c $(iommu-abi config --libs)
  cc $(iommu-abi config --cflags) driver.c $(iommu-abi config --libs --static)
  PKG_CONFIG_PATH=$(iommu-abi config --libdir)/pkgconfig pkg-config --cflags --libs iommu_abi
"""

QUESTIONS = ("cflags", "libs", "includedir", "libdir")


def add(commands: words.Commands) -> None:
    """Describe the command."""
    made = commands.add_parser("config", help="compiler flags for the C headers and library", epilog=EPILOG)
    made.add_argument("--cflags", action="store_true", help="flags to compile with")
    made.add_argument("--libs", action="store_true", help="flags to link with; last on the command line")
    made.add_argument("--static", action="store_true", help="with --libs: link the archive")
    made.add_argument("--includedir", action="store_true", help="directory of the headers")
    made.add_argument("--libdir", action="store_true", help="directory of the library")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is asked for, in the order of QUESTIONS on one line."""
    from iommu_abi import get_include, get_library_dir

    if not any(getattr(args, question) for question in QUESTIONS):
        raise UsageError(f"config: say what to print: {' '.join(f'--{q}' for q in QUESTIONS)}")
    if args.static and not args.libs:
        raise UsageError("config: --static says how to link: give --libs too")
    include, lib = get_include(), get_library_dir()
    shared = [f"-L{lib}", f"-Wl,-rpath,{lib}", "-liommu_abi"]
    answers: dict[str, str | list[str]] = {
        "cflags": [f"-I{include}", "-DCONFIG_IOMMU_API"],
        "libs": [f"{lib}/libiommu_abi.a"] if args.static else shared,
        "includedir": include,
        "libdir": lib,
    }
    asked = {name: answers[name] for name in QUESTIONS if getattr(args, name)}
    if args.json:
        output.emit_json(asked)
    else:
        flat = (word for value in asked.values() for word in ([value] if isinstance(value, str) else value))
        print(" ".join(map(shlex.quote, flat)))
    return 0
