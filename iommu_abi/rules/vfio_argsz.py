"""How VFIO takes every struct but one: the caller says its bytes first, and may give more than is needed."""

from __future__ import annotations

from errno import EFAULT, EINVAL

from iommu_abi.rules.predicates import given_up_to, readable_up_to
from iommu_abi.rules.row import ANY, Check, Rows, Version


def taken(row: Rows, last: str, until: Version = ANY) -> tuple[Check, Check]:
    """How much of the struct every caller gives, and has in memory: up to the end of a field."""
    return (
        row("", EFAULT, readable_up_to(last), "%llu bytes in memory", name="read", until=until),
        row("argsz", EINVAL, given_up_to(last), "at least %llu", until=until),
    )
