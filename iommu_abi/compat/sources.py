"""What OLD and NEW may be: a generation's name, a kernel's BTF, an object file, a C header."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from iommu_abi import uapi
from iommu_abi.compat import btf_files, from_btf, from_generation, from_header, from_object
from iommu_abi.compat.from_btf import Kernel
from iommu_abi.compat.model import Model
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import Abi


def read(source: str, include: tuple[str, ...] = ()) -> Model:
    """A name of a generation, or a path; ``include`` are directories for a header's own includes."""
    if source in uapi.GENERATIONS:
        return from_generation.read(source)
    path = Path(source)
    if not path.exists():
        raise UsageError(
            f"{source!r} is neither a file nor a generation; these are: {' '.join(uapi.GENERATIONS)}"
        )
    if not path.is_file() and not path.is_dir():
        raise UsageError(f"{source}: neither a header nor an object file: a pipe, a socket or a device")
    return _read_file(path, include, source)


def read_bytes(data: bytes, label: str, include: tuple[str, ...] = ()) -> Model:
    """A header or an object file that has no path; reports call it ``label``."""
    with _file(data) as path:
        made = _read_file(path, include, label)
    return replace(made, compile_for=made.compile_for and partial(_compile_bytes, data, label, include))


def _compile_bytes(data: bytes, label: str, include: tuple[str, ...], abi: Abi) -> Model:
    with _file(data) as path:
        return from_header.read_for(abi, path, include, label)


@contextmanager
def _file(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        path = Path(directory, "input.h")
        path.write_bytes(data)
        yield path


def kernel(source: str) -> Kernel | None:
    """The BTF of a path; None for what has none, and for a name of a generation."""
    path = Path(source)
    known = source in uapi.GENERATIONS or not (path.is_file() or path.is_dir())
    return None if known else btf_files.find(path, source)


def _read_file(path: Path, include: tuple[str, ...], label: str) -> Model:
    if found := btf_files.find(path, label):
        return from_btf.read(found)
    with path.open("rb") as file:
        is_elf = file.read(4) == b"\x7fELF"
    made = from_object.read(path, label) if is_elf else from_header.read(path, include, label)
    if not (made.structs() or made.constants() or made.unevaluated) and b"#include" not in path.read_bytes():
        # what a fetch that failed leaves behind must not be compatible with everything
        raise UsageError(f"{label}: nothing to compare in it: it has no struct, union, enumerator or number")
    return made
