"""The machines that the clang in the package ziglang compiles for: one for each of the 22 ABIs.

It has no code generator for m68k, no linker for sparc, and pyelftools cannot read sparc64's DWARF. For these
another big-endian machine with words of the same size stands in, with the names that clang predefines for
the machine itself: what a header declares there is right, and its layout is computed or is the same.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from iommu_abi.compat import compiler
from iommu_abi.errors import UsageError

_PREDEFINED = re.compile(r"^#define (\w+(?:\([\w,. ]*\))?) ?(.*)$", re.M)


@dataclass(frozen=True)
class Machine:
    """An ABI as clang names it; whose asm/ it has; which C library; the ABI that stands in for it."""

    abi: str
    target: str
    family: str
    libc: str = "gnu"
    stand_in: str = ""

    @property
    def multiarch(self) -> str:
        """The directory that Debian has for it."""
        return _DEBIAN.get(self.abi, self.target)


MACHINES = {
    machine.abi: machine
    for machine in (
        Machine("x86_64", "x86_64-linux-gnu", "x86"),
        Machine("x32", "x86_64-linux-gnux32", "x86"),
        Machine("i386", "x86-linux-gnu", "x86"),
        Machine("aarch64", "aarch64-linux-gnu", "aarch64"),
        Machine("aarch64_be", "aarch64_be-linux-gnu", "aarch64"),
        Machine("arm", "arm-linux-gnueabi", "arm"),
        Machine("armeb", "armeb-linux-gnueabi", "arm"),
        Machine("riscv64", "riscv64-linux-gnu", "riscv"),
        Machine("riscv32", "riscv32-linux-gnu", "riscv"),
        Machine("powerpc64", "powerpc64-linux-gnu", "powerpc"),
        Machine("powerpc64le", "powerpc64le-linux-gnu", "powerpc"),
        Machine("powerpc", "powerpc-linux-gnueabi", "powerpc"),
        Machine("s390x", "s390x-linux-gnu", "s390x"),
        Machine("mips", "mips-linux-gnueabi", "mips"),
        Machine("mipsel", "mipsel-linux-gnueabi", "mips"),
        Machine("mips64", "mips64-linux-gnuabi64", "mips"),
        Machine("mips64n32", "mips64-linux-gnuabin32", "mips"),
        Machine("sparc64", "sparc64-linux-gnu", "sparc", stand_in="mips64"),
        Machine("sparc", "sparc-linux-gnu", "sparc", stand_in="mips"),
        Machine("loongarch64", "loongarch64-linux-gnu", "loongarch"),
        Machine("hexagon", "hexagon-linux-musl", "hexagon", libc="musl"),
        Machine("m68k", "m68k-linux-gnu", "m68k", stand_in="mips"),
    )
}
#: Where Debian's name is not clang's.
_DEBIAN = {
    "x32": "x86_64-linux-gnux32", "i386": "i386-linux-gnu", "powerpc": "powerpc-linux-gnu",
    "mips": "mips-linux-gnu", "mipsel": "mipsel-linux-gnu", "mips64n32": "mips64-linux-gnuabin32",
}  # fmt: skip


def relatives(machine: Machine) -> list[str]:
    """Debian's directories of machines with the same asm/: its own, then those of its family."""
    family = [each.multiarch for each in MACHINES.values() if each.family == machine.family]
    return list(dict.fromkeys([machine.multiarch, *family]))


def target(machine: Machine) -> tuple[str, ...]:
    """Words for ``zig cc``: which machine, and no directories of its own but that of its builtins."""
    words = ("-target", MACHINES[machine.stand_in or machine.abi].target, "-nostdlib")
    checks = ("-fno-sanitize=all", "-ferror-limit=0")
    return (*words, *checks, *(("-undef", *_predefined(machine.target)) if machine.stand_in else ()))


def libraries(machine: Machine, package: Path) -> tuple[Path, ...]:
    """Headers in the package: first the kernel's asm/ of the machine, then what all need."""
    root = package / "lib/libc/include"
    libc = (root / f"{machine.family}-linux-{machine.libc}", root / f"generic-{_LIBC[machine.libc]}")
    return (asm(machine, package), *libc, root / "any-linux-any")


_LIBC = {"gnu": "glibc", "musl": "musl"}


def asm(machine: Machine, package: Path) -> Path:
    """The directory of the machine's asm/ in the package."""
    return package / f"lib/libc/include/{machine.family}-linux-any"


@cache
def _predefined(target: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="iommu-abi-") as directory:
        words = ("-target", target, "-E", "-dM", "-x", "c", "/dev/null")
        done = compiler.run(*words, directory=directory, program=compiler.zig())
    if done.status:
        raise UsageError(f"clang of ziglang does not know {target}")
    return tuple(_definitions(done.messages))


def _definitions(text: str) -> Iterator[str]:
    for found in _PREDEFINED.finditer(text):
        yield f"-D{found[1]}={found[2]}"
