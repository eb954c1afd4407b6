"""iommu-abi config: the IOMMUs of a memory image; or what a C compiler needs to know."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from iommu_abi.cli import machine, output, target
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.acquire.units import Acquired

EPILOG = """\
With IMAGE: finds the IOMMUs of the Linux kernel in it, and their registers,
devices and groups, and says how they are known and what had to be assumed. -o
writes what --config of other commands reads.

exit status: 0 they were found, 2 not.

examples:
  iommu-abi config vmcore
  iommu-abi config vmcore -o meta.json
  cc $(iommu-abi config --cflags) driver.c $(iommu-abi config --libs)
  cc $(iommu-abi config --cflags) driver.c $(iommu-abi config --libs --static)
  export PKG_CONFIG_PATH=$(iommu-abi config --libdir)/pkgconfig
  pkg-config --cflags --libs iommu_abi
"""

QUESTIONS = ("cflags", "libs", "includedir", "libdir")


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    target.add_images(made)
    made.add_argument("-o", dest="file", metavar="META.json", help="write what was found to this file")
    target.add_image_options(made)
    made.add_argument("--cflags", action="store_true", help="flags to compile with")
    made.add_argument("--libs", action="store_true", help="flags to link with; last on the command line")
    made.add_argument("--static", action="store_true", help="with --libs: link the archive")
    made.add_argument("--includedir", action="store_true", help="directory of the headers")
    made.add_argument("--libdir", action="store_true", help="directory of the library")
    made.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """What was found, or flags."""
    asked = [f"--{question}" for question in QUESTIONS if getattr(args, question)]
    if (args.images or args.attach) and asked:
        raise UsageError(f"config: {asked[0]} is about the C library, and an IMAGE is given too")
    if args.images or args.attach:
        return _found(args)
    if args.file:
        raise UsageError("config: -o needs an IMAGE")
    return _flags(args)


def _found(args: argparse.Namespace) -> int:
    """The IOMMUs of an image, or of a machine that runs."""
    from iommu_abi.acquire import meta_file

    found = machine.attach(args).acquire() if args.attach else _in_image(args)
    if args.file:
        text = json.dumps(meta_file.document(found), indent=1) + "\n"
        output.write_bytes(args.file, text.encode())
    if args.json:
        output.emit_json(meta_file.report(found))
    else:
        _show(found)
    return 0


def _in_image(args: argparse.Namespace) -> Acquired:
    from iommu_abi.acquire import image
    from iommu_abi.errors import ImageError

    memory = target.memory(args, target.sources(args.images))
    try:
        return image.acquire(memory)
    except ImageError as error:
        raise ImageError(f"{args.images[0]}: {error}") from None


def _show(found: Acquired) -> None:
    output.line(f"{found.source}: {len(found.units)} IOMMU{'s' * (len(found.units) > 1)}")
    for unit in found.units:
        output.line(f"{unit.place}, segment {unit.segment}", "bold")
        for name, value in unit.registers.items():
            output.line(f"  {name} {value:#x}")
        for device in unit.devices:
            ids = ", ".join(f"{number:#x}" for number in device.ids)
            output.line(f"  {device.short} {device.known_as}{f', ID {ids}' if ids else ''}")
        for text in unit.evidence:
            output.line(f"  {text}", "dim")
    for each in found.firmware.reserved:
        who = ", ".join(scope.name for scope in each.scopes) or "all devices"
        output.line(f"{each.kind} {each.first:#x} to {each.last:#x}, {each.access or 'no access'}: {who}")
    if found.firmware.opt_in:
        output.line("firmware wants DMA to be remapped (opt-in flag)")
    for text in found.firmware.facts:
        output.line(text, "dim")
    for text in found.assumed:
        output.line(f"assumed: {text}", "yellow")


def _flags(args: argparse.Namespace) -> int:
    """Print what is asked for, in the order of QUESTIONS on one line."""
    from iommu_abi import get_include, get_library_dir

    if not any(getattr(args, question) for question in QUESTIONS):
        words_of = " ".join(f"--{question}" for question in QUESTIONS)
        raise UsageError(f"config: say what to print: {words_of}; or give an IMAGE")
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
