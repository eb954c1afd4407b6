"""What ``--config`` may name: a file, of a form that it shows itself, or a directory of such files.

JSON of a capture or of ``config -o``, a table of ACPI, text of debugfs, a kernel's log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from iommu_abi.acquire import meta_file
from iommu_abi.acquire.units import Acquired
from iommu_abi.errors import Error, UsageError
from iommu_abi.inputs import InputError

#: Of a directory: what it holds at most, how deep, and how large a file is read.
MOST_FILES, DEEPEST, MOST_BYTES = 4096, 4, 1 << 26
EXPECTED = (
    "JSON of `config -o`, a table of ACPI (DMAR, IVRS, IORT, VIOT, RIMT), iommu_regset or amd/iommuNN/mmio of"
    " debugfs, or a log with the lines of the IOMMUs' drivers"
)


def _is_json(data: bytes) -> bool:
    return data.lstrip()[:1] == b"{"


def _json(data: bytes, where: str) -> Acquired:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{where}: not text: byte {error.start} is {byte:#04x}; expected {EXPECTED}"
        ) from None
    return Acquired("", meta_file.read(text, where))


def _other(data: bytes, where: str) -> Acquired | None:
    """A table or a text; None for what is of no known form. What reads them is loaded where it is needed."""
    from iommu_abi.acquire import acpi, boot_lines, debugfs

    if acpi.is_table(data):
        return acpi.read(data, where)
    text = data.decode("utf-8", "replace")
    return debugfs.read(text, where) or boot_lines.read(text, where)


def of_bytes(data: bytes, where: str) -> Acquired:
    """The units of a file; what is of no other form is taken for JSON."""
    return (None if _is_json(data) else _other(data, where)) or _json(data, where)


def _files(directory: Path, depth: int = 0) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.is_file():
            yield path
        elif path.is_dir() and not path.is_symlink() and depth < DEEPEST:
            yield from _files(path, depth + 1)


def _of_many(data: bytes, where: str) -> Acquired | None:
    """The same of one file of several; JSON of something else is passed over too."""
    if not _is_json(data):
        return _other(data, where)
    try:
        return replace(_json(data, where), source=where)
    except Error:
        return None


def of_directory(directory: Path) -> Acquired:
    """The units of all files in it that are of a known form; registers that were read come first."""
    found = []
    for path in islice(_files(directory), MOST_FILES):
        if path.stat().st_size > MOST_BYTES:
            continue
        data, where = path.read_bytes(), str(path)
        said = _of_many(data, where)
        if said:
            found.append(said)
    if not found:
        raise UsageError(f"{directory}: nothing in it says what the IOMMUs are: expected {EXPECTED}")
    from iommu_abi.acquire import merge

    needed = sorted(found, key=lambda said: -max((len(unit.registers) for unit in said.units), default=0))
    return merge.merged(needed)
