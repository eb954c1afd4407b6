"""Fills a generation's module with the types that its header declares."""

from __future__ import annotations

import enum
import pickle
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from iommu_abi import _core_errors as core_errors
from iommu_abi import contract
from iommu_abi._core_buffers import hold
from iommu_abi.errors import Error
from iommu_abi.uapi import _seed
from iommu_abi.uapi import layout as _layout
from iommu_abi.uapi.types import Buffer, make_structs, tail_count

STORED = Path(__file__).with_name("declarations.bin")


@cache
def _stored() -> dict[str, tuple[list[str], bytes]]:
    """What uapi/reader.py wrote when the package was built."""
    found: dict[str, tuple[list[str], bytes]] = pickle.loads(STORED.read_bytes())
    return found


def struct_names(name: str) -> list[str]:
    """The structs of a generation, without reading the rest: all of them are looked up for one name."""
    return _stored()[name][0]


@cache
def declarations(name: str) -> _layout.Declarations:
    """What the generation's header declares."""
    made: _layout.Declarations = pickle.loads(_stored()[name][1])
    return made


def check_size(made: _layout.Layout, data: Buffer, strict: bool) -> None:
    """Are there as many bytes as the struct has, and if strict no more?"""
    tag = made.record.tag or ""
    held = hold(data, tag)
    got = len(held)
    if got < made.size:
        cut = ((f.name, f.offset) for f in made.fields if f.offset + f.size > got)
        name, offset = next(cut, ("", made.size))  # or only the hole at the end is missing
        raise core_errors.at("struct.truncated", tag, name, offset, got, made.size)
    tail = made.record.flexible
    if tail is None:
        want = made.size
    elif tail_count(made.record):
        want = made.size + int.from_bytes(*_announced(made, held))
    else:
        assert isinstance(tail.type, _layout.Array)
        element, _ = _layout.size_align(tail.type.item, made.abi)
        want = got - (got - made.size) % element
    if got < want:
        raise core_errors.at("struct.truncated", tag, made.fields[-1].name, made.size, got, want)
    if strict and got > want:
        raise core_errors.at("struct.trailing", tag, "", want, got, want)


def _announced(made: _layout.Layout, held: Any) -> tuple[bytes, Literal["little", "big"]]:
    count = next(f for f in made.fields if f.name == tail_count(made.record))
    return bytes(held[count.offset : count.offset + count.size]), "little" if made.abi.order == "<" else "big"


def _check(name: str, made: _layout.Layout, data: Buffer, strict: bool) -> None:
    if strict:
        tag = made.record.tag or ""
        contract.check(tag, name, made.abi.name, bytes(hold(data, tag)))
    else:
        check_size(made, data, strict=False)


def _checker(name: str, made: _layout.Layout) -> Callable[[Buffer, bool], None]:
    return _seed.checker(made, name) or partial(_check, name, made)


def _compare(name: str, made: _layout.Layout) -> None:
    """The computed layout against the compiler's."""
    module_ffi = import_module(f"iommu_abi.uapi._{name}").ffi
    tag = f"{made.record.kind} {made.record.tag}"
    compiled = module_ffi.typeof(tag)
    theirs = (module_ffi.sizeof(compiled), module_ffi.alignof(compiled))
    if theirs != (made.size, made.align):
        raise Error(
            f"{tag} of {name}: computed size and alignment {made.size, made.align}, compiled {theirs}"
        )
    for f in made.fields:
        if f.bits is not None:  # it has no address
            continue
        offset = module_ffi.offsetof(tag, *f.name.split("."))
        if offset != f.offset:
            raise Error(f"{tag}.{f.name} of {name}: computed offset {f.offset}, compiled {offset}")


def load(name: str) -> dict[str, Any]:
    """The names of a generation's module: structs, enums, constants of unnamed enums."""
    declared = declarations(name)
    layouts = [_layout.layout(record, _layout.host()) for record in declared.records.values()]
    for made in layouts:
        _compare(name, made)
    found: dict[str, Any] = {"__structs__": tuple(declared.records)}
    found.update(make_structs(name, layouts, partial(_checker, name)))
    _seed.make_fast(found, name)
    for enum_name, e in declared.enums.items():
        if enum_name and not enum_name.isdigit():
            found[enum_name] = enum.IntEnum(enum_name, list(e.constants), module=f"iommu_abi.uapi.{name}")
        found.update(e.constants)
    return found
