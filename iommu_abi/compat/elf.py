"""ELF files: which ABI one is for, and its DWARF."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from elftools.common.exceptions import ELFRelocationError
from elftools.elf.elffile import ELFFile

from iommu_abi.errors import UsageError
from iommu_abi.uapi.layout import ABIS, Abi

#: (e_machine, class, byte order) -> ABI; mips has its own flag
_ABIS = {
    ("EM_X86_64", 64, True): "x86_64",
    ("EM_X86_64", 32, True): "x32",
    ("EM_386", 32, True): "i386",
    ("EM_AARCH64", 64, True): "aarch64",
    ("EM_AARCH64", 64, False): "aarch64_be",
    ("EM_ARM", 32, True): "arm",
    ("EM_ARM", 32, False): "armeb",
    ("EM_RISCV", 64, True): "riscv64",
    ("EM_RISCV", 32, True): "riscv32",
    ("EM_PPC64", 64, False): "powerpc64",
    ("EM_PPC64", 64, True): "powerpc64le",
    ("EM_PPC", 32, False): "powerpc",
    ("EM_S390", 64, False): "s390x",
    ("EM_MIPS", 32, False): "mips",
    ("EM_MIPS", 32, True): "mipsel",
    ("EM_MIPS", 64, False): "mips64",
    ("EM_SPARCV9", 64, False): "sparc64",
    ("EM_SPARC", 32, False): "sparc",
    ("EM_SPARC32PLUS", 32, False): "sparc",
    ("EM_LOONGARCH", 64, True): "loongarch64",
    ("EM_QDSP6", 32, True): "hexagon",
    ("EM_68K", 32, False): "m68k",
}
_MIPS_N32 = 0x20  # EF_MIPS_ABI2


def abi_of(elf: ELFFile, label: str) -> Abi:
    """The ABI that a file was compiled for; UsageError if it is none of those known."""
    machine = elf["e_machine"]
    name = _ABIS.get((machine, elf.elfclass, elf.little_endian))
    if name == "mips" and elf["e_flags"] & _MIPS_N32:
        name = "mips64n32"
    if name is None:
        order = "little" if elf.little_endian else "big"
        raise UsageError(f"{label}: {machine}, {elf.elfclass} bits, {order} endian is none of the known ABIs")
    return ABIS[name]


def dwarf_of(elf: ELFFile, label: str) -> Any:
    """The debugging information; UsageError if there is none or it cannot be read."""
    if not elf.has_dwarf_info():
        raise UsageError(f"{label}: no DWARF debugging information, expected an object compiled with -g")
    try:
        return elf.get_dwarf_info()
    except ELFRelocationError as error:
        raise UsageError(
            f"{label}: its DWARF cannot be read: {error}; a linked program or library has none"
        ) from None


def symbol_bytes(path: Path, name: str) -> tuple[bytes, Literal["little", "big"]]:
    """The initial value of a global object, and the byte order of its numbers."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        symbols: Any = elf.get_section_by_name(".symtab")
        symbol = symbols.get_symbol_by_name(name)[0]
        section = elf.get_section(symbol["st_shndx"])
        start = symbol["st_value"] - section["sh_addr"]
        data: bytes = section.data()[start : start + symbol["st_size"]]
        return data, "little" if elf.little_endian else "big"
