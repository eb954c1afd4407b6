"""Structs and unions of a header as Rust has them, with what their bytes must be.

Rust's ``repr(C)`` follows the C ABI of the target. What it cannot say is written otherwise: bit fields
are a byte with functions, a flexible array an array of no elements, an integer with a byte order or an
alignment of its own a struct around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from iommu_abi.gen.facts import Fact
from iommu_abi.gen.rust_targets import BIG, any_of, number
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi.layout import (
    ABIS,
    Abi,
    Array,
    Enum,
    Member,
    Pointer,
    Record,
    Scalar,
    Type,
    layout,
    placed,
    size_align,
)

_WRAPPED = """\
/// {doc}
#[repr({repr})]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct {name}({integer});

impl {name} {{
    pub const fn new(value: {integer}) -> Self {{
        Self(value{to})
    }}

    pub const fn get(self) -> {integer} {{
        {get}
    }}
}}
"""

_BIT_FIELD = """\
    /// {doc}
    pub const fn {name}(&self) -> u8 {{
        let shift = if cfg!({on_big}) {{ {big} }} else {{ {little} }};
        self.{at} >> shift & {mask:#x}
    }}

    /// Bits of `value` beyond the field's are left out.
    pub fn set_{plain}(&mut self, value: u8) {{
        let shift = if cfg!({on_big}) {{ {big} }} else {{ {little} }};
        self.{at} = self.{at} & !({mask:#x} << shift) | (value & {mask:#x}) << shift;
    }}"""

#: To edition 2024; without those that no raw identifier can be, which no header has.
_KEYWORDS = frozenset(
    {
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
        "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
        "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static",
        "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where",
        "while", "yield",
    }
)  # fmt: skip

#: In which byte bit fields lie together, and where in it, is the same on all little-endian ABIs.
_LITTLE_ENDIAN = ABIS["x86_64"]


def identifier(name: str) -> str:
    """A name of C as Rust writes it."""
    return f"r#{name}" if name in _KEYWORDS else name


@dataclass(frozen=True, slots=True)
class Field:
    """A field as Rust has it: the member at ``index``, or the bit fields of a byte from there on."""

    name: str
    type: str
    index: int
    members: tuple[Member, ...]
    docs: tuple[str, ...]

    @property
    def is_bits(self) -> bool:
        """Whether it is a byte of bit fields."""
        return self.members[0].bits is not None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A struct or union under the name that it has in Rust."""

    name: str
    record: Record
    doc: str
    fields: tuple[Field, ...]

    def facts(self) -> list[Fact]:
        """Size, alignment and offsets as expressions of Rust."""
        made = [layout(self.record, abi) for abi in ABIS.values()]
        begin = [_offsets(self.record, abi) for abi in ABIS.values()]

        def fact(expression: str, values: Iterator[int]) -> Fact:
            return Fact(self.name, expression, dict(zip(ABIS, values)))

        return [
            fact(f"size_of::<{self.name}>()", (each.size for each in made)),
            fact(f"align_of::<{self.name}>()", (each.align for each in made)),
            *(fact(f"offset_of!({self.name}, {f.name})", (at[f.index] for at in begin)) for f in self.fields),
        ]

    def text(self) -> str:
        """The type, its bit fields, its assertions."""
        holes = [f"{at}..{at + size}" for at, size in layout(self.record, ABIS["x86_64"]).holes]
        said = [self.doc, holes and f"Holes, which Rust does not keep 0 (on x86_64): {', '.join(holes)}."]
        lines = [f"/// {text}" for text in said if text]
        lines += ["#[repr(C)]", "#[derive(Clone, Copy)]", f"pub {self.record.kind} {self.name} {{"]
        for field in self.fields:
            docs = [f"bit fields: {_names(field)}"] if field.is_bits else field.docs
            lines += [f"    /// {doc}" for doc in docs if doc]
            lines.append(f"    pub {field.name}: {field.type},")
        lines += ["}", "", f"zero!({self.name});", ""]
        functions = [made for field in self.fields if field.is_bits for made in self._bit_fields(field)]
        if functions:
            lines += [f"impl {self.name} {{", "\n\n".join(functions), "}", ""]
        lines += [f"const _: () = assert!({fact.expression} == {number(fact)});" for fact in self.facts()]
        return "\n".join(lines)

    def _bit_fields(self, field: Field) -> Iterator[str]:
        """The functions of each: a bit field begins at the bit that the byte order puts first."""
        bits = [bit % 8 for _, bit in placed(self.record, _LITTLE_ENDIAN)]
        for little, member, doc in zip(bits[field.index :], field.members, field.docs):
            count, name = member.bits or 0, member.name or ""
            yield _BIT_FIELD.format(
                doc=doc or name,
                name=identifier(name),
                plain=name,
                at=field.name,
                on_big=BIG,
                big=8 - little - count,
                little=little,
                mask=(1 << count) - 1,
            )


def _names(field: Field) -> str:
    return ", ".join(member.name or "" for member in field.members)


def aggregates(name: str, record: Record, described: plain.Struct) -> Iterator[Aggregate]:
    """A record, after those inside that the header gives no tag."""
    fields: list[Field] = []
    offsets = _offsets(record, _LITTLE_ENDIAN)

    def place(index: int) -> tuple[int, int]:
        """Bit fields in one byte share it; any other member has a place of its own."""
        return (offsets[index], -1) if record.members[index].bits is not None else (offsets[index], index)

    for _, run in groupby(range(len(record.members)), place):
        indices = list(run)
        index, first = indices[0], record.members[indices[0]]
        own = first.name or f"anon_{index}" if first.bits is None else f"bits_{index}"
        inner = ""
        if isinstance(first.type, Record):
            inner = identifier(first.type.tag or f"{name.removeprefix('r#')}__{own}")
            below = described.fields[index].type
            if first.type.tag is None and isinstance(below, plain.Struct):
                yield from aggregates(inner, first.type, below)
        members = tuple(record.members[each] for each in indices)
        docs = tuple(described.fields[each].text for each in indices)
        type_ = _type(first.type, inner) if first.bits is None else "u8"
        fields.append(Field(identifier(own), type_, index, members, docs))
    yield Aggregate(name, record, described.doc, tuple(fields))


def _offsets(record: Record, abi: Abi) -> list[int]:
    """The byte at which each member begins."""
    return [bit // 8 for _, bit in placed(record, abi)]


def _type(t: Type, record: str) -> str:
    """A type as Rust writes it; ``record`` is the name of the struct or union in it."""
    if isinstance(t, Array):
        item = identifier(t.item.tag or "") if isinstance(t.item, Record) else _type(t.item, record)
        return f"[{item}; {t.count or 0}]"
    if isinstance(t, Scalar):
        return t.name.lstrip("_") if is_wrapped(t) else _integer(t)
    if isinstance(t, Pointer):
        return "*mut core::ffi::c_void"
    return identifier(t.name) if isinstance(t, Enum) else record


def _integer(t: Scalar) -> str:
    return f"{'i' if t.signed else 'u'}{8 * t.size}"


def is_wrapped(t: Scalar) -> bool:
    """Whether an integer has an alignment or a byte order of its own."""
    return bool(t.aligned or t.byteorder)


def wrapped(t: Scalar) -> str:
    """The struct around an integer whose byte order or alignment is not the machine's."""
    order = {None: "", "little": "le", "big": "be"}[t.byteorder]
    integer = _integer(t)
    doc = f"A {integer}{f' in {t.byteorder}-endian byte order' if t.byteorder else ''}"
    return _WRAPPED.format(
        doc=f"{doc}, aligned to {t.aligned} everywhere." if t.aligned else f"{doc}.",
        repr=f"C, align({t.aligned})" if t.aligned else "transparent",
        name=t.name.lstrip("_"),
        integer=integer,
        to=f".to_{order}()" if order else "",
        get=f"{integer}::from_{order}(self.0)" if order else "self.0",
    )


def alias(enum: Enum) -> str:
    """An enumeration as structs hold it: an integer, for what comes from elsewhere may be any."""
    sizes = Fact("", enum.name, {name: size_align(enum, abi)[0] for name, abi in ABIS.items()})
    *others, most = sizes.groups()
    name, lines = identifier(enum.name), []
    for group in others:
        lines += [f"#[cfg({any_of(group)})]", f"pub type {name} = u{8 * sizes.values[group[0]]};"]
    if others:
        lines.append(f"#[cfg(not({any_of(abi for group in others for abi in group)}))]")
    return "\n".join([*lines, f"pub type {name} = u{8 * sizes.values[most[0]]};"])
