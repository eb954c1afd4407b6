"""struct iommu_abi_error -> AbiError, and the rules as the C core states them."""

from __future__ import annotations

from functools import cache
from typing import Any

from iommu_abi._core import ffi, lib
from iommu_abi.errors import AbiError, Rule


def _text(pointer: Any) -> str:
    return str(ffi.string(pointer).decode())


@cache
def rules() -> dict[str, Rule]:
    """Every rule of the core by its name, in the order of checking."""
    found = {}
    for i in range(lib.iommu_abi_rule_count()):
        row = lib.iommu_abi_rule_at(i)
        name = _text(row.name)
        found[name] = Rule(name, _text(row.field), row.errnum, _text(row.want), _text(row.source))
    return found


def abi_error(err: Any, where: str = "") -> AbiError:
    """The exception for an error that the core has filled."""
    rule = rules()[_text(err.rule.name)]
    return AbiError(rule, _text(err.field), err.offset, err.got, err.want, where)


def broken(rule: str, where: str, got: int | None = None, want: int = 0) -> AbiError:
    """The exception for a rule that a driver in Python checks itself."""
    row = rules()[rule]
    return AbiError(row, row.field, None, got, want, where)


def at(rule: str, where: str, field: str, offset: int, got: int, want: int) -> AbiError:
    """The exception for a rule about a blob that Python checks itself."""
    return AbiError(rules()[rule], field, offset, got, want, where)
