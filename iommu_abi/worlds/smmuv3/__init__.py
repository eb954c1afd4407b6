"""Fuzzing of Arm SMMUv3: worlds, aims, and ways to fail."""

from __future__ import annotations

from iommu_abi.worlds.smmuv3.aims import VENDOR
from iommu_abi.worlds.smmuv3.ways import WAYS
from iommu_abi.worlds.smmuv3.worlds import WORLDS

__all__ = ["VENDOR", "WAYS", "WORLDS"]
