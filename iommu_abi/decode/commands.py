"""What an ioctl is about: its command, its struct, who may also have meant the number, and its errno."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from iommu_abi import rules
from iommu_abi.decode import vfio_errors
from iommu_abi.decode.strace import SELFTEST, Call, known
from iommu_abi.errors import ERRNO_NAMES, UsageError
from iommu_abi.inputs import to_number
from iommu_abi.ioctl import TYPE, family
from iommu_abi.names import meant
from iommu_abi.schemas import uapi
from iommu_abi.structs.kind import StructKind
from iommu_abi.uapi.layout import Abi

FIRST_OF_IOMMUFD = 0x80


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a kernel. ``kind`` is None where it takes no struct, or one that is not known here.

    ``least`` are the bytes that every caller gives, ``writes`` the fields that the kernel writes.
    """

    name: str
    nr: int
    generation: str
    kind: StructKind | None = None
    least: int = 0
    writes: tuple[str, ...] = ()


def _writes(kind: StructKind) -> Iterator[str]:
    for member in uapi.members(kind.schema, kind.plain_abi):
        if member.field.use in (uapi.Use.OUT, uapi.Use.BOTH):
            yield member.path


def _command(ioctl: uapi.Ioctl, generation: uapi.Generation, abi: Abi) -> Command:
    if not ioctl.struct:
        return Command(ioctl.name, ioctl.nr, generation.name)
    kind = StructKind(ioctl.struct, generation.name, abi)
    least = rules.least(rules.any_struct(kind.name), kind.plain_abi)
    return Command(ioctl.name, ioctl.nr, generation.name, kind, least, tuple(_writes(kind)))


def _merged(kernel: str) -> list[uapi.Generation]:
    """The generations whose commands a kernel has."""
    if kernel not in rules.KERNELS:
        raise UsageError(f"no kernel {kernel!r} is known here, expected one of: {' '.join(rules.KERNELS)}")
    return [uapi.GENERATIONS[name] for name in rules.KERNELS[kernel]]


@cache
def numbered(nr: int, kernel: str, abi: Abi) -> tuple[Command, ...]:
    """The commands of a kernel that share a number: VFIO has several, for different files.

    Those of powerpc's IOMMU are left out on other machines where there is another one.
    """
    found: dict[str, Command] = {}
    for generation in _merged(kernel):
        for ioctl in generation.ioctls.values():
            if ioctl.nr == nr:
                found.setdefault(ioctl.name, _command(ioctl, generation, abi))
    if nr == SELFTEST[1] and not found:
        found[SELFTEST[0]] = Command(*SELFTEST, "the iommufd selftest")
    elsewhere = [name for name in found if "SPAPR" in name and not abi.name.startswith("powerpc")]
    if len(elsewhere) < len(found):
        for name in elsewhere:
            del found[name]
    return tuple(found.values())


@cache
def proposed(nr: int, but: tuple[Command, ...]) -> tuple[str, ...]:
    """``NAME@GENERATION`` of what was proposed for a number and never merged: the newest of each name."""
    merged = {name for names in rules.KERNELS.values() for name in names}
    names = {each.name for each in but}
    found = {
        ioctl.name: f"{ioctl.name}@{gen.name}"
        for gen in uapi.GENERATIONS.values()
        for ioctl in gen.ioctls.values()
        if gen.name not in merged and ioctl.nr == nr and ioctl.name not in names
    }
    return tuple(found.values())


def named(name: str, kernel: str, abi: Abi) -> Command:
    """The command of ``NAME``, ``NAME@GENERATION`` or a whole number; UsageError names what is known."""
    if name[:1].isdigit():
        return _by_number(name, kernel, abi)
    name, at, wanted = name.partition("@")
    generations = (
        [uapi.generation(wanted)] if at else [*_merged(kernel), *reversed(list(uapi.GENERATIONS.values()))]
    )
    for generation in generations:
        if name in generation.ioctls:
            return _command(generation.ioctls[name], generation, abi)
    known = {each for gen in generations for each in gen.ioctls}
    raise UsageError(f"no ioctl {name!r}{meant(name, sorted(known))}")


def _by_number(text: str, kernel: str, abi: Abi) -> Command:
    request = family(abi.name).decode(to_number(text, "--ioctl", (1 << 32) - 1))
    found = [each for each in numbered(request.nr, kernel, abi) if request.type == TYPE]
    if len(found) == 1:
        return found[0]
    several = " or ".join(each.name for each in found)
    raise UsageError(
        f"--ioctl: {text} is {several}: say which" if found else f"--ioctl: no command is {text}"
    )


# ---------------------------------------------------------------- a call


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a call is about: ``commands`` are all that it may be, ``also`` what was only proposed.

    ``errors`` are the reasons of the call's errno in the kernel's order: (field, reason).
    """

    commands: tuple[Command, ...]
    also: tuple[str, ...]
    errors: tuple[tuple[str, str], ...]


_DEVICE, _GROUP = "VFIO_DEVICE_", "VFIO_GROUP_"


def _on_file(found: Sequence[Command], file: str) -> Sequence[Command]:
    """Those that make sense on a file, if its name says what it is: a container or a device."""
    wanted = found
    if file.startswith("/dev/vfio/vfio"):
        wanted = tuple(each for each in found if not each.name.startswith((_DEVICE, _GROUP)))
    elif file.startswith(("/dev/vfio/devices/", "anon_inode:[vfio-device]")):
        wanted = tuple(each for each in found if each.name.startswith(_DEVICE))
    return wanted or found


def explain(call: Call, kernel: str, abi: Abi) -> Meaning:
    """The command of a call on a kernel, and the reasons for its errno."""
    return _explain(call.nr, call.file, call.names, call.errno, kernel, abi)


@cache
def _explain(nr: int, file: str, names: tuple[str, ...], errno: str, kernel: str, abi: Abi) -> Meaning:
    found = tuple(_on_file(numbered(nr, kernel, abi), file))
    found = tuple(each for each in found if each.name in names) or found
    reasons: list[tuple[str, str]] = []
    for command in found if errno else ():
        prefix = f"{command.name}: " if len(found) > 1 else ""
        reasons += [
            (f"{prefix}{field}".removesuffix(": "), why) for field, why in _reasons(nr, errno, command)
        ]
    if errno and not found:
        reasons = _reasons(nr, errno, None)
    return Meaning(found, proposed(nr, found), tuple(dict.fromkeys(reasons)))


def why(name: str, errno: str, kernel: str, abi: Abi) -> tuple[tuple[str, str], ...]:
    """The reasons of a command's errno, where a text says only these two; none for an unknown command."""
    nr = known().get(name)
    return _explain(nr, "", (name,), errno, kernel, abi).errors if nr is not None else ()


def _reasons(nr: int, errno: str, command: Command | None) -> list[tuple[str, str]]:
    where = "/dev/iommu" if nr >= FIRST_OF_IOMMUFD else "a container, group or device of VFIO"
    always = {
        "EBADF": ("", "no open file has this number"),
        "ENOTTY": ("", f"the file is not {where}, or the kernel has no such command"),
        "ENOIOCTLCMD": ("", "the number's direction and size are not those of the command"),
    }
    found = [always[errno]] if errno in always else []
    if command is None:
        return found
    if of_any_kernel := vfio_errors.reasons(command.name, errno):  # a log does not say of which kernel it is
        return [*found, *of_any_kernel]
    subject = rules.any_struct(command.kind.name) if command.kind else None
    if command.kind is None or subject is None or (found and not subject.rows):
        return found
    number = next((n for n, name in ERRNO_NAMES.items() if name == errno), -1)
    return [*found, *rules.reasons(subject, number, command.kind.plain_abi)]
