"""Bytes -> fields, checked: is it as long as its contract says, and is 0 what is reserved?"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import replace

from iommu_abi import rules
from iommu_abi.errors import AbiError, Rule
from iommu_abi.rules import seed
from iommu_abi.structs.apart import take_apart
from iommu_abi.structs.kind import Blob, Field, StructKind
from iommu_abi.structs.opaque import look_inside
from iommu_abi.structs.plan import plan
from iommu_abi.uapi.layout import ABIS


def check(kind: StructKind, data: bytes) -> None:
    """AbiError for the first rule of the envelope that is broken, or a reserved field that is not 0."""
    error = broken(kind, data)
    if error is not None:
        raise error


def broken(kind: StructKind, data: bytes) -> AbiError | None:
    """The first rule of the envelope that is broken, or that of a reserved field that is not 0."""
    error = next(rules.envelope(rules.any_struct(kind.name), data, kind.plain_abi), None)
    return error or next(_reserved(kind, take_apart(kind, data)), None)


def _reserved(kind: StructKind, fields: Iterable[Field]) -> Iterator[AbiError]:
    broken = [field for field in fields if field.reserved and field.broken and not field.other]
    if not broken:
        return
    subject = rules.any_struct(kind.name)
    enforced = {row.rule.field: row.rule for row in subject.rows if isinstance(row, rules.Check)}
    number = errno.EOPNOTSUPP if kind.generation.startswith("iommufd") else errno.EINVAL
    for field in broken:
        rule = enforced.get(field.name) or Rule(
            f"{kind.struct}.{field.name}", field.name, number, "0", "ours"
        )
        got = field.value if isinstance(field.value, int) else next(filter(None, field.value))
        yield AbiError(rule, field.name, field.offset, got, 0, kind.struct)


def unpack(kind: StructKind, data: bytes, *, lenient: bool = False, payload: bool = False) -> Blob:
    """Check a blob and take it apart. AbiError for a broken rule, Disagreement of the ledgers.

    ``lenient`` shows whatever is there, and says in the notes what is broken; of the seed's struct it only
    lets pass what a newer kernel might accept. ``payload`` looks into the ``opaque[]`` of that struct.
    """
    found = examine(kind, data, strict=not lenient)
    of_seed = rules.any_struct(kind.name).taken is rules.Taken.LENGTH
    for error in found.broken if of_seed else ():
        if error.rule.name not in seed.LENIENT:
            raise error
    if found.broken:
        found = replace(found, notes=(*(f"let pass: {each}" for each in found.broken), *found.notes))
    return look_inside(found) if payload and of_seed else found


def examine(kind: StructKind, data: bytes, *, strict: bool = False) -> Blob:
    """Take apart whatever is there, with all that is broken; ``strict``: AbiError for the first of it."""
    subject = rules.any_struct(kind.name)
    errors = tuple(rules.envelope(subject, data, kind.plain_abi))
    if strict and errors:
        raise errors[0]
    fields = take_apart(kind, data)
    notes = []
    given = rules.given_size(subject, data, kind.plain_abi)
    if given < len(data) and not errors:
        notes.append(
            f"{len(data) - given} bytes follow the {given} that the caller gives: nobody looks at them"
        )
    missing = [field.name for field in fields if field.missing]
    if missing:
        notes.append(f"the bytes end before {missing[0]}: what is missing counts as 0")
    errors += tuple(_reserved(kind, fields))
    if strict and errors:
        raise errors[0]
    return Blob(kind, data, fields, plan(kind, 0).holes, notes=tuple(notes), broken=errors)


def hint(kind: StructKind, error: AbiError, data: bytes = b"") -> str:
    """What may help with a broken blob, "" if nothing is known."""
    other = "aarch64_be" if kind.abi.order == "<" else "x86_64"
    if data and broken(StructKind(kind.struct, kind.generation, ABIS[other]), data) is None:
        return "valid in the other byte order, see --abi"
    known = kind.constants(error.field)
    return "known: " + ", ".join(f"{name}={n}" for name, n in known.items()) if known else ""
