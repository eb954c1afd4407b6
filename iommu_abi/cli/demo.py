"""iommu-abi demo: small inputs to try the other commands on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words

if TYPE_CHECKING:
    import argparse

EPILOG = """\
Every example of README.md runs in DIR. A file that is there with other bytes
is left alone, and then nothing is written.

examples:
  iommu-abi demo
  iommu-abi demo --list
"""

DIRECTORY = "iommu-abi-demo"


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument(
        "directory", metavar="DIR", nargs="?", default=DIRECTORY, help=f"default: {DIRECTORY}, made if needed"
    )
    made.add_argument("--list", action="store_true", help="list the demos, and write nothing")
    made.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Write what is not there yet, and say what to ask."""
    from iommu_abi import samples

    root = Path(args.directory)
    if not args.list:
        _write(root, samples.contents())
    if args.json:
        output.emit_json({"directory": str(root), "files": samples.FILES, "try": samples.QUESTIONS})
        return 0
    if args.list:
        output.table(None, ("file", "what it is"), samples.FILES.items())
    else:
        output.line(f"{len(samples.FILES)} files are in {root}")
    output.line("what to ask them, in that directory:")
    for question in samples.QUESTIONS:
        output.line(f"  {question}")
    return 0


def _write(root: Path, contents: dict[str, bytes]) -> None:
    missing = [name for name, data in contents.items() if not words.holds(root / name, data)]
    root.mkdir(parents=True, exist_ok=True)
    for name in missing:
        output.write_bytes(str(root / name), contents[name])
