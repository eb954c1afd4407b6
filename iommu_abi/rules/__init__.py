"""What a kernel would answer: every check on a struct, in its order, with field, errno and source.

The rules are rows of data, kept once, in Python: ``iommufd``, ``vfio_cdev``, ``linux_iommu`` and ``ptc``
(proposed). They read blobs by the construct schemas. Whether a caller's struct may be longer or shorter
than the kernel's is decided by the core, ``iommu_abi_copy_struct_from_user()``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from iommu_abi import blob
from iommu_abi.errors import AbiError, Rule
from iommu_abi.nesting import amdvi, smmuv3
from iommu_abi.rules.kernels import KERNELS, Subject, Taken, command, struct
from iommu_abi.rules.row import Check, Row, State, View
from iommu_abi.schemas import uapi
from iommu_abi.uapi.copy_struct import copy_struct_from_user
from iommu_abi.uapi.layout import abi as core_abi

_GENERIC = "Linux 7.2, drivers/iommu/iommufd/main.c"
_USER_DATA = "Linux 7.2, include/linux/iommufd.h, iommu_copy_struct_from_user()"
NO_COMMAND = Rule(
    "ioctl.number",
    "",
    errno.ENOTTY,
    "a command that this kernel has",
    "Linux 7.2, drivers/iommu/iommufd/main.c",
)


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


def _little(data: bytes, abi: uapi.Abi) -> int:
    return int.from_bytes(data, "little" if abi.order == "<" else "big")


def _size_first(subject: Subject, data: bytes, abi: uapi.Abi) -> Iterator[AbiError]:
    """The checks of every command, before its own."""
    name = subject.struct
    made = subject.generation.struct(name)
    first = made.fields[0].name

    def rule(kind: str, number: int, want: str) -> Rule:
        return Rule(f"{name}.{kind}", first, number, want, _GENERIC)

    if len(data) < 4:
        yield AbiError(rule("read", errno.EFAULT, "%llu bytes in memory"), first, 0, len(data), 4, name)
        return
    given = _little(data[:4], abi)
    least = _least(subject, abi)
    if given < least:
        yield AbiError(rule(first, errno.EINVAL, "at least %llu"), first, 0, given, least, name)
    try:
        copy_struct_from_user(data[:given], uapi.layout(made, abi).size, name)
    except AbiError as error:
        yield error
    if len(data) < given:
        want = rule("rest", errno.EFAULT, "at most the %llu bytes in memory")
        yield AbiError(want, first, 0, given, len(data), name)


def _least(subject: Subject, abi: uapi.Abi) -> int:
    """Bytes that every caller has to give."""
    assert subject.command is not None
    leaves = uapi.leaves(subject.generation.struct(subject.struct), abi)
    return next(leaf.offset + leaf.size for leaf in leaves if leaf.path == subject.command.least)


def _exact(subject: Subject, data: bytes, abi: uapi.Abi) -> Iterator[AbiError]:
    """Data behind a pointer has exactly the length of its struct."""
    size = uapi.layout(subject.generation.struct(subject.struct), abi).size
    if len(data) == size:
        return
    if subject.struct == "iommu_hwpt_page_response":
        source = "Linux 7.2, drivers/iommu/iommufd/eventq.c"
        rule = Rule(f"{subject.struct}.count", "", errno.ESPIPE, "a multiple of %llu bytes", source)
        if len(data) % size:
            yield AbiError(rule, "", None, len(data), size, subject.struct)
        return
    rule = Rule(f"{subject.struct}.length", "", errno.EINVAL, "%llu bytes", _USER_DATA)
    yield AbiError(rule, "", None, len(data), size, subject.struct)


def _fixed(subject: Subject, data: bytes, abi: uapi.Abi) -> Iterator[AbiError]:
    size = uapi.layout(subject.generation.struct(subject.struct), abi).size
    if len(data) < size:
        rule = Rule(f"{subject.struct}.read", "", errno.EFAULT, "%llu bytes in memory", "ours")
        yield AbiError(rule, "", None, len(data), size, subject.struct)


def _given(subject: Subject, data: bytes, abi: uapi.Abi) -> int:
    if subject.taken in (Taken.SIZE_FIRST, Taken.ARGSZ):
        return _little(data[:4], abi) if len(data) >= 4 else 0
    return len(data)


_TAKEN = {Taken.SIZE_FIRST: _size_first, Taken.EXACT: _exact, Taken.FIXED: _fixed}


def _notes(subject: Subject, data: bytes, given: int) -> Iterator[str]:
    if not subject.order_known:
        yield f"the order of checks is that of Linux 7.2; {subject.kernel}'s own is not known"
    if not subject.kernel:
        yield f"{subject.generation.name} was proposed and never merged"
    if len(data) > given:
        yield f"{len(data) - given} bytes follow the {given} that the caller gives: no kernel looks at them"


def _elsewhere(subject: Subject, data: bytes, abi: uapi.Abi) -> AbiError | None:
    """Rules that are not rows: guest entries, and those of the seed, which both ledgers check."""
    if subject.taken is Taken.LENGTH:
        kind = blob.kind(f"{subject.struct}@{subject.generation.name}", core_abi(abi.name))
        return blob.broken_rule(kind, data)
    try:
        if subject.struct == smmuv3.STRUCT:
            smmuv3.accept(data)
        elif subject.struct == amdvi.STRUCT:
            amdvi.accept(data)
    except AbiError as error:
        return error
    return None


def answer(subject: Subject, data: bytes, abi: uapi.Abi) -> Answer:
    """What the kernel says about a caller's bytes."""
    given = _given(subject, data, abi)
    notes = tuple(_notes(subject, data, given))
    start = _TAKEN.get(subject.taken)
    error = next(start(subject, data, abi), None) if start else None
    error = error or _elsewhere(subject, data, abi)
    if error:
        return Answer(subject, error, notes=notes)
    made = subject.generation.struct(subject.struct)
    return _rows(subject, View(made, subject.generation, abi, data, given), notes)


def _rows(subject: Subject, view: View, notes: tuple[str, ...]) -> Answer:
    before: list[State] = []
    documented: list[AbiError] = []
    for row in subject.rows:
        if isinstance(row, State):
            if not row.field or view.has(row.field):
                before.append(row)
            continue
        error = row.error(view)
        if error and row.enforced:
            return Answer(subject, error, tuple(before), notes=notes)
        if error:
            documented.append(error)
    return Answer(subject, None, tuple(before), tuple(documented), notes)


__all__ = [
    "KERNELS",
    "NO_COMMAND",
    "Answer",
    "Check",
    "Row",
    "State",
    "Subject",
    "Taken",
    "answer",
    "command",
    "struct",
]
