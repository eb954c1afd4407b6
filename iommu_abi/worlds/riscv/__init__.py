"""Fuzzing of the RISC-V IOMMU: worlds, aims, and ways to fail."""

from __future__ import annotations

from iommu_abi.worlds.riscv.aims import VENDOR
from iommu_abi.worlds.riscv.ways import WAYS
from iommu_abi.worlds.riscv.worlds import WORLDS

__all__ = ["VENDOR", "WAYS", "WORLDS"]
