"""Fuzzing of Intel VT-d: worlds, aims, and ways to fail."""

from __future__ import annotations

from iommu_abi.worlds.vtd.aims import VENDOR
from iommu_abi.worlds.vtd.ways import WAYS
from iommu_abi.worlds.vtd.worlds import WORLDS

__all__ = ["VENDOR", "WAYS", "WORLDS"]
