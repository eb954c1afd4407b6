"""The user API by generation: ``uapi.v1_2017.pasid_table_info`` is the seed's struct as a ctypes type.

A generation is one state of the headers. Structs keep the names under which they were posted,
so that the same name stands for different layouts in different generations.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from iommu_abi.errors import UsageError
from iommu_abi.names import generation_name, generations_of, unknown
from iommu_abi.uapi import _import
from iommu_abi.uapi import layout as _layout
from iommu_abi.uapi.layout import Layout

#: Generations in the order of time; most were never merged. Their headers are cdefs/iommu_abi/uapi/.
GENERATIONS = (
    "rfc2017", "v1_2017", "v4_2018", "v5_2018",
    "ptc_v1", "vfio_4_19", "ptc_v3", "fault_early_2019", "ptc_v4",
    "sva_v3_2019", "fault_jun_2019", "sva_v4_2019", "page_response_v8_2019", "sva_v5_2019",
    "vfio_ptc_v8", "linux_5_5", "vfio_ptc_v9", "vfio_sva_v1", "argsz_v2_2020", "vfio_sva_v2",
    "argsz_v7_2020", "vfio_sva_v7", "ptc_v12", "vfio_ptc_v11", "linux_5_10", "vfio_5_10",
    "virtio_2021", "ptc_asid_2021", "ptc_v14", "vfio_ptc_v12", "vfio_sva_v8",
    "vfio_5_16", "linux_5_17", "linux_6_1", "vfio_6_1", "iommufd_6_3", "vfio_6_3",
    "iommufd_6_12", "vfio_6_12", "iommufd_6_13", "iommufd_6_19", "vfio_6_19", "iommufd_7_2", "vfio_7_2",
    "iommufd_7_3", "vfio_7_3",
)  # fmt: skip

_import.install(GENERATIONS)

#: What a bare struct name means when generations disagree.
SEED = "v1_2017"


def generation(name: str) -> ModuleType:
    """The module of a generation, or of a kernel's such as ``7.2``; UsageError names the nearest."""
    return import_module(f"{__name__}.{generation_name(name, GENERATIONS)}")


def __getattr__(name: str) -> ModuleType:
    """``uapi.iommufd_7_2`` without an import of its own."""
    if name not in GENERATIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return generation(name)


def _loader() -> ModuleType:
    return import_module("iommu_abi.uapi._generation")


@cache
def structs() -> dict[str, list[str]]:
    """Every struct name and the generations that have it."""
    found: dict[str, list[str]] = {}
    for gen in GENERATIONS:
        for name in _loader().struct_names(gen):
            found.setdefault(name, []).append(gen)
    return found


def declarations(name: str) -> _layout.Declarations:
    """What a generation's header declares."""
    generation(name)
    made: _layout.Declarations = _loader().declarations(name)
    return made


def layout_of(name: str, abi: str | None = None) -> Layout:
    """Layout of ``"STRUCT@GEN"`` or ``"STRUCT"`` on an ABI, this machine's if none is named."""
    struct, gen = resolve(name)
    on = _layout.abi(abi) if abi else _layout.host()
    return _layout.layout(_loader().declarations(gen).records[struct], on)


def _agree(struct: str, gens: list[str]) -> bool:
    """Whether a struct has the same layout in all of the generations, on every ABI."""
    first, *others = (_loader().declarations(gen).records[struct] for gen in gens)
    others = [record for record in others if record != first]

    def shape(record: _layout.Record, abi: _layout.Abi) -> object:
        made = _layout.layout(record, abi)
        return made.size, made.align, [(f.name, f.offset, f.size) for f in made.fields]

    return all(shape(record, abi) == shape(first, abi) for abi in _layout.ABIS.values() for record in others)


def resolve(name: str) -> tuple[str, str]:
    """``"STRUCT@GEN"`` or ``"STRUCT"`` -> (struct, generation).

    A bare name is accepted when it is one of the seed's, or when all generations that have it agree on
    its layout: then it is the newest one's.
    """
    struct, _, gen = name.partition("@")
    known = structs()
    if struct not in known:
        raise UsageError(unknown("struct", struct, known, "iommu-abi layout lists all"))
    if gen:
        meant = generations_of(gen, GENERATIONS)
        having = [each for each in meant if each in known[struct]]
        if meant and not having:
            raise UsageError(f"{struct} is not in {gen}, it is in: {' '.join(known[struct])}")
        return struct, generation_name(gen, having or GENERATIONS)
    if SEED in known[struct]:
        return struct, SEED
    if _agree(struct, known[struct]):
        return struct, known[struct][-1]
    raise UsageError(f"{struct} differs between {' '.join(known[struct])}: say {struct}@GENERATION")


__all__ = ["GENERATIONS", "SEED", "Layout", "declarations", "generation", "layout_of", "resolve", "structs"]
