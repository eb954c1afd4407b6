"""Blobs at the edges: what is first, last, and the first beyond."""

from __future__ import annotations

from hypothesis import strategies as st

from iommu_abi.strategies import draft, envelope
from iommu_abi.strategies.plan import plans
from iommu_abi.strategies.target import Specimen


def numbers(target: Specimen, path: str) -> list[int]:
    """Edges of a field: 0, 1, the sign bit, the ends, of bytes the first and the last.

    Known flags, alone and together, and the first unknown one; named numbers and their neighbours.
    """
    domain, leaf = target.any(path), target.leaves[path]
    values = target.generation.enums[leaf.field.values] if leaf.field.values else None
    found = {0, 1, domain.low, domain.high, domain.high >> 1, (domain.high >> 1) + 1}
    if leaf.field.count is not None or leaf.field.reserved:
        found |= {1 << 8 * (leaf.size - 1), 0xFF, 0xFF << 8 * (leaf.size - 1)}
    if values and values.flags:
        unknown = ~values.mask & domain.high
        found |= {values.mask, *values.names.values(), unknown & -unknown}
    elif values:
        found |= {number + step for number in values.names.values() for step in (-1, 0, 1)}
    return sorted(number for number in found if number in domain)


def sizes(target: Specimen) -> list[int]:
    """Edges of what a caller announces: around the least that a kernel takes, and the most it knows."""
    least = envelope.least(target) or (4 if target.first else target.size)
    around = {size + step for size in (least, target.size) for step in (-1, 0, 1)}
    return sorted(size for size in {0, *around, target.size + 8} if size >= 0)


@st.composite
def blobs(draw: st.DrawFn, target: Specimen) -> bytes:
    """A valid blob of which some fields, its size, or both are at an edge."""
    found = plans(target)
    plan = found[draw(st.integers(0, len(found) - 1))]
    made = draft.values(draw, target, plan)
    for path in draw(st.sets(st.sampled_from(sorted(made)), max_size=3)):
        made[path] = draw(st.sampled_from(numbers(target, path)))
    size = draw(st.sampled_from([target.size, *sizes(target)]))
    data = draft.write(target, made)
    if target.first and target.first in made and draw(st.booleans()):
        return data  # which announces what it likes
    return envelope.announced(target, made, size)[:size].ljust(size, b"\0")
