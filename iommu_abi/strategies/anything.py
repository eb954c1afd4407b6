"""Blobs of a struct with any number in any field: what reading and writing have to survive."""

from __future__ import annotations

from hypothesis import strategies as st

from iommu_abi.strategies import draft
from iommu_abi.strategies.plan import Plan
from iommu_abi.strategies.target import Specimen


@st.composite
def blobs(draw: st.DrawFn, target: Specimen) -> bytes:
    """Whole structs; a tail has as many bytes as its length says, or whole elements."""
    anything = Plan({path: target.any(path) for path in target.leaves})
    numbers = draft.values(draw, target, anything)
    tail = draft.tail(draw, target, numbers)
    return draft.write(target, numbers) + tail
