"""What devices can reach: enumerated, compared, drawn.

- ``enumeration``: contexts, PASIDs, mappings and tables, in order and in bounded memory; also imported here
- ``budget``: how much an enumeration may look at
- ``diff``: what changed between two images
- ``map``: host memory from left to right, a row for each context; ``picture``: that as text and as SVG
- ``extents``: unions of address ranges in bounded memory
"""

from __future__ import annotations

from iommu_abi.mappings.enumeration import (
    ROOM,
    ContextRun,
    ContextState,
    Mapping,
    Reach,
    Table,
    contexts,
    everything,
    mappings,
    page_sizes,
    pasids,
    reaching,
    refusals_joined,
    requesters,
    span,
    tables,
)

__all__ = [
    "ROOM",
    "ContextRun",
    "ContextState",
    "Mapping",
    "Reach",
    "Table",
    "contexts",
    "everything",
    "mappings",
    "page_sizes",
    "pasids",
    "reaching",
    "refusals_joined",
    "requesters",
    "span",
    "tables",
]
