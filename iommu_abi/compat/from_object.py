"""An object file, library or program with DWARF as a model. Macros are not in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from iommu_abi.compat import dwarf, elf
from iommu_abi.compat.model import Model
from iommu_abi.errors import UsageError


def load(path: Path, label: str, owned: Callable[[str], bool] | None = None) -> dwarf.Reader:
    """The types in a file."""
    with path.open("rb") as file:
        try:
            opened = ELFFile(file)
        except ELFError as error:
            raise UsageError(f"{label}: not a usable ELF file: {error}") from None
        abi = elf.abi_of(opened, label)
        reader = dwarf.Reader(abi, owned)
        reader.read(elf.dwarf_of(opened, label))
    return reader


def model(
    label: str, reader: dwarf.Reader, macros: Mapping[str, int] | None, notes: tuple[str, ...]
) -> Model:
    """What a reader has found."""
    return Model(label, reader.declarations, macros, reader.abi, reader.measured, macros is not None, notes)


def read(path: Path) -> Model:
    """The model of every named type in the file."""
    reader = load(path, str(path))
    unseen = f"{path}: macros were not visible: an object file has none; nor has it types that nothing uses"
    return model(str(path), reader, None, (unseen,))
