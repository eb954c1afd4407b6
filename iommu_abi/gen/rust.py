"""A generation of the user API as a module of Rust, and what its types must be.

One text serves all targets. Each type comes with assertions of its size, its alignment and the offset of
every field, so that a compiler that disagrees refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from iommu_abi import uapi
from iommu_abi.gen.facts import Fact, of_constants, rare
from iommu_abi.gen.rust_targets import TARGETS, conditions
from iommu_abi.gen.rust_types import aggregates, alias, identifier, is_wrapped, wrapped
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi.layout import ABIS, Array, Declarations, Enum, Record, Scalar, Type

_HEAD = """\
// {generation}: {source}.
// Made by iommu-abi gen rust: do not edit. A module for Rust 1.77 and newer, with or without std.
#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]
"""

_FOR_TYPES = """\
use core::mem::{align_of, offset_of, size_of};
/// All bytes of a type of integers 0, as a constant and as the default.
macro_rules! zero {
    ($type:ident) => {
        impl $type {
            pub const ZERO: Self = unsafe { core::mem::zeroed() };
        }

        impl Default for $type {
            fn default() -> Self {
                Self::ZERO
            }
        }
    };
}
"""


def text(generation: str, structs: Iterable[str] = ()) -> str:
    """The module of a generation, or of these structs with what lies in them, their values and commands.

    UsageError names what is known if a struct is not.
    """
    wanted = list(structs)
    for name in wanted:
        uapi.resolve(f"{name}@{generation}")
    declared, described = uapi.declarations(generation), plain.generation(generation)
    tags = _with_parts(declared, wanted) if wanted else list(declared.records)
    types = [
        made
        for tag in tags
        for made in aggregates(identifier(tag), declared.records[tag], described.structs[tag])
    ]
    parts = dict.fromkeys(part for tag in tags for part in _parts(declared.records[tag]))
    pieces = [
        _HEAD.format(generation=generation, source=described.source),
        _FOR_TYPES if types else "",
        *conditions(rare(fact for made in types for fact in made.facts())),
        *(wrapped(t) for t in parts if isinstance(t, Scalar) and is_wrapped(t)),
        *(alias(t) for t in parts if isinstance(t, Enum)),
        *(made.text() for made in types),
        *_constants(list(of_constants(generation, list(ABIS.values()), wanted))),
    ]
    return "\n".join(f"{piece.rstrip()}\n" for piece in pieces if piece)


def _with_parts(declared: Declarations, wanted: Sequence[str]) -> list[str]:
    """The structs, and those that lie in them, in the header's order."""
    found = set(wanted)
    for tag in wanted:
        found |= {t.tag for t in _parts(declared.records[tag]) if isinstance(t, Record) and t.tag}
    return [tag for tag in declared.records if tag in found]


def _parts(record: Record) -> Iterator[Type]:
    """The types of what lies in a record, at any depth; of an array its element's."""
    for member in record.members:
        t = member.type.item if isinstance(member.type, Array) else member.type
        yield t
        if isinstance(t, Record):
            yield from _parts(t)


def _constants(constants: Sequence[Fact]) -> Iterator[str]:
    """Values by their enumeration, then the numbers of ioctls: only these differ between ABIs."""
    commands = [fact for fact in constants if len(fact.groups()) > 1]
    values = [fact for fact in constants if fact not in commands]
    for about, run in groupby(values, lambda fact: fact.about):
        yield "\n".join([f"// {about}", *map(_constant, run)])
    if commands:
        yield "\n".join(_commands(commands))


def _constant(fact: Fact) -> str:
    value = next(iter(fact.values.values()))
    kind = "i32" if value < 0 else "u32" if value < 1 << 32 else "u64"
    return f"pub const {fact.expression}: {kind} = {value if value < 10 else hex(value)};"


def _commands(commands: Sequence[Fact]) -> Iterator[str]:
    """The numbers, of which families of architectures write the upper bits differently."""
    few, most = commands[0].groups()
    of_few, of_most = (commands[0].values[group[0]] & ~0xFF for group in (few, most))
    yield "// numbers of ioctls"
    yield "const IO: u32 = if cfg!(any("
    yield ",\n".join(f"    {TARGETS[abi]}" for abi in few)
    yield f")) {{\n    {of_few:#x}\n}} else {{\n    {of_most:#x}\n}};"
    for fact in commands:
        yield f"pub const {fact.expression}: u32 = IO | {fact.values[most[0]] & 0xFF:#x};"
