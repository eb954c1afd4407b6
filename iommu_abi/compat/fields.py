"""Which field of an old layout is which field of a new one. Reserved fields are nobody's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from iommu_abi.compat.model import is_reserved, shape
from iommu_abi.uapi.layout import Field, Layout


def place(f: Field) -> tuple[int, int]:
    """First bit and number of bits."""
    return (8 * f.offset, 8 * f.size) if f.bits is None else (f.bit_offset or 0, f.bits)


def overlapping(layout: Layout, f: Field) -> Iterator[Field]:
    """The fields of a layout that have bits where ``f`` has them."""
    start, count = place(f)
    for other in layout.fields:
        at, bits = place(other)
        if at < start + count and start < at + bits:
            yield other


def real(layout: Layout) -> list[Field]:
    """The fields that mean something."""
    return [f for f in layout.fields if not is_reserved(f)]


@dataclass
class Pairs:
    """``same`` by name, ``renamed`` by place; the rest was ``withdrawn`` or ``added``."""

    withdrawn: list[Field]
    added: list[Field]
    same: list[tuple[Field, Field]] = field(default_factory=list)
    renamed: list[tuple[Field, Field]] = field(default_factory=list)

    def take(self, into: list[tuple[Field, Field]], alike: Callable[[Field, Field], bool]) -> None:
        """Pair fields that have exactly one counterpart."""
        for old in list(self.withdrawn):
            found = [new for new in self.added if alike(old, new)]
            if len(found) == 1:
                self.withdrawn.remove(old)
                self.added.remove(found[0])
                into.append((old, found[0]))


def _one_path(old: Field, new: Field) -> bool:
    """A union may have got a name: ``vtd.flags`` is ``vendor.vtd.flags``."""
    return f".{old.name}".endswith(f".{new.name}") or f".{new.name}".endswith(f".{old.name}")


def _became_union(old: Field, new: Field) -> bool:
    """A member may have become a union that holds it: ``data`` is ``data.word``."""
    return new.name.startswith(f"{old.name}.") and _one_place(old, new)


def _one_place(old: Field, new: Field) -> bool:
    return place(old) == place(new) and shape(old.type) == shape(new.type)


def pair(old: Layout, new: Layout) -> Pairs:
    """The fields of both layouts, matched."""
    pairs = Pairs(real(old), real(new))
    pairs.take(pairs.same, lambda a, b: a.name == b.name)
    pairs.take(pairs.same, _one_path)
    pairs.take(pairs.same, _became_union)
    pairs.take(pairs.renamed, _one_place)
    return pairs
