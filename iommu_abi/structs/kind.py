"""Which struct, and what taking it apart gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from iommu_abi import uapi
from iommu_abi.errors import AbiError
from iommu_abi.schemas import uapi as plain
from iommu_abi.uapi.layout import Abi, Layout, host, layout


@dataclass(frozen=True, slots=True)
class StructKind:
    """A struct of a generation on an ABI."""

    struct: str
    generation: str
    abi: Abi

    @property
    def order(self) -> Literal["little", "big"]:
        """Byte order as int.from_bytes() takes it."""
        return "little" if self.abi.order == "<" else "big"

    @property
    def layout(self) -> Layout:
        """Where the fields lie, by the fast ledger's declarations."""
        return _layout(self)

    @property
    def schema(self) -> plain.Struct:
        """The struct as the plain ledger has it: what its fields mean."""
        return _schema(self)

    @property
    def plain_abi(self) -> plain.Abi:
        """The ABI as the plain ledger has it."""
        return _plain_abi(self.abi)

    @property
    def name(self) -> str:
        """As the command line writes it."""
        return f"{self.struct}@{self.generation}"

    def constants(self, field: str) -> dict[str, int]:
        """Names of the numbers that a field of the struct takes."""
        if not self.schema.has(field):
            return {}
        tag = self.schema.field(field).values
        return dict(plain.generation(self.generation).enums[tag].names) if tag else {}


@cache
def _layout(kind: StructKind) -> Layout:
    return layout(uapi.declarations(kind.generation).records[kind.struct], kind.abi)


@cache
def _schema(kind: StructKind) -> plain.Struct:
    return plain.get(kind.struct, kind.generation)


@cache
def _plain_abi(abi: Abi) -> plain.Abi:
    return plain.abi(abi.name)


class Field(NamedTuple):
    """A field in its place, bytes from the start of the blob; ``value`` is bytes for arrays of bytes.

    ``named``: the meaning is the name of a number, and not what the field is for. ``reserved``: it has to
    be 0. ``other``: it is in a member of a union that the discriminator does not choose. ``missing``: the
    blob ends before it, so that it counts as 0.
    """

    name: str
    offset: int
    size: int
    value: int | bytes
    meaning: str
    named: bool = False
    reserved: bool = False
    other: bool = False
    missing: bool = False

    @property
    def broken(self) -> bool:
        """Is it reserved and not 0?"""
        return self.reserved and bool(self.value if isinstance(self.value, int) else any(self.value))


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that was taken apart. ``notes`` say what is worth knowing, or what lenient reading let pass.

    ``broken`` are the rules of its envelope that it breaks, and reserved fields that are not 0.
    ``payload`` are the fields inside ``opaque[]``, None if they were not asked for; ``holes`` are
    (offset, bytes) that belong to no field.
    """

    kind: StructKind
    data: bytes
    fields: tuple[Field, ...]
    holes: tuple[tuple[int, int], ...]
    payload: tuple[Field, ...] | None = None
    notes: tuple[str, ...] = ()
    broken: tuple[AbiError, ...] = ()


@cache
def plain_fields(kind: StructKind) -> Mapping[str, plain.Field]:
    """Path -> number or array, by the plain ledger, also inside an array of structs at the end."""
    struct, abi = kind.schema, kind.plain_abi
    found = list(plain.leaves(struct, abi))
    if struct.tail and isinstance(struct.tail.type, plain.Struct):
        found += plain.leaves(struct.tail.type, abi, prefix=f"{struct.tail.name}.")
    return {leaf.path: leaf.field for leaf in found}


def kind(name: str, abi: Abi | None = None) -> StructKind:
    """``"STRUCT"`` or ``"STRUCT@GEN"``, by default on this machine; UsageError names what is known."""
    struct, generation = uapi.resolve(name)
    return StructKind(struct, generation, abi or host())
