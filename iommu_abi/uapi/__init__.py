"""The user API by generation: ``uapi.v1_2017.pasid_table_info`` is the seed's struct as a ctypes type.

A generation is one state of the headers. Structs keep the names under which they were posted,
so that the same name stands for different layouts in different generations.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from iommu_abi.errors import UsageError

#: Generations in the order of time. Their numbers in C are in ``iommu_abi.h``.
GENERATIONS = ("rfc2017", "v1_2017")

#: What a bare struct name means when generations disagree.
SEED = "v1_2017"


def generation(name: str) -> ModuleType:
    """The module of a generation; UsageError names the known ones."""
    if name not in GENERATIONS:
        raise UsageError(f"unknown generation {name!r}, expected one of: {' '.join(GENERATIONS)}")
    return import_module(f"iommu_abi.uapi.{name}")


def structs() -> dict[str, list[str]]:
    """Every struct name and the generations that have it."""
    found: dict[str, list[str]] = {}
    for gen in GENERATIONS:
        for name in generation(gen).__structs__:
            found.setdefault(name, []).append(gen)
    return found


def resolve(name: str) -> tuple[str, str]:
    """``"STRUCT@GEN"`` or ``"STRUCT"`` -> (struct, generation).

    A bare name is accepted when one generation has it or when it is one of the seed's.
    """
    struct, _, gen = name.partition("@")
    known = structs()
    if struct not in known:
        raise UsageError(f"unknown struct {struct!r}, expected one of: {' '.join(sorted(known))}")
    if gen:
        generation(gen)
        if gen not in known[struct]:
            raise UsageError(f"{struct} is not in {gen}, it is in: {' '.join(known[struct])}")
        return struct, gen
    if len(known[struct]) == 1:
        return struct, known[struct][0]
    if SEED in known[struct]:
        return struct, SEED
    raise UsageError(f"{struct} is in {' '.join(known[struct])}: say {struct}@GENERATION")
