"""Fuzzing of Intel VT-d: worlds, aims, and ways to fail."""

from __future__ import annotations

from iommu_abi.fuzz.vtd.aims import VENDOR
from iommu_abi.fuzz.vtd.ways import WAYS
from iommu_abi.fuzz.vtd.worlds import WORLDS

__all__ = ["VENDOR", "WAYS", "WORLDS"]
