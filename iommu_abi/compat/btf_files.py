"""Where files have a kernel's BTF: raw (/sys/kernel/btf/NAME), a directory of those, a section of ELF."""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from iommu_abi import btf
from iommu_abi.compat import elf
from iommu_abi.compat.from_btf import Kernel
from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import Abi, host

RAW = btf.MAGIC.to_bytes(2, "little")
_SWAPPED, _ELF = RAW[::-1], b"\x7fELF"
#: The name of the kernel's own among those of its modules.
KERNEL = "vmlinux"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _raw(path: Path, label: str) -> bytes:
    data = path.read_bytes()
    if data[:2] == _SWAPPED:
        raise UsageError(f"{label}: BTF of a big-endian machine, which is not read here")
    if data[:2] != RAW:
        raise UsageError(f"{label}: no BTF, which begins with {RAW.hex(' ')}, but with {data[:4].hex(' ')}")
    return data


def _section(path: Path, label: str) -> tuple[bytes, Abi] | None:
    """The section .BTF of an ELF file, if it has one; others are read by their DWARF."""
    with path.open("rb") as file:
        try:
            opened = ELFFile(file)
            section = opened.get_section_by_name(".BTF")
            return (section.data(), elf.abi_of(opened, label)) if section else None
        except (ELFError, ValueError, KeyError):  # damage is told by what reads the DWARF
            return None


def _beside(path: Path, label: str) -> bytes:
    """The BTF of the kernel that a module's goes on from."""
    kernel = path.parent / KERNEL
    if not kernel.is_file():
        raise UsageError(f"{label}: BTF of a module, which goes on from its kernel's: {kernel} is not there")
    found = _section(kernel, str(kernel)) if _start(kernel) == _ELF else None
    return found[0] if found else _raw(kernel, str(kernel))


def _unknown_machine(label: str) -> tuple[str, ...]:
    return (f"{label}: raw BTF does not say of which machine it is: taken as {host().name}",)


def find(path: Path, label: str) -> Kernel | None:
    """A file's or a directory's BTF; None if it has none."""
    if path.is_dir():
        kernel = path / KERNEL
        if not kernel.is_file():
            return None
        modules = tuple(_raw(each, str(each)) for each in sorted(path.iterdir()) if each.name != KERNEL)
        return Kernel(label, host(), _raw(kernel, str(kernel)), modules, _unknown_machine(label))
    start = _start(path)
    if start[:2] in (RAW, _SWAPPED):
        data, abi, notes = _raw(path, label), host(), _unknown_machine(label)
    elif start == _ELF and (found := _section(path, label)):
        (data, abi), notes = found, ()
    else:
        return None
    if btf.is_of_module(data):
        return Kernel(label, abi, _beside(path, label), (data,), notes)
    return Kernel(label, abi, data, (), notes)
