"""Bytes -> fields, checked: is it as long as its contract says, and is 0 what is reserved?"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import replace

from iommu_abi import blob, rules
from iommu_abi.errors import AbiError, Rule
from iommu_abi.structs.apart import take_apart
from iommu_abi.structs.kind import Blob, Field, Kind
from iommu_abi.uapi.layout import ABIS


def check(kind: Kind, data: bytes) -> None:
    """AbiError for the first rule of the envelope that is broken, or a reserved field that is not 0."""
    error = broken(kind, data)
    if error is not None:
        raise error


def broken(kind: Kind, data: bytes) -> AbiError | None:
    """The first rule of the envelope that is broken, or that of a reserved field that is not 0."""
    if kind.struct == "pasid_table_info":
        return blob.broken_rule(kind, data)
    error = rules.envelope(rules.any_struct(kind.name), data, kind.plain_abi)
    return error or next(_reserved(kind, take_apart(kind, data)), None)


def _reserved(kind: Kind, fields: Iterable[Field]) -> Iterator[AbiError]:
    subject = rules.any_struct(kind.name)
    enforced = {row.rule.field: row.rule for row in subject.rows if isinstance(row, rules.Check)}
    number = errno.EOPNOTSUPP if kind.generation.startswith("iommufd") else errno.EINVAL
    for field in fields:
        if field.broken and not field.other:
            rule = enforced.get(field.name) or Rule(
                f"{kind.struct}.{field.name}", field.name, number, "0", "ours"
            )
            got = field.value if isinstance(field.value, int) else next(filter(None, field.value))
            yield AbiError(rule, field.name, field.offset, got, 0, kind.struct)


def unpack(kind: Kind, data: bytes, *, lenient: bool = False, payload: bool = False) -> Blob:
    """Check a blob and take it apart. AbiError for a broken rule, Disagreement of the ledgers.

    ``lenient`` shows whatever is there, and says in the notes what is broken. ``payload`` looks into
    ``opaque[]`` of ``pasid_table_info``, whose lenient reading is :func:`iommu_abi.blob.unpack`'s.
    """
    if kind.struct == "pasid_table_info":
        return blob.unpack(kind, data, lenient=lenient, payload=payload)
    if not lenient:
        check(kind, data)
    found = examine(kind, data)
    return replace(found, notes=(*(f"let pass: {each}" for each in found.broken), *found.notes))


def examine(kind: Kind, data: bytes) -> Blob:
    """Take apart whatever is there, with all that is broken."""
    fields = take_apart(kind, data)
    subject = rules.any_struct(kind.name)
    if kind.struct == "pasid_table_info":
        error = blob.broken_rule(kind, data)
    else:
        error = rules.envelope(subject, data, kind.plain_abi)
    found = (*filter(None, [error]), *_reserved(kind, fields))
    notes = []
    given = rules.given_size(subject, data, kind.plain_abi)
    if given < len(data) and not error:
        notes.append(
            f"{len(data) - given} bytes follow the {given} that the caller gives: nobody looks at them"
        )
    missing = [field.name for field in fields if field.missing]
    if missing:
        notes.append(f"the bytes end before {missing[0]}: what is missing counts as 0")
    return Blob(kind, data, fields, kind.layout.holes, notes=tuple(notes), broken=found)


def hint(kind: Kind, error: AbiError, data: bytes = b"") -> str:
    """What may help with a broken blob, "" if nothing is known."""
    if kind.struct == "pasid_table_info":
        return blob.hint(kind, error, data)
    other = "aarch64_be" if kind.abi.order == "<" else "x86_64"
    if data and broken(Kind(kind.struct, kind.generation, ABIS[other]), data) is None:
        return "valid in the other byte order, see --abi"
    return ""
