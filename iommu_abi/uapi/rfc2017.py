"""Generation rfc2017: the RFC of April 2017. The header is ``cdefs/iommu_abi/uapi/rfc2017.h``."""

from __future__ import annotations

from iommu_abi.uapi._generation import load

globals().update(load("rfc2017"))
