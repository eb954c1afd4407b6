"""Which kernel has which generations, and how each takes a struct."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from iommu_abi.errors import UsageError
from iommu_abi.names import meant
from iommu_abi.rules import (
    iommufd,
    linux_iommu,
    ptc,
    seed,
    vfio,
    vfio_argument,
    vfio_cdev,
    vfio_device,
    vfio_feature,
)
from iommu_abi.rules.row import ANY, Row, Tail, Version, known_to
from iommu_abi.schemas import uapi

#: Kernel -> its generations. Only these have tables of their own: :func:`nearest` finds those of others.
KERNELS: Mapping[str, tuple[str, ...]] = {
    "4.19": ("vfio_4_19",),
    "5.10": ("linux_5_10", "vfio_5_10"),
    "5.16": ("linux_5_10", "vfio_5_16"),
    "6.1": ("linux_6_1", "vfio_6_1"),
    "6.3": ("iommufd_6_3", "linux_6_1", "vfio_6_3"),
    "6.12": ("iommufd_6_12", "vfio_6_12"),
    "6.13": ("iommufd_6_13", "vfio_6_12"),
    "6.19": ("iommufd_6_19", "vfio_6_19"),
    "7.2": ("iommufd_7_2", "vfio_7_2"),
    "7.3": ("iommufd_7_3", "vfio_7_3"),
}
#: The tables of VFIO's structs.
VFIO = (
    vfio.COMMANDS, vfio.DATA, vfio_device.COMMANDS, vfio_feature.COMMANDS, vfio_feature.DATA,
    vfio_cdev.COMMANDS,
)  # fmt: skip
_VFIO = {each.name for each in uapi.VFIO}
#: The kernels whose order of checks is known, for iommufd; that of VFIO is known of all.
ORDER_KNOWN = ("7.2", "7.3")


class Taken(enum.Enum):
    """How a kernel learns how long a struct is."""

    SIZE_FIRST = "its first member says its size, and what the kernel does not know must be 0"
    ARGSZ = "its first member says its size, and what the kernel does not know is ignored"
    EXACT = "its length is said elsewhere and must be exactly that of the struct"
    FIXED = "its length is known"
    LENGTH = "a member says how many bytes follow"
    NUMBER = "no struct: its argument is a number"
    NOTHING = "no struct: its argument is not looked at"

    @property
    def is_struct(self) -> bool:
        """Is the argument an address?"""
        return self not in (Taken.NUMBER, Taken.NOTHING)


#: Releases of a major version; the last one is not at its end.
_MINORS = {3: 20, 4: 21, 5: 20, 6: 20}


def _release(kernel: str) -> int:
    """How many releases came before: 7.0 is the one after 6.19. UsageError if it is no kernel's number."""
    found = re.fullmatch(r"v?(\d{1,2})\.(\d{1,3})(?:[.\-+~_].*)?", kernel)
    if not found or int(found[1]) < min(_MINORS):
        raise UsageError(f"kernel {kernel!r}: expected a number such as 6.12, from 3.0 on")
    major, minor = int(found[1]), int(found[2])
    if minor >= _MINORS.get(major, minor + 1):
        raise UsageError(f"kernel {kernel!r}: there was no {major}.{minor}")
    return sum(_MINORS.get(each, 20) for each in range(3, major)) + minor


def nearest(kernel: str) -> str:
    """The kernel with a table of its own that is nearest, of two the newer: its own, if it has one."""
    number = _release(kernel)
    return min(reversed(list(KERNELS)), key=lambda each: abs(_release(each) - number))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about: a struct of a generation, on a kernel ("" for what was never merged).

    The argument of a command without a struct is one of the command's name, with one number.
    ``asked`` is the kernel that was asked for, where that is another one, whose table is not known.
    """

    struct: str
    generation: uapi.Generation
    kernel: str
    taken: Taken
    rows: tuple[Row, ...]
    command: uapi.Ioctl | None = None
    asked: str = ""

    @property
    def order_known(self) -> bool:
        """Is the order of the checks this kernel's own?"""
        return not self.generation.name.startswith("iommufd") or self.kernel in ORDER_KNOWN


def version(kernel: str) -> Version:
    """``"6.12"`` -> (6, 12)."""
    major, minor = kernel.split(".")
    return int(major), int(minor)


def _number(generation: str) -> Version:
    """The kernel of a generation: ``iommufd_6_12`` -> (6, 12); the first of all for what was only posted."""
    found = re.fullmatch(r"(?:iommufd|vfio|linux)_(\d+)_(\d+)", generation)
    return (int(found[1]), int(found[2])) if found else ANY


def _rows(struct: str, generation: str) -> tuple[Row, ...] | None:
    """The rows of a struct that its generation's kernel has; None if nothing is known of it."""
    number, rows = _number(generation), _all_rows(struct, generation)
    if rows is None:
        return None
    return tuple(row for row in rows if known_to(row, number))


def _all_rows(struct: str, generation: str) -> tuple[Row, ...] | None:
    if generation.startswith("iommufd"):
        return iommufd.COMMANDS.get(struct) or iommufd.DATA.get(struct)
    if generation.startswith("linux_"):
        return linux_iommu.STRUCTS.get(struct) if generation in ("linux_5_10", "linux_6_1") else None
    if generation in _VFIO:
        return next((table[struct] for table in VFIO if struct in table), None)
    return {**ptc.GENERATIONS, **seed.GENERATIONS}.get(generation, {}).get(struct)


def _taken(struct: uapi.Struct, generation: str) -> Taken:
    first = struct.fields[0].name
    if generation.startswith("iommufd"):
        return Taken.SIZE_FIRST if first == "size" else Taken.EXACT
    if struct.name == "vfio_device_bind_iommufd" and _number(generation) > vfio_cdev.LAST_WITHOUT:
        return Taken.SIZE_FIRST
    if struct.name in seed.GENERATIONS.get(generation, {}):
        return Taken.LENGTH
    return Taken.ARGSZ if first == "argsz" else Taken.FIXED


def with_rules(generation: uapi.Generation) -> list[str]:
    """The structs of a generation that have rules."""
    return [name for name in generation.structs if _rows(name, generation.name) is not None]


def _subject(struct: str, generation: uapi.Generation, kernel: str) -> Subject:
    rows = _rows(struct, generation.name)
    if rows is None:
        some = with_rules(generation)
        known = meant(struct, some) if some else ", nor for any other struct of it"
        raise UsageError(f"no rules are known for {struct}@{generation.name}{known}")
    return _made(struct, generation, kernel, rows)


def _made(struct: str, generation: uapi.Generation, kernel: str, rows: tuple[Row, ...]) -> Subject:
    command = next((i for i in generation.ioctls.values() if i.struct == struct), None)
    taken = _taken(generation.struct(struct), generation.name)
    return Subject(struct, generation, kernel, taken, rows, command)


def behind(subject: Subject, row: Tail) -> Subject:
    """The struct that follows another one."""
    return _subject(row.struct, subject.generation, subject.kernel)


def _generations(kernel: str) -> list[uapi.Generation]:
    return [uapi.GENERATIONS[name] for name in KERNELS[kernel]]


def _asked(subject: Subject, kernel: str | None) -> Subject:
    """Note a kernel whose table stands for the one that was asked for."""
    if kernel is None or _release(kernel) == _release(subject.kernel):
        return subject
    return replace(subject, asked=kernel)


def _newest(struct: str) -> str:
    """The newest kernel that has a struct."""
    for kernel in reversed(list(KERNELS)):
        if any(struct in each.structs for each in _generations(kernel)):
            return kernel
    known = {name for kernel in KERNELS for each in _generations(kernel) for name in each.structs}
    close = meant(struct, sorted(known))
    raise UsageError(
        f"no kernel of {' '.join(KERNELS)} has a struct {struct!r}{close}"
        f"{'' if close else '; one that was only proposed is named STRUCT@GENERATION'}"
    )


def struct(name: str, kernel: str | None = None) -> Subject:
    """``"STRUCT"`` or ``"STRUCT@GENERATION"``; UsageError names what is known."""
    tag, at, generation_name = name.partition("@")
    if at:
        generation = uapi.generation(generation_name)
        generation.struct(tag)
        holders = [k for k, names in KERNELS.items() if generation_name in names]
        table = nearest(kernel) if kernel else (holders[-1] if holders else "")
        if kernel is not None and table not in holders:
            known = " ".join(holders) or "none"
            raise UsageError(f"{generation_name} is not the generation of kernel {kernel}, but of: {known}")
        return _asked(_subject(tag, generation, table), kernel)
    table = nearest(kernel) if kernel else _newest(tag)
    for generation in _generations(table):
        if tag in generation.structs:
            return _asked(_subject(tag, generation, table), kernel)
    raise UsageError(f"kernel {table} has no struct {tag!r}")


@cache
def any_struct(name: str) -> Subject:
    """``"STRUCT@GENERATION"``, also one of which no rules are known: then it has no rows."""
    tag, _, generation_name = name.partition("@")
    generation = uapi.generation(generation_name)
    kernel = next((k for k in reversed(list(KERNELS)) if generation_name in KERNELS[k]), "")
    generation.struct(tag)
    return _made(tag, generation, kernel, _rows(tag, generation_name) or ())


def answerable(ioctl: uapi.Ioctl) -> bool:
    """Is the struct of a command known, or what its argument is without one?"""
    return bool(ioctl.struct) or ioctl.name in vfio_argument.COMMANDS


def _without_struct(name: str, generation: uapi.Generation, kernel: str) -> Subject:
    """A command whose argument is a number, or nothing."""
    taken = Taken.NUMBER if name in vfio_argument.NUMBERED else Taken.NOTHING
    whole = generation.then(generation.name, generation.source, [vfio_argument.argument(name)])
    rows = vfio_argument.rows(name, version(kernel))
    return Subject(name, whole, kernel, taken, rows, generation.ioctls[name])


def command(name: str, kernel: str = "7.3") -> Subject | None:
    """The command of a name on a kernel; None if the kernel does not have it, UsageError if none has."""
    table = nearest(kernel)
    for generation in _generations(table):
        if name in generation.ioctls and name in vfio_argument.COMMANDS:
            return _asked(_without_struct(name, generation, table), kernel)
        if name in generation.ioctls and not answerable(generation.ioctls[name]):
            raise UsageError(f"{name} takes a struct or an address of which nothing is known here")
        if name in generation.ioctls:
            return _asked(_subject(generation.ioctls[name].struct, generation, table), kernel)
    known = {each for other in KERNELS for gen in _generations(other) for each in gen.ioctls}
    if name not in known:
        raise UsageError(f"no known kernel has an ioctl {name!r}{meant(name, sorted(known))}")
    return None
