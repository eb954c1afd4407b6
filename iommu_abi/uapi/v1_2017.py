"""Generation v1_2017: the June 2017 patch. The header is ``cdefs/iommu_abi/uapi/v1_2017.h``."""

from __future__ import annotations

from iommu_abi.uapi._generation import load

globals().update(load("v1_2017"))
