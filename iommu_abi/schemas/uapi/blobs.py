"""Blobs taken apart and made by the schemas; what does not fit is named by struct, field and offset."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from iommu_abi.errors import AbiError, Rule, UsageError
from iommu_abi.names import meant
from iommu_abi.schemas.uapi.abi import Abi
from iommu_abi.schemas.uapi.fields import Field, Integer, Struct
from iommu_abi.schemas.uapi.place import element_size, integer_size, layout, leaves

OURS = "ours"


def _rule(struct: Struct, kind: str, number: int, want: str) -> Rule:
    return Rule(f"{struct.name}.{kind}", "", number, want, OURS)


def check_whole(struct: Struct, data: bytes, abi: Abi) -> None:
    """Every field of the struct is there; else AbiError at the first that is not there as a whole."""
    size = layout(struct, abi).size
    if len(data) >= size:
        return
    ends = ((leaf.offset + leaf.size, leaf) for leaf in leaves(struct, abi))
    path, offset = next(((leaf.path, leaf.offset) for end, leaf in ends if end > len(data)), ("", size))
    rule = _rule(struct, "truncated", errno.EINVAL, "at least %llu bytes")
    raise AbiError(rule, path, offset, len(data), size, struct.name)


def check_tail(struct: Struct, data: bytes, abi: Abi) -> None:
    """As many bytes follow as the length says; else AbiError."""
    size, tail = layout(struct, abi).size, struct.tail
    end = size
    if tail and not tail.length:
        follow = len(data) - size
        end = len(data) - follow % element_size(tail, abi)
    elif tail:
        length = next(leaf for leaf in leaves(struct, abi) if leaf.path == tail.length)
        raw = data[length.offset : length.offset + length.size]
        given = int.from_bytes(raw, "little" if abi.order == "<" else "big")
        if given > len(data) - size:
            rule = _rule(struct, tail.length, errno.EINVAL, "at most the %llu bytes that follow")
            raise AbiError(rule, tail.length, length.offset, given, len(data) - size, struct.name)
        end += given
    if len(data) > end:
        rule = _rule(struct, "trailing", errno.E2BIG, "%llu bytes in all")
        raise AbiError(rule, tail.name if tail else "", end, len(data), end, struct.name)


def parse(struct: Struct, data: bytes, abi: Abi) -> Any:
    """Every field of a blob, as attributes and keys. AbiError if bytes are missing or left over."""
    check_whole(struct, data, abi)
    check_tail(struct, data, abi)
    from iommu_abi.schemas.uapi.build import schema

    return schema(struct, abi).parse(data)


def _check_number(where: str, type_: Integer, value: Any, abi: Abi) -> None:
    bits = 1 if type_.kind == "bit" else 8 * integer_size(type_, abi)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if type_.signed else (0, (1 << bits) - 1)
    if not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{where}: got {value!r}, expected {low} to {high:#x}")


def _check_value(where: str, field: Field, value: Any, abi: Abi) -> None:
    if isinstance(field.type, Struct):
        for each in value if field.flexible else (value,):
            _check_values(where, field.type, each, abi)
    elif field.count is None and not field.flexible:
        _check_number(where, field.type, value, abi)
    else:
        if field.count is not None and len(value) != field.count:
            raise UsageError(f"{where}: got {len(value)} elements, expected {field.count}")
        for i, element in enumerate(value):
            _check_number(f"{where}[{i}]", field.type, element, abi)


def _check_values(where: str, struct: Struct, values: Mapping[str, Any], abi: Abi) -> None:
    """Every field is given, fits, and is one of the struct's; else UsageError."""
    known: dict[str, Field] = {}
    for each in struct.fields:
        members = each.type.fields if not each.name and isinstance(each.type, Struct) else (each,)
        known |= {member.name: member for member in members}
        if not struct.union and not any(member.name in values or member.reserved for member in members):
            raise UsageError(f"{where}.{members[0].name} is missing")
    for name, value in values.items():
        if name == "_io":  # construct leaves its stream in what it parsed
            continue
        if name not in known:
            raise UsageError(f"{where} has no field {name!r}{meant(name, sorted(known))}")
        _check_value(f"{where}.{name}", known[name], value, abi)


def build(struct: Struct, values: Mapping[str, Any], abi: Abi) -> bytes:
    """The bytes of a struct from all its fields; what is reserved may be left out.

    UsageError names a field that is missing or does not fit, and members of a union that differ.
    """
    _check_values(struct.name, struct, values, abi)
    import construct  # type: ignore[import-untyped]

    from iommu_abi.schemas.uapi.build import compiled

    try:
        built: bytes = compiled(struct, abi).build(dict(values))
    except construct.MappingError as error:
        raise UsageError(f"{struct.name}: {str(error).splitlines()[-1]}") from None
    return built
