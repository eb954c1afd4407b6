"""A witness outside: layouts and constants as clang of the ziglang wheel finds them in a header, on 21 ABIs.

The wheel bundles the headers of one kernel. A C file asks for sizeof, alignof, offsetof and constants in
one array, is compiled, never run, and the array is read from the object file.
"""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile

from iommu_abi import ioctl, uapi
from iommu_abi.uapi import layout
from iommu_abi.uapi._generation import declarations

ROOT = Path(__file__).resolve().parent.parent

#: clang's names. m68k is missing: LLVM's is not in the wheel; its witness is gcc's, in layouts.json.
TARGETS = {
    "x86_64": "x86_64-linux-gnu", "x32": "x86_64-linux-gnux32", "i386": "x86-linux-gnu",
    "aarch64": "aarch64-linux-gnu", "aarch64_be": "aarch64_be-linux-gnu",
    "arm": "arm-linux-gnueabi", "armeb": "armeb-linux-gnueabi",
    "riscv64": "riscv64-linux-gnu", "riscv32": "riscv32-linux-gnu",
    "powerpc64": "powerpc64-linux-gnu", "powerpc64le": "powerpc64le-linux-gnu",
    "powerpc": "powerpc-linux-gnueabi", "s390x": "s390x-linux-gnu",
    "mips": "mips-linux-gnueabi", "mipsel": "mipsel-linux-gnueabi",
    "mips64": "mips64-linux-gnuabi64", "mips64n32": "mips64-linux-gnuabin32",
    "sparc64": "sparc64-linux-gnu", "sparc": "sparc-linux-gnu",
    "loongarch64": "loongarch64-linux-gnu", "hexagon": "hexagon-linux-musl",
}  # fmt: skip

#: Headers that have a generation's structs, by the kernel they came with.
KERNELS = {
    "4.19": {"vfio_4_19": "vfio.h"},
    "5.10": {"linux_5_10": "iommu.h", "vfio_5_10": "vfio.h"},
    "5.16": {"vfio_5_16": "vfio.h"},
    "6.1": {"linux_6_1": "iommu.h", "vfio_6_1": "vfio.h"},
    "6.3": {"iommufd_6_3": "iommufd.h", "linux_6_1": "iommu.h", "vfio_6_3": "vfio.h"},
    "6.12": {"iommufd_6_12": "iommufd.h", "vfio_6_12": "vfio.h"},
    "6.13": {"iommufd_6_13": "iommufd.h", "vfio_6_12": "vfio.h"},
    "6.19": {"iommufd_6_19": "iommufd.h", "vfio_6_19": "vfio.h"},
    "7.2": {"iommufd_7_2": "iommufd.h", "vfio_7_2": "vfio.h"},
    "7.3": {"iommufd_7_3": "iommufd.h", "vfio_7_3": "vfio.h"},
}


@dataclass(frozen=True)
class Headers:
    """Linux's own headers in a directory, that of ``linux/`` and ``asm-generic/``."""

    path: Path

    @property
    def kernel(self) -> str:
        """``"7.2"``."""
        text = (self.path / "linux/version.h").read_text()
        code = int(re.findall(r"LINUX_VERSION_CODE (\d+)", text)[0])
        return f"{code >> 16}.{code >> 8 & 255}"

    def structs(self, header: str) -> set[str]:
        """The structs that a header defines."""
        return set(re.findall(r"^struct (\w+) \{", (self.path / "linux" / header).read_text(), re.M))


@cache
def bundled() -> Headers:
    """Those that the installed ziglang brings."""
    spec = importlib.util.find_spec("ziglang")
    assert spec, "the cross witness needs ziglang: pip install -e '.[cross]'"
    assert spec.origin
    return Headers(Path(spec.origin).parent / "lib/libc/include/any-linux-any")


#: Directories of headers that a family of machines has of its own, by the beginning of the ABI's name.
FAMILIES = {
    "x": "x86", "i386": "x86", "aarch64": "aarch64", "arm": "arm", "riscv": "riscv", "powerpc": "powerpc",
    "s390x": "s390x", "mips": "mips", "sparc": "sparc", "loongarch": "loongarch", "hexagon": "hexagon",
}  # fmt: skip


def _include_paths(abi: str, headers: Headers) -> list[str]:
    """Before all others: the family's asm/ and the kernel's linux/, last those that zig itself uses.

    As -I: zig looks into its own directories before it looks into those of -isystem.
    """
    family = next(name for start, name in FAMILIES.items() if abi.startswith(start))
    anys = [headers.path, bundled().path]  # an old one has an asm/ of no machine's beside its linux/
    paths = [*(path.with_name(f"{family}-linux-any") for path in anys), *anys]
    return [f"-I{path}" for path in paths if path.is_dir()]


def compile_c(text: str, abi: str, made: Path, headers: Headers | None = None) -> str:
    """Compile C for an ABI into an object; what the compiler says if it refuses, else ""."""
    command = [
        sys.executable, "-m", "ziglang", "cc", "-target", TARGETS[abi], "-std=gnu11", "-c", "-x", "c",
        "-", f"-I{ROOT}/cdefs", *_include_paths(abi, headers or bundled()), "-o", str(made),
    ]  # fmt: skip
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def compile_facts(includes: str, asked: Sequence[str], abi: str, headers: Headers | None = None) -> list[int]:
    """The values of constant expressions of C on an ABI; AssertionError with what the compiler said."""
    text = f"#include <stddef.h>\n{includes}\nconst unsigned facts[] = {{\n" + ",\n".join(asked) + "\n};\n"
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "facts.o"
        refused = compile_c(text, abi, made, headers)
        assert not refused, f"{abi}: {refused[:2000]}"
        elf = ELFFile(io.BytesIO(made.read_bytes()))
    symbol = elf.get_section_by_name(".symtab").get_symbol_by_name("facts")[0]
    section = elf.get_section(symbol["st_shndx"])
    data = section.data()[symbol["st_value"] : symbol["st_value"] + symbol["st_size"]]
    order = "little" if elf.little_endian else "big"
    return [int.from_bytes(data[at : at + 4], order) for at in range(0, len(data), 4)]


def questions(gen: str, abi: str) -> dict[str, tuple[str, int]]:
    """What is asked about a generation: what it is about -> (expression of C, our value on the ABI)."""
    asked = {}
    declared = declarations(gen)
    for tag, record in declared.records.items():
        made = layout.layout(record, layout.abi(abi))
        asked[f"sizeof {tag}"] = f"sizeof(struct {tag})", made.size
        asked[f"alignof {tag}"] = f"_Alignof(struct {tag})", made.align
        for f in made.fields:
            if f.bits:  # has no address
                continue
            asked[f"offsetof {tag}.{f.name}"] = f"offsetof(struct {tag}, {f.name})", f.offset
            if f.size:
                asked[f"sizeof {tag}.{f.name}"] = f"sizeof(((struct {tag} *)0)->{f.name})", f.size
    host = layout.host().name
    for name, value in declared.constants().items():
        if value & ~0xFF == ioctl.io(ioctl.TYPE, 0, host):  # the header has this machine's number
            value = ioctl.io(ioctl.TYPE, value & 0xFF, abi)
        asked[f"value of {name}"] = f"(unsigned)({name})", value
    return asked


@dataclass(frozen=True)
class Difference:
    """A fact on which we and the compiler do not agree."""

    gen: str
    abi: str
    what: str
    ours: int
    compiled: int


def differences(gen: str, includes: str, abi: str, headers: Headers | None = None) -> list[Difference]:
    """Everything about a generation on an ABI that the compiler sees otherwise."""
    asked = questions(gen, abi)
    found = compile_facts(includes, [expression for expression, _ in asked.values()], abi, headers)
    assert len(found) == len(asked)
    return [
        Difference(gen, abi, what, ours, value)
        for (what, (_, ours)), value in zip(asked.items(), found)
        if ours != value
    ]


def all_differences(
    work: Mapping[str, str], headers: Headers | None = None
) -> dict[tuple[str, str], list[Difference]]:
    """(generation, ABI) -> differences; ``work`` is the includes by generation."""
    pairs = [(gen, abi) for gen in work for abi in TARGETS]
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(pairs, pool.map(lambda pair: differences(pair[0], work[pair[0]], pair[1], headers), pairs))
        )


def own_headers() -> dict[str, str]:
    """What includes our header of each generation that has anything to ask about."""
    return {gen: f'#include "iommu_abi/uapi/{gen}.h"' for gen in uapi.GENERATIONS}


def kernels_headers(headers: Headers) -> dict[str, str]:
    """What includes the kernel's own header of each generation."""
    return {gen: f"#include <linux/{header}>" for gen, header in KERNELS[headers.kernel].items()}
