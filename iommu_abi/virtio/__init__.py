"""virtio-iommu: a model of the device, its domains and their mappings.

Source: Virtual I/O Device (VIRTIO) 1.2, 5.13 "IOMMU Device"; where its device requirements leave the choice,
as QEMU's device does; where both are silent, marked **ours**. There are no tables in memory: a driver
maps and unmaps by requests, and each domain is one flat address space without PASIDs, so that
bind_pasid_table has no equivalent.

A request that is refused changes nothing. The model is kept once, and held against conformance cases and a
naive model of pages.
"""

from __future__ import annotations

from iommu_abi.virtio.device import VirtioIommu
from iommu_abi.virtio.domain import Domain, Mapping
from iommu_abi.virtio.words import (
    AttachFlag,
    Blocked,
    BlockedBy,
    Config,
    Feature,
    MapFlag,
    Reached,
    Reserved,
    ReservedFor,
    Status,
    Type,
)

__all__ = [
    "AttachFlag", "Blocked", "BlockedBy", "Config", "Domain", "Feature", "MapFlag", "Mapping", "Reached",
    "Reserved", "ReservedFor", "Status", "Type", "VirtioIommu",
]  # fmt: skip
