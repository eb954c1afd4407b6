"""What a command is about: the memory and the IOMMU, by the options that such commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import output, words
from iommu_abi.errors import UsageError
from iommu_abi.terms import IMAGE_FORMATS

if TYPE_CHECKING:
    import argparse

    from iommu_abi.images import Source
    from iommu_abi.memory import Memory

IMAGE = "IMAGE[@BASE]"
IMAGE_HELP = "ELF core, LiME, AVML, VMware, kdump-compressed or raw memory; several are one address space"

_NUMBER = r"(?:0[xX][0-9a-fA-F]+|[0-9]+)"
_PLACE = re.compile(rf"(.+)@({_NUMBER})(?::({_NUMBER})(?:\+({_NUMBER}))?)?", re.DOTALL)


def add_image_options(made: argparse._ActionsContainer) -> None:
    """How image files are read."""
    made.add_argument("--format", choices=IMAGE_FORMATS, default="auto", help="format of every IMAGE")
    made.add_argument("--base", metavar="ADDR", default="0", help="where a raw image begins (default: 0)")
    made.add_argument("--copy", action="store_true", help="read the image instead of mapping it")
    made.add_argument(
        "--max-size",
        metavar="BYTES",
        default=str(1 << 40),
        help="largest size that a packed image may unpack to",
    )


def add_images(made: argparse.ArgumentParser) -> None:
    """Whose memory it is: files, or a machine that runs."""
    made.add_argument("images", metavar=IMAGE, nargs="*", help=IMAGE_HELP)
    add_attach(made)


def add_attach(made: argparse.ArgumentParser) -> None:
    """A machine that runs, instead of images."""
    made.add_argument(
        "--attach", metavar="qmp:SOCKET", help="a running QEMU instead of IMAGE, which is paused meanwhile"
    )


def add_unit_options(made: argparse.ArgumentParser) -> None:
    """Which IOMMU it is."""
    unit = made.add_mutually_exclusive_group()
    unit.add_argument(
        "--config",
        metavar="FILE|DIR",
        help="source of the registers: JSON of a capture or of `config -o`, debugfs's iommu_regset or mmio, a"
        " log, ACPI tables; a directory of such files (default: auto, found in IMAGE)",
    )
    unit.add_argument("--iommu", metavar="KIND", help="vtd, amdvi, ...; with --reg")
    made.add_argument(
        "--reg", metavar="NAME=VALUE", action="append", default=[], help="a register; wins over --config"
    )
    made.add_argument("--unit", metavar="NAME", help="only this IOMMU of several: its name or base")


def source(text: str) -> Source:
    """``FILE`` or ``FILE@BASE[:OFFSET[+SIZE]]``; a file that has the whole name wins."""
    from iommu_abi.images import Source

    found = None if Path(text).exists() else _PLACE.fullmatch(text)
    if not found:
        return Source(Path(text))
    base, offset, size = (None if n is None else words.number(n, text) for n in found.groups()[1:])
    return Source(Path(found[1]), base, offset or 0, size)


def sources(texts: list[str]) -> list[Source]:
    """The image files."""
    if "-" in texts:
        raise UsageError("an image cannot be read from standard input: it is mapped")
    return [source(text) for text in texts]


def memory(args: argparse.Namespace, images: list[Source]) -> Memory:
    """The image files as one address space."""
    from iommu_abi.memory import Memory

    base, most = words.number(args.base, "--base"), words.number(args.max_size, "--max-size")
    with output.busy("opening the image", quiet=args.json):
        return Memory.open(*images, format=args.format, base=base, copy=args.copy, max_size=most)
