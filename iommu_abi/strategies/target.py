"""What blobs are made of: a struct of a generation on an ABI, with its fields and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from iommu_abi import rules
from iommu_abi import uapi as types
from iommu_abi.rules import kernels
from iommu_abi.rules import predicates as p
from iommu_abi.rules.row import Check
from iommu_abi.schemas import uapi
from iommu_abi.strategies.domain import Domain, Facts
from iommu_abi.strategies.relations import related
from iommu_abi.uapi.layout import host

SIZES = (*p.GIVEN, *p.IN_MEMORY)
FIRST = ("size", "argsz")


@dataclass(frozen=True, eq=False, repr=False)
class Specimen:
    """``checks`` are the rows about bytes, in their order; ``subject`` is None where none are known."""

    struct: uapi.Struct
    generation: uapi.Generation
    abi: uapi.Abi
    subject: rules.Subject | None
    checks: tuple[Check, ...] = ()

    def __repr__(self) -> str:
        return f"{self.struct.name}@{self.generation.name}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the short repr: Hypothesis would print every field."""
        printer.text(repr(self))

    @cached_property
    def leaves(self) -> Mapping[str, uapi.Leaf]:
        """Every number and array by its path, those of a flexible tail left out."""
        return {leaf.path: leaf for leaf in uapi.leaves(self.struct, self.abi) if not leaf.field.flexible}

    @property
    def size(self) -> int:
        """Bytes of the struct, without a tail."""
        return uapi.layout(self.struct, self.abi).size

    def behind(self, struct: str) -> Specimen:
        """A struct that follows this one."""
        kernel = self.subject.kernel if self.subject else None
        return target(f"{struct}@{self.generation.name}", kernel or None, self.abi.name)

    @property
    def order(self) -> str:
        """Byte order as int.to_bytes() takes it."""
        return "little" if self.abi.order == "<" else "big"

    @property
    def ulong_max(self) -> int:
        """ULONG_MAX of a kernel with this ABI."""
        return (1 << 8 * self.abi.pointer) - 1

    @property
    def first(self) -> str | None:
        """The member that says how many bytes the caller gives, if there is one."""
        name = self.struct.fields[0].name
        return name if name in FIRST else None

    def end(self, path: str, *, start: bool = False) -> int:
        """Where a member, or one inside it, ends or starts; bytes."""
        member = next(each for each in uapi.members(self.struct, self.abi) if each.path == path)
        return member.offset if start else member.offset + member.size

    def _values(self, leaf: uapi.Leaf) -> uapi.Values | None:
        return self.generation.enums[leaf.field.values] if leaf.field.values else None

    def facts(self, path: str) -> Facts:
        """What rows about a field leave to the generation and the ABI."""
        values = self._values(self.leaves[path])
        return Facts(values.mask if values else 0, self.ulong_max, self.any(path).high)

    def any(self, path: str) -> Domain:
        """Every number that fits a field; an array is one large number."""
        leaf = self.leaves[path]
        kind = leaf.field.type
        if isinstance(kind, uapi.Integer) and kind.kind == "bit":
            return Domain(0, 1)
        bits = 8 * leaf.size
        if isinstance(kind, uapi.Integer) and kind.signed and leaf.field.count is None:
            return Domain(-(1 << bits - 1), (1 << bits - 1) - 1)
        return Domain(0, (1 << bits) - 1)

    def sensible(self, path: str, domain: Domain) -> Domain:
        """Of a field's domain what a caller means: named numbers, known flags, 0 in what is reserved."""
        leaf, values = self.leaves[path], self._values(self.leaves[path])
        wish = domain
        if leaf.field.reserved:
            wish = domain.narrow(among=[0])
        elif values and values.flags:
            wish = domain.narrow(zeros=~values.mask)
        elif values:
            wish = domain.narrow(among=values.names.values())
        return domain if wish.empty else wish


def _concerns(check: Check, struct: uapi.Struct, paths: Mapping[str, uapi.Leaf]) -> bool:
    """Has this generation's struct the fields that a row is about?"""
    fields = [check.rule.field, *related(check.broken)]
    if isinstance(check.when, p.where):
        fields.append(check.when.field)
    if isinstance(check.broken, (p.given_up_to, p.readable_up_to)):
        fields.append(check.broken.field.partition(".")[0])
    return all(not field or field in paths or struct.has(field) for field in fields)


@cache
def target(name: str, kernel: str | None = None, abi: str | None = None) -> Specimen:
    """``"STRUCT"`` or ``"STRUCT@GENERATION"`` on a kernel, on an ABI (this machine's); UsageError else."""
    machine = uapi.abi(abi or host().name)
    if kernel is not None:
        subject: rules.Subject | None = rules.struct(name, kernel)
    else:
        tag, gen = types.resolve(name)
        known = tag in kernels.with_rules(uapi.generation(gen))
        subject = rules.struct(f"{tag}@{gen}") if known else None
    if subject is None:
        return Specimen(uapi.get(tag, gen), uapi.generation(gen), machine, None)
    struct = subject.generation.struct(subject.struct)
    paths = {leaf.path: leaf for leaf in uapi.leaves(struct, machine)}
    checks = (row for row in subject.rows if isinstance(row, Check))
    return Specimen(
        struct,
        subject.generation,
        machine,
        subject,
        tuple(check for check in checks if _concerns(check, struct, paths)),
    )
