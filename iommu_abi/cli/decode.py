"""iommu-abi decode: what do these lines or bytes say?"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from iommu_abi.cli import calls, faults, output, payloads, target, words
from iommu_abi.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from iommu_abi.decode.calls import Log
    from iommu_abi.decode.excerpt import Excerpt
    from iommu_abi.decode.pieces import Piece
    from iommu_abi.decode.text import Source
    from iommu_abi.structs import StructKind
    from iommu_abi.uapi.layout import Abi

PLAIN = 512  # bytes of a file that show whether it is plain text

EPILOG = """\
The kind of input is detected, --as overrides:
  faults  lines of Linux's drivers as dmesg shows them (DMAR, arm-smmu,
          arm-smmu-v3, AMD-Vi, riscv-iommu, virtio-iommu), of Xen and FreeBSD;
          from journald and mail too. With IMAGE the request of each fault is
          walked through the tables again; as a read where the line does not
          say what it was. FILE may be the image: then its kernel's own log is
          read.
  strace  lines of ioctls, of which those of iommufd and VFIO are explained. A
          dump below a line is the struct of its call, lines 0xADDRESS: BYTES
          are memory at the time.
  hex     hex, \\x10, xxd, hexdump -C, od -t x1, gdb's x/16xb; with addresses
          the first piece is the struct, and the others may be what it points to
  array   a C array
  raw     bytes
Bytes need --struct or --ioctl. Other lines are skipped.

exit status: 0 every line was understood, nothing is wrong with the bytes, the
walks stop as the lines say; 1 otherwise, also for a fault of an IOMMU that is
not read; 2 there is nothing to decode.

examples:
  dmesg | iommu-abi decode
  iommu-abi decode vmcore
  iommu-abi decode dmesg.txt vmcore.elf.xz --config meta.json
  strace -f -y -e trace=ioctl -o log qemu-system-x86_64 ...
  iommu-abi decode log
  xxd alloc.bin | iommu-abi decode --ioctl IOMMU_HWPT_ALLOC \\
      --blob 0x7ffe1000=vtd.bin
  iommu-abi decode --struct iommu_fault@linux_5_10 --abi s390x fault.bin
"""


def add(made: argparse.ArgumentParser) -> None:
    """Describe the command."""
    made.add_argument("text", metavar="FILE", nargs="?", default="-", help="what to decode (default: -)")
    target.add_images(made)
    made.add_argument("--as", dest="form", choices=("faults", "strace", "hex", "array", "raw"))
    which = made.add_mutually_exclusive_group()
    which.add_argument("--struct", metavar="STRUCT[@GEN]", help="the bytes are this struct")
    which.add_argument("--ioctl", metavar="NAME[@GEN]|N", help="the bytes are this command's struct")
    made.add_argument(
        "--blob",
        metavar="ADDRESS=FILE",
        action="append",
        default=[],
        help="bytes that were at an address, which pointers may lead to; may be given several times",
    )
    made.add_argument(
        "--kernel", metavar="V", default="7.2", help="kernel whose commands these are (default: 7.2)"
    )
    made.add_argument("--abi", metavar="A", help="the ABI of the bytes (default: this machine's)")
    target.add_unit_options(made)
    target.add_image_options(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(memory=None)


def _blobs(args: argparse.Namespace) -> list[Piece]:
    from iommu_abi.decode.pieces import Piece

    found = []
    for word in args.blob:
        address, equals, path = word.partition("=")
        if not equals or not path:
            raise UsageError(f"--blob: got {word!r}, expected ADDRESS=FILE")
        found.append(Piece(words.read_bytes(path), words.number(address, "--blob")))
    return found


def _kind(args: argparse.Namespace, abi: Abi) -> StructKind:
    from iommu_abi import structs
    from iommu_abi.decode.commands import named

    if args.struct:
        return structs.kind(args.struct, abi)
    if not args.ioctl:
        raise UsageError("decode: bytes need --struct or --ioctl, which say what they are")
    command = named(args.ioctl, args.kernel, abi)
    if command.kind is None:
        raise UsageError(f"{command.name} takes no struct, or one that is not described here")
    return command.kind


def _pieces(args: argparse.Namespace, data: bytes, form: str, kind: StructKind) -> list[Piece]:
    from iommu_abi.decode import carray, hexdump
    from iommu_abi.decode import text as texts
    from iommu_abi.decode.pieces import Piece, TextError

    text = texts.decoded(data)
    try:
        if form == "hex":
            return hexdump.read(text)
        return [carray.read(text, kind.order) if form == "array" else Piece(data)]
    except TextError as error:
        raise UsageError(f"{words.input_name(args.text)}: {error} (taken as {form})") from None


def _bytes(args: argparse.Namespace, data: bytes, form: str, abi: Abi) -> int:
    """A struct, and what it points to."""
    from iommu_abi.decode import payload

    kind = _kind(args, abi)
    first, *others = _pieces(args, data, form, kind)
    found = payload.decode(kind, first.data, [*others, *_blobs(args)], first.address)
    if args.json:
        output.emit_json({"taken_as": form, **payloads.to_json(found)})
    else:
        output.line(payloads.title(found), "bold")
        payloads.show(found)
    return 1 if payloads.broken(found) else 0


def _strace(args: argparse.Namespace, text: str, abi: Abi) -> int:
    from iommu_abi.decode import calls as log
    from iommu_abi.decode.faults import is_fault
    from iommu_abi.decode.pieces import TextError

    try:
        found = log.decode(text, args.kernel, abi, _blobs(args))
    except TextError as error:
        raise UsageError(f"{words.input_name(args.text)}: {error}") from None
    if not found.calls and not found.unread:
        raise UsageError(
            f"{words.input_name(args.text)}: no ioctl of iommufd or VFIO among {found.lines} lines"
        )
    others = log.without(text, found)
    if args.form or not (is_fault(others) or args.images):
        if args.json:
            output.emit_json(calls.to_json(found))
        else:
            calls.show(found)
        return calls.status(found)
    return _strace_and_faults(args, found, others)


def _strace_and_faults(args: argparse.Namespace, found: Log, others: str) -> int:
    """A text with both: lines of one are no other lines of the other."""
    from iommu_abi.decode import decode

    decoded = decode(others)
    if not args.json:
        calls.show(found)
        return max(faults.run(args, decoded), calls.status(found))
    unread = sorted(i + 1 for i in (*found.unread, *decoded.unread))
    skipped = found.skipped + decoded.skipped - found.lines
    made = {**calls.to_json(found), "unread": unread, "skipped": skipped}
    return max(faults.run(args, decoded, made), calls.status(found))


def _faults(args: argparse.Namespace, text: Excerpt, head: bytes) -> int:
    """``head`` shows whether a text without a message is a log at all."""
    from iommu_abi.decode import decode, is_log
    from iommu_abi.decode import text as texts

    decoded = decode(text)
    said = decoded.reports or decoded.notes or decoded.unread
    if not said and not is_log(texts.decoded(head)):
        raise UsageError(f"{words.input_name(args.text)}: no fault line among {decoded.lines} lines")
    return faults.run(args, decoded)


def _log_of_image(args: argparse.Namespace) -> bytes:
    """The log of the kernel in an image, whose memory is also that of a walk."""
    from iommu_abi.acquire import printk
    from iommu_abi.errors import ImageError

    args.images = [args.text, *args.images]
    memory = target.memory(args, target.sources(args.images))
    try:
        log = printk.read(memory)
    except ImageError as error:
        raise ImageError(words.input_name(args.text) + f": {error}") from None
    args.memory = memory
    if not args.json:
        lost = f", {log.lost} records are not whole or not in it" if log.lost else ""
        output.line(f"the log of Linux {log.release} in it, {len(log.lines)} lines{lost}", "dim")
    return log.text.encode()


def _excerpt(args: argparse.Namespace, source: Source) -> Excerpt | None:
    """What may be messages of a text; None if it is to be read as a whole."""
    from iommu_abi.decode.scan import excerpt_of_blocks

    if args.form not in (None, "faults") or args.struct or args.ioctl:
        return None
    found = excerpt_of_blocks(source.blocks())
    return None if found.far else found


def _detect(data: bytes, named: bool) -> str:
    from iommu_abi.decode import forms

    return forms.detect(data, wanted=named)


def _decode(args: argparse.Namespace, source: Source) -> int:
    """Detect, decode and print."""
    from iommu_abi.decode import excerpt, faults
    from iommu_abi.decode import text as texts

    named = bool(args.struct or args.ioctl)
    found = _excerpt(args, source)
    data = source.data() if found is None else source.data(texts.BLOCK)
    form = args.form or ("faults" if found and faults.has_messages(found) else _detect(data, named))
    text = texts.decoded(data)
    if form == "faults":
        return _faults(args, found or excerpt.whole(text), data)
    from iommu_abi.uapi.layout import abi, host

    machine = abi(args.abi) if args.abi else host()
    if form == "strace":
        return _strace(args, text, machine)
    return _bytes(args, data, form, machine)


def _is_image(path: Path) -> bool:
    """Readers of images are slow to load, and asked about files only that do not begin as plain text."""
    if not path.is_file():  # what a pipe has is there once
        return False
    try:
        with path.open("rb") as file:
            start = file.read(PLAIN)
    except OSError:
        return False
    if start.isascii() and b"\0" not in start:
        return False
    from iommu_abi import images

    return images.is_image(path)


def run(args: argparse.Namespace) -> int:
    """The file, or the log of the kernel in it if it is an image."""
    from iommu_abi.decode.text import Source

    if not args.form and not (args.struct or args.ioctl) and _is_image(Path(args.text)):
        return _decode(args, Source(BytesIO(_log_of_image(args)), args.text))
    with words.opened(args.text) as file:
        return _decode(args, Source(file, words.input_name(args.text)))
