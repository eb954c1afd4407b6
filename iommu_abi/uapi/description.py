"""What ``help()`` says of a struct: its fields with offsets, types, what they are for, and the source.

The plain ledger has the words; they are looked up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iommu_abi.uapi.layout import Layout


def doc(cls: Any) -> str | None:
    """The ``__doc__`` of a class: of one made from a layout, what that holds."""
    made = cls.__dict__.get("_layout_info")
    return _text(cls._gen, cls._name, made) if made else cls.__dict__.get("__doc__")


def _text(gen: str, name: str, made: Layout) -> str:
    tag = made.record.tag
    head = f"{made.record.kind} {name} of {gen}: {made.size} bytes, aligned to {made.align}, on this machine."
    return "\n".join([head, *(_fields(tag, gen, made) if tag else ())])


def _fields(tag: str, gen: str, made: Layout) -> Iterator[str]:
    from iommu_abi.schemas import uapi as plain
    from iommu_abi.uapi.picture import type_name

    generation = plain.generation(gen)
    leaves = plain.leaves(generation.struct(tag), plain.abi(made.abi.name))
    yield ""
    yield "offset  bytes  field"
    for field, leaf in zip(made.fields, leaves):
        size = f"{field.bits} bit" if field.bits else str(field.size)
        told = ", ".join(filter(None, (type_name(field.type), leaf.field.text)))
        yield f"{field.offset:6}  {size:>5}  {field.name}: {told}"
    yield ""
    yield f"Source: {generation.source}."
