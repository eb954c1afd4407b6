"""A generation of this package as a model. Macros are enumerators there."""

from __future__ import annotations

from iommu_abi import uapi
from iommu_abi.compat.model import Model


def read(name: str) -> Model:
    """The model of ``uapi.GENERATIONS``' member."""
    return Model(name, uapi.declarations(name))
