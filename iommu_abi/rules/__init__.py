"""What a kernel would answer: every check on a struct, in its order, with field, errno and source.

The rules are rows of data, kept once, in Python: ``iommufd``, ``vfio``, ``vfio_device``, ``vfio_feature``,
``vfio_cdev``, ``vfio_argument``, ``linux_iommu`` and ``ptc`` (proposed). They read blobs by the construct
schemas. Whether a caller's struct may be longer or shorter than the kernel's is decided by the core,
``iommu_abi_copy_struct_from_user()``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from iommu_abi.errors import AbiError, Rule
from iommu_abi.rules import vfio_argument
from iommu_abi.rules.envelope import TAKEN, envelope, given_size, least, reasons
from iommu_abi.rules.kernels import (
    KERNELS,
    Subject,
    Taken,
    answerable,
    any_struct,
    behind,
    command,
    nearest,
    struct,
    version,
)
from iommu_abi.rules.row import Check, Row, State, Tail, View, concerns, wanted
from iommu_abi.schemas import uapi

#: The newest kernel that has a table of its own.
NEWEST = list(KERNELS)[-1]
#: Broken by a command that a kernel does not have.
NO_COMMAND = Rule(
    "ioctl.number",
    "",
    errno.ENOTTY,
    "a command that this kernel has",
    "Linux 7.2, drivers/iommu/iommufd/main.c",
)


def substitute(kernel: str) -> str:
    """What is said where another kernel's table stands for one that is not known."""
    return f"no table of Linux {kernel}'s own is known: this is that of {nearest(kernel)}, the nearest"


#: Structs that hold a guest's table entry, and the module of iommu_abi.nesting that knows its rules.
GUEST_ENTRIES = {"iommu_hwpt_arm_smmuv3": "smmuv3", "iommu_hwpt_amd_guest": "amdvi"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a kernel says. ``error`` is None where the bytes are right.

    ``before`` are refusals that bytes cannot show and that come before the error; all there are if there
    is none. ``documented`` are broken rules that the header states and the kernel does not enforce.
    """

    subject: Subject
    error: AbiError | None
    before: tuple[State, ...] = ()
    documented: tuple[AbiError, ...] = ()
    notes: tuple[str, ...] = ()


def _notes(subject: Subject, data: bytes, given: int, abi: uapi.Abi) -> Iterator[str]:
    if subject.asked:
        yield substitute(subject.asked)
    if not subject.taken.is_struct:
        number = View(subject.generation.struct(subject.struct), subject.generation, abi, data, given)[""]
        yield from vfio_argument.meaning(subject.struct, number, version(subject.kernel))
    if not subject.order_known:
        yield f"the order of checks is that of Linux 7.2; {subject.kernel}'s own is not known"
    if not subject.kernel:
        yield f"{subject.generation.name} was proposed and never merged"
    if len(data) > given:
        yield f"{len(data) - given} bytes follow the {given} that the caller gives: no kernel looks at them"


def _elsewhere(subject: Subject, data: bytes) -> AbiError | None:
    """Rules that are not rows: those of guest entries."""
    try:
        if subject.struct in GUEST_ENTRIES:
            import_module(f"iommu_abi.nesting.{GUEST_ENTRIES[subject.struct]}").accept(data)
    except AbiError as error:
        return error
    return None


def answer(subject: Subject, data: bytes, abi: uapi.Abi) -> Answer:
    """What the kernel says about a caller's bytes."""
    given = given_size(subject, data, abi)
    notes = tuple(_notes(subject, data, given, abi))
    start = TAKEN.get(subject.taken)
    error = next(start(subject, data, abi), None) if start else None
    error = error or _elsewhere(subject, data)
    if error:
        return Answer(subject, error, notes=notes)
    made = subject.generation.struct(subject.struct)
    return _rows(subject, View(made, subject.generation, abi, data, given), notes)


def _rows(subject: Subject, view: View, notes: tuple[str, ...]) -> Answer:
    before: list[State] = []
    documented: list[AbiError] = []
    for row in subject.rows:
        if isinstance(row, State):
            if row.possible(view):
                before.append(row)
            continue
        if isinstance(row, Tail):
            inner = _inside(subject, row, view)
            before += inner.before if inner else ()
            if inner and inner.error:
                return Answer(subject, inner.error, tuple(before), notes=notes)
            continue
        error = row.error(view)
        if error and row.enforced:
            return Answer(subject, error, tuple(before), notes=notes)
        if error:
            documented.append(error)
    return Answer(subject, None, tuple(before), tuple(documented), notes)


def _inside(subject: Subject, row: Tail, view: View) -> Answer | None:
    """What the kernel says about a struct that follows; None if it does not look at it."""
    if not row.when(view):
        return None
    inner = behind(subject, row)
    data = view.data[view.ksize : view.given]
    return _rows(
        inner, View(inner.generation.struct(inner.struct), view.generation, view.abi, data, len(data)), ()
    )


__all__ = [
    "KERNELS",
    "NEWEST",
    "NO_COMMAND",
    "Answer",
    "Check",
    "Row",
    "State",
    "Subject",
    "Tail",
    "Taken",
    "answer",
    "answerable",
    "any_struct",
    "behind",
    "command",
    "concerns",
    "envelope",
    "given_size",
    "least",
    "nearest",
    "reasons",
    "struct",
    "substitute",
    "wanted",
]
