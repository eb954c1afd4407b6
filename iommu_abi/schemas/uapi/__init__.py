"""Every generation of the user API in construct, written from the texts.

A later generation states only what changed. Modules by topic and time:

- ``fields``: how a struct is written down; ``abi`` and ``place``: where an ABI puts its fields;
  ``build``: in construct, which is loaded when something is parsed or built
- ``tables_2017``, ``tables_2018``, ``ptc``: PASID tables for bind and attach, 2017 to 2021
- ``linux_iommu``, ``nesting``: <linux/iommu.h> and what was proposed for it
- ``vfio_proposed``: the ioctls of VFIO around them
- ``vfio_4_19``, ``vfio_5_10``, ``vfio_6_1``, ``vfio_cdev``: <linux/vfio.h>
- ``iommufd_6_3``, ``iommufd_6_12``, ``iommufd_later``: what there is today
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iommu_abi.names import generation_name
from iommu_abi.schemas.uapi import (
    linux_iommu,
    ptc,
    tables_2017,
    tables_2018,
    vfio_proposed,
    virtio_2021,
)
from iommu_abi.schemas.uapi.abi import ABIS, Abi, abi
from iommu_abi.schemas.uapi.fields import Field, Integer, Struct, Use, Values
from iommu_abi.schemas.uapi.generation import Generation, Ioctl, Payload
from iommu_abi.schemas.uapi.iommufd_6_3 import IOMMUFD_6_3
from iommu_abi.schemas.uapi.iommufd_6_12 import IOMMUFD_6_12
from iommu_abi.schemas.uapi.iommufd_later import IOMMUFD_6_13, IOMMUFD_6_19, IOMMUFD_7_2, IOMMUFD_7_3
from iommu_abi.schemas.uapi.place import Layout, Leaf, element_size, layout, leaves, members, number
from iommu_abi.schemas.uapi.vfio_4_19 import VFIO_4_19
from iommu_abi.schemas.uapi.vfio_5_10 import VFIO_5_10, VFIO_5_16
from iommu_abi.schemas.uapi.vfio_6_1 import VFIO_6_1, VFIO_6_3
from iommu_abi.schemas.uapi.vfio_cdev import VFIO_6_12, VFIO_6_19, VFIO_7_2, VFIO_7_3

VFIO = (VFIO_4_19, VFIO_5_10, VFIO_5_16, VFIO_6_1, VFIO_6_3, VFIO_6_12, VFIO_6_19, VFIO_7_2, VFIO_7_3)
IOMMUFD = (IOMMUFD_6_3, IOMMUFD_6_12, IOMMUFD_6_13, IOMMUFD_6_19, IOMMUFD_7_2, IOMMUFD_7_3)

#: Every generation by its name, each line of descent in the order of time.
GENERATIONS: Mapping[str, Generation] = {
    each.name: each
    for each in (
        *tables_2017.GENERATIONS,
        *tables_2018.GENERATIONS,
        *ptc.GENERATIONS,
        *linux_iommu.GENERATIONS,
        *vfio_proposed.GENERATIONS,
        *virtio_2021.GENERATIONS,
        *VFIO,
        *IOMMUFD,
    )
}


def generation(name: str) -> Generation:
    """The generation of a name, or of a kernel such as ``7.2``; UsageError names the nearest."""
    return GENERATIONS[generation_name(name, GENERATIONS)]


def get(name: str, generation_: str) -> Struct:
    """A struct of a generation; UsageError names what is known."""
    return generation(generation_).struct(name)


def schema(struct: Struct, abi: Abi) -> Any:
    """The construct schema of a struct on an ABI."""
    from iommu_abi.schemas.uapi import build

    return build.schema(struct, abi)


def compiled(struct: Struct, abi: Abi) -> Any:
    """The same schema, compiled by construct."""
    from iommu_abi.schemas.uapi import build

    return build.compiled(struct, abi)


def holders(name: str, field: str = "") -> tuple[str, ...]:
    """The generations that have a struct of this name, with a field of that name.

    A list and not a first and a last one: 6.12 has a field that 6.13 does not have and 6.19 has again.
    """
    return tuple(
        each.name
        for each in GENERATIONS.values()
        if name in each.structs and (not field or each.structs[name].has(field))
    )


__all__ = [
    "ABIS",
    "GENERATIONS",
    "IOMMUFD",
    "VFIO",
    "Abi",
    "Field",
    "Generation",
    "Integer",
    "Ioctl",
    "Layout",
    "Leaf",
    "Payload",
    "Struct",
    "Use",
    "Values",
    "abi",
    "compiled",
    "element_size",
    "generation",
    "get",
    "holders",
    "layout",
    "leaves",
    "members",
    "number",
    "schema",
]
