"""An object file, library or program with DWARF as a model. Macros are not in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from elftools.elf.elffile import ELFFile

from iommu_abi.compat import dwarf, elf
from iommu_abi.compat.model import Model
from iommu_abi.errors import UsageError


def load(path: Path, label: str, owned: Callable[[str], bool] | None = None) -> dwarf.Reader:
    """The types in a file."""
    with path.open("rb") as file:
        try:
            opened = ELFFile(file)
            reader = dwarf.Reader(elf.abi_of(opened, label), owned)
            reader.read(elf.dwarf_of(opened, label))
        except UsageError:
            raise
        except Exception as error:  # elftools has no error of its own for most kinds of damage
            raise UsageError(
                f"{label}: not a usable ELF file with DWARF: {error or type(error).__name__}"
            ) from None
    return reader


def model(
    label: str, reader: dwarf.Reader, macros: Mapping[str, int] | None, notes: tuple[str, ...]
) -> Model:
    """What a reader has found."""
    complete = macros is not None
    found = Model(label, reader.declarations, macros, reader.abi, reader.measured, complete, notes)
    return replace(found, others=reader.others)


def read(path: Path, label: str) -> Model:
    """The model of every named type in the file."""
    unseen = f"{label}: macros were not visible: an object file has none; nor has it types that nothing uses"
    return model(label, load(path, label), None, (unseen,))
