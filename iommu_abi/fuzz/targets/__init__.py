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
from iommu_abi.fuzz.targets.target import FuzzTarget, Outcome, Problem, attempt
from iommu_abi.names import unknown


@cache
def all_targets() -> dict[str, FuzzTarget]:
    """Every target of this package by its name."""
    from iommu_abi.fuzz.targets import enumerations, layouts, seed_blobs, versions, walks

    modules = (walks, enumerations, seed_blobs, layouts, versions)
    return {target.name: target for module in modules for target in module.TARGETS}


def chosen(names: Sequence[str]) -> list[FuzzTarget]:
    """Targets by name, or by how names begin (``walk-vtd``); all if none is named. UsageError lists them."""
    known = all_targets()
    found: dict[str, FuzzTarget] = {}
    for name in names:
        fitting = [name] if name in known else [each for each in known if each.startswith(name)]
        if not fitting:
            raise UsageError(unknown("target", name, known, "iommu-abi fuzz --list lists all"))
        found |= {each: known[each] for each in fitting}
    return list((found if names else known).values())


def target_of(words: Sequence[str]) -> FuzzTarget:
    """The one target that the words of a command line name; UsageError if there is none.

    ``["NAME"]``, ``["--target", "MODULE:FUNCTION"]`` or ``["--program", "COMMAND"]``.
    """
    from iommu_abi.fuzz.targets.user import Function, Program

    if words[0] == "--program":
        return Program(words[1])
    if words[0] == "--target" and words[1] not in all_targets():
        return Function(words[1])
    name = words[-1]
    if name not in all_targets():
        raise UsageError(unknown("target", name, all_targets(), "iommu-abi fuzz --list lists all"))
    return all_targets()[name]


__all__ = ["FuzzTarget", "Outcome", "Problem", "all_targets", "attempt", "chosen", "target_of"]
