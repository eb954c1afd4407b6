"""Fuzzing of AMD-Vi: worlds, aims, and ways to fail."""

from __future__ import annotations

from iommu_abi.worlds.amdvi.aims import VENDOR
from iommu_abi.worlds.amdvi.ways import WAYS
from iommu_abi.worlds.amdvi.worlds import WORLDS

__all__ = ["VENDOR", "WAYS", "WORLDS"]
