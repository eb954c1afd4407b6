"""Version numbers: which constants are a struct's, and whether they changed with it."""

from __future__ import annotations

from collections.abc import Mapping

from iommu_abi.compat.constants import VERSION
from iommu_abi.compat.model import Constant

_COMMON = {"IOMMU", "INFO", "DATA", "VFIO", ""}


def _words(name: str) -> set[str]:
    return set(name.upper().split("_")) - _COMMON


def _likeness(struct: str, constant: str) -> int:
    """Words in common; PAGE_RESP is like page_response."""
    mine = _words(VERSION.sub("", constant))
    return sum(
        any(len(min(a, b, key=len)) > 2 and (a.startswith(b) or b.startswith(a)) for b in _words(struct))
        for a in mine
    )


def of(struct: str, constants: Mapping[str, Constant]) -> dict[str, int]:
    """The version constants whose names are most like the struct's."""
    likeness = {name: _likeness(struct, name) for name in constants if VERSION.search(name)}
    best = max(likeness.values(), default=0)
    return {name: constants[name].value for name, n in likeness.items() if n == best and n > 0}


def unchanged(names: tuple[str, str], old: Mapping[str, Constant], new: Mapping[str, Constant]) -> str | None:
    """A phrase that says so; None if the version changed."""
    was, now = of(names[0], old), of(names[1], new)
    if set(was.values()) != set(now.values()):
        return None
    if not now:
        return "no constant tells versions apart"
    name, value = next(iter(now.items()))
    return f"{name} is {value} in both"
