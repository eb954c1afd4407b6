"""A kernel's BTF as a model: the structs that are asked for, as the kernel's compiler laid them out.

BTF has neither macros nor the alignment of attributes, and only types that something uses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from iommu_abi import btf, uapi
from iommu_abi.btf import Btf, Described
from iommu_abi.compat.model import Model
from iommu_abi.errors import ImageError, UsageError
from iommu_abi.uapi import layout as layouts
from iommu_abi.uapi.layout import (
    Abi,
    Array,
    Declarations,
    Enum,
    Field,
    Layout,
    Member,
    Pointer,
    Record,
    Scalar,
)

_RECORDS = {btf.STRUCT: "struct", btf.UNION: "union"}
_TRANSPARENT = (9, 10, 11, 18)  # VOLATILE, CONST, RESTRICT, TYPE_TAG
_FIXED = re.compile(r"_*(aligned_)?(be|le|u|s)(8|16|32|64)")
_DEEPEST, _MOST_MEMBERS = 16, 1 << 16


class _Reader:
    """Records of a kernel; ImageError for types without end."""

    def __init__(self, types: Btf, abi: Abi) -> None:
        self._types, self._abi = types, abi
        self._count = 0

    def _within(self, depth: int) -> int:
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_MEMBERS:
            raise ImageError("the kernel's BTF is damaged: its structs have no end")
        return depth + 1

    def _type(self, number: int, depth: int) -> layouts.Type:
        depth = self._within(depth)
        if not number:  # void
            return Pointer()
        found = self._types.describe(number)
        if found.kind in _TRANSPARENT:
            return self._type(found.size, depth)
        if found.kind == btf.TYPEDEF:
            return _named(found.name, self._type(found.size, depth))
        if found.kind == btf.ARRAY:
            element, count = self._types.array(number)
            return Array(self._type(element, depth), count or None)
        if found.kind in _RECORDS:
            return self.record(number, depth)
        if found.kind in (btf.ENUM, btf.ENUM64):
            return Enum(found.name, tuple(self._types.enumerators(number)))
        return _scalar(found)

    def record(self, number: int, depth: int = 0) -> Record:
        """A struct or union with all that is in it."""
        found = self._types.describe(number)
        members = tuple(
            Member(name or None, self._type(member.type, self._within(depth)), member.bits or None)
            for name, member in self._types.members(number)
        )
        return Record(_RECORDS[found.kind], found.name or None, members)

    def layout(self, number: int) -> Layout:
        """The places that the kernel's compiler gave it."""
        record, size = self.record(number), self._types.describe(number).size
        return Layout(self._abi, record, size, 0, tuple(self._leaves(number, record, 0, "", False)))

    def _leaves(self, number: int, record: Record, base: int, prefix: str, shared: bool) -> Iterator[Field]:
        shared = shared or record.kind == "union"
        for (name, placed), member in zip(self._types.members(number), record.members):
            at, path = base + placed.offset, prefix + name
            if isinstance(member.type, Record):
                inner = self._types.resolve(placed.type)
                yield from self._leaves(inner, member.type, at, f"{path}." if name else prefix, shared)
            elif placed.bits:
                size = (at + placed.bits - 1) // 8 - at // 8 + 1
                yield Field(path, at // 8, size, member.type, shared, at, placed.bits)
            else:
                yield Field(path, at // 8, layouts.size_align(member.type, self._abi)[0], member.type, shared)


def _named(name: str, made: layouts.Type) -> layouts.Type:
    """The names of integers say what their base types do not: the width everywhere, the byte order."""
    found = _FIXED.fullmatch(name)
    if isinstance(made, Record):
        return made if made.tag else Record(made.kind, name, made.members, made.aligned)
    if not found or not isinstance(made, (Scalar, Pointer)):
        return made
    order = {"le": "little", "be": "big"}.get(found[2])
    size = int(found[3]) // 8
    return Scalar(name, size, found[2] == "s", order, size if found[1] else 0)


def _scalar(found: Described) -> layouts.Type:
    if found.kind not in (btf.INT, btf.FLOAT) or not found.size:
        return Pointer()
    words = found.name.split()
    if words.count("long") == 1 and "double" not in words:  # as wide as a pointer on every Linux ABI
        return Pointer(found.name)
    return Scalar(found.name, found.size, found.signed)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The BTF of a kernel, and of its modules, which goes on from it."""

    label: str
    abi: Abi
    data: bytes
    modules: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()


def _types(kernel: Kernel, names: Collection[str]) -> Iterator[Btf]:
    """Those of the kernel, then of each module that has one of the names."""
    yield Btf(kernel.data)
    texts = [b"\0" + name.encode() + b"\0" for name in names]
    for module in kernel.modules:
        if any(text in module for text in texts):
            yield Btf(btf.joined(kernel.data, module))


def _enums(types: Btf, known: Collection[str]) -> Iterator[tuple[str, Enum]]:
    """Enumerations with a constant that a generation has."""
    for number in types.enums():
        members = tuple(types.enumerators(number))
        if any(name in known for name, _ in members):
            name = types.describe(number).name
            yield name, Enum(name, members)


def read(kernel: Kernel, names: Collection[str] = ()) -> Model:
    """The structs of these names, else of all generations'; UsageError if it has none of them."""
    every = [uapi.declarations(each) for each in uapi.GENERATIONS]
    wanted = set(names) or {name for each in every for name in each.records}
    known = {name for each in every for name in each.constants()}
    measured: dict[str, Layout] = {}
    enums: dict[str, Enum] = {}
    for types in _types(kernel, wanted):
        reader = _Reader(types, kernel.abi)
        for name in sorted(wanted - measured.keys()):
            if found := types.structs(name):
                measured[name] = reader.layout(found[0])
        for name, enum in _enums(types, known):
            enums.setdefault(name or str(len(enums)), enum)
    if not measured:
        raise UsageError(
            f"{kernel.label}: its BTF has none of these structs: iommufd and VFIO may be modules there, which"
            " have their own (/sys/kernel/btf), or nothing uses them"
        )
    note = f"{kernel.label}: {len(measured)} of {len(wanted)} structs are in its BTF, which has no macros"
    declared = Declarations({name: layout.record for name, layout in measured.items()}, enums)
    return Model(
        kernel.label, declared, None, kernel.abi, measured, complete=False, notes=(note, *kernel.notes)
    )
