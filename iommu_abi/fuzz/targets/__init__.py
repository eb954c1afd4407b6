"""What is fuzzed, the same for every engine: bytes -> an outcome.

- ``target``: what a target is; ``wire``: cases of a walk as bytes
- ``walks``: a translation by both ledgers, per format; ``enumerations``: mappings against translations
- ``seed_blobs``: the seed's struct; ``layouts``: all structs on all ABIs
- ``versions``: a program of one generation meets a kernel of another
- ``user``: targets of others
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from iommu_abi.errors import UsageError
from iommu_abi.fuzz.targets.target import Outcome, Problem, Target, attempt


@cache
def all_targets() -> dict[str, Target]:
    """Every target of this package by its name."""
    from iommu_abi.fuzz.targets import enumerations, layouts, seed_blobs, versions, walks

    modules = (walks, enumerations, seed_blobs, layouts, versions)
    return {target.name: target for module in modules for target in module.TARGETS}


def chosen(names: Sequence[str]) -> list[Target]:
    """Those of these names or with names that begin so, ``walk-vtd``; all if none is named. UsageError names them."""
    known = all_targets()
    found: dict[str, Target] = {}
    for name in names:
        fitting = (
            {name: known[name]} if name in known else {k: v for k, v in known.items() if k.startswith(name)}
        )
        if not fitting:
            raise UsageError(
                f"unknown target {name!r}, expected one of, or the beginning of: {' '.join(known)}"
            )
        found |= fitting
    return list((found if names else known).values())


__all__ = ["Outcome", "Problem", "Target", "all_targets", "attempt", "chosen"]
