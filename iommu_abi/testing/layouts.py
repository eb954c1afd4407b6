"""Other people's layouts, and where they differ from ours: ctypes classes, cffi types, formats of struct."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iommu_abi.errors import UsageError
from iommu_abi.schemas import uapi
from iommu_abi.testing.lines import Row, table


@dataclass(frozen=True, slots=True)
class Item:
    """A field of theirs; ``name`` is a path, "" where they have none. ``size`` is None for bit fields."""

    name: str
    offset: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Theirs:
    """A layout: bytes in all, and the items in their order."""

    size: int
    items: tuple[Item, ...]


def read(layout: Any) -> Theirs:
    """A layout from a ctypes class, a cffi type or a format of the module struct; else UsageError."""
    if isinstance(layout, type) and issubclass(layout, (ctypes.Structure, ctypes.Union)):
        return Theirs(ctypes.sizeof(layout), tuple(_ctypes(layout, 0, "")))
    if isinstance(layout, (str, struct.Struct)):
        return _format(layout if isinstance(layout, str) else layout.format)
    if getattr(layout, "kind", None) in ("struct", "union"):
        import cffi

        return Theirs(cffi.FFI().sizeof(layout), tuple(_cffi(layout, 0, "")))
    raise UsageError(
        f"got {layout!r}, expected a class of ctypes, a struct's type of cffi, or a struct format"
    )


def _ctypes(cls: Any, at: int, prefix: str) -> Iterator[Item]:
    for name, type_, *bits in cls._fields_:
        if name.startswith("_hole_"):  # of our own types
            continue
        offset = at + getattr(cls, name).offset
        if isinstance(type_, type) and issubclass(type_, (ctypes.Structure, ctypes.Union)):
            inner = prefix if name in getattr(cls, "_anonymous_", ()) else f"{prefix}{name}."
            yield from _ctypes(type_, offset, inner)
        else:
            yield Item(prefix + name, offset, None if bits else ctypes.sizeof(type_))


def _cffi(type_: Any, at: int, prefix: str) -> Iterator[Item]:
    import cffi

    for name, field in type_.fields:
        offset = at + field.offset
        if field.type.kind in ("struct", "union"):
            yield from _cffi(field.type, offset, f"{prefix}{name}." if name else prefix)
        elif field.type.kind == "array" and field.type.length is None:
            continue  # a flexible tail
        else:
            size = None if field.bitsize >= 0 else cffi.FFI().sizeof(field.type)
            yield Item(prefix + name, offset, size)


def _format(text: str) -> Theirs:
    order = text[0] if text[:1] in tuple("@=<>!") else "@"
    items, before = [], order
    for count, code in re.findall(r"(\d*)([a-zA-Z?])", text):
        single = code in "sp"
        for _ in range(1 if single or not count else int(count)):
            item = f"{count}{code}" if single else code
            before += item
            size = struct.calcsize(order + item)
            if code != "x":
                items.append(Item("", struct.calcsize(before) - size, size))
    return Theirs(struct.calcsize(text), tuple(items))


# ---------------------------------------------------------------- differences


def _plain(name: str) -> str:
    """A path without the underscores that some names begin with: Python renames them inside classes."""
    return ".".join(part.lstrip("_") for part in name.split("."))


def _place(item: Item | uapi.Leaf | None) -> str:
    if item is None:
        return "none"
    return f"offset {item.offset}" + ("" if item.size is None else f", {item.size} bytes")


def differences(made: uapi.Struct, abi: uapi.Abi, theirs: Theirs) -> list[str]:
    """A heading and a line per difference; empty if there is none."""
    layout = uapi.layout(made, abi)
    ours = [leaf for leaf in uapi.leaves(made, abi) if not leaf.field.flexible]
    rows: list[Row] = []
    if theirs.size != layout.size:
        rows.append(("", "(whole)", f"{theirs.size} bytes", f"{layout.size} bytes"))
    if theirs.items and not theirs.items[0].name:
        pairs = _by_order(ours, theirs)
    else:
        pairs = _by_name(ours, theirs, layout.size)
    for leaf, item in pairs:
        if leaf is None or item is None or not _same(leaf, item):
            offset = leaf.offset if leaf else item.offset if item else 0
            name = leaf.path if leaf else item.name if item else ""
            rows.append((str(offset), name or "(no name)", _place(item), _place(leaf)))
    return table(f"{len(rows)} difference{'s' * (len(rows) != 1)}", ("yours", "Linux"), rows)


def _same(leaf: uapi.Leaf, item: Item) -> bool:
    return item.offset == leaf.offset and item.size in (None, leaf.size)


Pair = tuple["uapi.Leaf | None", "Item | None"]


def _by_name(ours: list[uapi.Leaf], theirs: Theirs, size: int) -> list[Pair]:
    """Fields of a name together; what they have in our holes is padding that they wrote out."""
    used = bytearray(size)
    for leaf in ours:
        used[leaf.offset : leaf.offset + leaf.size] = b"\1" * leaf.size
    found = {_plain(item.name): item for item in theirs.items}
    pairs: list[Pair] = [(leaf, found.pop(_plain(leaf.path), None)) for leaf in ours]
    padding = [item for item in found.values() if not any(used[item.offset : item.offset + (item.size or 1)])]
    return pairs + [(None, item) for item in found.values() if item not in padding]


def _by_order(ours: list[uapi.Leaf], theirs: Theirs) -> list[Pair]:
    """Items one after the other; of a union the member that the header names first."""
    end, first = 0, []
    for leaf in ours:
        if leaf.offset >= end:
            first.append(leaf)
            end = leaf.offset + leaf.size
    count = max(len(first), len(theirs.items))
    return [
        (
            first[i] if i < len(first) else None,
            theirs.items[i] if i < len(theirs.items) else None,
        )
        for i in range(count)
    ]
