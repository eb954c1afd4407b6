"""Where a header finds what it includes with <>: in its own tree before this machine's."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from iommu_abi.compat import machines
from iommu_abi.compat.machines import Machine
from iommu_abi.uapi.layout import host

#: Directories in which the kernel's headers are installed, beside one another.
_TOPS = ("linux", "drm", "asm", "asm-generic", "rdma", "sound", "misc", "mtd", "scsi", "video", "xen")
_ZIG = "any-linux-any"


def directories(header: Path, include: Iterable[str]) -> list[Path]:
    """The given ones, then the root of the tree that the header lies in, each with its asm/.

    Of the given ones those first that are nearest to the header: each of two trees has its own.
    """
    found = _roots(header, include)
    return list(dict.fromkeys(each for root in found for each in (*_machine(root), root)))


def directories_for(header: Path, include: Iterable[str], machine: Machine, package: Path) -> list[Path]:
    """The same for another machine, and then the headers in the package ziglang.

    Its asm/ comes first: what lies in a tree itself may be that of the machine the tree was made for.
    """
    found = _roots(header, include)
    own = [path for root in found for path in _asm_of(root, machine.family, *machines.relatives(machine))]
    return list(
        dict.fromkeys([*own, machines.asm(machine, package), *found, *machines.libraries(machine, package)])
    )


def _roots(header: Path, include: Iterable[str]) -> list[Path]:
    own = _root(header)
    given = sorted((Path(name).resolve() for name in include), key=lambda path: -_shared(path, header))
    return [*given, *([own] if own else [])]


def _shared(path: Path, header: Path) -> int:
    """How many directories from the root on two paths have in common."""
    return len(Path(os.path.commonpath((path, header))).parts)


def _root(header: Path) -> Path | None:
    """The directory of linux/, for linux/x.h, drm/x.h, linux/sched/x.h; None in a source tree.

    What include/uapi of a source tree has is not yet what a program includes.
    """
    for parent in (header.parent, header.parent.parent):
        root = parent.parent
        if parent.name in _TOPS and root.name != "uapi":
            return root
    return None


def of_other_machines(header: Path, machine: Machine | None) -> Iterator[tuple[str, Path]]:
    """The asm/ header of the same name that each other machine has in the tree: s390x's asm/kvm.h.

    Other than ``machine``, or than the one that this runs on.
    """
    root = _root(header)
    if not root or header.parent.name != "linux":
        return
    beside = root.parent.glob("*-linux-any") if root.name == _ZIG else root.glob("*-linux-*")
    relatives = machines.relatives(machine) if machine else []
    of_machine = _asm_of(root, machine.family, *relatives) if machine else _machine(root)
    own = {path.resolve() for path in of_machine}
    for path in sorted(beside):
        found = path / "asm" / header.name
        if path.resolve() not in own and found.is_file():
            yield path.name.partition("-")[0], found


def _machine(root: Path) -> Iterator[Path]:
    """Directories with this machine's asm/, which come first: Debian's and ziglang's beside all others."""
    family = host().name.replace("x86_64", "x86")
    yield from _asm_of(root, family, str(sysconfig.get_config_var("MULTIARCH")))


def _asm_of(root: Path, family: str, *multiarch: str) -> Iterator[Path]:
    """The first that is there; in the package's tree the family's, in Debian's one of those names."""
    zig = root.with_name(f"{family}-linux-any")
    paths = [zig] if root.name == _ZIG else [root / name for name in multiarch]
    yield from [path for path in paths if (path / "asm").is_dir()][:1]
