"""Words of the command line -> values."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from iommu_abi import requesters
from iommu_abi.errors import UsageError
from iommu_abi.inputs import InputError, scaled, to_number

#: No blob, and no JSON that these commands read, is larger.
MOST_BYTES = 1 << 28
#: What cannot be read twice is copied to memory up to here, and beyond to a temporary file.
MOST_IN_MEMORY = 1 << 24


def number(text: str, what: str, last: int = (1 << 64) - 1) -> int:
    """0x.. or decimal, also with K, M, G or T after it, up to ``last``; ``what`` begins the error."""
    return to_number(scaled(text), what, last)


def requester(text: str) -> int:
    """A requester ID, written as :mod:`iommu_abi.requesters` says."""
    return segment_and_requester(text)[1]


def segment_and_requester(text: str) -> tuple[int | None, int]:
    """The same with the segment, None if the text has none."""
    return requesters.parse(text, "--rid")


def name_of_requester(rid: int) -> str:
    """``BB:DD.F``, or a number where it is wider than that."""
    return requesters.name(rid)


def names_of_requesters(first: int, last: int) -> str:
    """One name, or ``BB:DD.F..BB:DD.F``."""
    name = name_of_requester(first)
    return name if first == last else f"{name}..{name_of_requester(last)}"


def name_of_context(rid: int, pasid: int | None) -> str:
    """``BB:DD.F``, or ``BB:DD.F PASID N``."""
    return name_of_requester(rid) + ("" if pasid is None else f" PASID {pasid}")


def assignments(words: list[str], what: str) -> dict[str, str]:
    """``NAME=VALUE`` words; each name once."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"{what}: got {word!r}, expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{what}: {name} is given twice")
        found[name] = value
    return found


def input_name(path: str) -> str:
    """A file as errors name it."""
    return "standard input" if path == "-" else path


def _standard_input() -> BinaryIO:
    """Waiting for a terminal is said."""
    if sys.stdin is None:
        raise InputError("standard input is closed")
    if sys.stdin.isatty():
        print("iommu-abi: reading from this terminal, up to Ctrl-D on a line of its own", file=sys.stderr)
    return sys.stdin.buffer


def read_bytes(path: str) -> bytes:
    """A file, or standard input for "-"."""
    if path == "-":
        data = _standard_input().read(MOST_BYTES + 1)
    else:
        try:
            with Path(path).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:  # one of read() does not say which file
            raise OSError(error.errno, error.strerror, path) from None
    if len(data) > MOST_BYTES:
        raise InputError(f"{input_name(path)}: more than {MOST_BYTES} bytes, which is no blob and no text")
    return data


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file, or standard input for "-", that can be read again: what cannot is copied first."""
    with nullcontext(_standard_input()) if path == "-" else Path(path).open("rb") as file:
        if file.seekable():
            yield file
            return
        from shutil import copyfileobj
        from tempfile import SpooledTemporaryFile

        with SpooledTemporaryFile(MOST_IN_MEMORY) as copy:
            copyfileobj(file, copy)
            copy.seek(0)
            yield cast("BinaryIO", copy)


def read_text(path: str) -> str:
    """A text file, or standard input for "-"."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(f"{input_name(path)}: not text: byte {error.start} is {byte:#04x}") from None


def holds(path: Path, data: bytes, hint: str = "") -> bool:
    """Whether a file is there with these bytes; UsageError, with ``hint``, if it is there with others."""
    try:
        if path.read_bytes() == data:
            return True
    except FileNotFoundError:
        return False
    raise UsageError(f"{path}: is there with other bytes; nothing was written{hint}")


def check_svg_name(path: str) -> None:
    """UsageError for the name of a drawing whose suffix says that it is something else."""
    suffix = Path(path).suffix.lower()
    if suffix not in ("", ".svg"):
        raise UsageError(f"-o {path}: drawings are SVG; rsvg-convert and browsers make {suffix} of .svg")
