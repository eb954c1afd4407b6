"""How long a struct may be: what a kernel checks before it looks at any other field."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import cache
from itertools import islice

from iommu_abi.errors import AbiError, Rule
from iommu_abi.rules.kernels import Subject, Taken, behind
from iommu_abi.rules.row import State, Tail, concerns, wanted
from iommu_abi.schemas import uapi
from iommu_abi.schemas.uapi.blobs import check_tail, check_whole
from iommu_abi.uapi.copy_struct import copy_struct_from_user

_GENERIC = "Linux 7.2, drivers/iommu/iommufd/main.c"
_USER_DATA = "Linux 7.2, include/linux/iommufd.h, iommu_copy_struct_from_user()"


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
    minimum = least(subject, abi)
    if given < minimum:
        yield AbiError(rule(first, errno.EINVAL, "at least %llu"), first, 0, given, minimum, name)
    ksize = uapi.layout(made, abi).size
    try:
        if given > ksize:
            copy_struct_from_user(data[:given], ksize, name)
    except AbiError as error:
        yield error
    if len(data) < given:
        want = rule("rest", errno.EFAULT, "at most the %llu bytes in memory")
        yield AbiError(want, first, 0, given, len(data), name)


def least(subject: Subject, abi: uapi.Abi) -> int:
    """Bytes that every caller has to give: to the end of the command's last field that was always there."""
    made = subject.generation.struct(subject.struct)
    return _end(made, subject.command.least if subject.command else "", abi)


@cache
def _end(struct: uapi.Struct, field: str, abi: uapi.Abi) -> int:
    """Where a field ends; the whole struct if it has none of this name."""
    ends = (leaf.offset + leaf.size for leaf in uapi.leaves(struct, abi) if leaf.path == field)
    return next(ends, uapi.layout(struct, abi).size)


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


def given_size(subject: Subject, data: bytes, abi: uapi.Abi) -> int:
    """Bytes that the caller says it gives; all there are where nobody says."""
    if subject.taken in (Taken.SIZE_FIRST, Taken.ARGSZ):
        return _little(data[:4], abi) if len(data) >= 4 else 0
    return len(data)


def _length(subject: Subject, data: bytes, abi: uapi.Abi) -> Iterator[AbiError]:
    from iommu_abi.rules.both_ledgers import broken  # with construct, which no other rule needs

    yield from broken(subject.generation.name, data, abi)


TAKEN = {
    Taken.SIZE_FIRST: _size_first,
    Taken.EXACT: _exact,
    Taken.FIXED: _fixed,
    Taken.LENGTH: _length,
}


def reasons(subject: Subject, number: int, abi: uapi.Abi) -> list[tuple[str, str]]:
    """Why a kernel answers a struct with an errno, in its order: (field, reason); "" for no one field."""
    made = subject.generation.struct(subject.struct)
    first, minimum = made.fields[0].name, least(subject, abi)
    generic: list[tuple[int, str, str]] = []
    if subject.taken is Taken.SIZE_FIRST:
        generic = [
            (errno.EFAULT, "", "the struct, or as much of it as its size says, is not in memory"),
            (errno.EINVAL, first, f"expected at least {minimum}"),
            (errno.E2BIG, "", "a byte beyond what this kernel knows is not 0"),
        ]
    elif subject.taken is Taken.ARGSZ and not subject.rows:
        generic = [
            (errno.EFAULT, "", f"the first {minimum} bytes of the struct are not in memory"),
            (errno.EINVAL, first, f"expected at least {minimum}"),
        ]
    found = [(field, why) for n, field, why in generic if n == number]
    for row in subject.rows:
        if not concerns(row, made, subject.generation, abi):
            continue
        if isinstance(row, Tail):
            found += reasons(behind(subject, row), number, abi)
        elif isinstance(row, State):
            found += [(row.field, row.when)] if row.errno == number else []
        elif row.enforced and row.rule.errno == number:
            found.append((row.rule.field, f"expected {wanted(row, made, subject.generation, abi)}"))
    return list(dict.fromkeys(found))


def envelope(subject: Subject, data: bytes, abi: uapi.Abi) -> Iterator[AbiError]:
    """What is wrong with the length of bytes that somebody gives as this struct, the first of it first.

    Stricter than a kernel where that does not learn the length: bytes that follow are then E2BIG. Of the
    seed's struct the model is looked at too.
    """
    made = subject.generation.struct(subject.struct)
    if subject.taken is Taken.LENGTH:
        yield from _length(subject, data, abi)
        return
    if subject.taken is Taken.SIZE_FIRST:
        yield from islice(_size_first(subject, data, abi), 1)
        return
    try:
        if subject.taken is Taken.ARGSZ:
            _argsz(subject, made, data, abi)
        else:
            check_whole(made, data, abi)
            check_tail(made, data, abi)
    except AbiError as error:
        yield error


def _argsz(subject: Subject, made: uapi.Struct, data: bytes, abi: uapi.Abi) -> None:
    """What is beyond the struct and within argsz is ignored by a kernel."""
    minimum = least(subject, abi)
    if len(data) < minimum:
        check_whole(made, data, abi)
    given = _little(data[:4], abi)
    want = "at least %llu" if given < minimum else "at most the %llu bytes that are there"
    limit = minimum if given < minimum else len(data)
    if given < minimum or given > len(data):
        rule = Rule(f"{made.name}.argsz", "argsz", errno.EINVAL, want, "ours")
        raise AbiError(rule, "argsz", 0, given, limit, made.name)
    size = uapi.layout(made, abi).size
    if len(data) > max(given, size):
        rule = Rule(f"{made.name}.trailing", "", errno.E2BIG, "%llu bytes in all", "ours")
        raise AbiError(rule, "", max(given, size), len(data), max(given, size), made.name)
